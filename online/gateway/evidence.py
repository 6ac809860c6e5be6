"""Evidence of an order at the broker: its deals and its order, found three ways.

By magic number; by comment where the server dropped the magic; by symbol, side, volume and time
where it dropped both. Nothing found proves nothing: the history lags behind the fills.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from online.domain.market import Side
from online.domain.order import Intent, OrderReply, OrderStatus, Purpose
from online.gateway.translation import CLOSING
from online.simulator import constants as mt5
from online.simulator.trade_tuples import TradeDeal, TradeOrder

OUR_COMMENT = "sx-"
"""Begins the comment of every order that Sextant decides."""
SAME_VOLUME = 1e-9
SOON_SECONDS = 60
"""How far a deal that lost magic and comment may lie from the order's acceptance."""
_DEAD = frozenset({mt5.ORDER_STATE_CANCELED, mt5.ORDER_STATE_REJECTED, mt5.ORDER_STATE_EXPIRED})


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


def weigh(
    intent: Intent,
    symbol: str,
    deals: Sequence[TradeDeal],
    finished: Sequence[TradeOrder],
    resting: Sequence[TradeOrder],
    accepted_at: int | None,
) -> tuple[OrderReply | None, bool]:
    """Return the fate that the terminal's rows tell of an order, and whether it still rests.

    Parameters
    ----------
    symbol
        The broker's name of the intent's symbol.
    deals, finished, resting
        Of the account, oldest first.
    accepted_at
        When the gateway accepted the order, seconds of server time; None if it never did.
    """
    named = [order for order in (*finished, *resting) if _order_is(order, intent, symbol)]
    tickets = {order.ticket for order in named}
    possible = [deal for deal in deals if _could_be(deal, intent, symbol)]
    ours = [deal for deal in possible if deal.order in tickets]
    ours = ours or _match(possible, intent, accepted_at)
    is_resting = any(_order_is(order, intent, symbol) for order in resting)
    if ours:
        return (None if is_resting else fate_of(intent, ours)), is_resting
    dead = [order for order in named if order.state in _DEAD]
    if dead and not is_resting:
        return _dead(dead[-1]), False
    return None, is_resting


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
        comment="found in the history",
    )


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


def _dead(order: TradeOrder) -> OrderReply:
    words = {
        mt5.ORDER_STATE_CANCELED: "cancelled",
        mt5.ORDER_STATE_REJECTED: "rejected",
        mt5.ORDER_STATE_EXPIRED: "expired",
    }
    return OrderReply(
        status=OrderStatus.REJECTED,
        retcode=mt5.TRADE_RETCODE_REJECT,
        order=order.ticket,
        deal=0,
        position=0,
        price=0.0,
        volume_lots=0.0,
        comment=f"found in the history: {words[order.state]}",
    )
