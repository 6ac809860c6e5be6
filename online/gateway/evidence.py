"""Evidence of an order at the broker: what its deals, orders and positions tell of its fate.

A trade is found by its order's ticket, then by magic number, by comment where the server dropped
the magic, and by symbol, side, volume and time where it dropped both. A modify is proven by the
position's exits, a cancel by the order it took back. Nothing found proves nothing: the history
lags behind the fills.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isclose

import msgspec

from online.domain.market import Side
from online.domain.order import Intent, OrderReply, OrderStatus, Purpose
from online.gateway.translation import CLOSING
from online.simulator import constants as mt5
from online.simulator.trade_tuples import TradeDeal, TradeOrder, TradePosition

OUR_COMMENT = "sx-"
"""Begins the comment of every order that Sextant decides."""
SAME_VOLUME = 1e-9
SOON_SECONDS = 60
"""How far a deal that lost magic and comment may lie from the order's acceptance."""
_DEAD = {
    mt5.ORDER_STATE_CANCELED: OrderStatus.CANCELLED,
    mt5.ORDER_STATE_REJECTED: OrderStatus.REJECTED,
    mt5.ORDER_STATE_EXPIRED: OrderStatus.EXPIRED,
}
_FOUND = "found in the history"


class Evidence(msgspec.Struct, frozen=True):
    """What a search of the terminal gave.

    Parameters
    ----------
    reply
        The order's fate; null where nothing tells it.
    resting
        True if the order is at the broker and not done.
    connected
        True if the terminal had its server: only then absence counts at all.
    """

    reply: OrderReply | None
    resting: bool
    connected: bool


class Rows(msgspec.Struct, frozen=True):
    """What the terminal tells of the account, oldest first."""

    deals: Sequence[TradeDeal]
    finished: Sequence[TradeOrder]
    resting: Sequence[TradeOrder]
    positions: Sequence[TradePosition]


class Known(msgspec.Struct, frozen=True):
    """What the gateway knows of the order that is looked for.

    Parameters
    ----------
    accepted_at
        When it was accepted, seconds of server time; null if it never was.
    ticket
        The broker's number of it; 0 if it was never told.
    taken
        Tickets that are known to be other orders': their deals prove nothing here.
    """

    accepted_at: int | None = None
    ticket: int = 0
    taken: tuple[int, ...] = ()


def weigh(intent: Intent, symbol: str, rows: Rows, known: Known) -> tuple[OrderReply | None, bool]:
    """Return the fate that the terminal's rows tell of an order, and whether it still rests.

    Parameters
    ----------
    symbol
        The broker's name of the intent's symbol.
    """
    if intent.purpose is Purpose.MODIFY:
        return _weigh_modify(intent, rows), False
    if intent.purpose is Purpose.CANCEL:
        return _weigh_cancel(intent, rows), False
    return _weigh_trade(intent, symbol, rows, known)


def fate_of(intent: Intent, deals: Sequence[TradeDeal]) -> OrderReply:
    """Return the fate of an order whose deals these are, at least one."""
    volume = sum(deal.volume for deal in deals)
    worth = sum(deal.price * deal.volume for deal in deals)
    partial = volume < intent.volume_lots - SAME_VOLUME
    return OrderReply(
        status=OrderStatus.PARTIAL if partial else OrderStatus.FILLED,
        retcode=mt5.TRADE_RETCODE_DONE_PARTIAL if partial else mt5.TRADE_RETCODE_DONE,
        order=deals[-1].order,
        deal=deals[-1].ticket,
        position=deals[-1].position_id,
        price=deals[0].price if len(deals) == 1 else worth / volume,
        volume_lots=volume,
        comment=_FOUND,
    )


def _weigh_trade(
    intent: Intent, symbol: str, rows: Rows, known: Known
) -> tuple[OrderReply | None, bool]:
    def is_it(order: TradeOrder) -> bool:
        if known.ticket:
            return order.ticket == known.ticket
        return order.ticket not in known.taken and _order_is(order, intent, symbol)

    resting = [order for order in rows.resting if is_it(order)]
    named = [*(order for order in rows.finished if is_it(order)), *resting]
    tickets = {known.ticket, *(order.ticket for order in named)} - {0}
    possible = [
        deal
        for deal in rows.deals
        if _could_be(deal, intent, symbol) and deal.order not in known.taken
    ]
    ours = [deal for deal in rows.deals if deal.order in tickets]
    ours = ours or _match(possible, intent, known.accepted_at)
    if resting:
        return (_resting(intent, resting[-1], ours) if intent.rests else None), True
    if ours:
        return fate_of(intent, ours), False
    dead = [order for order in named if order.state in _DEAD]
    return (_told(intent, _DEAD[dead[-1].state], dead[-1].ticket) if dead else None), False


def _weigh_modify(intent: Intent, rows: Rows) -> OrderReply | None:
    """Return `DONE` where the position has the exits; a change that no position waits for ends."""
    for held in rows.positions:
        if intent.position in {held.ticket, held.identifier}:
            same = isclose(held.sl, intent.stop) and isclose(held.tp, intent.target)
            return (
                _told(intent, OrderStatus.DONE, 0, "the position has the exits") if same else None
            )
    return _told(intent, OrderStatus.CANCELLED, 0, "the position is closed: nothing is to change")


def _weigh_cancel(intent: Intent, rows: Rows) -> OrderReply | None:
    if any(order.ticket == intent.order for order in rows.resting):
        return None
    for order in rows.finished:
        if order.ticket != intent.order:
            continue
        if order.state == mt5.ORDER_STATE_CANCELED:
            return _told(intent, OrderStatus.DONE, order.ticket)
        words = _DEAD.get(order.state, OrderStatus.FILLED)
        return _told(intent, OrderStatus.REJECTED, order.ticket, f"the order was {words} before")
    return None


def _could_be(deal: TradeDeal, intent: Intent, symbol: str) -> bool:
    """Tell whether a deal does what the intent would have done."""
    buys = intent.side is Side.BUY
    if deal.symbol != symbol or deal.reason != mt5.DEAL_REASON_EXPERT:
        return False
    if deal.type != (mt5.DEAL_TYPE_BUY if buys else mt5.DEAL_TYPE_SELL):
        return False
    if intent.purpose is Purpose.ENTRY:
        return deal.entry not in CLOSING
    return deal.entry in CLOSING and deal.position_id == intent.position


def _match(deals: Sequence[TradeDeal], intent: Intent, accepted_at: int | None) -> list[TradeDeal]:
    """Return the deals of the first of the ways that finds any."""

    def is_named(deal: TradeDeal) -> bool:
        return deal.comment == intent.comment

    def is_renamed(deal: TradeDeal) -> bool:
        return not deal.comment.startswith(OUR_COMMENT)

    def is_alike(deal: TradeDeal) -> bool:
        same_volume = abs(deal.volume - intent.volume_lots) < SAME_VOLUME
        soon = accepted_at is not None and abs(deal.time - accepted_at) <= SOON_SECONDS
        return same_volume and soon and is_renamed(deal)

    magic = intent.magic
    ways: tuple[Callable[[TradeDeal], bool], ...] = (
        lambda deal: deal.magic == magic and is_named(deal),
        lambda deal: deal.magic == magic and is_renamed(deal),
        lambda deal: deal.magic == 0 and is_named(deal),
        lambda deal: deal.magic == 0 and is_alike(deal),
    )
    for way in ways:
        found = [deal for deal in deals if way(deal)]
        if found:
            return found
    return []


def _order_is(order: TradeOrder, intent: Intent, symbol: str) -> bool:
    """Tell whether an order of the broker's is the intent's, by its own two marks."""
    same_magic = order.magic in {intent.magic, 0}
    return order.symbol == symbol and same_magic and order.comment == intent.comment


def _resting(intent: Intent, order: TradeOrder, deals: Sequence[TradeDeal]) -> OrderReply:
    """Return how far an order is that waits at the broker."""
    if deals:
        so_far = fate_of(intent, deals)
        return msgspec.structs.replace(so_far, status=OrderStatus.FILLING)
    return _told(intent, OrderStatus.ACCEPTED, order.ticket, "rests at the broker")


def _told(intent: Intent, status: OrderStatus, order: int, words: str = "") -> OrderReply:
    """Return a fate without a fill."""
    refused = status is OrderStatus.REJECTED
    return OrderReply(
        status=status,
        retcode=mt5.TRADE_RETCODE_REJECT if refused else 0,
        order=order,
        deal=0,
        position=intent.position,
        price=0.0,
        volume_lots=0.0,
        comment=words or f"{_FOUND}: {status}",
    )
