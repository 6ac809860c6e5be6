"""What the terminal's answer to `order_send` says about an order's fate.

A return code that is not listed, and every error that is not known to come before the request was
written, is UNKNOWN: the order may live. Only evidence ends that (`online.gateway.evidence`).
"""

from __future__ import annotations

import msgspec

from online.domain.order import MODIFY, Intent, OrderStatus
from online.simulator import constants as mt5
from online.simulator.trade_tuples import OrderSendResult

_FILLED = OrderStatus.FILLED
_REJECTED = frozenset(
    {
        mt5.TRADE_RETCODE_REQUOTE,
        mt5.TRADE_RETCODE_REJECT,
        mt5.TRADE_RETCODE_CANCEL,
        mt5.TRADE_RETCODE_INVALID,
        mt5.TRADE_RETCODE_INVALID_VOLUME,
        mt5.TRADE_RETCODE_INVALID_PRICE,
        mt5.TRADE_RETCODE_INVALID_STOPS,
        mt5.TRADE_RETCODE_TRADE_DISABLED,
        mt5.TRADE_RETCODE_MARKET_CLOSED,
        mt5.TRADE_RETCODE_NO_MONEY,
        mt5.TRADE_RETCODE_PRICE_CHANGED,
        mt5.TRADE_RETCODE_PRICE_OFF,
        mt5.TRADE_RETCODE_INVALID_EXPIRATION,
        mt5.TRADE_RETCODE_TOO_MANY_REQUESTS,
        mt5.TRADE_RETCODE_NO_CHANGES,
        mt5.TRADE_RETCODE_SERVER_DISABLES_AT,
        mt5.TRADE_RETCODE_CLIENT_DISABLES_AT,
        mt5.TRADE_RETCODE_FROZEN,
        mt5.TRADE_RETCODE_INVALID_FILL,
        mt5.TRADE_RETCODE_ONLY_REAL,
        mt5.TRADE_RETCODE_LIMIT_ORDERS,
        mt5.TRADE_RETCODE_LIMIT_VOLUME,
        mt5.TRADE_RETCODE_INVALID_ORDER,
        mt5.TRADE_RETCODE_POSITION_CLOSED,
        mt5.TRADE_RETCODE_INVALID_CLOSE_VOLUME,
        mt5.TRADE_RETCODE_CLOSE_ORDER_EXIST,
        mt5.TRADE_RETCODE_LIMIT_POSITIONS,
        mt5.TRADE_RETCODE_LONG_ONLY,
        mt5.TRADE_RETCODE_SHORT_ONLY,
        mt5.TRADE_RETCODE_CLOSE_ONLY,
        mt5.TRADE_RETCODE_FIFO_CLOSE,
        mt5.TRADE_RETCODE_HEDGE_PROHIBITED,
    }
)
"""The server has answered and nothing was opened or closed."""

_TAKEN = frozenset({mt5.TRADE_RETCODE_DONE, mt5.TRADE_RETCODE_PLACED})
"""The server has carried out what leaves no deal: a resting order, a modify, a cancel."""

REPRICED = frozenset(
    {
        mt5.TRADE_RETCODE_REQUOTE,
        mt5.TRADE_RETCODE_PRICE_CHANGED,
        mt5.TRADE_RETCODE_PRICE_OFF,
    }
)
"""The price had moved: a fresh one may be tried, within the collar."""

_NOT_SENT = frozenset(
    {
        mt5.RES_E_INVALID_PARAMS,
        mt5.RES_E_NOT_FOUND,
        mt5.RES_E_INVALID_VERSION,
        mt5.RES_E_AUTH_FAILED,
        mt5.RES_E_UNSUPPORTED,
        mt5.RES_E_AUTO_TRADING_DISABLED,
        mt5.RES_E_INTERNAL_FAIL_INIT,
        mt5.RES_E_INTERNAL_FAIL_CONNECT,
    }
)
"""The request never left this host."""

BROKEN_PIPE = frozenset(
    {
        mt5.RES_E_INTERNAL_FAIL,
        mt5.RES_E_INTERNAL_FAIL_SEND,
        mt5.RES_E_INTERNAL_FAIL_RECEIVE,
        mt5.RES_E_INTERNAL_FAIL_CONNECT,
    }
)
"""The connection to the terminal is of no more use: shut down and initialise."""


class Outcome(msgspec.Struct, frozen=True):
    """What an answer means.

    Parameters
    ----------
    status
        ``FILLED`` and ``PARTIAL`` are the server's claim; the deals are the proof.
    reconnect
        True if the connection to the terminal must be made anew.
    """

    status: OrderStatus
    retcode: int
    comment: str
    reconnect: bool = False


def judge_answer(
    result: OrderSendResult | None, error: tuple[int, str], intent: Intent | None = None
) -> Outcome:
    """Return what `order_send` answered, `error` being the `last_error` after it.

    Parameters
    ----------
    intent
        What was sent; None is a market order.

    Examples
    --------
    >>> judge_answer(None, (-10002, "IPC recv failed")).status
    <OrderStatus.UNKNOWN: 'unknown'>
    """
    if result is None:
        code, words = error
        status = OrderStatus.NOT_SENT if code in _NOT_SENT else OrderStatus.UNKNOWN
        return Outcome(status, 0, f"{words} ({code})", reconnect=code in BROKEN_PIPE)
    return Outcome(_status(result.retcode, intent), result.retcode, result.comment)


def _status(retcode: int, intent: Intent | None) -> OrderStatus:
    if intent is not None and retcode in _TAKEN and (intent.rests or not intent.trades):
        return OrderStatus.ACCEPTED if intent.rests else OrderStatus.DONE
    is_modify = intent is not None and intent.purpose is MODIFY
    if is_modify and retcode == mt5.TRADE_RETCODE_NO_CHANGES:
        return OrderStatus.DONE  # the position has these exits already
    if retcode == mt5.TRADE_RETCODE_DONE:
        return _FILLED
    if retcode == mt5.TRADE_RETCODE_DONE_PARTIAL:
        trades_now = intent is None or (intent.trades and not intent.rests)
        return OrderStatus.PARTIAL if trades_now else OrderStatus.UNKNOWN
    return OrderStatus.REJECTED if retcode in _REJECTED else OrderStatus.UNKNOWN
