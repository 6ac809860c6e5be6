"""What operators and trailing rules did, in words: for `sextant explain`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import msgspec
from rich.console import RenderableType
from rich.text import Text

from online.domain.errors import NotFound
from online.domain.market import NANOSECONDS_PER_SECOND
from online.domain.operation import Cancel, Close, Operation
from online.domain.order import OrderReply
from online.domain.record import (
    OperationRecord,
    Record,
    ResolutionRecord,
    ResultRecord,
    TrailRecord,
)
from pipelines.commands.explain_calls import tell_calls

PREFIX = "op-"
"""Begins the id of every operation."""

Afterwards = OperationRecord | ResultRecord | ResolutionRecord | TrailRecord


class OperationStory(msgspec.Struct, frozen=True):
    """Everything the journal holds about one operation: itself, and what was told of its order."""

    operation: OperationRecord
    told: tuple[ResultRecord | ResolutionRecord, ...]


def gather_operation(decision_id: str, records: Iterable[Record]) -> OperationStory:
    """Return the story of an operation.

    Raises
    ------
    NotFound
        With code ``UNKNOWN_DECISION``.
    """
    found: OperationRecord | None = None
    told: list[ResultRecord | ResolutionRecord] = []
    for record in records:
        if isinstance(record, OperationRecord) and record.decision_id == decision_id:
            found = record
        elif (
            found is not None
            and isinstance(record, ResultRecord | ResolutionRecord)
            and record.intent_id == found.intent.intent_id
        ):
            told.append(record)
    if found is None:
        raise NotFound(f"the journal holds no operation {decision_id!r}", code="UNKNOWN_DECISION")
    return OperationStory(found, tuple(told))


def tell_operation(story: OperationStory) -> Iterator[RenderableType]:
    """Yield what was wanted, on what it rested and what came of it."""
    record = story.operation
    yield Text.assemble((f"{record.decision_id}: {_what(record.operation)}\n", "bold"), "")
    yield tell_afterwards(record)
    quote, held = record.quote, record.position
    if quote is not None:
        yield Text(f"Market: bid {quote.bid}, ask {quote.ask}, quoted at {_when(quote.at_ns)}.")
    if held is not None:
        yield Text(
            f"Position {held.ticket}: {held.side} {held.volume_lots} lots {held.symbol}, opened at "
            f"{held.opened_price}, stop {held.stop}, target {held.target}."
        )
    if not story.told:
        yield Text("Reply: none is recorded.")
    for each in story.told:
        if isinstance(each, ResultRecord):
            yield from tell_calls(each.calls)
        yield tell_afterwards(each)


def tell_afterwards(record: Afterwards) -> Text:
    """Return one line of what was done or told."""
    at = _when(record.at_ns)
    match record:
        case OperationRecord():
            why = f": {record.note}" if record.note else ""
            what = _what(record.operation)
            return Text(f"{at}: {record.by} wanted {what}{why} ({record.decision_id}).")
        case ResultRecord():
            return Text(f"{at}: order {record.intent_id}: {_words(record.reply)}.")
        case ResolutionRecord():
            return Text(
                f"{at}: {record.by} states that order {record.intent_id} is "
                f"{_words(record.reply)}: {record.note}."
            )
        case TrailRecord():
            rule = record.rule
            what = (
                "is trailed no more"
                if rule is None
                else f"is trailed at {rule.distance:.6g}, in steps of {rule.step:.6g}"
            )
            why = f": {record.note}" if record.note else ""
            return Text(f"{at}: position {record.position} {what}, by {record.by}{why}.")


def _what(operation: Operation) -> str:
    if isinstance(operation, Cancel):
        return f"to cancel order {operation.order}"
    if isinstance(operation, Close):
        part = f"{operation.volume_lots} lots of " if operation.volume_lots else ""
        return f"to close {part}position {operation.position}"
    return (
        f"position {operation.position} to have stop {operation.stop} and target "
        f"{operation.target or 'none'}"
    )


def _words(reply: OrderReply) -> str:
    fill = f", {reply.volume_lots} lots at {reply.price}" if reply.price else ""
    return f"{reply.status}{fill}" + (f" ({reply.comment})" if reply.comment else "")


def _when(stamp_ns: int) -> str:
    moment = datetime.fromtimestamp(stamp_ns / NANOSECONDS_PER_SECOND, tz=UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
