"""The story: features → signal → decision → risk → order. One code for live and backtest.

1. Gather the facts: the broker's word and the vector the online store holds.
2. Judge them (`online.domain.vector`, `online.domain.risk`), score the vector, decide
   (`online.domain.decision`), size (`online.domain.sizing`), write the intent.
3. Journal the decision with every fact it rests on (`online.domain.record`). Durable before sent.
4. Send the intent, once. Journal what came back. A lost reply stays unknown until evidence.

Nothing here does I/O or reads a clock: the ports of `online.ports` are handed in.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from online.domain.account import Deal, Position
from online.domain.barriers import barrier_prices, deadline_ns
from online.domain.book import Book
from online.domain.circumstances import judge_circumstances
from online.domain.closing import close_position
from online.domain.conversion import conversion_symbols, read_rates
from online.domain.decision import HOLD, Action, Decision, decide
from online.domain.ensemble import speak, validate
from online.domain.errors import NotFound, SextantError, Unavailable
from online.domain.limits import Limits
from online.domain.market import Instrument, Side
from online.domain.naming import name_decision, name_intent
from online.domain.news import NO_NEWS, NewsCalendar
from online.domain.order import CLOSE, ENTRY, Intent, OrderReply, make_magic
from online.domain.reasons import Reason, Veto, features_reason
from online.domain.record import DealRecord, DecisionRecord, Request
from online.domain.risk import judge_order
from online.domain.risk_facts import RiskFacts
from online.domain.signal import Signal
from online.domain.sizing import Sizing, size_entry
from online.domain.trading_hours import is_weekend_near
from online.domain.vector import VectorReading, drop_non_finite, judge_reading
from online.ports import Broker, Clock, FeatureReader, Journal, Model, Observation, keep_finite
from online.sending import append, send

LIVE_ALIAS = "champion"
_TIME_IS_OUT = Decision(Action.CLOSE)
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
    seen
        What the broker told last, as far as it was finite.
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
    seen: Observation = field(default=_NOTHING_SEEN, init=False)
    _pairs: dict[str, tuple[str, ...]] = field(default_factory=dict, init=False)
    _paired: Limits | None = field(default=None, init=False)

    def pairs(self, symbol: str) -> tuple[str, ...]:
        """Return the conversion pairs that value a symbol and all that may be held with it."""
        if self._paired is not self.limits:
            self._pairs, self._paired = {}, self.limits
        found = self._pairs.get(symbol)
        if found is None:
            found = self._pairs[symbol] = self._find_pairs(symbol)
        return found

    def _find_pairs(self, symbol: str) -> tuple[str, ...]:
        traded = (symbol, *self.limits.allowed_symbols)
        known = [self.instruments[name] for name in traded if name in self.instruments]
        return conversion_symbols(known, self.currency, self.instruments)


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """A decision and, if an order was sent, what came back."""

    record: DecisionRecord
    reply: OrderReply | None


class Facts(msgspec.Struct, frozen=True, gc=False):
    """What was known when a decision was taken; `judge` needs nothing else of the world.

    Parameters
    ----------
    risk
        What the risk rules judge.
    reading
        The vector as the store held it; None where it did not answer.
    deals
        Told by the broker and not on record yet.
    troubles
        What did not answer, and what the broker told that is not finite.
    """

    risk: RiskFacts
    reading: VectorReading | None
    deals: tuple[Deal, ...]
    troubles: tuple[Veto, ...]


async def consider(request: Request, desk: Desk) -> Outcome:
    """Decide about one bar, journal the decision and, if asked to, send its order.

    Raises
    ------
    NotFound
        If the model does not trade the symbol and timeframe asked for.
    JournalUnavailable
        If the decision cannot be recorded; then nothing is sent.
    OrderInDoubt
        If the order was sent and its reply cannot be recorded.
    """
    check_request(request, desk)
    model, limits, number = desk.model, desk.limits, desk.book.allocate()
    facts = await gather(request, desk, model, limits)
    record = judge(request, facts, number, desk, model, limits)
    intent = record.intent if request.send else None
    deals = desk.book.claim(facts.deals) if facts.deals else ()
    try:
        if deals:
            told = tell_deals(deals, record.at_ns)
            await append(desk, *told, record, durable=intent is not None)
        else:  # mostly: the same for one record, without another story
            await desk.journal.append(record, durable=intent is not None)
            desk.book.apply(record)
    except Unavailable:
        desk.book.disclaim()
        raise
    reply = None if intent is None else await send(intent, record.decision_id, desk)
    return Outcome(record, reply)


def tell_deals(deals: tuple[Deal, ...], at_ns: int) -> tuple[DealRecord, ...]:
    """Return the records of deals that the broker told."""
    return tuple([DealRecord(at_ns, deal) for deal in deals])


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
    troubles: tuple[Veto, ...] = ()
    seen, reading, unit = _NOTHING_SEEN, None, None
    symbol, manifest, book = request.symbol, model.manifest, desk.book
    try:
        told = await desk.broker.observe(symbol, book.last_deal, desk.pairs(symbol))
        seen, troubles = keep_finite(told, desk.seen)
        desk.seen = seen
    except Unavailable as error:
        troubles = (Veto(Reason.ACCOUNT_UNAVAILABLE, str(error)),)
    try:
        reading = await desk.features.read(symbol, manifest.vector)
        unit = reading.finite(manifest.unit_place)
    except Unavailable as error:
        troubles += (Veto(features_reason(error), str(error)),)
    now_ns, deals = desk.clock.now_ns(), seen.deals
    risk = RiskFacts(  # by place, which is quicker: this is built for every decision
        now_ns,
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
        desk.news.in_force(desk.instruments[symbol], now_ns),
        book.state(symbol, now_ns, limits, seen.positions or (), seen.quote, deals),
    )
    return Facts(risk, reading, deals, troubles)


def judge(
    request: Request, facts: Facts, number: int, desk: Desk, model: Model, limits: Limits
) -> DecisionRecord:
    """Turn facts into a decision record, pure: the same facts give the same record."""
    manifest, risk, reading = model.manifest, facts.risk, facts.reading
    vetoes = facts.troubles
    if reading is not None:
        lacks = judge_reading(reading, manifest.vector, request.bar_closed_at_ns, risk.now_ns)
        if lacks:
            vetoes, reading = vetoes + lacks, drop_non_finite(reading)
    signal, score_vetoes = score(None if vetoes else reading, model)
    vetoes += score_vetoes
    vetoes += judge_circumstances(desk.instruments[request.symbol], risk, limits)
    if desk.live and model.alias != LIVE_ALIAS:
        detail = f"alias {model.alias!r}; live orders need {LIVE_ALIAS!r}"
        vetoes += (Veto(Reason.MODEL_NOT_APPROVED, detail),)

    position = find_position(request.symbol, risk.positions, desk.book) if risk.positions else None
    intent = sizing = None
    refusals: tuple[Veto, ...] = ()
    if position is not None:
        intent = close_when_due(request, risk, number, desk, position, limits)
        if intent is not None:
            refusals = judge_order(intent, risk, desk.instruments, limits)
    if intent is not None and not refusals:
        decision = _TIME_IS_OUT
    else:
        intent = None
        if refusals:
            vetoes += without(refusals, vetoes)
        decision = decide(signal, manifest.min_edge, position)
        side = None if vetoes or decision.action is HOLD else decision.action.side
        if side is not None:
            intent, sizing, vetoes = enter(side, request, risk, number, desk, model, limits)
        if vetoes:
            decision, intent = Decision(HOLD, decision.reasons), None
    return DecisionRecord(  # by place, which is quicker
        name_decision(request, number),
        number,
        risk.now_ns,
        request,
        model.sha256,
        None if reading is None else reading.values,
        None if reading is None else reading.stamps_ns,
        risk.quote,
        risk.account,
        risk.positions,
        risk.state,
        signal,
        decision,
        vetoes,
        intent,
        None if reading is None else reading.window,
        None if reading is None else reading.window_stamp_ns,
        risk.told_at_ns,
        risk.rates,
        risk.news,
        risk.orders,
        sizing,
    )


def without(refusals: tuple[Veto, ...], vetoes: tuple[Veto, ...]) -> tuple[Veto, ...]:
    """Return the refusals that are not among the vetoes."""
    return tuple([veto for veto in refusals if veto not in vetoes])


def find_position(symbol: str, positions: tuple[Position, ...], book: Book) -> Position | None:
    """Return the first position of a symbol that is ours, else the first that is not."""
    found = None
    for held in positions:
        if held.symbol == symbol:
            if book.orders.entry(held.magic) is not None:  # a stranger's hides none of ours
                return held
            found = found or held
    return found


def score(reading: VectorReading | None, model: Model) -> tuple[Signal | None, tuple[Veto, ...]]:
    """Return the model's signal for a reading that was judged sound, or why there is none."""
    if reading is None:
        return None, ()
    values: tuple[float, ...] = reading.values  # type: ignore[assignment]  # sound: none is missing
    manifest = model.manifest
    signal, vetoes = speak(model.score(values, reading.window), manifest)
    if signal is None or manifest.validators is None:
        return signal, vetoes
    return validate(signal, values, manifest)


def close_when_due(
    request: Request,
    risk: RiskFacts,
    number: int,
    desk: Desk,
    position: Position,
    limits: Limits,
) -> Intent | None:
    """Return the order that closes a position whose time is out; None while it lives on.

    Its time is out at its deadline, and where the limits say so, before the weekend. Closing needs
    no features and no model: it is asked for whenever there is a price, unless an earlier order of
    the symbol has an unknown fate.
    """
    quote, entry = risk.quote, desk.book.orders.entry(position.magic)
    if entry is None or quote is None or request.symbol in risk.state.unresolved:
        return None
    if not 0 < entry.expires_at_ns <= risk.now_ns:
        early_hours = limits.flatten_before_weekend_hours
        if not early_hours:
            return None
        if not is_weekend_near(desk.instruments[request.symbol].hours, risk.now_ns, early_hours):
            return None
    intent_id = f"{name_intent(request, CLOSE)}-{number}"
    return close_position(position, quote, intent_id, f"sx-{number}")


def enter(
    side: Side,
    request: Request,
    risk: RiskFacts,
    number: int,
    desk: Desk,
    model: Model,
    limits: Limits,
) -> tuple[Intent | None, Sizing | None, tuple[Veto, ...]]:
    """Return the entry with the label's barriers as its exits and its size, and what refuses it."""
    manifest, quote, account, unit = model.manifest, risk.quote, risk.account, risk.unit
    if quote is None or account is None or risk.positions is None:
        return None, None, (Veto(Reason.ACCOUNT_UNAVAILABLE, "a fact is missing"),)
    instrument = desk.instruments[request.symbol]
    if unit is None or not unit > 0.0:
        return None, None, (Veto(Reason.STOP_MISSING, f"the barriers' unit is {unit}"),)
    rates = read_rates(risk.rates, desk.instruments, limits.max_rate_age_milliseconds, risk.now_ns)
    entry = quote.price_to_open(side)
    stop, target = barrier_prices(side, entry, unit, manifest.barriers, instrument.scale)
    sizing = size_entry(account, entry, stop, instrument, limits, rates)
    intent = Intent(
        intent_id=name_intent(request, ENTRY),
        magic=make_magic(desk.strategy, number),
        comment=f"sx-{number}",
        purpose=ENTRY,
        symbol=request.symbol,
        side=side,
        volume_lots=0.0 if sizing is None else sizing.volume_lots,
        stop=stop,
        target=target,
        position=0,
        expires_at_ns=deadline_ns(quote.at_ns, manifest.barriers),
        quoted=entry,
    )
    if desk.book.knows(intent.intent_id):
        return None, sizing, (Veto(Reason.DUPLICATE_INTENT, intent.intent_id),)
    return intent, sizing, judge_order(intent, risk, desk.instruments, limits)


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
