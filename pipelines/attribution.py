"""Attribution: where a run's profit came from, by symbol, session, side, exit, regime and month."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from online.domain.manifest import Manifest
from online.domain.record import DecisionRecord, Record
from pipelines.performance import Performance
from pipelines.trades import Trade

_HOUR_NS = 3_600_000_000_000
_SESSIONS = ((7, "Asia, 22-07 UTC"), (13, "London, 07-13 UTC"), (22, "New York, 13-22 UTC"))
_REGIMES = ("calm third", "middle third", "wild third")


@dataclass(frozen=True, slots=True)
class Share:
    """What the trades of one group earned, account currency after costs.

    Parameters
    ----------
    name
        Of the group.
    trades
        How many (> 0).
    win_rate
        Share of them with a net profit.
    pnl_net
        Of all of them.
    """

    name: str
    trades: int
    win_rate: float
    pnl_net: float


def attribute(
    performance: Performance, records: Iterable[Record], manifests: Mapping[str, Manifest]
) -> dict[str, tuple[Share, ...]]:
    """Return the shares of every kind; those of one kind add up to the profit of all trades.

    Parameters
    ----------
    performance
        Of the run.
    records
        Its journal, in which the volatility at each entry stands.
    manifests
        Of the models by symbol; they name the barriers' unit, whose size tells the regime.
    """
    trades = performance.trades
    regimes = _regimes(trades, records, manifests)
    kinds: dict[str, Callable[[Trade], str]] = {
        "symbol": lambda trade: trade.symbol,
        "session": _session,
        "side": lambda trade: trade.side,
        "exit": lambda trade: trade.reason,
        "volatility at entry": lambda trade: regimes.get(trade.position, "not known"),
        "month": _month,
    }
    return {kind: _shares(trades, name_of) for kind, name_of in kinds.items()}


def months_of(performance: Performance) -> list[tuple[str, float, float]]:
    """Return month, change of equity and the month's greatest fall as a share of its peak."""
    rows: list[tuple[str, float, float]] = []
    begun = performance.initial_balance
    for month, points in _by_month(performance.equity).items():
        peak, worst = begun, 0.0
        for equity in points:
            peak = max(peak, equity)
            worst = max(worst, (peak - equity) / peak)
        rows.append((month, points[-1] - begun, worst))
        begun = points[-1]
    return rows


def _by_month(equity: Iterable[tuple[int, float]]) -> dict[str, list[float]]:
    months: dict[str, list[float]] = {}
    for at_ns, value in equity:
        months.setdefault(_month_of(at_ns), []).append(value)
    return months


def _shares(trades: Iterable[Trade], name_of: Callable[[Trade], str]) -> tuple[Share, ...]:
    groups: dict[str, list[float]] = {}
    for trade in trades:
        groups.setdefault(name_of(trade), []).append(trade.pnl_net)
    return tuple(
        Share(name, len(found), sum(pnl > 0.0 for pnl in found) / len(found), sum(found))
        for name, found in sorted(groups.items())
    )


def _session(trade: Trade) -> str:
    hour = trade.opened_at_ns // _HOUR_NS % 24
    return next((name for until, name in _SESSIONS if hour < until), _SESSIONS[0][1])


def _month(trade: Trade) -> str:
    return _month_of(trade.closed_at_ns)


def _month_of(at_ns: int) -> str:
    return str(np.datetime64(at_ns, "ns").astype("datetime64[M]"))


def _regimes(
    trades: Iterable[Trade], records: Iterable[Record], manifests: Mapping[str, Manifest]
) -> dict[int, str]:
    """Return the third of its symbol's entries that a position belongs to, by volatility."""
    units = {
        (record.request.symbol, record.at_ns): unit
        for record in records
        if isinstance(record, DecisionRecord) and record.intent is not None
        for unit in [_unit(record, manifests)]
        if unit is not None
    }
    by_symbol: dict[str, dict[int, float]] = {}
    for trade in trades:
        unit = units.get((trade.symbol, trade.opened_at_ns))
        if unit is not None:
            by_symbol.setdefault(trade.symbol, {})[trade.position] = unit / trade.opened_price
    found: dict[int, str] = {}
    for measured in by_symbol.values():
        bounds = np.quantile(list(measured.values()), (1 / 3, 2 / 3))
        for position, value in measured.items():
            found[position] = _REGIMES[int(np.searchsorted(bounds, value, side="right"))]
    return found


def _unit(record: DecisionRecord, manifests: Mapping[str, Manifest]) -> float | None:
    manifest = manifests.get(record.request.symbol)
    if manifest is None or record.features is None:
        return None
    return record.features[manifest.vector.index(manifest.barriers.unit_feature)]
