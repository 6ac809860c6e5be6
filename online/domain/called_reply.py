"""A reply on its way to the journal, with the calls of the terminal that were made for it."""

from __future__ import annotations

from typing import Any

from online.domain.order import OrderReply
from online.domain.terminal_call import TerminalCall


class CalledReply(OrderReply, frozen=True, gc=False, kw_only=True):
    """What came back for an order, from a broker that saw the terminal being called.

    Parameters
    ----------
    calls
        Every call that is known, oldest first; evidence found later keeps those of then.
    """

    calls: tuple[TerminalCall, ...]


def with_calls(reply: OrderReply, calls: tuple[TerminalCall, ...]) -> OrderReply:
    """Return a reply that carries calls, instead of those it may carry already."""
    alone, _ = apart(reply)
    return CalledReply(*_fields(alone), calls=calls) if calls else alone


def apart(reply: OrderReply) -> tuple[OrderReply, tuple[TerminalCall, ...]]:
    """Return a reply alone, and the calls that it carries."""
    if not isinstance(reply, CalledReply):
        return reply, ()
    return OrderReply(*_fields(reply)), reply.calls


def _fields(reply: OrderReply) -> tuple[Any, ...]:
    return (
        reply.status,
        reply.retcode,
        reply.order,
        reply.deal,
        reply.position,
        reply.price,
        reply.volume_lots,
        reply.comment,
    )
