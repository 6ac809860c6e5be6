"""Holdings: what the journal says was traded, a part of the book, to compare with the broker."""

from __future__ import annotations

from online.domain.account import Deal
from online.domain.order import CLOSE, ENTRY, Intent, OrderReply, OrderStatus

_FILLED, _UNKNOWN = OrderStatus.FILLED, OrderStatus.UNKNOWN

SAME_VOLUME = 1e-9
"""Lots below which two volumes are one."""
_NOTHING_OPENED = frozenset(
    {
        OrderStatus.REJECTED,
        OrderStatus.NOT_SENT,
        OrderStatus.EXPIRED,
        OrderStatus.CANCELLED,
    }
)


class Holdings:
    """Deals, open volumes and the entries' fates, as the journal tells them.

    Attributes
    ----------
    deals
        Every fill that was journaled, by ticket.
    lots
        Volume of each open position by its identifier, lots; sells are negative.
    symbols
        Of the open positions.
    refused
        Magic numbers of entries that opened nothing, by the broker's word.
    closing
        Positions whose closing was reported by a reply, whether its deals have come or not.
    replied_at_ns
        When a reply named a deal that has not come yet, by the deal's ticket.
    """

    def __init__(self) -> None:
        self.deals: dict[int, Deal] = {}
        self.lots: dict[int, float] = {}
        self.symbols: dict[int, str] = {}
        self.refused: set[int] = set()
        self.closing: set[int] = set()
        self.replied_at_ns: dict[int, int] = {}

    def settle(self, intent: Intent, reply: OrderReply, at_ns: int) -> None:
        """Take note of what was told of an order at `at_ns`."""
        if reply.status is _UNKNOWN:
            return
        if reply.deal and reply.deal not in self.deals:
            self.replied_at_ns[reply.deal] = at_ns
        if intent.purpose is CLOSE:
            left = abs(self.lots.get(intent.position, 0.0)) - intent.volume_lots
            if reply.status is _FILLED and left < SAME_VOLUME:
                self.closing.add(intent.position)
        elif intent.purpose is ENTRY:
            if reply.status in _NOTHING_OPENED:
                self.refused.add(intent.magic)
            else:
                self.refused.discard(intent.magic)

    def add(self, deal: Deal) -> None:
        """Take note of a fill; one that is known already changes nothing."""
        if deal.ticket in self.deals:
            return
        self.deals[deal.ticket] = deal
        self.replied_at_ns.pop(deal.ticket, None)
        lots = self.lots.get(deal.position, 0.0) + deal.side.sign * deal.volume_lots
        if abs(lots) < SAME_VOLUME:
            self.lots.pop(deal.position, None)
            self.symbols.pop(deal.position, None)
            self.closing.discard(deal.position)
        else:
            self.lots[deal.position], self.symbols[deal.position] = lots, deal.symbol
