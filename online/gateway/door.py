"""The door: orders come in together, by one write that the disk is waited for once.

One that comes while hardly any is inside is let in at once, with all that come with it. From then
on orders are let in when half of the places are free again, as many as there are places: while
the terminal carries out one after the other, the disk is waited for but once for several.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from online.domain.errors import InvalidInput, Unavailable
from online.domain.order import Intent, OrderReply, OrderStatus
from online.gateway.inbox import Inbox
from online.gateway.order_desk import not_sent

PLACES = 16
"""Orders that are accepted and not yet answered, at most: after a crash all are looked for."""
_log = logging.getLogger(__name__)


class Caller:
    """An order that wants to be sent, and who asked.

    Parameters
    ----------
    until_seconds
        Loop time until which it may be handed to the terminal.
    is_wanted
        Tells whether who asked is still there and still the one who trades.
    accepted
        Called when the order is durable.

    Attributes
    ----------
    admitted
        Ends with null once the order is durable, with a reply where it goes no further, with
        `InvalidInput` if its id was used for another, with `Unavailable` if the inbox cannot be
        written: then the order was not sent.
    """

    __slots__ = ("accepted", "admitted", "intent", "is_wanted", "until_seconds")

    def __init__(
        self,
        intent: Intent,
        until_seconds: float,
        is_wanted: Callable[[], bool],
        accepted: Callable[[], object],
    ) -> None:
        self.intent = intent
        self.until_seconds = until_seconds
        self.is_wanted = is_wanted
        self.accepted = accepted
        self.admitted: asyncio.Future[OrderReply | None] = (
            asyncio.get_running_loop().create_future()
        )


class Door:
    """Lets orders in.

    Parameters
    ----------
    inbox
        Of the gateway.
    why_not
        Returns why an order is not let in now; empty if it is.
    now_ns
        The clock, UTC.
    """

    def __init__(
        self, inbox: Inbox, why_not: Callable[[Caller], str], now_ns: Callable[[], int]
    ) -> None:
        self._inbox = inbox
        self._why_not = why_not
        self._now_ns = now_ns
        self._outside: deque[Caller] = deque()
        self._inside: dict[str, Caller] = {}
        self._is_called = False

    def __len__(self) -> int:
        return len(self._inside)

    def __contains__(self, intent_id: str) -> bool:
        return intent_id in self._inside

    def knock(self, caller: Caller) -> None:
        """Have an order let in, or answered where it goes no further: `Caller.admitted` tells.

        Whoever knocks must `leave`, whatever comes of it.
        """
        self._outside.append(caller)
        self._call()

    def open_now(self) -> None:
        """Let in at once who has knocked: nobody else comes with them."""
        if self._is_called:
            self._let_in()

    def leave(self, caller: Caller) -> None:
        """Give the place back, if the order had one."""
        if self._inside.get(caller.intent.intent_id) is caller:
            del self._inside[caller.intent.intent_id]
            self._call()

    def _call(self) -> None:
        """Have the next ones let in, together with all who come until the loop is through."""
        if self._outside and not self._is_called and len(self._inside) <= PLACES // 2:
            self._is_called = True
            asyncio.get_running_loop().call_soon(self._let_in)

    def _let_in(self) -> None:
        self._is_called = False
        group = self._gather()
        if group and not self._accept(group):  # one of them was here before
            new = {name: each for name, each in group.items() if not self._is_known(each)}
            if new and not self._accept(new):
                self._accept_singly(new)
        self._call()

    def _gather(self) -> dict[str, Caller]:
        """Take from outside as many as there are places; who is refused is told."""
        group: dict[str, Caller] = {}
        closing: set[int] = set()
        while self._outside and len(self._inside) + len(group) < PLACES:
            intent = self._outside[0].intent
            if intent.intent_id in group or intent.position in closing:
                break  # a copy, or a second close: it is judged once the first is written
            caller = self._outside.popleft()
            if caller.admitted.done():  # whoever asked has given up
                continue
            try:
                why = self._why_not(caller)
            except Unavailable as error:
                caller.admitted.set_exception(error)
                continue
            if not why:
                group[intent.intent_id] = caller
                if intent.position:
                    closing.add(intent.position)
            elif not self._is_known(caller):
                caller.admitted.set_result(not_sent(why))
        return group

    def _is_known(self, caller: Caller) -> bool:
        """Tell whether an order was here before; then it is answered."""
        try:
            recorded = self._inbox.find(caller.intent)
        except (InvalidInput, Unavailable) as error:
            caller.admitted.set_exception(error)
            return True
        if recorded is not None:
            caller.accepted()
            caller.admitted.set_result(recorded.reply or _UNKNOWN)
        return recorded is not None

    def _accept(self, group: dict[str, Caller]) -> bool:
        """Write orders, all or none; False if one of them was here before."""
        callers = tuple(group.values())
        try:
            self._inbox.accept([caller.intent for caller in callers], self._now_ns())
        except InvalidInput:
            return False
        except Unavailable as error:
            for caller in callers:
                if not self._is_known(caller):  # a copy of what was sent is not unsent
                    same = Unavailable(str(error), code=error.code, remedy=error.remedy)
                    caller.admitted.set_exception(same)
            return True
        self._inside.update(group)
        for caller in callers:
            caller.admitted.set_result(None)
        for caller in callers:
            caller.accepted()
        return True

    def _accept_singly(self, group: dict[str, Caller]) -> None:
        """Write each by itself; of one that is neither new nor known nobody can tell the fate."""
        for name, caller in group.items():
            if not self._accept({name: caller}):
                _log.error("the inbox takes order %s neither as new nor as known", name)
                caller.admitted.set_result(_CONTRADICTED)


_UNKNOWN = OrderReply(
    OrderStatus.UNKNOWN, 0, 0, 0, 0, 0.0, 0.0, "sent before; its fate is being looked for"
)
_CONTRADICTED = OrderReply(
    OrderStatus.UNKNOWN,
    0,
    0,
    0,
    0,
    0.0,
    0.0,
    "the gateway's inbox takes the order neither as new nor as known: look at the terminal",
)
