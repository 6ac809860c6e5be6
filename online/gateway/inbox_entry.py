"""An order as the inbox holds it: a row of its tables, and what that says."""

from __future__ import annotations

from typing import Any

import msgspec

from online.domain.called_reply import with_calls
from online.domain.errors import Unavailable
from online.domain.order import Intent, OrderReply
from online.domain.order_state import ENDED, Stage, State
from online.domain.terminal_call import TerminalCall

COLUMNS = "intent, state, reply, accepted_at_ns, (SELECT calls FROM calls WHERE id = orders.calls)"
"""What `entry_of` reads."""
_CALLS = msgspec.msgpack.Decoder(tuple[TerminalCall, ...])


class Entry(msgspec.Struct, frozen=True):
    """An accepted order.

    Parameters
    ----------
    stage
        How far it is.
    reply
        What came back, or was found out since; null while nothing has.
    calls
        Of the terminal for it, as far as they are known; `reply` carries them too.
    """

    intent: Intent
    stage: Stage
    reply: OrderReply | None
    accepted_at_ns: int
    calls: tuple[TerminalCall, ...] = ()


def row_of(
    intent: Intent, state: State, reply: OrderReply | None, at_ns: int
) -> tuple[object, ...]:
    """Return an order of which no calls are known as the table holds it."""
    return (
        intent.intent_id,
        intent.magic,
        None if reply is None else reply.position or None,
        state.stage,
        pack(intent),
        None if reply is None else pack(reply),
        at_ns,
        at_ns if state.stage in ENDED else None,
        None,
    )


def pack(value: msgspec.Struct | tuple[TerminalCall, ...]) -> bytes:
    """Return a part of an order as a column holds it."""
    return msgspec.msgpack.encode(value)


def entry_of(row: tuple[Any, ...]) -> Entry:
    """Return what the `COLUMNS` of an order say.

    Raises
    ------
    Unavailable
        With code ``INBOX_UNREADABLE`` if this release cannot read it.
    """
    intent, state, packed, accepted_at_ns, packed_calls = row
    try:
        calls = () if packed_calls is None else _CALLS.decode(packed_calls)
        reply = None if packed is None else msgspec.msgpack.decode(packed, type=OrderReply)
        return Entry(
            intent=msgspec.msgpack.decode(intent, type=Intent),
            stage=Stage(state),
            reply=None if reply is None else with_calls(reply, calls),
            accepted_at_ns=accepted_at_ns,
            calls=calls,
        )
    except msgspec.DecodeError as error:
        raise Unavailable(
            f"an order of {accepted_at_ns} ns in the gateway's inbox cannot be read: {error}",
            code="INBOX_UNREADABLE",
            remedy="Run the release of Sextant that wrote the inbox, or a newer one.",
        ) from error
