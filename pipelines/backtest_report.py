"""The page of a backtest: equity, drawdown, trades on the chart, months, exits."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from pipelines.charts import equity_chart, price_chart
from pipelines.market import Market
from pipelines.page import Page
from pipelines.performance import Performance, Trade


def write_report(
    path: Path, market: Market, headline: str, found: Performance, baseline: Performance
) -> None:
    """Write the page at `path`."""
    symbol, timeframe = market.instrument.symbol, market.timeframe.value
    page = Page(f"Backtest: {symbol} {timeframe}", headline)
    page.paragraph(market.costs_note)
    page.heading("Trades")
    page.picture(
        price_chart(market.bars, found.trades, f"{symbol} {timeframe}"),
        "Price with every trade",
    )
    page.heading("Equity")
    page.picture(
        equity_chart({"model": found, "rule baseline": baseline}, "account currency"),
        "Equity and drawdown of the model and of the rule baseline",
    )
    figures, rules = found.figures(), baseline.figures()
    page.table(
        ["figure", "model", "rule baseline"],
        [[name, value, rules[name]] for name, value in figures.items()],
    )
    page.heading("Months")
    page.table(["month", "trades", "net P&L"], by_month(found.trades))
    page.heading("How positions ended")
    page.table(["by", "trades", "net P&L"], by_reason(found.trades))
    page.heading("Vetoes")
    page.table(["reason", "decisions"], list(found.vetoes.items()))
    page.write(path)


def by_month(trades: Iterable[Trade]) -> list[tuple[str, int, float]]:
    """Return number and net profit of the trades closed in each month, oldest first."""
    return _grouped((_month(trade.closed_at_ns), trade.pnl_net) for trade in trades)


def by_reason(trades: Iterable[Trade]) -> list[tuple[str, int, float]]:
    """Return number and net profit of the trades by what ended them."""
    return _grouped((trade.reason, trade.pnl_net) for trade in trades)


def _grouped(pairs: Iterable[tuple[str, float]]) -> list[tuple[str, int, float]]:
    groups: dict[str, list[float]] = {}
    for name, profit in pairs:
        groups.setdefault(name, []).append(profit)
    return [(name, len(all_), round(sum(all_), 2)) for name, all_ in sorted(groups.items())]


def _month(at_ns: int) -> str:
    return str(np.datetime64(at_ns, "ns").astype("datetime64[M]"))
