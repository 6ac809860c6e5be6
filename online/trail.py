"""The trailing story: positions under a rule, and the stops that follow the market there."""

from __future__ import annotations

from online.domain.errors import Conflict, InvalidInput, NotFound, Unavailable
from online.domain.limits import Limits
from online.domain.market import Instrument, Quote
from online.domain.operation import Modify, Sight
from online.domain.record import TrailRecord
from online.domain.symbol_limits import SymbolBounds
from online.domain.trailing import BY, trail
from online.operate import Carried, Floor, Refusal, Wish, carry_out, find_instrument_of
from online.ports import keep_finite
from online.sending import append


async def put_under_trail(record: TrailRecord, floor: Floor) -> None:
    """Put a position under a trailing rule, or take it from under one.

    Raises
    ------
    NotFound
        If it is not open, or under no rule to be taken from.
    Conflict
        If the broker would never take a stop so near.
    """
    if record.rule is None:
        if record.position not in floor.book.trails:
            raise NotFound(f"position {record.position} is not trailed", code="NOT_TRAILED")
    else:
        instrument = find_instrument_of(record.symbol, floor)
        least = max(instrument.stops_level_points, 1) * instrument.point
        if record.rule.distance < least:
            raise Conflict(
                f"a stop must lie {least} from the price, the rule says {record.rule.distance}",
                code="STOP_TOO_CLOSE",
            )
    await append(floor, record)


async def move_stops(floor: Floor, limits: Limits) -> tuple[Carried, ...]:
    """Move the stops of all trailed positions that the market has left behind.

    A stop that the broker did not take is asked for again after its pause.

    Parameters
    ----------
    limits
        A quote that is older or wider than they let an entry be decided on moves nothing.
    """
    moved = []
    for record in tuple(floor.book.trails.values()):
        try:
            carried = await _move_stop(record, floor, limits)
        except (NotFound, InvalidInput, Conflict, Unavailable) as error:
            refusal = Refusal(error.code, str(error))
            carried = Carried("", Modify(record.position, 0.0, 0.0), None, refusal)
        if carried is not None:
            moved.append(carried)
    return tuple(moved)


async def _move_stop(record: TrailRecord, floor: Floor, limits: Limits) -> Carried | None:
    told, _ = keep_finite(await floor.broker.observe(record.symbol, floor.book.last_deal))
    sight = Sight(told.positions, told.orders, told.quote)
    try:
        held = sight.position(record.position)
    except NotFound:
        note = "the position is closed"
        ended = TrailRecord(floor.clock.now_ns(), record.position, record.symbol, None, BY, note)
        await append(floor, ended)
        return None
    instrument, quote = find_instrument_of(record.symbol, floor), sight.quote
    if record.rule is None or quote is None or floor.book.orders.in_flight(held.ticket):
        return None
    if not _is_sound(quote, instrument, floor.clock.now_ns(), limits.of(record.symbol)):
        return None
    stop = trail(held, quote, record.rule, instrument)
    if stop is None or not floor.book.pauses.are_over(record, floor.clock.now_ns()):
        return None
    operation = Modify(held.ticket, stop, held.target)
    name = f"trail-{held.ticket}-{floor.book.last_number + 1}"
    wish = Wish(name, operation, BY, f"put there by {record.by}")
    reply = await carry_out(wish, sight, floor)
    return Carried(name, operation, reply)


def _is_sound(quote: Quote, instrument: Instrument, now_ns: int, own: SymbolBounds) -> bool:
    spread_points = (quote.ask - quote.bid) * instrument.scale
    is_fresh = 0 <= now_ns - quote.at_ns <= own.max_quote_age_milliseconds * 1_000_000
    return is_fresh and spread_points <= own.max_spread_points + 1e-6
