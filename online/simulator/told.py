"""What the API tells of the account: server records as the package's tuples."""

from __future__ import annotations

import math

from online.domain.market import BUY
from online.simulator import constants as mt5
from online.simulator.account import Ledger
from online.simulator.client import ClientTerminal
from online.simulator.info_tuples import AccountInfo, SymbolInfo, TerminalInfo, Tick
from online.simulator.markets import Market
from online.simulator.records import DealRow, HeldPosition, Order
from online.simulator.rules import AccountRules
from online.simulator.trade_tuples import TradeDeal, TradeOrder, TradePosition

BUILD = 5_200
_COMPANY = "Sextant simulated broker"
_SECOND_NS, _MILLISECOND_NS = 1_000_000_000, 1_000_000


def tell_position(held: HeldPosition, market: Market, ledger: Ledger) -> TradePosition:
    """Return an open position."""
    opened_ns = ledger.rules.zone.to_server_ns(held.opened_at_ns)
    updated_ns = ledger.rules.zone.to_server_ns(held.updated_at_ns)
    return TradePosition(
        ticket=held.ticket,
        time=opened_ns // _SECOND_NS,
        time_msc=opened_ns // _MILLISECOND_NS,
        time_update=updated_ns // _SECOND_NS,
        time_update_msc=updated_ns // _MILLISECOND_NS,
        type=mt5.POSITION_TYPE_BUY if held.side is BUY else mt5.POSITION_TYPE_SELL,
        magic=held.magic,
        identifier=held.identifier,
        reason=held.reason,
        volume=held.volume,
        price_open=held.price,
        sl=held.stop,
        tp=held.target,
        price_current=market.closing_price(held.side),
        swap=held.swap,
        profit=ledger.round(ledger.open_profit(held) - held.swap),
        symbol=held.symbol,
        comment=held.comment,
    )


def tell_order(order: Order, market: Market, rules: AccountRules) -> TradeOrder:
    """Return an order, resting or of the history."""
    zone = rules.zone
    placed_ns = zone.to_server_ns(order.placed_at_ns)
    done_ns = zone.to_server_ns(order.done_at_ns) if order.done_at_ns else 0
    expires_ns = zone.to_server_ns(order.expires_at_ns) if order.expires_at_ns else 0
    return TradeOrder(
        ticket=order.ticket,
        time_setup=placed_ns // _SECOND_NS,
        time_setup_msc=placed_ns // _MILLISECOND_NS,
        time_done=done_ns // _SECOND_NS,
        time_done_msc=done_ns // _MILLISECOND_NS,
        time_expiration=expires_ns // _SECOND_NS,
        type=order.type,
        type_time=order.lifetime,
        type_filling=order.filling,
        state=order.state,
        magic=order.magic,
        position_id=order.position,
        position_by_id=order.position_by,
        reason=order.reason,
        volume_initial=order.volume,
        volume_current=order.remaining,
        price_open=order.price,
        sl=order.stop,
        tp=order.target,
        price_current=market.opening_price(order.side),
        price_stoplimit=order.stop_limit,
        symbol=order.symbol,
        comment=order.comment,
    )


def tell_deal(deal: DealRow, rules: AccountRules) -> TradeDeal:
    """Return a deal of the history."""
    at_ns = rules.zone.to_server_ns(deal.at_ns)
    return TradeDeal(
        ticket=deal.ticket,
        order=deal.order,
        time=at_ns // _SECOND_NS,
        time_msc=at_ns // _MILLISECOND_NS,
        type=deal.type,
        entry=deal.entry,
        magic=deal.magic,
        position_id=deal.position,
        reason=deal.reason,
        volume=deal.volume,
        price=deal.price,
        commission=deal.commission,
        swap=deal.swap,
        profit=deal.profit,
        symbol=deal.symbol,
        comment=deal.comment,
    )


def tell_tick(market: Market, rules: AccountRules) -> Tick:
    """Return the latest prices; all zero before the first."""
    if market.at_ns < 0:
        return Tick()
    at_ns = rules.zone.to_server_ns(market.at_ns)
    return Tick(
        time=at_ns // _SECOND_NS,
        bid=market.bid,
        ask=market.ask,
        time_msc=at_ns // _MILLISECOND_NS,
        flags=mt5.TICK_FLAG_BID | mt5.TICK_FLAG_ASK,
    )


def tell_account(client: ClientTerminal) -> AccountInfo:
    """Return money and rules of the account."""
    ledger, rules = client.terminal.server.ledger, client.terminal.rules
    equity = ledger.round(ledger.equity)
    hedging = mt5.ACCOUNT_MARGIN_MODE_RETAIL_HEDGING
    return AccountInfo(
        login=client.login,
        trade_mode=rules.trade_mode,
        leverage=round(rules.leverage),
        limit_orders=rules.limit_orders,
        margin_so_mode=mt5.ACCOUNT_STOPOUT_MODE_PERCENT,
        trade_allowed=True,
        trade_expert=True,
        margin_mode=hedging if rules.hedging else mt5.ACCOUNT_MARGIN_MODE_RETAIL_NETTING,
        currency_digits=rules.currency_digits,
        balance=ledger.balance,
        profit=ledger.round(equity - ledger.balance),
        equity=equity,
        margin=ledger.margin,
        margin_free=ledger.round(equity - ledger.margin),
        margin_level=ledger.margin_level,
        margin_so_call=rules.margin_call_percent,
        margin_so_so=rules.stop_out_percent,
        name="Simulated account",
        server=client.server,
        currency=rules.currency,
        company=_COMPANY,
    )


def tell_terminal(client: ClientTerminal) -> TerminalInfo:
    """Return state and switches of the terminal."""
    return TerminalInfo(
        connected=client.connected,
        trade_allowed=client.trade_allowed,
        tradeapi_disabled=not client.api_allowed,
        build=BUILD,
        maxbars=100_000,
        company=_COMPANY,
        name="Simulated MetaTrader 5",
        language="English",
    )


def tell_symbol(market: Market, client: ClientTerminal) -> SymbolInfo:
    """Return what the broker says of a symbol."""
    instrument, rules, account = market.instrument, market.rules, client.terminal.rules
    symbol, point = instrument.symbol, instrument.point
    tick = tell_tick(market, account)
    selected = symbol in client.selected
    ledger = client.terminal.server.ledger
    quoted = market.at_ns >= 0 and ledger.values(market)
    worth = ledger.rate_of_profit(market) * point * instrument.contract_size if quoted else 0.0
    has_swap = bool(rules.swap_long_points or rules.swap_short_points)
    return SymbolInfo(
        select=selected,
        visible=selected,
        time=tick.time,
        digits=instrument.digits,
        spread=round((market.ask - market.bid) * instrument.scale),
        spread_float=True,
        trade_calc_mode=mt5.SYMBOL_CALC_MODE_FOREX,
        trade_mode=rules.trade_mode,
        trade_stops_level=instrument.stops_level_points,
        trade_freeze_level=rules.freeze_level_points,
        trade_exemode=rules.execution,
        swap_mode=mt5.SYMBOL_SWAP_MODE_POINTS if has_swap else mt5.SYMBOL_SWAP_MODE_DISABLED,
        swap_rollover3days=rules.triple_swap_day,
        expiration_mode=rules.expiration_modes,
        filling_mode=rules.filling_modes,
        order_mode=rules.order_modes,
        bid=market.bid,
        ask=market.ask,
        point=point,
        trade_tick_value=worth,
        trade_tick_value_profit=worth,
        trade_tick_value_loss=worth,
        trade_tick_size=point,
        trade_contract_size=instrument.contract_size,
        volume_min=instrument.volume_min,
        volume_max=instrument.volume_max,
        volume_step=instrument.volume_step,
        volume_limit=rules.volume_limit_lots,
        swap_long=rules.swap_long_points,
        swap_short=rules.swap_short_points,
        currency_base=instrument.base_currency,
        currency_profit=instrument.profit_currency,
        currency_margin=instrument.base_currency,
        description=f"{instrument.base_currency} against {instrument.profit_currency}",
        name=symbol,
        path=f"Simulated\\{symbol}",
    )


def depth_lots(market: Market) -> float:
    """Return what each side of the book shows, lots; the largest order where it is unbounded."""
    depth = market.rules.depth_lots
    return market.instrument.volume_max if depth == math.inf else depth
