"""The order worker's part: send one order, and say only of its fate what the terminal proves."""

from __future__ import annotations

import time
from collections.abc import Callable

from online.domain.called_reply import with_calls
from online.domain.errors import InvalidInput
from online.domain.market import Side
from online.domain.order import Intent, OrderReply, OrderStatus
from online.domain.terminal_call import ServerStamp
from online.gateway.call_ledger import CallLedger, Note
from online.gateway.evidence import SAME_VOLUME, fate_of
from online.gateway.outcome import REPRICED, Outcome, judge_answer
from online.gateway.request import OrderRules, beyond_collar, build_request
from online.gateway.terminal import Terminal
from online.gateway.translation import Translation
from online.simulator.info_tuples import SymbolInfo, Tick
from online.simulator.trade_tuples import OrderSendResult, TradeDeal


class OrderDesk:
    """Sends orders to a terminal, one at a time.

    Parameters
    ----------
    terminal
        Connected.
    account
        Login and server that orders are for: somebody may log the terminal in to another.
    reconnect
        Makes the connection anew after the pipe broke; may raise `Unavailable`.
    note
        Keeps what was sent should this process end; null for none.
    now_seconds
        Monotonic, for an order's patience.
    """

    def __init__(
        self,
        terminal: Terminal,
        account: tuple[int, str],
        translation: Translation,
        rules: OrderRules,
        reconnect: Callable[[], None],
        note: Note | None = None,
        now_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._terminal = terminal
        self._account = account
        self._translation = translation
        self._rules = rules
        self._reconnect = reconnect
        self._now_seconds = now_seconds
        self._symbols: dict[str, SymbolInfo] = {}
        self._ledger = CallLedger(terminal, note)

    def execute(self, intent: Intent, patience_seconds: float) -> OrderReply:
        """Send an order, once; again only where the server said that nothing was done.

        A requoted order is sent at a fresh price at most ``repriced_sends`` times, inside the
        collar and within `patience_seconds`. The reply tells every call that was made.

        Raises
        ------
        Unavailable
            If the pipe broke and the terminal does not come back; the order's fate is unknown.
        """
        self._ledger.begin(intent.intent_id)
        reply = self._carry_out(intent, patience_seconds)
        return with_calls(reply, self._ledger.calls)

    def _carry_out(self, intent: Intent, patience_seconds: float) -> OrderReply:
        until = self._now_seconds() + patience_seconds
        said: Outcome | None = None
        resends_left = self._rules.repriced_sends
        while True:
            sent = self._send(intent)
            if isinstance(sent, OrderReply):
                # What the server said of an earlier send stands where a fresh price is no good.
                return sent if said is None else _reply(said, intent)
            outcome, result = sent
            if result is not None and outcome.status in {OrderStatus.ACCEPTED, OrderStatus.DONE}:
                return _reply(outcome, intent, result.order)
            if outcome.status in {OrderStatus.FILLED, OrderStatus.PARTIAL} and result is not None:
                return self._prove(intent, outcome, result)
            if outcome.retcode not in REPRICED or not resends_left or self._now_seconds() >= until:
                break
            said, resends_left = outcome, resends_left - 1
        if outcome.status is OrderStatus.REJECTED:
            self._forget(intent)
        if outcome.reconnect:
            self._symbols.clear()
            self._reconnect()
        return _reply(outcome, intent)

    def _send(self, intent: Intent) -> OrderReply | tuple[Outcome, OrderSendResult | None]:
        """Return the terminal's answer, or a reply where nothing was sent."""
        told = self._terminal.account_info()
        if told is not None and (told.login, told.server) != self._account:
            return not_sent(f"the terminal is logged in to {told.login}@{told.server}")
        symbol = None
        if told is not None:
            symbol = self._find_symbol(self._translation.to_broker(intent.symbol))
        tick = None if symbol is None else self._terminal.symbol_info_tick(symbol.name)
        if symbol is None or (intent.trades and tick is None):
            self._forget(intent)  # somebody may have taken it off the market watch
            outcome = judge_answer(None, self._terminal.last_error())
            if outcome.reconnect:
                self._symbols.clear()
                self._reconnect()
            return not_sent(f"no prices of {intent.symbol}: {outcome.comment}")
        price = 0.0 if tick is None or not intent.trades else _price(tick, intent.side)
        rules = self._rules.of(intent.symbol)
        too_far_points = beyond_collar(intent, price, symbol.point, rules)
        if too_far_points:
            return not_sent(f"{price} is {too_far_points:.1f} points beyond the collar")
        try:
            until_ns = intent.rests_until_ns
            ends_at = self._translation.to_server_seconds(until_ns) if until_ns else 0
            request = build_request(intent, symbol, price, rules, ends_at)
        except InvalidInput as error:
            self._forget(intent)
            return not_sent(str(error))
        stamp = None if tick is None else self._stamp(tick.time_msc)
        result, told_error = self._ledger.send(request, stamp)
        return judge_answer(result, told_error, intent), result

    def _stamp(self, told_ms: int) -> ServerStamp | None:
        """Return the server's clock as a row tells it; None where it tells none."""
        return ServerStamp(told_ms, self._translation.to_utc_ns(told_ms)) if told_ms else None

    def _forget(self, intent: Intent) -> None:
        """Read a symbol anew for the next order: it may not be as it was, or was not yet whole."""
        self._symbols.pop(self._translation.to_broker(intent.symbol), None)

    def _find_symbol(self, name: str) -> SymbolInfo | None:
        known = self._symbols.get(name)
        if known is None:
            if not self._terminal.symbol_select(name, True):  # noqa: FBT003 - MetaTrader's
                return None
            known = self._terminal.symbol_info(name)
            if known is not None:
                self._symbols[name] = known
        return known

    def _prove(self, intent: Intent, outcome: Outcome, result: OrderSendResult) -> OrderReply:
        """Sum the order's deals: DONE is not filled, and the answer may name no deal."""
        deals = self._deals_of(result)
        stamp = self._stamp(deals[-1].time_msc) if deals else None
        if stamp is not None:
            self._ledger.see(stamp)
        seen_lots = sum(deal.volume for deal in deals)
        if deals and seen_lots >= result.volume - SAME_VOLUME:  # deals lag: some may be missing
            proven = fate_of(intent, deals)
            return OrderReply(
                status=proven.status,
                retcode=outcome.retcode,
                order=result.order or proven.order,
                deal=proven.deal,
                position=proven.position,
                price=proven.price,
                volume_lots=proven.volume_lots,
                comment=outcome.comment,
            )
        told = result.deal and result.volume > 0.0 and result.price > 0.0
        return OrderReply(
            status=outcome.status if told else OrderStatus.UNKNOWN,
            retcode=outcome.retcode,
            order=result.order,
            deal=result.deal,
            position=intent.position or result.order,
            price=result.price,
            volume_lots=result.volume,
            comment=outcome.comment if told else f"{outcome.comment}; no deal is seen yet",
        )

    def _deals_of(self, result: OrderSendResult) -> list[TradeDeal]:
        if not result.order:
            return []
        rows = self._terminal.history_deals_get(ticket=result.order)  # of an order, say the docs
        return [row for row in rows or () if row.order == result.order]


def not_sent(why: str) -> OrderReply:
    """Return the reply to an order that never left."""
    return OrderReply(OrderStatus.NOT_SENT, 0, 0, 0, 0, 0.0, 0.0, why)


def _reply(outcome: Outcome, intent: Intent, order: int = 0) -> OrderReply:
    """Return the reply to what left no deal."""
    status, position = outcome.status, intent.position
    ticket = order or intent.order
    if status is OrderStatus.ACCEPTED and not order:  # taken, and nothing to follow it by
        status = OrderStatus.UNKNOWN
    return OrderReply(status, outcome.retcode, ticket, 0, position, 0.0, 0.0, outcome.comment)


def _price(tick: Tick, side: Side) -> float:
    return tick.ask if side is Side.BUY else tick.bid
