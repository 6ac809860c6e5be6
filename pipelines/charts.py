"""Charts of a trading period: price with trades, equity and drawdown, as PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from online.domain.market import Bar
from pipelines.performance import Performance
from pipelines.trades import Trade

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.figure import Figure

_SIZE = (11.0, 4.2)
_UP, _DOWN, _LINE = "#0a7f5a", "#c2412d", "#1f4e8c"
_BESIDE = ("#8a8f96", "#c98a1b", "#7a5aa6", "#3f9aa8")


def price_chart(bars: Sequence[Bar], trades: Sequence[Trade], title: str) -> bytes:
    """Draw closes with every entry and exit.

    Parameters
    ----------
    bars
        Of the period, oldest first.
    trades
        Closed positions; a line joins entry and exit, green for a net profit.
    title
        Above the chart.
    """
    figure = _figure()
    axes = figure.subplots()
    axes.plot(
        _dates([bar.closed_at_ns for bar in bars]),
        [bar.close for bar in bars],
        color="#555555",
        linewidth=0.7,
        label="close",
    )
    for trade in trades:
        axes.plot(
            _dates([trade.opened_at_ns, trade.closed_at_ns]),
            [trade.opened_price, trade.closed_price],
            color=_UP if trade.pnl_net > 0.0 else _DOWN,
            linewidth=1.0,
        )
    for side, marker in (("buy", "^"), ("sell", "v")):
        chosen = [trade for trade in trades if trade.side == side]
        axes.scatter(
            _dates([trade.opened_at_ns for trade in chosen]),
            [trade.opened_price for trade in chosen],
            marker=marker,
            s=14,
            color=_UP if side == "buy" else _DOWN,
            label=f"{side} ({len(chosen)})",
            zorder=3,
        )
    axes.set_title(title)
    axes.set_ylabel("price")
    axes.legend(loc="best", fontsize=8)
    return _png(figure)


def equity_chart(performances: Mapping[str, Performance], currency: str) -> bytes:
    """Draw equity and drawdown of several runs over the same period; the first stands out."""
    figure = _figure()
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    for place, (name, performance) in enumerate(performances.items()):
        times = _dates([at_ns for at_ns, _ in performance.equity])
        equity = np.array([value for _, value in performance.equity])
        peak = np.maximum.accumulate(np.maximum(equity, performance.initial_balance))
        color = _LINE if place == 0 else _BESIDE[(place - 1) % len(_BESIDE)]
        upper.plot(times, equity, label=name, color=color, linewidth=1.2)
        lower.plot(times, (equity / peak - 1.0) * 100.0, color=color, linewidth=1.0)
    upper.axhline(next(iter(performances.values())).initial_balance, color="#000000", linewidth=0.5)
    upper.set_ylabel(f"equity ({currency})")
    upper.legend(loc="best", fontsize=8)
    lower.set_ylabel("drawdown (%)")
    return _png(figure)


def _figure() -> Figure:
    from matplotlib.figure import Figure  # noqa: PLC0415  # slow import, only when drawing

    return Figure(figsize=_SIZE, dpi=110, layout="constrained")


def _dates(stamps_ns: Sequence[int]) -> npt.NDArray[np.datetime64]:
    return np.array(stamps_ns, dtype="datetime64[ns]")


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
