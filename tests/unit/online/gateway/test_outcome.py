from __future__ import annotations

import pytest

from online.domain.order import OrderStatus
from online.gateway.outcome import judge_answer
from online.simulator import constants as mt5
from online.simulator.trade_tuples import OrderSendResult

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


@pytest.mark.parametrize(
    ("code", "status", "reconnects"),
    [
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
    ],
)
def test_every_last_error_after_none_has_one_meaning(
    code: int, status: OrderStatus, *, reconnects: bool
) -> None:
    outcome = judge_answer(None, (code, "words"))
    assert (outcome.status, outcome.reconnect) == (status, reconnects)
