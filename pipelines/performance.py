"""Performance: what a journal earned, after every cost, as a fold of its records."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from online.domain.account import Deal
from online.domain.decision import HOLD, Action
from online.domain.market import NANOSECONDS_PER_SECOND
from online.domain.order import OrderStatus
from online.domain.record import DealRecord, DecisionRecord, Record, ResultRecord
from pipelines.trades import Trade, trades_of

_FILLED = OrderStatus.FILLED

_DAY_NS = 86_400 * NANOSECONDS_PER_SECOND
_DAYS_PER_YEAR, _TRADING_DAYS_PER_YEAR = 365.25, 252.0


@dataclass(frozen=True, slots=True)
class Performance:
    """Figures of a journal; money in the account's currency.

    Attributes
    ----------
    decisions, orders, fills
        Decisions taken, orders sent, orders filled.
    vetoes
        Number of vetoes by reason code.
    vetoed
        Decisions with at least one veto.
    trades
        Closed positions, oldest first.
    equity
        Points of ``(at_ns, equity)``, oldest first, the last after the last bar.
    """

    decisions: int
    orders: int
    fills: int
    vetoed: int
    vetoes: dict[str, int]
    actions: dict[str, int]
    trades: tuple[Trade, ...]
    equity: tuple[tuple[int, float], ...]
    initial_balance: float

    @property
    def pnl_net(self) -> float:
        """Last equity less the initial balance: after every cost, open positions included."""
        return self.equity[-1][1] - self.initial_balance if self.equity else 0.0

    @property
    def win_rate(self) -> float:
        """Share of trades with a net profit, NaN without trades."""
        wins = sum(1 for trade in self.trades if trade.pnl_net > 0.0)
        return wins / len(self.trades) if self.trades else math.nan

    @property
    def max_drawdown(self) -> float:
        """Greatest fall of equity from its peak, as a share of the peak."""
        peak, worst = self.initial_balance, 0.0
        for _, equity in self.equity:
            peak = max(peak, equity)
            worst = max(worst, (peak - equity) / peak)
        return worst

    @property
    def sharpe(self) -> float:
        """Annualised Sharpe ratio of daily returns of equity, NaN with under two days.

        A year counts the days on which there was equity, at most 252 of them.
        """
        closes = {at_ns // _DAY_NS: equity for at_ns, equity in self.equity}
        values = [self.initial_balance, *closes.values()]
        returns = [b / a - 1.0 for a, b in pairwise(values)]
        if len(returns) < 2:  # noqa: PLR2004  # a deviation needs two
            return math.nan
        mean = sum(returns) / len(returns)
        variance = sum((r - mean) ** 2 for r in returns) / (len(returns) - 1)
        if variance == 0.0:
            return math.nan
        days = list(closes)
        a_year = (len(days) - 1) / (days[-1] - days[0]) * _DAYS_PER_YEAR
        return mean / math.sqrt(variance) * math.sqrt(min(a_year, _TRADING_DAYS_PER_YEAR))

    def figures(self) -> dict[str, float]:
        """Return the figures by name; money in the account's currency."""
        return {
            "decisions": self.decisions,
            "vetoed": self.vetoed,
            "orders": self.orders,
            "trades": len(self.trades),
            "win_rate": self.win_rate,
            "pnl_net": round(self.pnl_net, 2),
            "max_drawdown": self.max_drawdown,
            "sharpe": self.sharpe,
        }


def measure(
    records: Iterable[Record],
    initial_balance: float,
    deals: Iterable[Deal] = (),
    last: tuple[int, float] | None = None,
) -> Performance:
    """Fold a journal into its figures.

    Parameters
    ----------
    records
        In the order they were appended.
    initial_balance
        Of the account, in its currency.
    deals
        Fills the broker told after the last decision.
    last
        Instant and equity after the last bar.
    """
    decisions = orders = fills = vetoed = held = 0
    vetoes: Counter[str] = Counter()
    actions: Counter[str] = Counter({action.value: 0 for action in Action})
    all_deals: dict[int, Deal] = {}
    equity: list[tuple[int, float]] = []
    for record in records:
        if isinstance(record, DecisionRecord):  # most are
            decisions += 1
            if record.intent is not None and record.request.send:
                orders += 1
            if record.vetoes:
                vetoed += 1
                vetoes.update({veto.reason.value for veto in record.vetoes})
            if record.decision.action is HOLD:
                held += 1
            else:
                actions[record.decision.action.value] += 1
            if record.account is not None:
                equity.append((record.at_ns, record.account.equity))
        elif isinstance(record, ResultRecord):
            fills += record.reply.status is _FILLED
        elif isinstance(record, DealRecord):
            all_deals[record.deal.ticket] = record.deal
    actions[HOLD.value] = held
    all_deals.update({deal.ticket: deal for deal in deals})
    if last is not None:
        equity.append(last)
    return Performance(
        decisions=decisions,
        orders=orders,
        fills=fills,
        vetoed=vetoed,
        vetoes=dict(sorted(vetoes.items())),
        actions=dict(actions),
        trades=trades_of(all_deals.values()),
        equity=tuple(equity),
        initial_balance=initial_balance,
    )
