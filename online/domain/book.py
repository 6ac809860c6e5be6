"""The book: state as a fold of the journal. The same records give the same book."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

from online.domain.account import Deal, Position
from online.domain.holdings import Holdings
from online.domain.market import NANOSECONDS_PER_SECOND
from online.domain.order import Intent, Purpose
from online.domain.orders import Order, Orders
from online.domain.reasons import Reason, Veto
from online.domain.reconciliation import PASSING, Finding, Known
from online.domain.record import (
    DealRecord,
    DecisionRecord,
    HaltRecord,
    LimitsRecord,
    ModelRecord,
    ReconciliationRecord,
    Record,
    ResultRecord,
)
from online.domain.risk import Limits, RiskState

_DAY_NS = 86_400 * NANOSECONDS_PER_SECOND


class Book:
    """What the journal says so far.

    The book is the one mutable object of the core; only `apply` and `allocate` change it.

    Attributes
    ----------
    holdings
        What was traded.
    compared
        False from a start until journal and broker were compared and agreed.
    findings, accepted
        On what they differ now, and what an operator has accepted by resuming.
    unreconciled
        Why nothing may be entered on their account; empty if something may.
    """

    def __init__(self) -> None:
        self.halted = ""
        self.last_number = 0
        self.last_deal = 0
        self.day_start_equity = 0.0
        self.peak_equity = 0.0
        self._day = -1
        self._loss_day = -1
        self._equity = 0.0
        self._entry_times_ns: deque[int] = deque()
        self.orders = Orders()
        self._claimed_deal = 0
        self._began_at_ns = -1
        self.holdings = Holdings()
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
        fresh = tuple(deal for deal in deals if deal.ticket > known)
        self._claimed_deal = max((known, *(deal.ticket for deal in fresh)))
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
        return Known(self.holdings, self.orders.magics, self.pending, self._began_at_ns)

    def state(self, now_ns: int, limits: Limits, positions: tuple[Position, ...]) -> RiskState:
        """Return what the risk rules need at `now_ns`.

        Parameters
        ----------
        now_ns
            The clock, nanoseconds UTC; entries before the limits' window are not counted.
        limits
            In force.
        positions
            Open at the broker; those without a known magic number are foreign.
        """
        window_start_ns = now_ns - limits.order_window_seconds * NANOSECONDS_PER_SECOND
        times = self._entry_times_ns
        while times and times[0] < window_start_ns:
            times.popleft()
        foreign: tuple[int, ...] = ()
        for position in positions:
            if self.entry(position.magic) is None:
                foreign += (position.ticket,)
        return RiskState(
            halted=self.halted,
            loss_latched=self._loss_day == now_ns // _DAY_NS,
            day_start_equity=self.day_start_equity if self._day == now_ns // _DAY_NS else 0.0,
            peak_equity=self.peak_equity,
            entries_in_window=len(times),
            unresolved=_symbols(self.orders.pending),
            foreign_tickets=foreign,
            unreconciled=self.unreconciled,
        )

    def apply(self, record: Record) -> None:
        """Fold one record into the book.

        Raises
        ------
        JournalCorrupt
            If it tells of an order what cannot be.
        """
        if self._began_at_ns < 0:
            self._began_at_ns = record.at_ns
        match record:
            case DecisionRecord():
                self._apply_decision(record)
            case ResultRecord():
                self.orders.hear(record.intent_id, record.reply)
                self._settle(record)
            case DealRecord():
                self.last_deal = max(self.last_deal, record.deal.ticket)
                self.holdings.add(record.deal)
            case HaltRecord():
                self._apply_halt(record)
            case ReconciliationRecord():
                self.compared, self.findings = record.compared, record.findings
                self._judge_findings()
            case ModelRecord() | LimitsRecord():
                pass

    def _apply_decision(self, record: DecisionRecord) -> None:
        self.last_number = max(self.last_number, record.number)
        if record.account is not None:
            self._observe_equity(record.account.equity, record.at_ns)
        if record.vetoes:
            self._latch(record.vetoes, record.at_ns)
        intent = record.intent
        if intent is None or not record.request.send:
            return
        self.orders.log(intent, record.decision_id, record.at_ns)
        if intent.purpose is Purpose.ENTRY:
            self._entry_times_ns.append(record.at_ns)

    def _settle(self, record: ResultRecord) -> None:
        order = self.orders.find(record.intent_id)
        if order is not None:
            self.holdings.settle(order.intent, record.reply, record.at_ns)

    def _apply_halt(self, record: HaltRecord) -> None:
        self.halted = record.reason
        if not record.reason:  # resumed by hand: the fall so far is accepted
            self.peak_equity = self._equity
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
            if veto.reason is Reason.DAILY_LOSS_LIMIT:
                self._loss_day = at_ns // _DAY_NS
            elif veto.reason is Reason.DRAWDOWN_LIMIT and not self.halted:
                self.halted = f"drawdown limit: {veto.detail}"

    def _observe_equity(self, equity: float, at_ns: int) -> None:
        day = at_ns // _DAY_NS
        if day != self._day:
            self._day, self.day_start_equity = day, equity
        self._equity = equity
        self.peak_equity = max(self.peak_equity, equity)


def _symbols(orders: tuple[Order, ...]) -> tuple[str, ...]:
    return tuple(sorted({order.intent.symbol for order in orders})) if orders else ()
