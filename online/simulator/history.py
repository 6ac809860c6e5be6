"""The history of the account: every order and every deal."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict

from online.domain.account import Deal
from online.domain.market import BUY, SELL
from online.simulator import constants as mt5
from online.simulator.records import DealRow, Order

_REASONS = {
    mt5.DEAL_REASON_CLIENT: "client",
    mt5.DEAL_REASON_EXPERT: "expert",
    mt5.DEAL_REASON_SL: "stop",
    mt5.DEAL_REASON_TP: "target",
    mt5.DEAL_REASON_SO: "stop_out",
    mt5.DEAL_REASON_ROLLOVER: "rollover",
}


class History:
    """Orders that are done and all deals, oldest first.

    Attributes
    ----------
    deals
        Every change of the balance, deposits included.
    orders
        Finished orders by ticket.
    money
        Sum of all changes of the balance, account currency.
    """

    def __init__(self) -> None:
        self.deals: list[DealRow] = []
        self.money = 0.0
        self.orders: dict[int, Order] = {}
        self._trades: list[Deal] = []
        self._trade_tickets: list[int] = []
        self._last_trade = 0
        self._by_magic: defaultdict[int, list[DealRow]] = defaultdict(list)
        self._by_position: defaultdict[int, list[DealRow]] = defaultdict(list)
        self._by_order: defaultdict[int, list[DealRow]] = defaultdict(list)

    @property
    def next_ticket(self) -> int:
        """Ticket of the deal to come."""
        return len(self.deals) + 1

    def add(self, deal: DealRow) -> None:
        """Append a deal; its ticket must be `next_ticket`."""
        self.deals.append(deal)
        self.money += deal.money
        if deal.type > mt5.DEAL_TYPE_SELL:
            return
        self._by_magic[deal.magic].append(deal)
        self._by_position[deal.position].append(deal)
        self._by_order[deal.order].append(deal)
        self._trades.append(_as_told(deal))
        self._trade_tickets.append(deal.ticket)
        self._last_trade = deal.ticket

    def trades_after(self, ticket: int) -> tuple[Deal, ...]:
        """Return the fills with tickets above `ticket`, oldest first."""
        if self._last_trade <= ticket:
            return ()
        return tuple(self._trades[bisect_right(self._trade_tickets, ticket) :])

    def trades_since(self, at_ns: int) -> tuple[Deal, ...]:
        """Return the fills from an instant on, oldest first."""
        return tuple(self._trades[bisect_left(self._trades, at_ns, key=lambda d: d.at_ns) :])

    def of_magic(self, magic: int) -> tuple[DealRow, ...]:
        """Return the fills that carry `magic`, oldest first."""
        return tuple(self._by_magic.get(magic, ()))

    def of_position(self, identifier: int) -> tuple[DealRow, ...]:
        """Return the fills of a position, oldest first."""
        return tuple(self._by_position.get(identifier, ()))

    def of_order(self, ticket: int) -> tuple[DealRow, ...]:
        """Return the fills of an order, oldest first."""
        return tuple(self._by_order.get(ticket, ()))


def _as_told(deal: DealRow) -> Deal:
    return Deal(
        ticket=deal.ticket,
        order=deal.order,
        position=deal.position,
        magic=deal.magic,
        symbol=deal.symbol,
        side=SELL if deal.type == mt5.DEAL_TYPE_SELL else BUY,
        entry=deal.entry == mt5.DEAL_ENTRY_IN,
        reason=_REASONS[deal.reason],
        volume_lots=deal.volume,
        price=deal.price,
        at_ns=deal.at_ns,
        profit=deal.profit,
        commission=deal.commission,
        swap=deal.swap,
    )
