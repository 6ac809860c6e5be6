"""`sextant gateway orders`: what a gateway sent by itself, why, and what MetaTrader said."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from pipelines.commands.options import JsonOption
from pipelines.commands.terminal import console, write_json

if TYPE_CHECKING:
    from online.gateway.inbox_copy import KeptOrder

_SECOND_NS = 1_000_000_000


def orders(
    config: Annotated[Path, typer.Argument(help="TOML file with the gateway's settings.")],
    every: Annotated[
        bool, typer.Option("--all", help="Those that a scorer sent, too: all of the inbox.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Show the orders that the gateway placed by itself: why, what was sent, what was answered.

    They are in no scorer's journal. The inbox is read on the gateway's own host, also while it
    serves; nothing of it is changed.
    """
    from online.gateway.inbox_copy import read_orders
    from online.gateway.settings import load_gateway_settings

    settings = load_gateway_settings(config)
    found = read_orders(settings.state / "inbox.db", own=not every)
    if json:
        write_json(found)
        return
    for order in found:
        for line in _tell(order):
            console.print(line)
    if not found:
        whose = "accepted no order" if every else "placed no order by itself"
        console.print(f"The gateway of {config} {whose}.", markup=False)


def _tell(order: KeptOrder) -> Iterator[Text]:
    """Yield an order's lines, in the order in which things happened."""
    from pipelines.commands.explain_calls import tell_calls

    intent = order.intent
    if intent.order:
        what = f"cancel order {intent.order}"
    else:
        of = f" of position {intent.position}" if intent.position else ""
        what = f"{intent.purpose} {intent.volume_lots} lots {intent.symbol}{of}, {intent.side}"
    yield Text.assemble((f"{intent.intent_id}: {order.stage}", "bold"))
    yield Text(
        f"Accepted at {_when(order.accepted_at_ns)}: {what} (magic {intent.magic}, comment "
        f"{intent.comment})."
    )
    yield Text(f"Cause: {_cause(order)}.")
    yield from tell_calls(order.calls)
    reply = order.reply
    if reply is None:
        yield Text("Its fate is not known yet.")
        return
    fill = f", {reply.volume_lots} lots at {reply.price}" if reply.price else ""
    ended = "" if order.ended_at_ns is None else f" at {_when(order.ended_at_ns)}"
    yield Text(
        f"Fate, written{ended}: {reply.status}, return code {reply.retcode}{fill}, order "
        f"{reply.order}, deal {reply.deal}" + (f" ({reply.comment})." if reply.comment else ".")
    )


def _cause(order: KeptOrder) -> str:
    from online.gateway.inbox_copy import is_own

    if not is_own(order.intent):
        return "a scorer sent it; `sextant explain` tells why"
    return order.cause or "not kept by the release of then"


def _when(stamp_ns: int) -> str:
    return f"{datetime.fromtimestamp(stamp_ns / _SECOND_NS, tz=UTC):%Y-%m-%d %H:%M:%S} UTC"
