"""Every column of the export: its meaning, its unit, and where in the journal it is read.

The path is both the documentation and the reader, so that the data dictionary cannot say something
else than the file holds.
"""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from enum import Enum, StrEnum
from typing import Any, Literal

import msgspec

from online.domain.audit import SealedRecord
from online.domain.market import NANOSECONDS_PER_SECOND
from online.domain.record import ModelRecord, Record

Kind = Literal["text", "integer", "number", "boolean", "time", "json"]
Cell = str | int | float | bool | None


class Format(StrEnum):
    """How an export's files are written."""

    CSV = "csv"
    PARQUET = "parquet"


class Entry(msgspec.Struct, frozen=True):
    """What a row of the export is read from.

    Parameters
    ----------
    sealed
        The record's place, kind and hash.
    record
        What it says.
    model
        The newest record of the decision's bundle; None if there is none or it is no decision.
    """

    sealed: SealedRecord
    record: Record
    model: ModelRecord | None


class Column(msgspec.Struct, frozen=True):
    """One column.

    Parameters
    ----------
    name
        In the file.
    kind
        Type; a time is UTC, ISO 8601 with nanoseconds.
    unit
        Of a number, ``-`` where it has none.
    source
        Path in an `Entry`; a number is a place in a list.
    meaning
        One sentence.
    """

    name: str
    kind: Kind
    unit: str
    source: str
    meaning: str

    def read(self, entry: Entry) -> Cell:
        """Return the column's value, None where the journal holds none."""
        value: Any = entry
        for part in self.source.split("."):
            if value is None:
                return None
            value = value[int(part)] if part.isdigit() else getattr(value, part)
        if value is None:
            return None
        if self.kind == "json":
            return msgspec.json.encode(value).decode()
        if self.kind == "time":
            return format_time(value) if value else None
        return _scalar(value)


def _scalar(value: Any) -> Cell:  # noqa: ANN401 - a field of any record
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, Enum):
        return str(value.value)
    return value  # type: ignore[no-any-return]  # the path leads to a scalar


def format_time(at_ns: int) -> str:
    """Return an instant in UTC, ISO 8601 with nanoseconds.

    Examples
    --------
    >>> format_time(1_507_075_200_000_000_001)
    '2017-10-04T00:00:00.000000001Z'
    """
    seconds, nanoseconds = divmod(at_ns, NANOSECONDS_PER_SECOND)
    return f"{datetime.fromtimestamp(seconds, tz=UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"


def _sealed() -> tuple[Column, ...]:
    return (
        Column("sequence", "integer", "-", "sealed.sequence", "Place of the record in the journal"),
        Column("record_hash", "text", "-", "sealed.hash", "SHA-256 that seals the record's bytes"),
    )


_DECISIONS = (
    *_sealed(),
    Column("decision_id", "text", "-", "record.decision_id", "Unique name of the decision"),
    Column("number", "integer", "-", "record.number", "Of the decision in this journal"),
    Column("decided_at", "time", "UTC", "record.at_ns", "When it was taken"),
    Column("symbol", "text", "-", "record.request.symbol", "Instrument decided about"),
    Column("timeframe", "text", "-", "record.request.timeframe", "Length of its bars"),
    Column("bar_closed_at", "time", "UTC", "record.request.bar_closed_at_ns", "End of the bar"),
    Column("send_requested", "boolean", "-", "record.request.send", "False: decide only"),
    Column("action", "text", "-", "record.decision.action", "buy, sell, close or hold"),
    Column("reasons", "json", "-", "record.decision.reasons", "Why nothing was entered"),
    Column("vetoes", "json", "-", "record.vetoes", "Every risk rule that refused, with its figure"),
    Column("model_sha256", "text", "-", "record.model_sha256", "Bundle that scored"),
    Column("model_name", "text", "-", "model.name", "Registered name of the bundle"),
    Column("model_version", "text", "-", "model.version", "Registered version of the bundle"),
    Column("probability_short", "number", "0 to 1", "record.signal.probabilities.0",
           "Calibrated probability that a short reaches its target"),
    Column("probability_neither", "number", "0 to 1", "record.signal.probabilities.1",
           "Calibrated probability that neither reaches its target"),
    Column("probability_long", "number", "0 to 1", "record.signal.probabilities.2",
           "Calibrated probability that a long reaches its target"),
    Column("bid", "number", "price", "record.quote.bid", "Best bid the decision saw"),
    Column("ask", "number", "price", "record.quote.ask", "Best ask the decision saw"),
    Column("quoted_at", "time", "UTC", "record.quote.at_ns", "When it was quoted"),
    Column("account_currency", "text", "ISO 4217", "record.account.currency", "Of the amounts"),
    Column("balance", "number", "account currency", "record.account.balance",
           "Closed profit and deposits"),
    Column("equity", "number", "account currency", "record.account.equity",
           "Balance and open profit"),
    Column("positions", "json", "-", "record.positions", "Open positions as the broker told them"),
    Column("risk_state", "json", "-", "record.state", "What the risk rules knew of the account"),
    Column("features", "json", "-", "record.features", "Feature vector as served, model's order"),
    Column("view_stamps_ns", "json", "ns since 1970 UTC", "record.view_stamps_ns",
           "Event time of each feature view"),
    Column("window", "text", "-", "record.window",
           "Packed window as served, base64 of little-endian float32, oldest vector first"),
    Column("window_stamp_ns", "integer", "ns since 1970 UTC", "record.window_stamp_ns",
           "Event time of the window's view"),
    Column("intent_id", "text", "-", "record.intent.intent_id", "Order decided on, if any"),
)  # fmt: skip
_ORDERS = (
    *_sealed(),
    Column("decision_id", "text", "-", "record.decision_id", "Decision that made the order"),
    Column("intent_id", "text", "-", "record.intent.intent_id", "Unique name of the order"),
    Column("decided_at", "time", "UTC", "record.at_ns", "When it was decided and recorded"),
    Column("send_requested", "boolean", "-", "record.request.send", "False: it was never sent"),
    Column("magic", "integer", "-", "record.intent.magic", "Number the broker keeps on it"),
    Column("comment", "text", "-", "record.intent.comment", "Text the broker keeps on it"),
    Column("purpose", "text", "-", "record.intent.purpose", "entry, close, modify or cancel"),
    Column("symbol", "text", "-", "record.intent.symbol", "Instrument"),
    Column("side", "text", "-", "record.intent.side", "buy or sell"),
    Column("volume_lots", "number", "lots", "record.intent.volume_lots", "Size"),
    Column("quoted", "number", "price", "record.intent.quoted", "Deciding quote on its side"),
    Column("stop", "number", "price", "record.intent.stop", "Broker-side stop; 0 on a close"),
    Column("target", "number", "price", "record.intent.target", "Broker-side target; 0 on a close"),
    Column("position", "integer", "ticket", "record.intent.position", "Closed; 0 on an entry"),
    Column("expires_at", "time", "UTC", "record.intent.expires_at_ns",
           "When the position times out; empty on a close"),
)  # fmt: skip
_REPLIES = (
    *_sealed(),
    Column("intent_id", "text", "-", "record.intent_id", "Order it answers"),
    Column("decision_id", "text", "-", "record.decision_id",
           "Decision that made the order; empty where evidence was found later"),
    Column("replied_at", "time", "UTC", "record.at_ns", "When it was recorded"),
    Column("status", "text", "-", "record.reply.status",
           "What became of it, e.g. filled, partial, done, rejected, not_sent, unknown"),
    Column("retcode", "integer", "-", "record.reply.retcode", "MetaTrader's return code"),
    Column("order_ticket", "integer", "ticket", "record.reply.order", "0 where there is none"),
    Column("deal_ticket", "integer", "ticket", "record.reply.deal", "0 where there is none"),
    Column("position_ticket", "integer", "ticket", "record.reply.position",
           "0 where there is none"),
    Column("price", "number", "price", "record.reply.price", "Of the fill; 0 where there is none"),
    Column("volume_lots", "number", "lots", "record.reply.volume_lots", "Filled size"),
    Column("comment", "text", "-", "record.reply.comment", "The broker's words"),
)  # fmt: skip
_DEALS = (
    *_sealed(),
    Column("recorded_at", "time", "UTC", "record.at_ns", "When it was recorded"),
    Column("ticket", "integer", "ticket", "record.deal.ticket", "The broker's number of the fill"),
    Column("order_ticket", "integer", "ticket", "record.deal.order", "Order that caused it"),
    Column("position_ticket", "integer", "ticket", "record.deal.position", "Position it changed"),
    Column("magic", "integer", "-", "record.deal.magic", "Number of the order that opened it"),
    Column("symbol", "text", "-", "record.deal.symbol", "Instrument"),
    Column("side", "text", "-", "record.deal.side", "buy or sell"),
    Column("entry", "boolean", "-", "record.deal.entry", "True if it opened volume"),
    Column("reason", "text", "-", "record.deal.reason", "expert (an order of ours), stop, target"),
    Column("volume_lots", "number", "lots", "record.deal.volume_lots", "Size"),
    Column("price", "number", "price", "record.deal.price", "Of the fill"),
    Column("dealt_at", "time", "UTC", "record.deal.at_ns", "When the broker filled it"),
    Column("profit", "number", "account currency", "record.deal.profit", "Realised by it"),
    Column("commission", "number", "account currency", "record.deal.commission",
           "Charged for it, negative"),
    Column("swap", "number", "account currency", "record.deal.swap", "Realised by it"),
)  # fmt: skip

_OPERATIONS = (
    *_sealed(),
    Column("decision_id", "text", "-", "record.decision_id", "Unique name of the operation"),
    Column("number", "integer", "-", "record.number", "Counted with the decisions"),
    Column("wanted_at", "time", "UTC", "record.at_ns", "When it was recorded, before it was sent"),
    Column("by", "text", "-", "record.by", "Who wanted it: an operator, or a trailing rule"),
    Column("note", "text", "-", "record.note", "Why"),
    Column("operation", "json", "-", "record.operation", "What was wanted"),
    Column("position", "json", "-", "record.position", "What it was done to, by the broker"),
    Column("resting", "json", "-", "record.resting", "The resting order it was done to, if any"),
    Column("bid", "number", "price", "record.quote.bid", "Best bid at that time"),
    Column("ask", "number", "price", "record.quote.ask", "Best ask at that time"),
    Column("intent_id", "text", "-", "record.intent.intent_id", "Unique name of its order"),
    Column("magic", "integer", "-", "record.intent.magic", "Number the broker keeps on it"),
    Column("comment", "text", "-", "record.intent.comment", "Text the broker keeps on it"),
    Column("purpose", "text", "-", "record.intent.purpose", "close, modify or cancel"),
    Column("symbol", "text", "-", "record.intent.symbol", "Instrument"),
    Column("side", "text", "-", "record.intent.side", "buy or sell"),
    Column("volume_lots", "number", "lots", "record.intent.volume_lots", "Size"),
    Column("stop", "number", "price", "record.intent.stop", "New broker-side stop of a modify"),
    Column("target", "number", "price", "record.intent.target", "New target of a modify; 0: none"),
    Column("position_ticket", "integer", "ticket", "record.intent.position", "0 on a cancel"),
    Column("order_ticket", "integer", "ticket", "record.intent.order", "Cancelled; 0 on the rest"),
)  # fmt: skip
_RESOLUTIONS = (
    *_sealed(),
    Column("intent_id", "text", "-", "record.intent_id", "Order of unknown fate"),
    Column("decision_id", "text", "-", "record.decision_id", "What made the order"),
    Column("stated_at", "time", "UTC", "record.at_ns", "When it was recorded"),
    Column("by", "text", "-", "record.by", "Operator who states it"),
    Column("note", "text", "-", "record.note", "From what the operator knows it"),
    Column("status", "text", "-", "record.reply.status", "What became of the order"),
    Column("position_ticket", "integer", "ticket", "record.reply.position", "0 where none is"),
    Column("price", "number", "price", "record.reply.price", "Of the fill; 0 where there is none"),
    Column("volume_lots", "number", "lots", "record.reply.volume_lots", "Filled size"),
)  # fmt: skip
_TRAILS = (
    *_sealed(),
    Column("position_ticket", "integer", "ticket", "record.position", "Position trailed"),
    Column("symbol", "text", "-", "record.symbol", "Instrument"),
    Column("wanted_at", "time", "UTC", "record.at_ns", "When it was recorded"),
    Column("by", "text", "-", "record.by", "Who wanted it"),
    Column("note", "text", "-", "record.note", "Why"),
    Column("distance", "number", "price", "record.rule.distance",
           "From the market to the stop; empty where trailing ended"),
    Column("step", "number", "price", "record.rule.step", "Least move of the stop"),
)  # fmt: skip

TABLES: dict[str, tuple[Column, ...]] = {
    "decisions": _DECISIONS,
    "orders": _ORDERS,
    "replies": _REPLIES,
    "deals": _DEALS,
    "operations": _OPERATIONS,
    "resolutions": _RESOLUTIONS,
    "trails": _TRAILS,
}
"""Columns by table, in the order of the files."""
