"""The page of a backtest: what was earned, where it came from, and how far luck could reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines.attribution import Share, months_of
from pipelines.bills import Bill, bill_of
from pipelines.charts import equity_chart, price_chart
from pipelines.crises import crises_within
from pipelines.market import Market
from pipelines.page import Page
from pipelines.performance import Performance
from pipelines.resampling import BLOCK_BARS, ORDERS
from pipelines.simulation import AccountTerms
from pipelines.stress import Luck, Stress


@dataclass(frozen=True, slots=True, eq=False)
class Story:
    """Everything the page tells.

    Parameters
    ----------
    markets
        That were traded.
    in_sample_bars
        Of them within the models' training windows.
    found, baseline
        Figures of the models and of the rules.
    shares
        By kind, see `pipelines.attribution`.
    stress
        None where it was not asked for.
    terms
        Of the account.
    """

    markets: tuple[Market, ...]
    in_sample_bars: int
    found: Performance
    baseline: Performance
    shares: Mapping[str, tuple[Share, ...]]
    stress: Stress | None
    terms: AccountTerms

    @property
    def bars(self) -> int:
        """Bars traded."""
        return sum(len(market.bars) for market in self.markets)

    @property
    def headline(self) -> str:
        """One plain sentence, with a second where bars were learnt from."""
        found, baseline = self.found, self.baseline
        text = (
            f"Net {found.pnl_net:+,.2f} over {len(found.trades)} trades; "
            f"the rule baseline {baseline.pnl_net:+,.2f} over {len(baseline.trades)}."
        )
        if self.in_sample_bars:
            text += (
                f" {self.in_sample_bars} bars lie in the training window: that part is no evidence."
            )
        return text

    @property
    def costs(self) -> str:
        """Where each market's spread, swap and slippage come from, and the commission."""
        notes = dict.fromkeys(market.costs_note for market in self.markets)
        return f"{' '.join(notes)} {self._commission}"

    @property
    def bills(self) -> tuple[Bill, ...]:
        """What the closed trades of each symbol paid."""
        trades, currency = self.found.trades, self.terms.currency
        return tuple(bill_of(market, trades, currency) for market in self.markets)

    @property
    def _commission(self) -> str:
        """What a lot and side costs, symbols with a commission of their own named."""
        usual, currency = self.terms.commission_per_lot, self.terms.currency
        own = [
            f", {each.symbol} {each.commission_per_lot:g}"
            for each in (market.instrument for market in self.markets)
            if each.commission_per_lot is not None
        ]
        return (
            f"Commission {usual:g} {currency} a lot and side{''.join(own)}. Orders fill at the "
            "first price, stops at theirs or behind a gap, both worse by the slippage."
        )


def write_report(path: Path, story: Story) -> None:
    """Write the page at `path`."""
    symbols = ", ".join(
        f"{market.instrument.symbol} {market.timeframe.value}" for market in story.markets
    )
    page = Page(f"Backtest: {symbols}", story.headline)
    _head(page, story)
    _equity(page, story)
    _trades(page, story)
    _attribution(page, story)
    _bills(page, story)
    if story.stress is not None:
        _stress(page, story, story.stress)
    _crises(page, story)
    page.heading("Vetoes")
    page.table(["reason", "decisions"], list(story.found.vetoes.items()))
    page.write(path)


def _head(page: Page, story: Story) -> None:
    found = story.found
    page.cards(
        {
            f"net {story.terms.currency}": f"{found.pnl_net:+,.2f}",
            "trades": len(found.trades),
            "won": f"{found.win_rate:.1%}" if found.trades else "n/a",
            "deepest fall": f"{found.max_drawdown:.1%}",
            "Sharpe, annual": f"{found.sharpe:.2f}",
            "bars": story.bars,
        }
    )
    page.paragraph(story.costs)
    if story.in_sample_bars:
        page.paragraph(
            f"{story.in_sample_bars:,} of {story.bars:,} bars lie within a training window. The "
            "model has seen them, so whatever is shown of them says nothing about the future."
        )
    else:
        page.paragraph(
            "Every bar lies behind the training windows. If this period was looked at before while "
            "choices were made, it is no untouched test any more."
        )


def _equity(page: Page, story: Story) -> None:
    lines = {"model": story.found, "rule baseline": story.baseline}
    if story.stress is not None:
        lines["bought and held, unlevered"] = story.stress.hold
        lines["coin, the middle one"] = story.stress.coins.middle
    page.heading("Equity")
    page.picture(
        equity_chart(lines, story.terms.currency), f"Equity and fall of {', '.join(lines)}"
    )
    columns = [run.figures() for run in lines.values()]
    page.table(
        ["figure", *lines],
        [[name, *(column[name] for column in columns)] for name in columns[0]],
    )


def _trades(page: Page, story: Story) -> None:
    page.heading("Trades")
    for market in story.markets:
        symbol = market.instrument.symbol
        mine = [trade for trade in story.found.trades if trade.symbol == symbol]
        title = f"{symbol} {market.timeframe.value}"
        page.picture(price_chart(market.bars, mine, title), f"{title}: price with every trade")
    page.heading("Months")
    rows = [[month, change, f"{fall:.2%}"] for month, change, fall in months_of(story.found)]
    page.table(["month", "change of equity", "deepest fall within"], rows)


def _attribution(page: Page, story: Story) -> None:
    page.heading("Where it came from")
    page.paragraph("Closed trades after costs; the parts of each table add up to all of them.")
    for kind, shares in story.shares.items():
        if kind != "month":
            rows = [[s.name, s.trades, f"{s.win_rate:.1%}", round(s.pnl_net, 2)] for s in shares]
            page.table([kind, "trades", "won", "net"], rows)


def _bills(page: Page, story: Story) -> None:
    page.heading("What it cost")
    page.paragraph(
        "Closed trades. Before costs is what they would have earned at the middle of the quotes; "
        "the spread is half of it at each end, slippage that of each fill at the market."
    )
    rows = [list(bill.row().values()) for bill in story.bills]
    page.table(list(story.bills[0].row()), rows)


def _stress(page: Page, story: Story, found: Stress) -> None:
    page.heading("Luck")
    own = story.found.pnl_net
    rows = [
        _luck_row("coins that enter as often", found.coins, own),
        _luck_row("the model on candles drawn anew", found.candles, own),
    ]
    page.table(["runs", "how many", "worst 5 %", "middle", "best 5 %", "below this run"], rows)
    if found.candles.left_out:
        page.paragraph(found.candles.left_out)
    page.paragraph(
        f"Candles are drawn with replacement in blocks of {BLOCK_BARS} and traded by the same "
        "code on features computed from them. A model that does as well on them as on the real "
        "ones trades the shape of candles, not what follows from what."
    )
    if found.order is not None:
        order = found.order
        page.paragraph(
            f"The trades came with a fall of {order.drawdown:.1%}. In {ORDERS:,} other orders of "
            f"the same trades it is {order.median:.1%} in the middle, and in one of twenty "
            f"{order.worst_twentieth:.1%} or more; {order.share_worse:.0%} fall deeper than it did."
        )
    page.heading("Other choices")
    page.paragraph("One choice changed at a time. What holds only as it is was found by luck.")
    base = [["as it is", *_brief(story.found)]]
    varied = [[row.name, *_brief(row.performance)] for row in found.sensitivity]
    page.table(["choice", "trades", "net", "deepest fall", "Sharpe"], base + varied)


def _brief(run: Performance) -> list[object]:
    return [len(run.trades), round(run.pnl_net, 2), f"{run.max_drawdown:.1%}", run.sharpe]


def _luck_row(name: str, luck: Luck, own: float) -> list[object]:
    if not luck.runs:
        return [name, 0, "n/a", "n/a", "n/a", "n/a"]
    below = sum(run.pnl_net < own for run in luck.runs) / len(luck.runs)
    marks = [round(luck.quantile(share), 2) for share in (0.05, 0.5, 0.95)]
    return [name, len(luck.runs), *marks, f"{below:.0%}"]


def _crises(page: Page, story: Story) -> None:
    page.heading("Crises")
    found = crises_within(story.found)
    if not found:
        page.paragraph(
            "No day of the known crises lies within these bars: nothing is known of any."
        )
        return
    rows = [
        [crisis.day, crisis.name, crisis.trades, round(crisis.pnl_net, 2), crisis.max_drawdown]
        for crisis in found
    ]
    page.table(["from", "what", "trades in 5 days", "change of equity", "deepest fall"], rows)
