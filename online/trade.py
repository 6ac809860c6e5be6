"""The story: features → signal → decision → risk → order. One code for live and backtest.

1. Gather the facts: the broker's word and the vector the online store holds.
2. Judge them (`online.domain.vector`, `online.domain.risk`), score the vector, decide
   (`online.domain.decision`), size (`online.domain.risk`), write the intent.
3. Journal the decision with every fact it rests on (`online.domain.record`). Durable before sent.
4. Send the intent, once. Journal what came back. A lost reply stays unknown until evidence.

Nothing here does I/O or reads a clock: the ports of `online.ports` are handed in.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from math import isfinite
from typing import Any, TypeVar, cast

import msgspec

from online.domain.account import Position
from online.domain.barriers import barrier_prices, deadline_ns
from online.domain.book import Book
from online.domain.closing import close_position
from online.domain.decision import Action, Decision, decide
from online.domain.errors import NotFound, SextantError, Unavailable
from online.domain.market import NANOSECONDS_PER_SECOND, Instrument, Side
from online.domain.order import Intent, OrderReply, OrderStatus, Purpose, make_magic
from online.domain.reasons import Reason, Veto
from online.domain.record import DealRecord, DecisionRecord, Record, Request, ResultRecord
from online.domain.risk import (
    Limits,
    RiskState,
    judge_entry,
    judge_quote,
    judge_state,
    size_entry,
)
from online.domain.signal import Signal, combine, is_distribution
from online.domain.vector import VectorReading, drop_non_finite, judge_reading
from online.ports import (
    Broker,
    Clock,
    FeatureReader,
    Journal,
    Model,
    Observation,
    keep_finite,
)

LIVE_ALIAS = "champion"
_MINUTE_NS, _DAY_MINUTES = 60 * NANOSECONDS_PER_SECOND, 1_440
_TIMES = tuple(f"T{minute // 60:02d}{minute % 60:02d}Z" for minute in range(_DAY_MINUTES))
_NOTHING_SEEN = Observation(None, None, None, ())
T = TypeVar("T")


@dataclass(slots=True)
class Desk:
    """Everything one trading account needs.

    Parameters
    ----------
    features, broker, journal, clock
        The ports.
    model
        The model that trades; swapped whole, never changed.
    limits
        In force; swapped whole, never changed.
    instruments
        By symbol.
    book
        The fold of the journal.
    strategy
        0 to 65535, the upper bits of every magic number.
    live
        True if orders reach a real account: then only a champion may send them.
    """

    features: FeatureReader
    broker: Broker
    journal: Journal
    clock: Clock
    model: Model
    limits: Limits
    instruments: Mapping[str, Instrument]
    book: Book
    strategy: int = 1
    live: bool = False


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """A decision and, if an order was sent, what came back."""

    record: DecisionRecord
    reply: OrderReply | None


class Facts(msgspec.Struct, frozen=True, gc=False):
    """What was known when a decision was taken; `judge` needs nothing else of the world."""

    now_ns: int
    reading: VectorReading | None
    observation: Observation
    state: RiskState
    troubles: tuple[Veto, ...]


async def consider(request: Request, desk: Desk) -> Outcome:
    """Decide about one bar, journal the decision and, if asked to, send its order.

    Raises
    ------
    NotFound
        If the model does not trade the symbol and timeframe asked for.
    JournalUnavailable
        If the decision cannot be recorded; then nothing is sent.
    """
    check_request(request, desk)
    model, limits, number = desk.model, desk.limits, desk.book.allocate()
    facts = await gather(request, desk, model)
    record = judge(request, facts, number, desk, model, limits)
    deals = desk.book.claim(facts.observation.deals)
    try:
        records: tuple[Record, ...] = (record,)
        if deals:
            records = (*(DealRecord(facts.now_ns, deal) for deal in deals), record)
        await append(desk, *records, durable=record.intent is not None and request.send)
    except Unavailable:
        desk.book.disclaim()
        raise
    if record.intent is None or not request.send:
        return Outcome(record, None)
    return Outcome(record, await send(record.intent, record.decision_id, desk))


def check_request(request: Request, desk: Desk) -> None:
    """Refuse a request about what the model does not trade.

    Raises
    ------
    NotFound
        With code ``UNKNOWN_SYMBOL`` or ``UNKNOWN_TIMEFRAME``.
    """
    manifest = desk.model.manifest
    if request.symbol != manifest.symbol or request.symbol not in desk.instruments:
        raise NotFound(
            f"symbol {request.symbol!r} has no model: {manifest.name} is loaded",
            code="UNKNOWN_SYMBOL",
        )
    if request.timeframe is not manifest.timeframe:
        raise NotFound(
            f"timeframe {request.timeframe} has no model: {manifest.name} is loaded",
            code="UNKNOWN_TIMEFRAME",
        )


async def gather(request: Request, desk: Desk, model: Model) -> Facts:
    """Ask the broker and the online store; what does not answer becomes a veto."""
    troubles: list[Veto] = []
    observation, reading = _NOTHING_SEEN, None
    try:
        told = await desk.broker.observe(request.symbol, desk.book.last_deal)
        observation, doubts = keep_finite(told)
        troubles += doubts
    except Unavailable as error:
        troubles.append(Veto(Reason.ACCOUNT_UNAVAILABLE, str(error)))
    try:
        held = await desk.features.read(request.symbol, model.manifest.vector)
        reading, lost = drop_non_finite(held, model.manifest.vector)
        troubles += lost
    except Unavailable as error:
        troubles.append(Veto(Reason.FEATURES_UNAVAILABLE, str(error)))
    now_ns = desk.clock.now_ns()
    state = desk.book.state(now_ns, desk.limits, observation.positions or ())
    return Facts(now_ns, reading, observation, state, tuple(troubles))


def judge(
    request: Request, facts: Facts, number: int, desk: Desk, model: Model, limits: Limits
) -> DecisionRecord:
    """Turn facts into a decision record, pure: the same facts give the same record."""
    manifest, seen = model.manifest, facts.observation
    instrument = desk.instruments[request.symbol]
    position = None
    for held in seen.positions or ():
        if held.symbol == request.symbol:
            position = held
            break
    vetoes = facts.troubles
    if facts.reading is not None:
        vetoes += judge_reading(
            facts.reading, manifest.vector, request.bar_closed_at_ns, facts.now_ns
        )
    signal, score_vetoes = score(facts.reading if not vetoes else None, model)
    vetoes += score_vetoes
    vetoes += judge_quote(seen.quote, instrument, limits, facts.now_ns)
    vetoes += judge_state(request.symbol, seen.account, seen.positions, facts.state, limits)
    if desk.live and model.alias != LIVE_ALIAS:
        detail = f"alias {model.alias!r}; live orders need {LIVE_ALIAS!r}"
        vetoes += (Veto(Reason.MODEL_NOT_APPROVED, detail),)

    intent = close_when_due(request, facts, number, desk, position)
    if intent is not None:
        decision = Decision(Action.CLOSE)
    else:
        decision = decide(signal, manifest.min_edge, position)
        if decision.action.side is not None and not vetoes:
            side = decision.action.side
            intent, vetoes = enter(side, request, facts, number, desk, model, limits)
        if vetoes:
            decision, intent = Decision(Action.HOLD, decision.reasons), None
    reading = facts.reading
    return DecisionRecord(
        decision_id=_decision_id(request, number),
        number=number,
        at_ns=facts.now_ns,
        request=request,
        model_sha256=model.sha256,
        features=None if reading is None else reading.values,
        view_stamps_ns=None if reading is None else reading.stamps_ns,
        quote=seen.quote,
        account=seen.account,
        positions=seen.positions,
        state=facts.state,
        signal=signal,
        decision=decision,
        vetoes=vetoes,
        intent=intent,
        window=None if reading is None else reading.window,
        window_stamp_ns=None if reading is None else reading.window_stamp_ns,
    )


def score(reading: VectorReading | None, model: Model) -> tuple[Signal | None, tuple[Veto, ...]]:
    """Return the model's signal for a reading that was judged sound, or why there is none."""
    if reading is None:
        return None, ()
    values = cast("tuple[float, ...]", reading.values)  # judged sound: none is missing
    outputs = model.score(values, reading.window)
    broken: tuple[Veto, ...] = ()
    for output in outputs:
        if not is_distribution(output.raw):
            detail = f"member {output.name} returned {output.raw}"
            broken += (Veto(Reason.NON_FINITE_SCORE, detail),)
    if broken:
        return None, broken
    manifest = model.manifest
    return combine(outputs, manifest.calibrations, manifest.weights), ()


def close_when_due(
    request: Request, facts: Facts, number: int, desk: Desk, position: Position | None
) -> Intent | None:
    """Return the order that closes a position whose time is out; None while it lives on.

    Closing needs no features and no model: it is allowed whenever there is a price, unless an
    earlier order of the symbol has an unknown fate.
    """
    quote = facts.observation.quote
    if position is None or quote is None or request.symbol in facts.state.unresolved:
        return None
    entry = desk.book.entry(position.magic)
    if entry is None or not entry.expires_at_ns or facts.now_ns < entry.expires_at_ns:
        return None
    intent_id = f"{_intent_id(request, Purpose.CLOSE)}-{number}"
    return close_position(position, quote, intent_id, f"sx-{number}")


def enter(
    side: Side,
    request: Request,
    facts: Facts,
    number: int,
    desk: Desk,
    model: Model,
    limits: Limits,
) -> tuple[Intent | None, tuple[Veto, ...]]:
    """Return the entry order with the label's barriers as its exits, or why it is refused."""
    seen, manifest = facts.observation, model.manifest
    quote, account, reading = seen.quote, seen.account, facts.reading
    if quote is None or account is None or reading is None or seen.positions is None:
        return None, (Veto(Reason.ACCOUNT_UNAVAILABLE, "a fact is missing"),)
    instrument = desk.instruments[request.symbol]
    unit = reading.values[manifest.vector.index(manifest.barriers.unit_feature)]
    if unit is None or not unit > 0.0:
        return None, (Veto(Reason.STOP_MISSING, f"the barriers' unit is {unit}"),)
    entry = quote.price_to_open(side)
    stop, target = barrier_prices(side, entry, unit, manifest.barriers, instrument.scale)
    intent = Intent(
        intent_id=_intent_id(request, Purpose.ENTRY),
        magic=make_magic(desk.strategy, number),
        comment=f"sx-{number}",
        purpose=Purpose.ENTRY,
        symbol=request.symbol,
        side=side,
        volume_lots=size_entry(account, entry, stop, instrument, limits),
        stop=stop,
        target=target,
        position=0,
        expires_at_ns=deadline_ns(quote.at_ns, manifest.barriers),
        quoted=entry,
    )
    if desk.book.knows(intent.intent_id):
        return None, (Veto(Reason.DUPLICATE_INTENT, intent.intent_id),)
    return intent, judge_entry(intent, quote, account, seen.positions, desk.instruments, limits)


async def send(intent: Intent, decision_id: str, desk: Desk) -> OrderReply:
    """Send a journaled intent and journal what came back; no reply is an unknown fate.

    Raises
    ------
    JournalUnavailable
        If the reply cannot be recorded; the order then counts as unresolved.
    """
    try:
        reply = await desk.broker.send(intent)
    except Unavailable as error:
        reply = _lost(str(error))
    if not (isfinite(reply.price) and isfinite(reply.volume_lots)):
        reply = _lost(f"the reply is not finite: {reply}")
    await append(desk, ResultRecord(decision_id, intent.intent_id, desk.clock.now_ns(), reply))
    return reply


async def resolve_pending(desk: Desk) -> tuple[Intent, ...]:
    """Look for evidence of every order without a known fate; return those still unresolved.

    Raises
    ------
    Unavailable
        If the broker does not answer.
    """
    for order in (*desk.book.orders.pending, *desk.book.orders.resting):
        intent = order.intent
        reply = await desk.broker.find(intent)
        if (
            reply is not None
            and reply != order.reply
            and desk.book.orders.allows(intent.intent_id, reply)
        ):
            decision_id = desk.book.decision_of(intent.intent_id)
            result = ResultRecord(decision_id, intent.intent_id, desk.clock.now_ns(), reply)
            await append(desk, result)
    return desk.book.pending


async def append(desk: Desk, *records: Record, durable: bool = True) -> None:
    """Journal records, then fold them into the book; before an order is sent, `durable`."""
    await desk.journal.append(*records, durable=durable)
    for record in records:
        desk.book.apply(record)


def run_to_completion(story: Coroutine[Any, Any, T]) -> T:
    """Run a story whose ports never wait, without an event loop.

    Raises
    ------
    SextantError
        If a port waits after all.
    """
    try:
        story.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]  # StopIteration.value is untyped
    story.close()
    raise SextantError("a port waited: run this story in an event loop")


def _lost(why: str) -> OrderReply:
    return OrderReply(OrderStatus.UNKNOWN, 0, 0, 0, 0, 0.0, 0.0, why)


@lru_cache(maxsize=64)
def _day_text(day: int) -> str:
    return f"{datetime.fromtimestamp(day * _DAY_MINUTES * 60, tz=UTC):%Y%m%d}"


def _bar_text(closed_at_ns: int) -> str:
    minute = closed_at_ns // _MINUTE_NS
    day = minute // _DAY_MINUTES
    return _day_text(day) + _TIMES[minute - day * _DAY_MINUTES]


def _decision_id(request: Request, number: int) -> str:
    bar = _bar_text(request.bar_closed_at_ns)
    return "-".join((request.symbol, request.timeframe, bar, str(number)))


def _intent_id(request: Request, purpose: Purpose) -> str:
    bar = _bar_text(request.bar_closed_at_ns)
    return f"{request.symbol}-{request.timeframe}-{bar}-{purpose}"
