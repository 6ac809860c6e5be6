"""Journal records: everything needed to explain and replay, as canonical JSON."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from online.domain.account import Account, Deal, Position, RestingOrder
from online.domain.circuit_record import CircuitRecord
from online.domain.decision import Decision
from online.domain.errors import InvalidInput, JournalCorrupt
from online.domain.former import FormerLimitsRecord, complete_state, read_former_limits
from online.domain.limits import Limits
from online.domain.market import Quote, Timeframe
from online.domain.news import NewsEvent
from online.domain.operation import Operation
from online.domain.order import Intent, OrderReply
from online.domain.reasons import Veto
from online.domain.reconciliation import Finding
from online.domain.risk_facts import RiskState
from online.domain.signal import Signal
from online.domain.sizing import Sizing
from online.domain.terminal_call import TerminalCall
from online.domain.trading_state import TradingState
from online.domain.trailing import TrailingRule

GENESIS = "0" * 64


class Request(msgspec.Struct, frozen=True, gc=False):
    """What was asked: decide about a bar, and whether an order may be sent.

    Parameters
    ----------
    symbol, timeframe
        What is traded on which bars.
    bar_closed_at_ns
        The bar, by the stamp of its close, nanoseconds UTC.
    send
        True for trade, False for decide only.
    """

    symbol: str
    timeframe: Timeframe
    bar_closed_at_ns: int
    send: bool


class ModelRecord(msgspec.Struct, frozen=True, tag="model"):
    """A model was loaded and verified; the manifest is its JSON text.

    `policy` and `approver` are those of its certificate, empty where none was asked for.
    """

    at_ns: int
    name: str
    alias: str
    version: str
    sha256: str
    manifest: str
    runtime: str
    bit_equal: bool
    policy: str = ""
    approver: str = ""


class LimitsRecord(msgspec.Struct, frozen=True, tag="limits"):
    """These limits are in force from now on.

    `by` is who or what put them in force, `previous` what they replace; null where this journal
    knows of none.
    """

    at_ns: int
    limits: Limits
    by: str = ""
    previous: Limits | None = None

    @property
    def changes(self) -> dict[str, tuple[object, object]]:
        """The limits that differ, each with its value before and after."""
        if self.previous is None:
            return {}
        before, after = self.previous.by_name(), self.limits.by_name()
        pairs = {name: (before.get(name), after.get(name)) for name in (before | after)}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


class HaltRecord(msgspec.Struct, frozen=True, tag="halt"):
    """The trading state was changed by somebody.

    Parameters
    ----------
    reason
        Why; empty where trading was resumed.
    by
        Who.
    state
        The new state; null means halted, or active where there is no reason.
    """

    at_ns: int
    reason: str
    by: str
    state: TradingState | None = None

    @property
    def trading(self) -> TradingState:
        """The new state."""
        if not self.reason:
            return TradingState.ACTIVE
        return self.state or TradingState.HALTED


class DecisionRecord(msgspec.Struct, frozen=True, gc=False, tag="decision", omit_defaults=True):
    """One decision with every fact it rests on.

    Parameters
    ----------
    decision_id
        Unique and readable, for example ``EURUSD-H1-20171002T0100Z-17``.
    number
        Of the decision in this journal.
    at_ns
        The clock when it was taken.
    request
        What was asked.
    model_sha256
        The bundle that scored; a `ModelRecord` holds its manifest.
    features, view_stamps_ns
        The vector as the store held it, and each view's event time; null where nothing was held.
    quote, account, positions, state
        Market, account and book as they were; null where they were not told.
    signal
        Raw outputs and calibrated probabilities; null where nothing was scored.
    decision
        What to do.
    vetoes, intent
        Every rule that refused; the order sent once this record is durable, null where none is.
    window, window_stamp_ns
        The packed window (base64 in JSON) as held, and its view's event time; absent without.
    told_at_ns
        The broker's clock when it told quote, account and positions; null where it told none.
    rates
        Quotes of the conversion pairs.
    news, orders
        Calendar events that concern the symbol; what rested at the broker. Null where not told.
    sizing
        Why an entry has its volume; null where none was sized.
    """

    decision_id: str
    number: int
    at_ns: int
    request: Request
    model_sha256: str
    features: tuple[float | None, ...] | None
    view_stamps_ns: tuple[int | None, ...] | None
    quote: Quote | None
    account: Account | None
    positions: tuple[Position, ...] | None
    state: RiskState
    signal: Signal | None
    decision: Decision
    vetoes: tuple[Veto, ...]
    intent: Intent | None
    window: bytes | None = None
    window_stamp_ns: int | None = None
    told_at_ns: int | None = None
    rates: tuple[Quote, ...] = ()
    news: tuple[NewsEvent, ...] | None = None
    orders: tuple[RestingOrder, ...] | None = ()
    sizing: Sizing | None = None

    @property
    def untold_state(self) -> tuple[str, ...]:
        """Names in `state` that the version which wrote it did not tell: their values are none."""
        return ()


class FormerDecisionRecord(DecisionRecord, frozen=True, gc=False, tag="decision"):
    """A decision as an earlier version wrote it; `untold` names what its state did not tell."""

    untold: tuple[str, ...] = ()

    @property
    def untold_state(self) -> tuple[str, ...]:
        """See `DecisionRecord`."""
        return self.untold


class ResultRecord(msgspec.Struct, frozen=True, gc=False, tag="result", omit_defaults=True):
    """What came back for an intent, and the calls of the terminal where any are known."""

    decision_id: str
    intent_id: str
    at_ns: int
    reply: OrderReply
    calls: tuple[TerminalCall, ...] = ()


class OperationRecord(msgspec.Struct, frozen=True, tag="operation"):
    """An operator, or a trailing rule, has something done to a position or an order.

    Parameters
    ----------
    decision_id
        Unique; results of its order carry it, as they carry a decision's.
    number
        Counted with the decisions of this journal.
    by, note
        Who wanted it, and why.
    operation
        What was wanted.
    quote, position, resting
        The market and what it is done to, as the broker told them; null where it is the other.
    intent
        The order that is sent once this record is durable.
    """

    decision_id: str
    number: int
    at_ns: int
    by: str
    note: str
    operation: Operation
    quote: Quote | None
    position: Position | None
    resting: RestingOrder | None
    intent: Intent


class ResolutionRecord(msgspec.Struct, frozen=True, tag="resolution"):
    """An operator states what became of an order whose fate nobody could prove.

    Parameters
    ----------
    decision_id
        Of the decision or operation that made the order.
    by, note
        Who says so, and from what they know it.
    reply
        The outcome as stated.
    """

    decision_id: str
    intent_id: str
    at_ns: int
    by: str
    note: str
    reply: OrderReply


class TrailRecord(msgspec.Struct, frozen=True, tag="trail"):
    """A position was put under a trailing rule, or taken from under it.

    Parameters
    ----------
    position, symbol
        Which.
    rule
        In force from now on; null from now on for none.
    by, note
        Who wanted it, and why.
    unit
        Price of one unit where the rule was stated in units of the model's volatility; null else.
    """

    at_ns: int
    position: int
    symbol: str
    rule: TrailingRule | None
    by: str
    note: str
    unit: float | None = None


class AccountRecord(msgspec.Struct, frozen=True, tag="account"):
    """The account that this journal is of from now on, by the broker's word.

    Parameters
    ----------
    account
        Its name there.
    new
        True if it replaces one that ended with its process: a simulated one. What was open there
        is no more, and deals are counted from the first again.
    """

    at_ns: int
    account: str
    new: bool = False


class DealRecord(msgspec.Struct, frozen=True, gc=False, tag="deal"):
    """A fill the broker reported."""

    at_ns: int
    deal: Deal


class ReconciliationRecord(msgspec.Struct, frozen=True, tag="reconciliation"):
    """Journal and broker were compared, and something is other than it was before.

    Parameters
    ----------
    compared
        True once they agreed on everything since the scorer's start; nothing is entered before.
    findings
        On what they differ now, at most the first thousand.
    """

    at_ns: int
    compared: bool
    findings: tuple[Finding, ...]


WrittenRecord = (
    ModelRecord
    | LimitsRecord
    | HaltRecord
    | DecisionRecord
    | ResultRecord
    | DealRecord
    | ReconciliationRecord
    | OperationRecord
    | ResolutionRecord
    | TrailRecord
    | AccountRecord
    | CircuitRecord
)
"""What this version writes."""
Record = WrittenRecord | FormerLimitsRecord
"""What it reads."""

_ENCODER = msgspec.json.Encoder(order="deterministic")
_DECODER: msgspec.json.Decoder[WrittenRecord] = msgspec.json.Decoder(WrittenRecord)
_FORMER_DECISION = msgspec.json.Decoder(FormerDecisionRecord)


def encode_record(record: Record) -> bytes:
    """Return the record's canonical bytes: the same record gives the same bytes."""
    return _ENCODER.encode(record)


def decode_record(raw: bytes) -> Record:
    """Return the record in `raw`, of this version or an earlier one.

    Raises
    ------
    JournalCorrupt
        If it is no record of this journal, with code ``RECORD_UNREADABLE``.
    """
    try:
        return _DECODER.decode(raw)
    except (msgspec.DecodeError, InvalidInput) as error:
        former = _decode_former(raw)
        if former is not None:
            return former
        raise JournalCorrupt(
            f"a journal record cannot be read: {error}",
            code="RECORD_UNREADABLE",
            remedy="Where the chain holds, another version of Sextant wrote it: read it with that "
            "version or a newer one. Else keep the file as evidence and find out who changed it.",
        ) from error


def _decode_former(raw: bytes) -> Record | None:
    """Return a record whose shape is that of an earlier version; None if it is not."""
    try:
        told: Any = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return None
    match told:
        case {"type": "limits", "limits": {}}:
            return read_former_limits(told)
        case {"type": "decision", "state": {}} if completed := complete_state(told["state"]):
            whole = {**told, "state": completed[0], "untold": completed[1]}
            try:
                return _FORMER_DECISION.decode(msgspec.json.encode(whole))
            except msgspec.ValidationError:
                return None
        case _:
            return None


def chain(previous: str, body: bytes) -> str:
    """Return the hash that seals `body` behind the record sealed by `previous`.

    Parameters
    ----------
    previous
        Hash of the record before, hexadecimal; `GENESIS` for the first.
    body
        Canonical bytes.
    """
    return hashlib.sha256(previous.encode("ascii") + body).hexdigest()
