"""What every broker must do when a position is changed, closed in part or an order taken back."""

from __future__ import annotations

from online.domain.account import Position, RestingOrder
from online.domain.closing import cancel_order, close_position
from online.domain.market import Quote
from online.domain.order import Intent, OrderKind, OrderStatus, Purpose
from tests.brokers import Standing, run

QUOTE = Quote("EURUSD", 1.1, 1.1002, 0)


def held(desk: Standing) -> Position:
    (position,) = desk.observe().positions or ()
    return position


def resting(desk: Standing) -> tuple[RestingOrder, ...]:
    orders = desk.observe().orders
    assert orders is not None
    return orders


def change(
    desk: Standing, number: int, position: Position, stop: float, target: float = 1.12
) -> Intent:
    return desk.entry(
        number,
        volume_lots=0.0,
        purpose=Purpose.MODIFY,
        stop=stop,
        target=target,
        position=position.ticket,
        magic=position.magic,
    )


def part(desk: Standing, number: int, position: Position, volume_lots: float) -> Intent:
    marks = f"part-{desk.first + number}", f"sx-{desk.first + number}"
    return close_position(position, QUOTE, *marks, volume_lots=volume_lots)


def limit(desk: Standing, number: int, price: float = 1.095) -> Intent:
    return desk.entry(number, kind=OrderKind.LIMIT, price=price, quoted=price)


def marks(desk: Standing) -> tuple[str, str]:
    return f"cancel-{desk.first}", f"sx-{desk.first + 2}"


def test_modified_position_has_its_new_exits_and_they_prove_the_change(desk: Standing) -> None:
    desk.send(desk.entry(1))
    moved = change(desk, 2, held(desk), 1.095, 1.13)
    assert desk.fate(moved) is None
    assert desk.send(moved).status is OrderStatus.DONE
    assert (held(desk).stop, held(desk).target) == (1.095, 1.13)
    assert desk.fate(moved) is OrderStatus.DONE
    again = change(desk, 3, held(desk), 1.095, 1.13)
    assert desk.send(again).status is OrderStatus.DONE  # it has these exits: nothing to change


def test_stop_on_the_wrong_side_is_refused_and_the_old_one_stays(desk: Standing) -> None:
    desk.send(desk.entry(1))
    reply = desk.send(change(desk, 2, held(desk), 1.11))
    assert (reply.status, reply.retcode) == (OrderStatus.REJECTED, 10016)
    assert held(desk).stop == 1.09
    assert desk.fate(change(desk, 2, held(desk), 1.11)) in {None, OrderStatus.REJECTED}


def test_change_of_a_position_that_has_closed_ends_as_cancelled(desk: Standing) -> None:
    desk.send(desk.entry(1))
    position = held(desk)
    desk.send(part(desk, 2, position, 0.1))
    reply = desk.send(change(desk, 3, position, 1.095))
    assert (reply.status, reply.retcode) == (OrderStatus.REJECTED, 10036)
    ended = {OrderStatus.CANCELLED, OrderStatus.REJECTED}
    assert desk.fate(change(desk, 3, position, 1.095)) in ended


def test_position_closed_in_part_keeps_the_rest_and_each_part_has_its_own_proof(
    desk: Standing,
) -> None:
    desk.send(desk.entry(1))
    position = held(desk)
    first, second = part(desk, 2, position, 0.04), part(desk, 3, position, 0.05)
    closed = desk.send(first)
    assert (closed.status, closed.volume_lots) == (OrderStatus.FILLED, 0.04)
    assert (held(desk).volume_lots, held(desk).stop) == (0.06, 1.09)
    assert desk.fate(first) is OrderStatus.FILLED
    assert desk.fate(second) is None
    desk.send(second)
    found = run(desk.broker.find(second))
    assert found is not None
    assert (found.status, found.volume_lots, found.position) == (
        *(OrderStatus.FILLED, 0.05),
        position.ticket,
    )
    assert held(desk).volume_lots == 0.01


def test_more_than_is_held_is_never_closed(desk: Standing) -> None:
    desk.send(desk.entry(1))
    reply = desk.send(part(desk, 2, held(desk), 0.2))
    assert (reply.status, reply.retcode) == (OrderStatus.REJECTED, 10038)
    assert held(desk).volume_lots == 0.1


def test_limit_entry_rests_until_the_market_reaches_it_then_is_a_position_with_exits(
    desk: Standing,
) -> None:
    order = limit(desk, 1)
    reply = desk.send(order)
    assert reply.status is OrderStatus.ACCEPTED
    (seen,) = resting(desk)
    assert (seen.ticket, seen.magic, seen.kind) == (reply.order, order.magic, "limit")
    assert (seen.price, seen.stop, seen.volume_lots) == (1.095, 1.09, 0.1)
    assert desk.fate(order) is OrderStatus.ACCEPTED
    desk.quote(1.0948, 1.095)
    assert resting(desk) == ()
    assert (held(desk).magic, held(desk).stop) == (order.magic, 1.09)
    assert desk.fate(order) is OrderStatus.FILLED


def test_cancelled_order_rests_no_more_and_both_fates_are_told(desk: Standing) -> None:
    order = limit(desk, 1)
    desk.send(order)
    cancel = cancel_order(resting(desk)[0], *marks(desk))
    assert desk.fate(cancel) is None
    assert desk.send(cancel).status is OrderStatus.DONE
    assert resting(desk) == ()
    assert desk.fate(cancel) is OrderStatus.DONE
    assert desk.fate(order) is OrderStatus.CANCELLED


def test_cancel_of_what_was_filled_before_changes_nothing(desk: Standing) -> None:
    desk.send(limit(desk, 1))
    cancel = cancel_order(resting(desk)[0], *marks(desk))
    desk.quote(1.0948, 1.095)
    assert desk.send(cancel).status is OrderStatus.REJECTED
    assert held(desk).volume_lots == 0.1
    assert desk.fate(cancel) is OrderStatus.REJECTED
