"""The story of reconciliation: ask the broker, compare with the journal, journal what differs.

1. `begin` journals that nothing was compared since the start: no entry is sent.
2. A round over everything (`compare_all`) must agree, and no fate be unknown; then trading begins.
3. Rounds over positions, and less often over everything, go on as long as the scorer lives.

A difference that a lag of the broker's may explain counts once it was seen twice, and halts
trading once it has stood for the rules' grace. Somebody else's trade halts at once. Nothing here
reads a clock or waits by itself: whoever calls holds back orders meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from online.domain.account import Deal
from online.domain.book import Book
from online.domain.errors import InvalidSettings, SextantError, Unavailable
from online.domain.market import NANOSECONDS_PER_SECOND
from online.domain.reconciliation import (
    FOREIGN,
    PASSING,
    POSITION_KINDS,
    Finding,
    FindingKind,
    Statement,
    compare_positions,
    compare_statement,
    is_ours,
    unjournaled,
)
from online.domain.record import DealRecord, HaltRecord, ReconciliationRecord, Record
from online.domain.trading_state import TradingState
from online.ports import Broker, Clock, Journal, Observation, keep_finite

BY = "reconciliation"
"""Who halts, in the journal."""
MOST_FINDINGS = 1_000
"""In one record; an operator accepts no more than were told."""
_DAY_NS = 86_400 * NANOSECONDS_PER_SECOND
_RUNNING_HISTORY_NS = 2 * _DAY_NS
_OVERDUE_ROUNDS = 5


class ReconciliationRules(msgspec.Struct, frozen=True):
    """How often journal and broker are compared.

    Parameters
    ----------
    positions_seconds, deals_seconds
        Between two rounds over positions, and over everything (> 0).
    grace_seconds
        How long a difference that lag may explain stands before it halts trading (>= 0).
    history_days
        Of deals compared at the start (>= 1); two days afterwards.
    """

    positions_seconds: float = 2.0
    deals_seconds: float = 30.0
    grace_seconds: float = 10.0
    history_days: int = 30

    def __post_init__(self) -> None:
        if not (self.positions_seconds > 0 and self.deals_seconds > 0 and self.history_days >= 1):
            raise InvalidSettings(f"reconciliation needs intervals above 0, got {self}")


@dataclass(slots=True)
class Reconciler:
    """Compares one account, round by round.

    Parameters
    ----------
    broker, journal, clock, book, rules
        Of the desk.

    Attributes
    ----------
    positions_at_ns, all_at_ns
        When the last round of each kind ended well; 0 before the first.
    rounds
        How many ended well.
    """

    broker: Broker
    journal: Journal
    clock: Clock
    book: Book
    rules: ReconciliationRules
    positions_at_ns: int = 0
    all_at_ns: int = 0
    rounds: int = 0
    _began: bool = False
    _first_seen_ns: dict[Finding, int] = field(default_factory=dict)
    _late: frozenset[int] = frozenset()

    async def begin(self) -> None:
        """Journal that journal and broker were not compared since the start.

        Raises
        ------
        JournalUnavailable
            If that cannot be recorded.
        """
        self._began = True
        record = ReconciliationRecord(self.clock.now_ns(), False, self.book.findings)  # noqa: FBT003 - a record's field
        await self._append(record)

    @property
    def is_due(self) -> bool:
        """Whether a round is due by the clock."""
        now_ns, rules = self.clock.now_ns(), self.rules
        return (
            not self.book.compared
            or _is_due(self.positions_at_ns, rules.positions_seconds, now_ns)
            or _is_due(self.all_at_ns, rules.deals_seconds, now_ns)
        )

    async def run_due(self) -> bool:
        """Do the round that is due by the clock; return whether there was one.

        Raises
        ------
        Unavailable
            If the broker does not answer, or nothing can be recorded.
        """
        now_ns, rules = self.clock.now_ns(), self.rules
        try:
            if not self.book.compared or _is_due(self.all_at_ns, rules.deals_seconds, now_ns):
                await self.compare_all()
            elif _is_due(self.positions_at_ns, rules.positions_seconds, now_ns):
                await self.compare_positions()
            else:
                return False
        except SextantError:
            await self._tell_overdue(now_ns)
            raise
        return True

    async def compare_positions(self) -> None:
        """Compare positions and resting orders; after a fill that is not ours, everything.

        Raises
        ------
        Unavailable
            As `run_due`.
        """
        book = self.book
        seen, doubts = keep_finite(await self.broker.observe("", book.last_deal))
        if seen.positions is None or seen.account is None or seen.orders is None:
            why = "; ".join(veto.detail for veto in doubts) or "it does not tell the account"
            raise Unavailable(f"positions cannot be compared: {why}")
        fresh = await self._journal_fresh(seen.deals)
        found = compare_positions(book.known, seen.positions, seen.orders)
        self.positions_at_ns = self.clock.now_ns()
        kept = tuple(each for each in self._first_seen_ns if each.kind not in POSITION_KINDS)
        await self._conclude(found + kept, frozenset(kept))
        if not all(is_ours(book.known, deal) for deal in fresh):
            await self.compare_all()

    async def compare_all(self) -> None:
        """Compare positions, resting orders, deals and balance.

        Raises
        ------
        Unavailable
            As `run_due`.
        """
        book, began_ns = self.book, self.clock.now_ns()
        starting = not book.compared
        history_ns = self.rules.history_days * _DAY_NS if starting else _RUNNING_HISTORY_NS
        since_ns = max(0, began_ns - history_ns)
        statement = _check_finite(await self.broker.statement(since_ns))
        await self._journal_fresh(statement.deals)
        await self._journal_late(unjournaled(book.known, statement.deals))
        found = compare_statement(book.known, statement, since_ns)
        self.positions_at_ns = self.all_at_ns = self.clock.now_ns()
        await self._conclude(found, frozenset(), everything=True)

    async def _journal_fresh(self, deals: tuple[Deal, ...]) -> tuple[Deal, ...]:
        fresh = self.book.claim(deals)
        try:
            await self._append(*(DealRecord(self.clock.now_ns(), deal) for deal in fresh))
        except Unavailable:
            self.book.disclaim()
            raise
        return fresh

    async def _journal_late(self, deals: tuple[Deal, ...]) -> None:
        """Journal fills of ours that came after newer ones, once they were missed twice.

        What was missed once may be on its way into the journal by a decision.
        """
        late = tuple(deal for deal in deals if deal.ticket in self._late)
        self._late = frozenset(deal.ticket for deal in deals)
        await self._append(*(DealRecord(self.clock.now_ns(), deal) for deal in late))

    async def _conclude(
        self, found: tuple[Finding, ...], kept: frozenset[Finding], *, everything: bool = False
    ) -> None:
        """Journal what has changed, and halt where it must be."""
        book, now_ns, before = self.book, self.clock.now_ns(), self._first_seen_ns
        self.rounds += 1
        self._first_seen_ns = {each: min(before.get(each, now_ns), now_ns) for each in found}
        standing = [
            each
            for each in self._first_seen_ns
            if each not in book.accepted
            and (each.kind in FOREIGN or each in before or not book.compared or each in kept)
        ]
        standing.sort(key=lambda each: (each.kind, each.subject, each.detail))
        told = tuple(standing[:MOST_FINDINGS])
        compared = book.compared or (everything and not told)
        if told != book.findings or compared != book.compared:
            await self._append(ReconciliationRecord(now_ns, compared, told))
        await self._halt(told, now_ns)

    async def _halt(self, standing: tuple[Finding, ...], now_ns: int) -> None:
        grace_ns = self.rules.grace_seconds * NANOSECONDS_PER_SECOND
        for each in standing:
            stood_ns = now_ns - self._first_seen_ns.get(each, now_ns)
            final = each.kind in FOREIGN or (each.kind not in PASSING and stood_ns >= grace_ns)
            if final and self.book.trading is not TradingState.HALTED:
                await self._append(HaltRecord(now_ns, f"{BY}: {each}", BY))

    async def _tell_overdue(self, now_ns: int) -> None:
        """Journal that the account was not compared for too long."""
        patience_ns = _OVERDUE_ROUNDS * self.rules.deals_seconds * NANOSECONDS_PER_SECOND
        if not self.book.compared or 0 <= now_ns - self.all_at_ns < patience_ns:
            return
        overdue = Finding(FindingKind.OVERDUE, "account", f"last compared at {self.all_at_ns} ns")
        self._first_seen_ns.setdefault(overdue, now_ns)
        if overdue not in self.book.findings:
            findings = (*self.book.findings, overdue)
            await self._append(ReconciliationRecord(now_ns, self.book.compared, findings))

    async def _append(self, *records: Record) -> None:
        if records:
            await self.journal.append(*records)
            for record in records:
                self.book.apply(record)


def _check_finite(told: Statement) -> Statement:
    """Return a statement whose every number is one; else the journal could not be read again."""
    _, doubts = keep_finite(
        Observation(None, told.account, told.positions, told.deals, told.orders)
    )
    if doubts:
        raise Unavailable(f"the statement is not finite: {doubts[0].detail}")
    return told


def _is_due(done_at_ns: int, every_seconds: float, now_ns: int) -> bool:
    """Tell whether so much time has passed; also if the clock was set back since."""
    return not 0 <= now_ns - done_at_ns < every_seconds * NANOSECONDS_PER_SECOND
