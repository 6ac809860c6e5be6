"""The way of an order through its states, for who hears of it word by word or reads a journal."""

from __future__ import annotations

from collections.abc import Callable

from online.domain.errors import JournalCorrupt
from online.domain.order import OrderStatus
from online.domain.order_state import (
    Accepted,
    Cancelled,
    Checked,
    Done,
    Expired,
    Filled,
    Filling,
    HandedOff,
    Intended,
    Logged,
    NotSent,
    Partial,
    Proof,
    Proven,
    Rejected,
    Sending,
    Stage,
    State,
    Unknown,
)

_NOT_SENT = OrderStatus.NOT_SENT


class IllegalTransition(JournalCorrupt):
    """An order cannot have gone that way: whoever wrote it did not follow the states."""

    code = "ILLEGAL_TRANSITION"


def follow(state: State, status: OrderStatus, proof: Proof = Proof.EVIDENCE) -> State:
    """Return the state of an order of which `status` was told.

    An order that left the scorer may have come as far as SENDING: what is told of it later is
    told of that. Hearing again what is known changes nothing.

    Parameters
    ----------
    state
        So far; an order in it was journaled at least.
    status
        What a reply, evidence or an operator says.
    proof
        What ends the state where it is unknown.

    Raises
    ------
    IllegalTransition
        If an order in that state cannot become so.

    Examples
    --------
    >>> follow(Logged(), OrderStatus.UNKNOWN).stage, follow(Unknown(), OrderStatus.FILLED).stage
    (<Stage.UNKNOWN: 'unknown'>, <Stage.FILLED: 'filled'>)
    """
    way = (state.stage, status, proof)
    known = _FOLLOWED.get(way)
    if known is None:
        known = _FOLLOWED[way] = _follow(state, status, proof)
    return known


def _follow(state: State, status: OrderStatus, proof: Proof) -> State:
    if str(state.stage) == str(status):
        return state
    found: State | None = None
    match state:
        case Logged() | HandedOff() if status is _NOT_SENT:
            found = state.withdraw()
        case Logged():
            found = _follow(state.hand_off().begin_sending(), status, proof)
        case HandedOff():
            found = _follow(state.begin_sending(), status, proof)
        case Sending():
            way = _ANSWERED.get(status)
            found = _follow(state.lose(), status, proof) if way is None else way(state)
        case Unknown() if status in _PROVEN:
            found = _PROVEN[status](state.settle(proof))
        case Accepted() if status in _RESTED:
            found = _RESTED[status](state)
        case Filling() if status in _FILLED_ON:
            found = _FILLED_ON[status](state)
    if found is None:
        raise IllegalTransition(f"an order that is {state.stage} cannot become {status}")
    return found


_FOLLOWED: dict[tuple[Stage, OrderStatus, Proof], State] = {}
"""Every legal way that was gone once: states hold nothing but their name."""
_ANSWERED: dict[OrderStatus, Callable[[Sending], State]] = {
    OrderStatus.ACCEPTED: Sending.accept,
    OrderStatus.FILLING: Sending.fill_some,
    OrderStatus.FILLED: Sending.fill,
    OrderStatus.PARTIAL: Sending.end_in_part,
    OrderStatus.DONE: Sending.finish,
    OrderStatus.REJECTED: Sending.reject,
    OrderStatus.NOT_SENT: Sending.withdraw,
    OrderStatus.UNKNOWN: Sending.lose,
}
"""What a reply says; that an order expired or was cancelled is only ever found later."""
_PROVEN: dict[OrderStatus, Callable[[Proven], State]] = {
    OrderStatus.ACCEPTED: Proven.accept,
    OrderStatus.FILLING: Proven.fill_some,
    OrderStatus.FILLED: Proven.fill,
    OrderStatus.PARTIAL: Proven.end_in_part,
    OrderStatus.DONE: Proven.finish,
    OrderStatus.REJECTED: Proven.reject,
    OrderStatus.EXPIRED: Proven.expire,
    OrderStatus.CANCELLED: Proven.cancel,
    OrderStatus.NOT_SENT: Proven.withdraw,
}
_RESTED: dict[OrderStatus, Callable[[Accepted], State]] = {
    OrderStatus.FILLING: Accepted.fill_some,
    OrderStatus.FILLED: Accepted.fill,
    OrderStatus.PARTIAL: Accepted.end_in_part,
    OrderStatus.CANCELLED: Accepted.cancel,
    OrderStatus.EXPIRED: Accepted.expire,
    OrderStatus.REJECTED: Accepted.reject,
}
_FILLED_ON: dict[OrderStatus, Callable[[Filling], State]] = {
    OrderStatus.FILLED: Filling.fill,
    OrderStatus.PARTIAL: Filling.end_in_part,
}

_BY_STAGE: dict[Stage, State] = {
    state.stage: state
    for state in (
        *(Intended(), Checked(), Logged(), HandedOff(), Sending(), Accepted(), Filling()),
        *(Unknown(), Filled(), Partial(), Done(), Rejected(), Expired(), Cancelled(), NotSent()),
    )
}


def restore(stage: Stage) -> State:
    """Return the state of a name, for who has stored the name."""
    return _BY_STAGE[stage]
