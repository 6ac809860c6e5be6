"""The dead-man switch: what happens when the scorer stays away."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from online.domain.account import Position
from online.domain.closing import cancel_order, close_position
from online.domain.errors import SextantError, Unavailable
from online.domain.order import Intent, OrderStatus
from online.domain.trading_state import TradingState
from online.gateway.gate import Gate
from online.gateway.inbox import Inbox
from online.gateway.inbox_copy import OWN_MARK, cause_of
from online.gateway.order_flow import OrderFlow
from online.gateway.patience import Patience
from online.gateway.settings import Rung, RungAction
from online.ports import Observation

_CLOSE_PATIENCE_SECONDS = 5.0
_LEFT, _FLATTEN = "scorer_left_ns", "flatten"
_log = logging.getLogger(__name__)
_STATES = {
    RungAction.REDUCE: TradingState.REDUCING,
    RungAction.HALT: TradingState.HALTED,
    RungAction.FLATTEN: TradingState.HALTED,
}


class DeadMan:
    """Climbs the ladder while the scorer is silent.

    Parameters
    ----------
    ladder
        Soonest first.
    gate, inbox, flow
        Of the gateway.
    look
        Returns what the broker tells of a symbol and of the account.
    clock_ns
        The host's; silence goes on while the gateway itself is away.
    patience
        With orders of a flatten that were refused; None for one by the event loop's clock.
    """

    def __init__(
        self,
        ladder: tuple[Rung, ...],
        gate: Gate,
        inbox: Inbox,
        flow: OrderFlow,
        look: Callable[[str], Awaitable[Observation]],
        clock_ns: Callable[[], int] = time.time_ns,
        patience: Patience | None = None,
    ) -> None:
        self._ladder = ladder
        self._gate = gate
        self._inbox = inbox
        self._flow = flow
        self._look = look
        self._clock_ns = clock_ns
        self._patience = patience or Patience(asyncio.get_running_loop().time)
        self._silent_since: float | None = None
        if inbox.fact("scorer_seen"):
            self._silent_since = asyncio.get_running_loop().time() - self._silent_already()

    def scorer_came(self) -> None:
        """Take notice that a scorer's session has begun."""
        self._silent_since = None
        if not self._inbox.fact("scorer_seen"):
            self._inbox.write_fact("scorer_seen", "yes")
        if self._inbox.fact(_LEFT):
            self._inbox.write_fact(_LEFT, "")
        self._gate.scorer_is_back()

    def scorer_left(self) -> None:
        """Take notice that the scorer's session has ended."""
        self._silent_since = asyncio.get_running_loop().time()
        try:
            self._inbox.write_fact(_LEFT, str(self._clock_ns()))
        except Unavailable as error:
            _log.warning("since when the scorer is away is not written down: %s", error)

    async def obey(self, reason: str, *, flatten: bool) -> None:
        """Halt because an operator says so, and close everything until it is closed or resumed.

        Raises
        ------
        Unavailable
            If it cannot be made durable; halted is in force in this process all the same.
        """
        self._gate.tighten(TradingState.HALTED, f"{'flatten' if flatten else 'halt'}: {reason}")
        if flatten:
            self._inbox.write_fact(_FLATTEN, reason)
            self._patience.begin_anew()
            try:
                await self._flatten(f"flatten: {reason}")
            except Unavailable as error:
                _log.warning("flattening is tried again: %s: %s", error.code, error)

    def resume(self) -> None:
        """Close nothing any more because an operator said so once."""
        if self._inbox.fact(_FLATTEN):
            self._inbox.write_fact(_FLATTEN, "")

    async def climb(self) -> None:
        """Do what is due by now; to be called again and again."""
        wanted = self._inbox.fact(_FLATTEN)
        if wanted:
            await self._flatten(f"flatten: {wanted}")
        if self._silent_since is None:
            return
        silent_seconds = asyncio.get_running_loop().time() - self._silent_since
        for rung in self._ladder:
            if silent_seconds < rung.after_seconds:
                return
            reason = f"no scorer for {rung.after_seconds:g} s ({rung.action})"
            try:
                if self._gate.tighten(_STATES[rung.action], reason):
                    _log.warning("dead-man switch: %s", reason)
            except Unavailable as error:  # in force all the same, and written as soon as it can be
                _log.warning("dead-man switch: %s; not written down: %s", reason, error)
            if rung.action is RungAction.FLATTEN:
                await self._flatten(reason)

    def _silent_already(self) -> float:
        """Return for how many seconds the scorer was silent before this gateway started."""
        left = self._inbox.fact(_LEFT)
        if not left:
            self._inbox.write_fact(_LEFT, str(self._clock_ns()))
            return 0.0
        return max(0.0, (self._clock_ns() - int(left)) / 1e9)

    async def _flatten(self, cause: str) -> None:
        """Take back every order and position that came through this gateway, and no others."""
        seen = await self._look("")
        ours = self._inbox.entry_magics()
        for resting in seen.orders or ():
            what = f"order-{resting.ticket}"
            going = self._is_being_cancelled(resting.ticket)
            if resting.magic in ours and not going and self._patience.may_ask(what):
                await self._send(what, cancel_order(resting, *self._mark(what, cause)))
        for position in seen.positions or ():
            may_ask = self._patience.may_ask(str(position.ticket))
            if position.magic in ours and may_ask and not self._has_pending(position):
                await self._close(position, cause)

    def _has_pending(self, position: Position) -> bool:
        """Tell whether a close of it is under way; new exits are no reason to leave it open."""
        return any(
            e.intent.trades and e.intent.position == position.ticket
            for e in self._inbox.unresolved()
        )

    def _is_being_cancelled(self, order: int) -> bool:
        return any(e.intent.order == order for e in self._inbox.unresolved())

    def _mark(self, what: str, cause: str) -> tuple[str, str]:
        """Return id and comment of an order of the gateway's own; why it is sent is kept."""
        number = int(self._inbox.fact("flattened") or "0") + 1
        intent_id = f"flatten-{what}-{number}"
        self._inbox.write_facts({"flattened": str(number), cause_of(intent_id): cause})
        return intent_id, f"{OWN_MARK}{number}"

    async def _close(self, position: Position, cause: str) -> None:
        try:
            quote = (await self._look(position.symbol)).quote
        except Unavailable as error:  # the others are closed all the same, this one is tried again
            _log.warning("position %d has no price: %s", position.ticket, error)
            return
        if quote is None:
            return
        what = str(position.ticket)
        await self._send(what, close_position(position, quote, *self._mark(what, cause)))

    async def _send(self, what: str, intent: Intent) -> None:
        self._patience.refused(what)  # until the contrary is known
        try:
            reply = await self._flow.send(
                intent, _CLOSE_PATIENCE_SECONDS, is_wanted=_always, accepted=_nothing
            )
        except SextantError as error:  # what it is keeps no other open
            _log.warning("%s was not carried out: %s", intent.intent_id, error)
            return
        if reply.status in {OrderStatus.FILLED, OrderStatus.PARTIAL, OrderStatus.DONE}:
            self._patience.granted(what)
        elif reply.status is OrderStatus.NOT_SENT:
            self._patience.not_sent(what)
        if reply.status not in {OrderStatus.FILLED, OrderStatus.DONE}:
            _log.warning("%s: %s, %s", intent.intent_id, reply.status, reply.comment)


async def keep_climbing(dead_man: DeadMan, every_seconds: float) -> None:
    """Climb for ever; what fails is tried again."""
    while True:
        try:
            await dead_man.climb()
        except SextantError as error:
            _log.warning("dead-man switch: %s: %s", error.code, error)
        await asyncio.sleep(every_seconds)


def _always() -> bool:
    return True


def _nothing() -> None:
    return None
