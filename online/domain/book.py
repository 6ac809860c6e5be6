"""The book: state as a fold of the journal. The same records give the same book."""

from __future__ import annotations

from collections.abc import Collection

from online.domain.account import Deal, Position
from online.domain.circuit_record import CircuitRecord
from online.domain.former import FormerLimitsRecord
from online.domain.holdings import Holdings
from online.domain.limits import Limits
from online.domain.loss_streak import LossStreak
from online.domain.market import NANOSECONDS_PER_SECOND, Quote
from online.domain.operation import Operation
from online.domain.order import Intent, OrderStatus
from online.domain.order_state import Proof
from online.domain.orders import Orders
from online.domain.pace import Pace
from online.domain.pauses import Pauses
from online.domain.profit import Profits
from online.domain.reasons import Reason, Veto
from online.domain.reconciliation import PASSING, Finding, Known
from online.domain.record import (
    AccountRecord,
    DealRecord,
    DecisionRecord,
    HaltRecord,
    LimitsRecord,
    ModelRecord,
    OperationRecord,
    ReconciliationRecord,
    Record,
    ResolutionRecord,
    ResultRecord,
    TrailRecord,
)
from online.domain.risk_facts import RiskState
from online.domain.standing import Standing, all_entries, all_symbols
from online.domain.trading_state import TradingState
from online.domain.trailing import BY as TRAILING

_DAILY_LOSS_LIMIT = Reason.DAILY_LOSS_LIMIT
_ACTIVE, _REDUCING = TradingState.ACTIVE, TradingState.REDUCING

_DAY_NS = 86_400 * NANOSECONDS_PER_SECOND
_OPEN = frozenset({OrderStatus.UNKNOWN, OrderStatus.ACCEPTED, OrderStatus.FILLING})
_FILLED = frozenset({OrderStatus.FILLED, OrderStatus.PARTIAL})
_LATCHES = {
    Reason.DRAWDOWN_LIMIT: "drawdown limit",
    Reason.CONSECUTIVE_LOSSES: "consecutive losses",
}
"""Limits that stop entries until somebody resumes."""


class Book:
    """What the journal says so far.

    The book is the one mutable object of the core; only `apply` and `allocate` change it.

    Attributes
    ----------
    holdings, profits
        What was traded, and what it earned.
    trails, pauses
        Positions under a trailing rule, and how long a stop that was refused is left alone.
    compared
        False from a start until journal and broker were compared and agreed.
    findings, accepted
        On what they differ now, and what an operator has accepted by resuming.
    unreconciled
        Why nothing may be entered on their account; empty if something may.
    """

    def __init__(self) -> None:
        self.trading = _ACTIVE
        self.halted = ""
        self.limits: Limits | None = None
        self.last_number = 0
        self.last_deal = 0
        self.day_start_equity = 0.0
        self.peak_equity = 0.0
        self._day_starts_ns = self._day_ends_ns = -1
        self._loss_day_starts_ns = -_DAY_NS
        self.equity = 0.0
        self.orders = Orders()
        self._pace = Pace()
        self._standings: dict[str, Standing] = {}
        self._streak = LossStreak()
        self._prices: dict[str, float] = {}
        self.operations: dict[str, Operation] = {}
        self.trails: dict[int, TrailRecord] = {}
        self.pauses = Pauses()
        self.account = ""
        self._claimed_deal = 0
        self._began_at_ns = -1
        self.holdings = Holdings()
        self.profits = Profits()
        self.compared = True
        self.findings: tuple[Finding, ...] = ()
        self.accepted: frozenset[Finding] = frozenset()
        self.unreconciled = ""

    def allocate(self) -> int:
        """Return the next decision's number; no number is given twice."""
        self.last_number += 1
        return self.last_number

    def knows(self, intent_id: str) -> bool:
        """Tell whether an order with this id was journaled before."""
        return self.orders.find(intent_id) is not None

    def decision_of(self, intent_id: str) -> str:
        """Return the id of the decision that made an order; empty for an unknown order."""
        order = self.orders.find(intent_id)
        return "" if order is None else order.decision_id

    def claim(self, deals: Collection[Deal]) -> tuple[Deal, ...]:
        """Return the deals that nobody journaled or claimed before; the caller journals them.

        Two decisions may observe the same fill at once: it is recorded by one of them.
        """
        if not deals:
            return ()
        known = max(self.last_deal, self._claimed_deal)
        fresh = tuple([deal for deal in deals if deal.ticket > known])
        self._claimed_deal = max([known, *[deal.ticket for deal in fresh]])
        return fresh

    def disclaim(self) -> None:
        """Give back claims whose deals could not be journaled."""
        self._claimed_deal = self.last_deal

    def entry(self, magic: int) -> Intent | None:
        """Return the entry that carries `magic`, None if this journal sent none."""
        return self.orders.entry(magic)

    @property
    def pending(self) -> tuple[Intent, ...]:
        """Orders that were journaled and have no known fate."""
        return tuple(order.intent for order in self.orders.pending)

    @property
    def known(self) -> Known:
        """What journal and broker are compared by."""
        tickets = (order.reply.order for order in self.orders.resting if order.reply is not None)
        resting = tuple(ticket for ticket in tickets if ticket)
        return Known(self.holdings, self.orders.magics, self.pending, self._began_at_ns, resting)

    def state(
        self,
        symbol: str,
        now_ns: int,
        limits: Limits,
        positions: tuple[Position, ...],
        quote: Quote | None,
        deals: tuple[Deal, ...],
    ) -> RiskState:
        """Return what the risk rules need at `now_ns`.

        Parameters
        ----------
        symbol
            What is to be traded.
        now_ns
            The clock, nanoseconds UTC; what was sent before the limits' windows is not counted.
        limits
            In force.
        positions
            Open at the broker; those without a known magic number are foreign.
        quote
            The present one; the symbol's first is its own reference price.
        deals
            Told by the broker and not on record yet.
        """
        kept = self._standings.get(symbol)
        if (
            kept is None
            or deals
            or not kept.from_ns <= now_ns <= kept.until_ns
            or kept.limits is not limits
            or kept.positions != positions
        ):
            kept = self._stand(symbol, now_ns, limits, positions, deals)
        price = self._prices.get(symbol) or _middle(quote)
        return RiskState(self.trading, self.halted, *kept.told, price, self.unreconciled)

    def _stand(
        self,
        symbol: str,
        now_ns: int,
        limits: Limits,
        positions: tuple[Position, ...],
        deals: tuple[Deal, ...],
    ) -> Standing:
        """Return what stays true until the book changes, and keep it unless there are deals."""
        orders = self.orders
        pending, resting = orders.pending, orders.resting
        lately = self._pace.lately(symbol, now_ns, limits)
        same_day = self._day_starts_ns <= now_ns < self._day_ends_ns
        told = (
            0 <= now_ns - self._loss_day_starts_ns < _DAY_NS,
            self.day_start_equity if same_day else 0.0,
            self.peak_equity,
            self._streak.after(deals, self.last_deal) if deals else self._streak.length,
            lately.entries,
            lately.closes,
            lately.buys,
            lately.sells,
            lately.recent,
            all_entries((*pending, *resting)) if pending or resting else (),
            all_symbols(pending) if pending else (),
            tuple([held.ticket for held in positions if orders.entry(held.magic) is None]),
        )
        from_ns = max(lately.from_ns, self._day_starts_ns)
        until_ns = min(lately.until_ns, self._day_ends_ns - 1)
        standing = Standing(told, from_ns, until_ns, limits, positions)
        if same_day and not deals:  # the day that a loss is latched for is one of the same days
            self._standings[symbol] = standing
        return standing

    def apply(self, record: Record) -> None:
        """Fold one record into the book.

        Raises
        ------
        JournalCorrupt
            If it tells of an order what cannot be.
        """
        if self._began_at_ns < 0:
            self._began_at_ns = record.at_ns
        if isinstance(record, DecisionRecord):  # most are, and a pattern takes longer to match
            self._apply_decision(record)
            return
        self._standings.clear()
        match record:
            case ResultRecord():
                self.orders.hear(record.intent_id, record.reply, called=bool(record.calls))
                self._settle(record)
            case DealRecord():
                self._apply_deal(record.deal)
            case HaltRecord():
                self._apply_halt(record)
            case ReconciliationRecord():
                self.compared, self.findings = record.compared, record.findings
                self._judge_findings()
            case LimitsRecord() | FormerLimitsRecord():  # of a former shape: none that is known
                self.limits = record.limits if isinstance(record, LimitsRecord) else None
            case OperationRecord() | ResolutionRecord() | TrailRecord() | AccountRecord():
                self._apply_by_hand(record)
            case ModelRecord() | CircuitRecord():
                pass

    def _apply_by_hand(
        self, record: OperationRecord | ResolutionRecord | TrailRecord | AccountRecord
    ) -> None:
        match record:
            case OperationRecord():
                self.last_number = max(self.last_number, record.number)
                self.operations[record.decision_id] = record.operation
                if record.by == TRAILING and record.position is not None:
                    held = record.position
                    rule = self.trails.get(held.ticket) or self.trails.get(held.number)
                    if rule is not None:
                        self.pauses.ask(record.decision_id, rule)
                self.orders.log(record.intent, record.decision_id, record.at_ns)
            case ResolutionRecord():
                self.orders.hear(record.intent_id, record.reply, Proof.OPERATOR)
                self._settle(record)
            case TrailRecord():
                self.trails.pop(record.position, None)
                self.pauses.forget(record.position)
                if record.rule is not None:
                    self.trails[record.position] = record
            case AccountRecord():
                self.account = record.account
                if record.new:
                    self._begin_account(record.at_ns)

    def _begin_account(self, at_ns: int) -> None:
        """Go on with an empty account; orders keep their ids, so that none is sent again."""
        self.last_deal = self._claimed_deal = 0
        self.day_start_equity = self.peak_equity = self.equity = 0.0
        self._day_starts_ns = self._day_ends_ns = -1
        self._loss_day_starts_ns = -_DAY_NS
        self._began_at_ns = at_ns
        self._streak.reset()
        self.holdings = Holdings()
        self.profits = Profits()
        self.trails.clear()
        self.pauses.clear()
        self.orders.abandon("the simulated account ended with its process")
        self.findings, self.accepted = (), frozenset()
        self._judge_findings()

    def _apply_deal(self, deal: Deal) -> None:
        self.last_deal = max(self.last_deal, deal.ticket)
        if deal.ticket in self.holdings.deals:
            return
        self.profits.add(deal)
        self.holdings.add(deal)
        self._streak.apply(deal)

    def _apply_decision(self, record: DecisionRecord) -> None:
        if record.number > self.last_number:  # noqa: PLR1730 - quicker than a call, every time
            self.last_number = record.number
        account, quote, at_ns = record.account, record.quote, record.at_ns
        if account is not None:
            equity = account.equity
            same_day = self._day_starts_ns <= at_ns < self._day_ends_ns
            if same_day and 0.0 < equity <= self.peak_equity:
                self.equity = equity
            else:  # a day, a peak or the first balance: nothing else of it is remembered
                self._observe_equity(equity, at_ns)
                self.profits.observe(account.balance)
        if quote is not None and 0.0 < quote.bid <= quote.ask:
            self._prices[record.request.symbol] = (quote.bid + quote.ask) / 2.0
        if record.vetoes:
            self._latch(record.vetoes, at_ns)
        intent = record.intent
        if intent is None or not record.request.send:
            return
        self._standings.clear()
        self.orders.log(intent, record.decision_id, at_ns)
        self._pace.send(intent, at_ns)

    def _settle(self, record: ResultRecord | ResolutionRecord) -> None:
        self.pauses.hear(record.decision_id, record.reply, record.at_ns)
        order = self.orders.find(record.intent_id)
        if order is not None:
            self.holdings.settle(order.intent, record.reply, record.at_ns)
        reply = record.reply
        if reply.status not in _OPEN:  # what may still fill stays counted as sent
            filled = reply.status in _FILLED or reply.volume_lots > 0.0
            self._pace.settle(record.intent_id, filled=filled)

    def _apply_halt(self, record: HaltRecord) -> None:
        self.trading, self.halted = record.trading, record.reason
        if record.trading is _ACTIVE:  # resumed by hand: what was lost is accepted
            self.peak_equity = self.equity
            self._streak.reset()
            self.accepted |= {each for each in self.findings if each.kind not in PASSING}
            self._judge_findings()

    def _judge_findings(self) -> None:
        """Say why nothing may be entered; what was accepted by a resumption counts no more."""
        self.findings = tuple(each for each in self.findings if each not in self.accepted)
        blocking = next((each for each in self.findings if each.blocks), None)
        if not self.compared:
            self.unreconciled = "journal and broker do not agree since the start"
        else:
            self.unreconciled = ""
        if blocking is not None:
            self.unreconciled = str(blocking)

    def _latch(self, vetoes: tuple[Veto, ...], at_ns: int) -> None:
        for veto in vetoes:
            if veto.reason is _DAILY_LOSS_LIMIT:
                self._standings.clear()
                self._loss_day_starts_ns = at_ns // _DAY_NS * _DAY_NS
            elif veto.reason in _LATCHES and self.trading is _ACTIVE:
                self.trading = _REDUCING
                self.halted = f"{_LATCHES[veto.reason]}: {veto.detail}"

    def _observe_equity(self, equity: float, at_ns: int) -> None:
        if not equity > 0.0:  # a terminal that is not synchronised yet tells of no money
            return
        if not self._day_starts_ns <= at_ns < self._day_ends_ns:
            self._day_starts_ns = at_ns // _DAY_NS * _DAY_NS
            self._day_ends_ns = self._day_starts_ns + _DAY_NS
            self.day_start_equity = equity
            self._standings.clear()
        self.equity = equity
        if equity > self.peak_equity:
            self.peak_equity = equity
            self._standings.clear()


def _middle(quote: Quote | None) -> float:
    """Return the middle of a quote; 0.0 where it is no market."""
    if quote is None or not 0.0 < quote.bid <= quote.ask:
        return 0.0
    return (quote.bid + quote.ask) / 2.0
