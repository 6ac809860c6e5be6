"""Where the result came from: by symbol, month, session and how wide the market moved."""

from __future__ import annotations

from typing import TypedDict

import numpy as np

from models.evaluate import OutOfFold, hits
from models.labels import Mask
from models.reliability import log_loss
from models.trading import Trades, signalled

_HOUR_NS = 3_600_000_000_000
_SESSIONS = ((0, "Asia 22-07"), (7, "London 07-13"), (13, "New York 13-22"), (22, "Asia 22-07"))
_REGIMES = ("calm", "usual", "wild")


class Share(TypedDict):
    """One row of the attribution: what was said of some rows, and what trading them gave.

    `log_loss` is of all calibrated rows, `hit_rate` of the signalled ones; both are None where
    there are none. `rules_net_units` is what the rules earned there.
    """

    by: str
    of: str
    rows: int
    log_loss: float | None
    hit_rate: float | None
    trades: int
    net_units: float
    net_units_per_trade: float | None
    win_rate: float | None
    rules_net_units: float | None


def attribute(
    signals: OutOfFold,
    trades: Trades,
    min_edge: float = 0.0,
    rules: Trades | None = None,
    symbol: str = "",
) -> list[Share]:
    """Return results by symbol, month, session (UTC) and third of the unit of risk.

    Parameters
    ----------
    signals
        What was traded.
    trades, min_edge
        What it gave at which threshold.
    rules
        What the rules traded on the same rows; None leaves them out.
    symbol
        What was traded; empty leaves that view out.
    """
    stamps = signals.labels.decided_at_ns
    hours = (stamps // _HOUR_NS) % 24
    starts = np.array([start for start, _ in _SESSIONS])
    names = np.array([name for _, name in _SESSIONS])
    edges = np.quantile(signals.labels.long.risk, [1.0 / 3.0, 2.0 / 3.0])
    views = {
        "symbol": np.full(len(stamps), symbol),
        "month": stamps.astype("datetime64[ns]").astype("datetime64[M]").astype(str),
        "session": names[np.searchsorted(starts, hours, "right") - 1],
        "regime": np.array(_REGIMES)[np.searchsorted(edges, signals.labels.long.risk)],
    }
    if not symbol:
        del views["symbol"]
    wanted = signalled(signals.edge, min_edge)
    return [
        _share(by, str(name), of == name, signals, trades, wanted, rules)
        for by, of in views.items()
        for name in np.unique(of)
    ]


def _share(
    by: str,
    of: str,
    mine: Mask,
    signals: OutOfFold,
    trades: Trades,
    wanted: Mask,
    rules: Trades | None,
) -> Share:
    units, taken = trades.net_units[mine[trades.rows]], mine & wanted
    said = mine & signals.calibrated
    known = None
    if said.any():
        loss = log_loss(signals.probabilities[said], signals.labels.classes[said])
        known = round(loss, 4)
    return Share(
        by=by,
        of=of,
        rows=int(mine.sum()),
        log_loss=known,
        hit_rate=round(float(hits(signals)[taken].mean()), 4) if taken.any() else None,
        trades=len(units),
        net_units=round(float(units.sum()), 3),
        net_units_per_trade=round(float(units.mean()), 4) if len(units) else None,
        win_rate=round(float((units > 0.0).mean()), 4) if len(units) else None,
        rules_net_units=None
        if rules is None
        else round(float(rules.net_units[mine[rules.rows]].sum()), 3),
    )
