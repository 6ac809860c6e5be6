"""The demonstration's report: ``report.json`` for programs, ``report.html`` for people."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from online.domain.reasons import MEANING, Reason
from pipelines.charts import equity_chart, price_chart
from pipelines.demo import Result
from pipelines.home import Home
from pipelines.page import Page
from pipelines.performance import Performance
from pipelines.replay import Step
from pipelines.trades import Trade

_PARTS: dict[str, Callable[[Step], float]] = {
    "features": lambda step: step.features_seconds,
    "push": lambda step: step.push_seconds,
    "market": lambda step: step.market_seconds,
    "trade": lambda step: step.trade_seconds,
}
_LAST_TRADES = 20


def write_report(home: Home, result: Result) -> tuple[Path, Path]:
    """Write both reports below the home and return their paths: JSON, HTML."""
    data = summarise(result)
    as_json, as_html = home.root / "report.json", home.root / "report.html"
    partial = as_json.with_name(as_json.name + ".partial")
    partial.write_text(json.dumps(_without_nan(data), indent=1) + "\n")
    partial.replace(as_json)
    draw(result, data).write(as_html)
    return as_json, as_html


def summarise(result: Result) -> dict[str, Any]:
    """Return the report's figures; money in the account's currency, latencies in milliseconds."""
    learned, live, base = result.learned, result.live, result.baseline
    trained, market = learned.trained, result.market
    return {
        "symbol": market.instrument.symbol,
        "timeframe": market.timeframe.value,
        "bars": learned.ingested.bars,
        "bars_replayed": len(market.bars),
        "quarantined": learned.ingested.quarantined,
        "price_side": market.side.value,
        "costs": {
            "spread": market.costs_note,
            "commission_per_lot_and_side": result.settings.broker.commission_per_lot,
            "currency": result.settings.broker.currency,
        },
        "features": learned.features,
        "folds": trained.folds,
        "trials": trained.trials,
        "model": {
            "name": trained.name,
            "version": learned.promoted.version,
            "alias": learned.promoted.alias,
            "sha256": trained.bundle_sha256,
            "run_id": trained.run_id,
            "min_edge": trained.min_edge,
            "headline": trained.headline,
            "promotion": learned.promoted.headline,
        },
        "out_of_fold": trained.figures,
        "out_of_fold_baseline": trained.baseline_figures,
        "comparison": trained.comparison,
        "gates": trained.gates,
        "decisions": live.decisions,
        "actions": live.actions,
        "vetoes": live.vetoed,
        "vetoes_by_reason": live.vetoes,
        "orders": live.orders,
        "fills": live.fills,
        "trades": len(live.trades),
        "win_rate": live.win_rate,
        "max_drawdown": live.max_drawdown,
        "pnl_net": round(live.pnl_net, 2),
        "backtest_pnl_net": round(result.batch.pnl_net, 2),
        "baseline_pnl_net": round(base.pnl_net, 2),
        "baseline_orders": base.orders,
        "parity": {
            "compared": result.parity.total_compared,
            "different": result.parity.total_different,
            "compared_by_kind": result.parity.compared,
            "different_by_kind": result.parity.different,
            "first_differences": [
                {"kind": d.kind, "where": d.where, "live": d.live, "batch": d.batch}
                for d in result.parity.first
            ],
        },
        "latency_ms": {part: _percentiles(result, part) for part in _PARTS},
        "seconds": dict(result.seconds),
    }


def draw(result: Result, data: dict[str, Any]) -> Page:
    """Return the page."""
    symbol, timeframe = data["symbol"], data["timeframe"]
    page = Page(
        f"Sextant demonstration: {symbol} {timeframe}",
        f"{data['bars']:,} real bars; trained on the first nine months, the last three replayed "
        "through the live chain and backtested by the same code.",
    )
    page.cards(
        {
            "decisions": data["decisions"],
            "orders": data["orders"],
            "vetoed decisions": data["vetoes"],
            f"net P&L, {data['costs']['currency']}": data["pnl_net"],
            "rule baseline's net P&L": data["baseline_pnl_net"],
            "items compared, live and backtest": data["parity"]["compared"],
            "items different": data["parity"]["different"],
        }
    )
    page.heading("Is there an edge?")
    page.paragraph(f"{data['model']['headline']} Promoted: {data['model']['promotion']}.")
    page.paragraph(
        f"{data['costs']['spread']} Commission "
        f"{data['costs']['commission_per_lot_and_side']:g} {data['costs']['currency']} for each "
        "lot and side. Nothing was fitted on the replayed quarter; its number and direction of "
        "orders were known when the default recipe was chosen, so it is no untouched holdout."
    )
    _table_of(page, data["comparison"])
    page.heading("The quarter, live")
    page.picture(
        price_chart(result.market.bars, result.live.trades, f"{symbol} {timeframe}, trades"),
        "Price of the replayed quarter with every trade",
    )
    page.picture(
        equity_chart(
            {"live replay": result.live, "rule baseline": result.baseline},
            data["costs"]["currency"],
        ),
        "Equity and drawdown of the live replay and of the rule baseline",
    )
    _table_of(page, [_row("live replay", result.live), _row("rule baseline", result.baseline)])
    page.heading("Live and backtest, bit for bit")
    parity = result.parity
    page.table(
        ["what", "compared", "different"],
        [[kind, parity.compared[kind], parity.different[kind]] for kind in parity.compared],
    )
    _table_of(page, data["parity"]["first_differences"])
    page.heading("Gates")
    _table_of(page, data["gates"])
    page.heading("Vetoes")
    page.table(
        ["reason", "decisions", "meaning"],
        [[name, count, MEANING[Reason(name)]] for name, count in result.live.vetoes.items()],
    )
    page.heading("Latency of each replayed bar, milliseconds")
    page.table(
        ["part", "p50", "p99"],
        [[part, *data["latency_ms"][part].values()] for part in _PARTS],
    )
    page.heading(f"Last {_LAST_TRADES} trades")
    _table_of(page, [_trade_row(trade) for trade in result.live.trades[-_LAST_TRADES:]])
    page.heading("Time of each stage, seconds")
    page.table(["stage", "seconds"], list(data["seconds"].items()))
    return page


def _row(name: str, performance: Performance) -> dict[str, object]:
    return {
        "run": name,
        "orders": performance.orders,
        "trades": len(performance.trades),
        "win rate": performance.win_rate,
        "net P&L": round(performance.pnl_net, 2),
        "max drawdown": performance.max_drawdown,
        "Sharpe, annual": performance.sharpe,
    }


def _trade_row(trade: Trade) -> dict[str, object]:
    opened, closed = (
        np.datetime64(stamp, "ns").astype("datetime64[m]").astype(str)
        for stamp in (trade.opened_at_ns, trade.closed_at_ns)
    )
    return {
        "position": trade.position,
        "side": trade.side,
        "lots": trade.volume_lots,
        "opened (UTC)": opened,
        "at": f"{trade.opened_price:.5f}",
        "closed (UTC)": closed,
        "closed at": f"{trade.closed_price:.5f}",
        "by": trade.reason,
        "net P&L": round(trade.pnl_net, 2),
    }


def _table_of(page: Page, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        columns = list(dict.fromkeys(name for row in rows for name in row))
        page.table(columns, [[row.get(name, "") for name in columns] for row in rows])


def _percentiles(result: Result, part: str) -> dict[str, float]:
    seconds = [_PARTS[part](step) for step in result.steps]
    p50, p99 = (np.percentile(seconds, [50, 99]) * 1e3).tolist()
    return {"p50": round(p50, 3), "p99": round(p99, 3)}


def _without_nan(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value with null for what is not finite: JSON has no NaN."""
    if isinstance(value, dict):
        return {key: _without_nan(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
