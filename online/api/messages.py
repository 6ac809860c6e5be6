"""Messages: what the API reads and answers, as typed structs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, TypeVar

import msgspec

from online.api.problem import HttpError
from online.domain.account import Account, Position
from online.domain.decision import Action
from online.domain.errors import InvalidInput
from online.domain.market import Quote, Timeframe
from online.domain.order import Intent, OrderReply
from online.domain.reasons import Veto
from online.domain.reconciliation import Finding
from online.domain.record import Request
from online.domain.signal import Probabilities
from online.simulator.bars import BidAskBar
from online.trade import Outcome

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_YEAR = 2200
_MICROSECOND = timedelta(microseconds=1)
T = TypeVar("T")

Instant = Annotated[datetime, msgspec.Meta(tz=True, description="RFC 3339 with a zone.")]


class BarRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The bar to decide about: symbol, timeframe and the end of its interval."""

    symbol: Annotated[str, msgspec.Meta(max_length=32)]
    timeframe: Annotated[str, msgspec.Meta(max_length=8)]
    bar_closed_at: Instant

    def to_request(self, *, send: bool) -> Request:
        """Return the core's request.

        Raises
        ------
        NotFound
            With code ``UNKNOWN_TIMEFRAME``.
        InvalidInput
            With code ``BAR_OUT_OF_RANGE`` if the bar lies before 1970 or after 2200.
        """
        timeframe = Timeframe.parse(self.timeframe)
        at = self.bar_closed_at
        if not _EPOCH.year < at.year < _LAST_YEAR:
            raise InvalidInput(
                f"bar_closed_at must lie within 1971..{_LAST_YEAR}, got {at.isoformat()}",
                code="BAR_OUT_OF_RANGE",
            )
        closed_at_ns = (at - _EPOCH) // _MICROSECOND * 1000
        return Request(self.symbol, timeframe, closed_at_ns, send)


class MarketStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A step of the simulated market: a bar ends, or the next one opens, or both."""

    symbol: str
    finished: BidAskBar | None = None
    upcoming: BidAskBar | None = None


class DecisionAnswer(msgspec.Struct, frozen=True, gc=False):
    """A decision and, if an order was sent, what came back.

    The whole record, with every fact it rests on, is at ``/v1/decisions/{decision_id}``.
    """

    decision_id: str
    symbol: str
    timeframe: Timeframe
    bar_closed_at_ns: int
    at_ns: int
    action: Action
    reasons: tuple[Veto, ...]
    vetoes: tuple[Veto, ...]
    probabilities: Probabilities | None
    edge: float | None
    confidence: float | None
    intent: Intent | None
    reply: OrderReply | None
    model_sha256: str


class PositionsAnswer(msgspec.Struct, frozen=True):
    """The account as the broker tells it, and orders whose fate is unknown."""

    quote: Quote | None
    account: Account | None
    positions: tuple[Position, ...] | None
    unresolved: tuple[Intent, ...]
    halted: str


class ReconciliationAnswer(msgspec.Struct, frozen=True):
    """Whether journal and broker agree, on what they differ, and when they were last compared.

    `accepted` are differences that an operator has accepted by resuming; instants are nanoseconds
    UTC by the scorer's clock, 0 before the first comparison.
    """

    agreed: bool
    detail: str
    trouble: str
    findings: tuple[Finding, ...]
    accepted: tuple[Finding, ...]
    positions_compared_at_ns: int
    all_compared_at_ns: int
    rounds: int


class ModelAnswer(msgspec.Struct, frozen=True):
    """The model that trades, how it was verified, and the features it reads."""

    name: str
    alias: str
    version: str
    sha256: str
    origin: str
    bit_equal: bool
    n_golden: int
    runtime: str
    policy: str = ""
    approver: str = ""
    features: tuple[str, ...] = ()


class MarketAnswer(msgspec.Struct, frozen=True):
    """Where the simulated market stands."""

    quote: Quote | None
    now_ns: int


class PartState(msgspec.Struct, frozen=True):
    """Whether a part of the scorer is ready, and why not."""

    ready: bool
    code: str
    detail: str


class Readiness(msgspec.Struct, frozen=True):
    """Whether the scorer can decide and send; every part with its reason."""

    ready: bool
    mode: str
    halted: str
    parts: dict[str, PartState]


class Liveness(msgspec.Struct, frozen=True):
    """The process answers."""

    status: str = "alive"


def decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Return the message in a request's body.

    Raises
    ------
    HttpError
        400 with code ``MALFORMED_JSON`` or ``INVALID_FIELD``.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise HttpError(
            400,
            f"a field is wrong: {error}",
            code="INVALID_FIELD",
            remedy="Send exactly the fields that /docs lists; times carry a zone.",
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise HttpError(
            400,
            f"the body is not JSON: {error}",
            code="MALFORMED_JSON",
            remedy="Send one JSON object; NaN and Infinity are not JSON.",
        ) from error


def answer_decision(outcome: Outcome) -> DecisionAnswer:
    """Return what is answered to a decide or trade request."""
    record, signal = outcome.record, outcome.record.signal
    return DecisionAnswer(
        record.decision_id,
        record.request.symbol,
        record.request.timeframe,
        record.request.bar_closed_at_ns,
        record.at_ns,
        record.decision.action,
        record.decision.reasons,
        record.vetoes,
        None if signal is None else signal.probabilities,
        None if signal is None else signal.edge,
        None if signal is None else signal.confidence,
        record.intent,
        outcome.reply,
        record.model_sha256,
    )
