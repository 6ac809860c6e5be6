"""Calls that trade, or reckon what a trade would cost."""

from __future__ import annotations

from collections.abc import Mapping

from online.domain.errors import InvalidInput
from online.domain.market import Side
from online.simulator import constants as mt5
from online.simulator.client import ClientTerminal
from online.simulator.connection import CallFailed, Connection
from online.simulator.faults import FaultKind
from online.simulator.market_calls import market_of
from online.simulator.replies import COMMENTS
from online.simulator.request_parsing import parse_request, text_fits
from online.simulator.told import tell_account
from online.simulator.trade_tuples import OrderCheckResult, OrderSendResult, TradeRequest

_SERVERS_COMMENT = "edited by server"
_LIVE_BUT_FAILED = {
    FaultKind.TIMED_OUT: mt5.TRADE_RETCODE_TIMEOUT,
    FaultKind.PROCESSING_ERROR: mt5.TRADE_RETCODE_ERROR,
}


class TradeCalls(Connection):
    """The package's functions about trading."""

    def order_send(
        self, request: Mapping[str, object] | None = None, /, **fields: object
    ) -> OrderSendResult | None:
        """Send a request to the trade server and return its answer; None if none came.

        A request that the package cannot read is not sent: None, and -2 as the last error.
        """
        parsed = self._parse(request, fields)
        if parsed is None:
            return None
        return self._ask("order_send", lambda client: _send(client, parsed))

    def order_check(
        self, request: Mapping[str, object] | None = None, /, **fields: object
    ) -> OrderCheckResult | None:
        """Tell whether a request would pass, and what the account would be after it."""
        parsed = self._parse(request, fields)
        if parsed is None:
            return None
        return self._ask("order_check", lambda client: _check(client, parsed))

    def order_calc_margin(
        self, action: int, symbol: str, volume: float, price: float, /
    ) -> float | None:
        """Return the margin that an order would need, account currency."""
        if action not in {mt5.ORDER_TYPE_BUY, mt5.ORDER_TYPE_SELL} or not text_fits(symbol):
            self._refuse_arguments()
            return None

        def work(client: ClientTerminal) -> float:
            market = market_of(client, symbol)
            return client.terminal.server.ledger.margin_of(market, float(volume), float(price))

        return self._ask("order_calc_margin", work)

    def order_calc_profit(
        self, action: int, symbol: str, volume: float, price_open: float, price_close: float, /
    ) -> float | None:
        """Return the profit between two prices, account currency."""
        if action not in {mt5.ORDER_TYPE_BUY, mt5.ORDER_TYPE_SELL} or not text_fits(symbol):
            self._refuse_arguments()
            return None
        side = Side.SELL if action else Side.BUY

        def work(client: ClientTerminal) -> float:
            market = market_of(client, symbol)
            return client.terminal.server.ledger.profit(
                market, side, float(volume), float(price_open), float(price_close)
            )

        return self._ask("order_calc_profit", work)

    def _parse(
        self, request: Mapping[str, object] | None, fields: Mapping[str, object]
    ) -> TradeRequest | None:
        if request is not None and not isinstance(request, dict):
            self._refuse_arguments()
            return None
        try:
            return parse_request(request if request is not None else fields)
        except InvalidInput as error:
            self._refuse_arguments(str(error))
            return None


def _send(client: ClientTerminal, request: TradeRequest) -> OrderSendResult:
    """Let a request pass the terminal's switches, travel and be answered."""
    if not client.api_allowed:
        text = "Auto-Trading using Python API disabled in Terminal"
        raise CallFailed(mt5.RES_E_AUTO_TRADING_DISABLED, text)
    desk, faults = client.terminal.server.desk, client.current_faults
    if not client.trade_allowed:
        return desk.answer(request, mt5.TRADE_RETCODE_CLIENT_DISABLES_AT)
    if not client.connected:
        return desk.answer(request, mt5.TRADE_RETCODE_CONNECTION)
    kinds = {fault.kind for fault in faults}
    sent = request
    if FaultKind.COMMENT_EDITED in kinds:
        sent = sent._replace(comment=_SERVERS_COMMENT)
    if FaultKind.MAGIC_DROPPED in kinds:
        sent = sent._replace(magic=0)
    client.travel()
    last_deal = client.terminal.server.history.next_ticket - 1
    result = client.terminal.execute(sent)
    for fault in faults:
        if fault.kind is FaultKind.DEAL_DELAYED:
            client.hide_deals_after(last_deal, fault.seconds)
        if fault.kind in _LIVE_BUT_FAILED:
            return desk.answer(request, _LIVE_BUT_FAILED[fault.kind])
    return result._replace(request=request)


def _check(client: ClientTerminal, request: TradeRequest) -> OrderCheckResult:
    server, ledger = client.terminal.server, client.terminal.server.ledger
    code = server.check(request, client.terminal.now_ns)
    needed = server.margin_needed(request) if not code else 0.0
    account = tell_account(client)
    margin = ledger.round(account.margin + needed)
    return OrderCheckResult(
        retcode=code,
        balance=account.balance,
        equity=account.equity,
        profit=account.profit,
        margin=margin,
        margin_free=ledger.round(account.equity - margin),
        margin_level=100.0 * account.equity / margin if margin > 0.0 else 0.0,
        comment="Done" if not code else COMMENTS.get(code, f"Return code {code}"),
        request=request,
    )
