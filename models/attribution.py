"""Where the result came from: by month, by session and by how wide the market moved."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
import numpy.typing as npt

from models.evaluate import OutOfFold
from models.trading import Trades

_HOUR_NS = 3_600_000_000_000
_SESSIONS = ((0, "Asia 22-07"), (7, "London 07-13"), (13, "New York 13-22"), (22, "Asia 22-07"))
_REGIMES = ("calm", "usual", "wild")


class Share(TypedDict):
    """One row of the attribution."""

    by: str
    of: str
    trades: int
    net_units: float
    net_units_per_trade: float
    win_rate: float


def attribute(signals: OutOfFold, trades: Trades) -> list[Share]:
    """Return the trades' results by month, session (UTC) and third of the unit of risk.

    Parameters
    ----------
    signals
        What was traded.
    trades
        What it gave.
    """
    if len(trades) == 0:
        return []
    stamps = signals.labels.decided_at_ns[trades.rows]
    months = stamps.astype("datetime64[ns]").astype("datetime64[M]").astype(str)
    hours = (stamps // _HOUR_NS) % 24
    starts = np.array([start for start, _ in _SESSIONS])
    names = np.array([name for _, name in _SESSIONS])
    sessions = names[np.searchsorted(starts, hours, "right") - 1]
    edges = np.quantile(signals.labels.long.risk, [1.0 / 3.0, 2.0 / 3.0])
    regimes = np.array(_REGIMES)[np.searchsorted(edges, signals.labels.long.risk[trades.rows])]
    return [
        *_shares("month", months, trades),
        *_shares("session", sessions, trades),
        *_shares("regime", regimes, trades),
    ]


def _shares(by: str, of: npt.NDArray[np.str_], trades: Trades) -> list[Share]:
    rows: list[Share] = []
    for name in np.unique(of):
        units = trades.net_units[of == name]
        rows.append(
            Share(
                by=by,
                of=str(name),
                trades=len(units),
                net_units=round(float(units.sum()), 3),
                net_units_per_trade=round(float(units.mean()), 4),
                win_rate=round(float((units > 0.0).mean()), 4),
            )
        )
    return rows
