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
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import msgspec

from online.domain.account import Position
from online.domain.barriers import barrier_prices, deadline_ns
from online.domain.book import Book
from online.domain.circumstances import is_weekend_near, judge_circumstances
from online.domain.closing import close_position
from online.domain.conversion import conversion_symbols, read_rates
from online.domain.decision import Action, Decision, decide
from online.domain.ensemble import speak, validate
from online.domain.errors import NotFound, SextantError, Unavailable
from online.domain.limits import Limits
from online.domain.market import Instrument, Side
from online.domain.naming import name_decision, name_intent
from online.domain.news import NO_NEWS, NewsCalendar, NewsEvent
from online.domain.order import Intent, OrderReply, Purpose, make_magic
from online.domain.reasons import Reason, Veto, features_reason
from online.domain.record import DealRecord, DecisionRecord, Request
from online.domain.risk import judge_order, size_entry
from online.domain.risk_facts import RiskFacts, RiskState
from online.domain.signal import Signal
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
from online.sending import append, send

LIVE_ALIAS = "champion"
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
    currency
        Of the account; tells which conversion pairs are asked for.
    news
        The calendar of events that forbid entries; swapped whole, never changed.
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
    currency: str = "USD"
    news: NewsCalendar = NO_NEWS
    _pairs: dict[str, tuple[str, ...]] = field(default_factory=dict, init=False)
    _paired: Limits | None = field(default=None, init=False)

    def pairs(self, symbol: str) -> tuple[str, ...]:
        """Return the conversion pairs that value a symbol and all that may be held with it."""
        if self._paired is not self.limits:
            self._pairs, self._paired = {}, self.limits
        found = self._pairs.get(symbol)
        if found is None:
            traded = (symbol, *self.limits.allowed_symbols)
            known = [self.instruments[name] for name in traded if name in self.instruments]
            found = conversion_symbols(known, self.currency, self.instruments)
            self._pairs[symbol] = found
        return found


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
    news: tuple[NewsEvent, ...] | None
    troubles: tuple[Veto, ...]

    def for_risk(self, request: Request, model: Model) -> RiskFacts:
        """Return what of them the risk rules judge."""
        seen, manifest = self.observation, model.manifest
        unit = None
        if self.reading is not None:
            unit = self.reading.values[manifest.vector.index(manifest.barriers.unit_feature)]
        return RiskFacts(  # by place, which is quicker: this is built for every decision
            self.now_ns,
            seen.told_at_ns,
            request.bar_closed_at_ns,
            manifest.name,
            model.sha256,
            unit,
            seen.quote,
            seen.account,
            seen.positions,
            seen.orders,
            seen.rates,
            self.news,
            self.state,
        )


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
    facts = await gather(request, desk, model, limits)
    record = judge(request, facts, number, desk, model, limits)
    deals = desk.book.claim(facts.observation.deals) if facts.observation.deals else ()
    try:
        told = [DealRecord(facts.now_ns, deal) for deal in deals] if deals else ()
        await append(desk, *told, record, durable=record.intent is not None and request.send)
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


async def gather(request: Request, desk: Desk, model: Model, limits: Limits) -> Facts:
    """Ask the broker and the online store; what does not answer becomes a veto."""
    troubles: list[Veto] = []
    observation, reading, symbol = _NOTHING_SEEN, None, request.symbol
    contract = model.manifest.vector
    try:
        told = await desk.broker.observe(symbol, desk.book.last_deal, desk.pairs(symbol))
        observation, doubts = keep_finite(told)
        troubles += doubts
    except Unavailable as error:
        troubles.append(Veto(Reason.ACCOUNT_UNAVAILABLE, str(error)))
    try:
        held = await desk.features.read(symbol, contract)
        reading, lost = drop_non_finite(held, contract)
        troubles += lost
    except Unavailable as error:
        troubles.append(Veto(features_reason(error), str(error)))
    now_ns = desk.clock.now_ns()
    state = desk.book.state(
        symbol,
        now_ns,
        limits,
        observation.positions or (),
        observation.quote,
        observation.deals,
    )
    news = desk.news.in_force(desk.instruments[symbol], now_ns)
    return Facts(now_ns, reading, observation, state, news, tuple(troubles))


def judge(
    request: Request, facts: Facts, number: int, desk: Desk, model: Model, limits: Limits
) -> DecisionRecord:
    """Turn facts into a decision record, pure: the same facts give the same record."""
    manifest, seen = model.manifest, facts.observation
    instrument = desk.instruments[request.symbol]
    position = None
    for held in seen.positions or ():
        if held.symbol == request.symbol:
            if desk.book.entry(held.magic) is not None:  # a stranger's hides none of ours
                position = held
                break
            position = position or held
    vetoes = facts.troubles
    if facts.reading is not None:
        vetoes += judge_reading(
            facts.reading, manifest.vector, request.bar_closed_at_ns, facts.now_ns
        )
    signal, score_vetoes = score(facts.reading if not vetoes else None, model)
    vetoes += score_vetoes
    risk = facts.for_risk(request, model)
    vetoes += judge_circumstances(instrument, risk, limits)
    if desk.live and model.alias != LIVE_ALIAS:
        detail = f"alias {model.alias!r}; live orders need {LIVE_ALIAS!r}"
        vetoes += (Veto(Reason.MODEL_NOT_APPROVED, detail),)

    intent = close_when_due(request, facts, number, desk, position, limits)
    refusals = () if intent is None else judge_order(intent, risk, desk.instruments, limits)
    if intent is not None and not refusals:
        decision = Decision(Action.CLOSE)
    else:
        intent = None
        vetoes += tuple([veto for veto in refusals if veto not in vetoes])
        decision = decide(signal, manifest.min_edge, position)
        if not vetoes and (side := decision.action.side) is not None:
            intent, vetoes = enter(side, request, risk, number, desk, model, limits)
        if vetoes:
            decision, intent = Decision(Action.HOLD, decision.reasons), None
    reading = facts.reading
    return DecisionRecord(  # by place, which is quicker
        name_decision(request, number),
        number,
        facts.now_ns,
        request,
        model.sha256,
        None if reading is None else reading.values,
        None if reading is None else reading.stamps_ns,
        seen.quote,
        seen.account,
        seen.positions,
        facts.state,
        signal,
        decision,
        vetoes,
        intent,
        None if reading is None else reading.window,
        None if reading is None else reading.window_stamp_ns,
        seen.told_at_ns,
        seen.rates,
        facts.news,
        seen.orders,
    )


def score(reading: VectorReading | None, model: Model) -> tuple[Signal | None, tuple[Veto, ...]]:
    """Return the model's signal for a reading that was judged sound, or why there is none."""
    if reading is None:
        return None, ()
    values = cast("tuple[float, ...]", reading.values)  # judged sound: none is missing
    outputs = model.score(values, reading.window)
    manifest = model.manifest
    signal, vetoes = speak(outputs, manifest)
    if signal is None or manifest.validators is None:
        return signal, vetoes
    return validate(signal, values, manifest)


def close_when_due(
    request: Request,
    facts: Facts,
    number: int,
    desk: Desk,
    position: Position | None,
    limits: Limits,
) -> Intent | None:
    """Return the order that closes a position whose time is out; None while it lives on.

    Its time is out at its deadline, and where the limits say so, before the weekend. Closing needs
    no features and no model: it is asked for whenever there is a price, unless an earlier order of
    the symbol has an unknown fate.
    """
    quote = facts.observation.quote
    if position is None or quote is None or request.symbol in facts.state.unresolved:
        return None
    entry, now_ns = desk.book.orders.entry(position.magic), facts.now_ns
    early_hours = limits.flatten_before_weekend_hours
    weekend = early_hours > 0.0 and is_weekend_near(
        desk.instruments[request.symbol], now_ns, early_hours
    )
    timed_out = entry is not None and 0 < entry.expires_at_ns <= now_ns
    if entry is None or not (timed_out or weekend):
        return None
    intent_id = f"{name_intent(request, Purpose.CLOSE)}-{number}"
    return close_position(position, quote, intent_id, f"sx-{number}")


def enter(
    side: Side,
    request: Request,
    risk: RiskFacts,
    number: int,
    desk: Desk,
    model: Model,
    limits: Limits,
) -> tuple[Intent | None, tuple[Veto, ...]]:
    """Return the entry order with the label's barriers as its exits, or why it is refused."""
    manifest, quote, account, unit = model.manifest, risk.quote, risk.account, risk.unit
    if quote is None or account is None or risk.positions is None:
        return None, (Veto(Reason.ACCOUNT_UNAVAILABLE, "a fact is missing"),)
    instrument = desk.instruments[request.symbol]
    if unit is None or not unit > 0.0:
        return None, (Veto(Reason.STOP_MISSING, f"the barriers' unit is {unit}"),)
    max_age = limits.max_rate_age_milliseconds
    rates = read_rates(risk.rates, desk.instruments, max_age, risk.now_ns)
    entry = quote.price_to_open(side)
    stop, target = barrier_prices(side, entry, unit, manifest.barriers, instrument.scale)
    intent = Intent(
        intent_id=name_intent(request, Purpose.ENTRY),
        magic=make_magic(desk.strategy, number),
        comment=f"sx-{number}",
        purpose=Purpose.ENTRY,
        symbol=request.symbol,
        side=side,
        volume_lots=size_entry(account, entry, stop, instrument, limits, rates),
        stop=stop,
        target=target,
        position=0,
        expires_at_ns=deadline_ns(quote.at_ns, manifest.barriers),
        quoted=entry,
    )
    if desk.book.knows(intent.intent_id):
        return None, (Veto(Reason.DUPLICATE_INTENT, intent.intent_id),)
    return intent, judge_order(intent, risk, desk.instruments, limits)


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
