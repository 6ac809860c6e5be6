"""An order's way through the gateway: accepted once, sent once, its fate never guessed.

1. The intent is checked and let through the gate, or answered ``not_sent``.
2. It is written ``sending``, durably. From here on its id never sends again. `Accepted` goes out.
   Orders that come together are written together, and a few may come so far while the worker has
   another in its hands (`online.gateway.door`).
3. What has changed meanwhile may still refuse it; then it is written ``not_sent``. Else the order
   worker sends it. A worker that hangs or dies leaves it ``unknown``.
4. The reply is written, then goes out.
5. What is unknown is looked for at the terminal until there is evidence, or until it has been
   absent often and long enough with the terminal connected.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import msgspec

from online.domain.called_reply import with_calls
from online.domain.errors import InvalidInput, SextantError, Unavailable
from online.domain.order import Intent, OrderReply, OrderStatus
from online.domain.order_state import ENDED, RESTING
from online.domain.terminal_call import TerminalCall
from online.gateway.call_note import read_note
from online.gateway.channel import WorkerAbsent, WorkerChannel
from online.gateway.door import Caller, Door
from online.gateway.errands import Execute, Executed, Search, Searched
from online.gateway.evidence import Evidence
from online.gateway.gate import Gate
from online.gateway.inbox import Inbox
from online.gateway.inbox_entry import Entry
from online.gateway.order_desk import not_sent
from online.gateway.request import check_intent

_log = logging.getLogger(__name__)


class AbsenceRule(msgspec.Struct, frozen=True):
    """When an order that is nowhere to be found counts as not sent.

    Parameters
    ----------
    seconds, polls
        Least time and number of looks, with the terminal connected each time.
    """

    seconds: float
    polls: int


class _Absence(msgspec.Struct):
    """How often an order was looked for in vain."""

    since_seconds: float
    polls: int = 0


class OrderFlow:
    """Sends orders and finds their fates.

    Parameters
    ----------
    inbox, gate, orders, market
        Of the gateway.
    absence
        When absence counts.
    now_ns
        The clock, UTC.
    note
        File that the order worker notes an order's calls in; null for none.
    """

    def __init__(
        self,
        inbox: Inbox,
        gate: Gate,
        orders: WorkerChannel,
        market: WorkerChannel,
        absence: AbsenceRule,
        now_ns: Callable[[], int],
        note: Path | None = None,
    ) -> None:
        self._inbox = inbox
        self._gate = gate
        self._orders = orders
        self._market = market
        self._absence = absence
        self._now_ns = now_ns
        self._note = note
        self._door, self._turn = Door(inbox, self._why_not, now_ns), asyncio.Lock()
        self._absences: dict[str, _Absence] = {}
        self._troubling: set[str] = set()
        self._opened_at_seconds = asyncio.get_running_loop().time()

    async def send(
        self,
        intent: Intent,
        patience_seconds: float,
        is_wanted: Callable[[], bool],
        accepted: Callable[[], object],
    ) -> OrderReply:
        """Send an order once, or return what is recorded of it.

        Parameters
        ----------
        patience_seconds
            How long it may wait for its turn.
        is_wanted
            Tells whether who asked is still there and still the one who trades.
        accepted
            Called when the order is durable.

        Raises
        ------
        InvalidInput
            If the intent cannot be, or its id was used for another.
        Unavailable
            If the inbox cannot be written; then the order was not sent.
        """
        return await self.follow(self.offer(intent, patience_seconds, is_wanted, accepted))

    def offer(
        self,
        intent: Intent,
        patience_seconds: float,
        is_wanted: Callable[[], bool],
        accepted: Callable[[], object],
    ) -> Caller:
        """Take an order, as `send`, without waiting; it must be followed.

        Raises
        ------
        InvalidInput
            If the intent cannot be.
        """
        check_intent(intent)
        until = asyncio.get_running_loop().time() + patience_seconds
        caller = Caller(intent, until, is_wanted, accepted)
        self._door.knock(caller)
        return caller

    def write_offered(self) -> None:
        """Write at once what was offered: no more comes with it."""
        self._door.open_now()

    async def follow(self, caller: Caller) -> OrderReply:
        """Return what became of an order that was offered; as `send`."""
        intent = caller.intent
        try:
            told = await caller.admitted
            if told is not None:
                return told
            async with self._turn:
                reply = await self._take_turn(caller)
            try:
                if len(self._door) > 1:
                    await asyncio.sleep(0)  # the worker has the next one while this is written
            finally:
                self._record(intent, reply)
            return reply
        finally:
            self._door.leave(caller)
            if self._inbox.is_untidy:
                asyncio.get_running_loop().call_soon(self._tidy)  # once this is answered

    async def _take_turn(self, caller: Caller) -> OrderReply:
        """Have an accepted order sent, if nothing has come up meanwhile."""
        why = self._why_not(caller)
        if why:
            return not_sent(why)
        left_seconds = caller.until_seconds - asyncio.get_running_loop().time()
        reply = await self._execute(caller.intent, left_seconds)
        self._gate.learn(caller.intent, reply)
        return reply

    async def find(self, intent: Intent) -> OrderReply | None:
        """Return an order's fate; None while nothing tells it.

        An order that never came here, and is not at the terminal, is written down as not sent:
        should it come later, it will not be.

        Raises
        ------
        InvalidInput
            If its id was used for another.
        Unavailable
            If terminal or inbox do not answer.
        """
        entry = self._inbox.find(intent)
        if entry is None:
            return None if intent.intent_id in self._door else await self._find_stranger(intent)
        if entry.stage in ENDED:
            return entry.reply
        return await self._resolve(entry)

    async def resolve_all(self) -> int:
        """Look for what became of every order that has not ended; return how many are unknown.

        One that cannot be looked for keeps no other from it: it is the last one from then on,
        should it be what ends the worker.

        Raises
        ------
        Unavailable, InvalidInput
            As `find`, of the first that could not be looked for, once all were tried.
        """
        unknown, trouble = 0, None
        open_orders = self._inbox.open_orders()
        self._troubling &= {entry.intent.intent_id for entry in open_orders}
        for entry in sorted(open_orders, key=lambda e: e.intent.intent_id in self._troubling):
            try:
                unknown += await self._resolve(entry) is None
            except SextantError as error:
                if trouble is None:  # those after it may fail because it did
                    trouble = error
                    self._troubling.add(entry.intent.intent_id)
        if trouble is not None:
            raise trouble
        return unknown

    def recall_calls(self) -> None:
        """Take over what an earlier gateway's worker noted of the order it was sending.

        Raises
        ------
        Unavailable
            If the inbox cannot be written.
        """
        for entry in self._inbox.unresolved():
            calls = self._noted(entry.intent, "the gateway ended while the call was under way")
            if calls and not entry.calls:
                self._inbox.keep_calls(entry.intent.intent_id, calls)

    def _tidy(self) -> None:
        if self._inbox.is_untidy:
            self._inbox.tidy()

    def _why_not(self, caller: Caller) -> str:
        if not caller.is_wanted():
            return "who sent the order is not the scorer that trades, or has left"
        if asyncio.get_running_loop().time() > caller.until_seconds:
            return "the order's patience ended before its turn came"
        if not self._orders.ready:
            return f"no order worker is ready: {self._orders.status.trouble}"
        return self._gate.refusal(caller.intent)

    async def _execute(self, intent: Intent, patience_seconds: float) -> OrderReply:
        try:
            result = await self._orders.run(Execute(intent, patience_seconds))
        except WorkerAbsent as error:
            return not_sent(str(error))
        except Unavailable as error:
            return _unknown(str(error), self._noted(intent, str(error)))
        if isinstance(result, Executed):
            return with_calls(result.reply, result.calls)
        return _unknown(f"the worker answered {type(result).__name__}")

    def _noted(self, intent: Intent, why: str) -> tuple[TerminalCall, ...]:
        """Return the calls that the worker noted before it was lost."""
        return () if self._note is None else read_note(self._note, intent.intent_id, why)

    def _record(self, intent: Intent, reply: OrderReply) -> None:
        """Write the reply; where that fails the order stays ``sending`` and is looked for."""
        try:
            self._inbox.record(intent.intent_id, reply, self._now_ns())
        except Unavailable:
            _log.exception("the reply to %s could not be written", intent.intent_id)

    async def _find_stranger(self, intent: Intent) -> OrderReply | None:
        check_intent(intent)
        evidence = await self._search(intent, 0, 0)
        reply = evidence.reply
        if reply is None:
            loop = asyncio.get_running_loop()
            young = loop.time() - self._opened_at_seconds < self._absence.seconds
            if young or evidence.resting or not evidence.connected:
                return None
            reply = not_sent("the order never came to the gateway")
        try:
            self._inbox.decline(intent, reply, self._now_ns())
        except InvalidInput:  # it came while the terminal was searched
            return None
        return reply

    async def _resolve(self, entry: Entry) -> OrderReply | None:
        intent = entry.intent
        if intent.intent_id in self._door or not self._orders.ready:
            return None  # still being sent, or by an older worker that may yet live
        told = entry.reply
        ticket = told.order if told is not None and intent.trades else 0
        has_elder = self._has_elder(entry)
        evidence = await self._search(intent, 0 if has_elder else entry.accepted_at_ns, ticket)
        reply = evidence.reply
        if entry.stage in RESTING:  # its fate is known; that it is not seen proves nothing
            reply = reply or told
        elif reply is None and not has_elder:
            reply = self._judge_absence(intent.intent_id, evidence)
        if reply is None:
            return None
        if _says_nothing_new(reply, told):
            return with_calls(reply, entry.calls)
        now = self._inbox.find(intent)
        if now is not None and now.stage in ENDED:
            return now.reply
        self._inbox.record(intent.intent_id, reply, self._now_ns())
        self._absences.pop(intent.intent_id, None)
        _log.info("fate of %s found: %s, %s", intent.intent_id, reply.status, reply.comment)
        return with_calls(reply, entry.calls)

    def _judge_absence(self, intent_id: str, evidence: Evidence) -> OrderReply | None:
        now_seconds = asyncio.get_running_loop().time()
        if evidence.resting or not evidence.connected:
            self._absences.pop(intent_id, None)
            return None
        absence = self._absences.setdefault(intent_id, _Absence(now_seconds))
        absence.polls += 1
        seconds = now_seconds - absence.since_seconds
        if absence.polls < self._absence.polls or seconds < self._absence.seconds:
            return None
        return not_sent(f"absent from the terminal in {absence.polls} looks over {seconds:.0f} s")

    def _has_elder(self, entry: Entry) -> bool:
        """Tell whether one just like it is in doubt that came before it.

        Orders reach the terminal in their order: a deal that bears no mark of ours is the elder's.
        """
        if not entry.intent.trades:
            return False
        marks = _alike(entry.intent)
        return any(
            other.accepted_at_ns < entry.accepted_at_ns and _alike(other.intent) == marks
            for other in self._inbox.unresolved()
        )

    async def _search(self, intent: Intent, accepted_at_ns: int, ticket: int) -> Evidence:
        """Look for an order; what another order is known to have done proves nothing."""
        taken: set[int] = set()
        if intent.position:
            taken.update(self._inbox.orders_of(intent.position, intent.intent_id))
        while True:
            errand = Search(intent, accepted_at_ns, ticket, tuple(sorted(taken)))
            result = await self._market.run(errand)
            if not isinstance(result, Searched):
                name = type(result).__name__
                raise Unavailable(f"the worker answered {name}", code="WORKER_LOST")
            reply = result.evidence.reply
            position = 0 if reply is None else reply.position
            others = set(self._inbox.orders_of(position, intent.intent_id)) if position else set()
            if ticket or reply is None or reply.order not in others - taken:
                return result.evidence
            taken |= others


def _says_nothing_new(reply: OrderReply, told: OrderReply | None) -> bool:
    """Tell whether a resting order is as it was."""
    if told is None or reply.status is not told.status:
        return False
    return reply.volume_lots == told.volume_lots


def _unknown(why: str, calls: tuple[TerminalCall, ...] = ()) -> OrderReply:
    return with_calls(OrderReply(OrderStatus.UNKNOWN, 0, 0, 0, 0, 0.0, 0.0, why), calls)


def _alike(intent: Intent) -> tuple[object, ...]:
    """Return what is left to tell a trade by where the server dropped its marks."""
    return intent.trades, intent.symbol, intent.side, intent.volume_lots, intent.position
