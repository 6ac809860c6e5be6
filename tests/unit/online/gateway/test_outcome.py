from __future__ import annotations

import pytest

from online.domain.order import OrderKind, OrderStatus, Purpose
from online.domain.order_path import follow
from online.domain.order_state import Sending
from online.gateway.outcome import judge_answer
from online.simulator import constants as mt5
from online.simulator.trade_tuples import OrderSendResult
from tests.gateway_world import closing, entry

pytestmark = pytest.mark.lean

RETCODES = {
    name: value
    for name, value in vars(mt5).items()
    if name.startswith("TRADE_RETCODE_") and isinstance(value, int)
}
UNKNOWN = {
    mt5.TRADE_RETCODE_PLACED,
    mt5.TRADE_RETCODE_ERROR,
    mt5.TRADE_RETCODE_TIMEOUT,
    mt5.TRADE_RETCODE_ORDER_CHANGED,
    mt5.TRADE_RETCODE_LOCKED,
    mt5.TRADE_RETCODE_CONNECTION,
    mt5.TRADE_RETCODE_REJECT_CANCEL,
}


@pytest.mark.parametrize("name", RETCODES)
def test_every_return_code_has_one_meaning(name: str) -> None:
    code = RETCODES[name]
    expected = {
        mt5.TRADE_RETCODE_DONE: OrderStatus.FILLED,
        mt5.TRADE_RETCODE_DONE_PARTIAL: OrderStatus.PARTIAL,
        **dict.fromkeys(UNKNOWN, OrderStatus.UNKNOWN),
    }.get(code, OrderStatus.REJECTED)
    assert judge_answer(OrderSendResult(retcode=code), (1, "Success")).status is expected


def test_return_code_that_nobody_knows_leaves_the_order_unknown() -> None:
    answer = OrderSendResult(retcode=10999)
    assert judge_answer(answer, (1, "Success")).status is OrderStatus.UNKNOWN


LAST_ERRORS = [
    (-1, OrderStatus.UNKNOWN, False),
    (-2, OrderStatus.NOT_SENT, False),
    (-3, OrderStatus.UNKNOWN, False),
    (-4, OrderStatus.NOT_SENT, False),
    (-5, OrderStatus.NOT_SENT, False),
    (-6, OrderStatus.NOT_SENT, False),
    (-7, OrderStatus.NOT_SENT, False),
    (-8, OrderStatus.NOT_SENT, False),
    (-10000, OrderStatus.UNKNOWN, True),
    (-10001, OrderStatus.UNKNOWN, True),
    (-10002, OrderStatus.UNKNOWN, True),
    (-10003, OrderStatus.NOT_SENT, False),
    (-10004, OrderStatus.NOT_SENT, True),
    (-10005, OrderStatus.UNKNOWN, False),
    (1, OrderStatus.UNKNOWN, False),
]


@pytest.mark.parametrize(("code", "status", "reconnects"), LAST_ERRORS)
def test_every_last_error_after_none_has_one_meaning(
    code: int, status: OrderStatus, *, reconnects: bool
) -> None:
    outcome = judge_answer(None, (code, "words"))
    assert (outcome.status, outcome.reconnect) == (status, reconnects)


SENT = {
    "market": entry(1),
    "limit": entry(1, kind=OrderKind.LIMIT, price=1.09),
    "close": closing(2, entry(1), 7),
    "modify": entry(3, purpose=Purpose.MODIFY, position=7),
    "cancel": entry(4, purpose=Purpose.CANCEL, order=9),
}
CLAIMS = {
    "market": {OrderStatus.FILLED, OrderStatus.PARTIAL},
    "limit": {OrderStatus.ACCEPTED},
    "close": {OrderStatus.FILLED, OrderStatus.PARTIAL},
    "modify": {OrderStatus.DONE},
    "cancel": {OrderStatus.DONE},
}
"""What a server may say that it has done with an order of that kind."""


@pytest.mark.parametrize("name", RETCODES)
@pytest.mark.parametrize("kind", SENT)
def test_every_return_code_is_a_step_that_an_order_of_its_kind_can_take(
    kind: str, name: str
) -> None:
    answer = OrderSendResult(retcode=RETCODES[name])
    status = judge_answer(answer, (1, "Success"), SENT[kind]).status
    assert status in {*CLAIMS[kind], OrderStatus.REJECTED, OrderStatus.UNKNOWN}
    assert follow(Sending(), status).stage.value == status.value


def test_a_partial_fill_of_what_cannot_trade_at_once_is_believed_by_nobody() -> None:
    answer = OrderSendResult(retcode=mt5.TRADE_RETCODE_DONE_PARTIAL)
    for kind in ("limit", "modify", "cancel"):
        assert judge_answer(answer, (1, "Success"), SENT[kind]).status is OrderStatus.UNKNOWN


def test_no_return_code_and_no_last_error_of_the_package_is_left_out() -> None:
    errors = {value for name, value in vars(mt5).items() if name.startswith("RES_")}
    assert len(RETCODES) == 41
    assert errors == {code for code, _, _ in LAST_ERRORS}
