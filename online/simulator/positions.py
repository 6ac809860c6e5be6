"""The position book: how fills open, average, reduce, reverse and close positions."""

from __future__ import annotations

from collections.abc import Mapping

from online.domain.account import Position
from online.domain.market import BUY, Side
from online.simulator import constants as mt5
from online.simulator.account import Ledger
from online.simulator.history import History
from online.simulator.markets import Market
from online.simulator.records import DealRow, HeldPosition, Order

_VOLUME_DECIMALS = 8


class PositionBook:
    """All open positions; a fill changes them and leaves a deal.

    Parameters
    ----------
    markets
        By symbol.
    ledger
        Where deals are booked.
    history
        Where deals are kept.
    """

    def __init__(self, markets: Mapping[str, Market], ledger: Ledger, history: History) -> None:
        self.open: dict[int, HeldPosition] = {}
        self._markets = markets
        self._ledger = ledger
        self._history = history
        self._told: tuple[Position, ...] | None = ()
        ledger.value(self.open)

    def as_told(self) -> tuple[Position, ...]:
        """Return the positions in the words of the domain, oldest first."""
        if self._told is None:
            self._told = tuple(position.as_told() for position in self.open.values())
        return self._told

    def find(self, number: int) -> HeldPosition | None:
        """Return the open position with this ticket or identifier."""
        found = self.open.get(number)
        if found is not None:
            return found
        return next((p for p in self.open.values() if number == p.identifier), None)

    def affected_by(self, order: Order) -> HeldPosition | None:
        """Return the position that a fill of `order` would change; None if it opens one.

        On a netting account it is the symbol's, also where the one that the order's first part
        changed has ended since.
        """
        if self._ledger.rules.hedging:
            return self.find(order.position) if order.position else None
        positions = self._markets[order.symbol].positions
        return positions[0] if positions else None

    def fill(self, order: Order, volume: float, price: float, at_ns: int) -> DealRow:
        """Let `order` trade `volume` lots at `price`.

        An order without a position opens one; on a netting account it changes the symbol's.
        """
        left = order.remaining - volume
        order.remaining = round(left, _VOLUME_DECIMALS) if left else 0.0
        held = self.affected_by(order)
        if held is None:
            return self._open(order, volume, price, at_ns)
        if held.side is order.side:
            return self._increase(held, order, volume, price, at_ns)
        if volume <= held.volume:
            return self._reduce(held, order, volume, price, at_ns)
        return self._reverse(held, order, volume, price, at_ns)

    def close_by(
        self, order: Order, first: HeldPosition, second: HeldPosition, volume: float, at_ns: int
    ) -> DealRow:
        """Let two opposite positions close `volume` lots of each other, at the second's price.

        Returns
        -------
        DealRow
            The first position's deal, which carries the profit.
        """
        order.remaining = 0.0
        deals = [
            self._reduce(held, order, volume, second.price, at_ns, mt5.DEAL_ENTRY_OUT_BY)
            for held in (first, second)
        ]
        return deals[0]

    def set_exits(self, held: HeldPosition, stop: float, target: float, at_ns: int) -> None:
        """Replace the stop and target of a position."""
        held.stop, held.target, held.updated_at_ns = stop, target, at_ns
        self._changed(held)

    def accrue(self, held: HeldPosition, swap: float) -> None:
        """Add swap to a position, account currency; it is booked when the position closes."""
        self._ledger.leave(held)
        held.swap = self._ledger.round(held.swap + swap)
        self._told = None
        self._ledger.enter(held)

    def _open(self, order: Order, volume: float, price: float, at_ns: int) -> DealRow:
        market = self._markets[order.symbol]
        held = HeldPosition(
            ticket=order.ticket,
            identifier=order.ticket,
            magic=order.magic,
            symbol=order.symbol,
            side=order.side,
            volume=volume,
            price=price,
            opened_at_ns=at_ns,
            updated_at_ns=at_ns,
            reason=order.reason,
            comment=order.comment,
            stop=order.stop,
            target=order.target,
        )
        self.open[held.ticket] = held
        market.positions.append(held)
        order.position = held.identifier
        self._ledger.enter(held)
        self._set_margin(held)
        return self._book(order, held, held.side, volume, price, at_ns, mt5.DEAL_ENTRY_IN)

    def _increase(
        self, held: HeldPosition, order: Order, volume: float, price: float, at_ns: int
    ) -> DealRow:
        self._ledger.leave(held)
        total = round(held.volume + volume, _VOLUME_DECIMALS)
        held.price = (held.price * held.volume + price * volume) / total
        held.volume = total
        held.stop, held.target = order.stop, order.target
        held.updated_at_ns = at_ns
        self._ledger.enter(held)
        self._set_margin(held)
        order.position = held.identifier
        return self._book(order, held, held.side, volume, price, at_ns, mt5.DEAL_ENTRY_IN)

    def _reduce(
        self,
        held: HeldPosition,
        order: Order,
        volume: float,
        price: float,
        at_ns: int,
        entry: int = mt5.DEAL_ENTRY_OUT,
    ) -> DealRow:
        self._ledger.leave(held)
        profit, swap = self._realise(held, volume, price)
        left = held.volume - volume
        held.volume = round(left, _VOLUME_DECIMALS) if left else 0.0
        held.updated_at_ns = at_ns
        self._ledger.enter(held)
        self._set_margin(held)
        if held.volume == 0.0:
            del self.open[held.ticket]
            self._markets[held.symbol].positions.remove(held)
        order.position = held.identifier
        side = held.side.opposite
        return self._book(order, held, side, volume, price, at_ns, entry, profit, swap)

    def _reverse(
        self, held: HeldPosition, order: Order, volume: float, price: float, at_ns: int
    ) -> DealRow:
        self._ledger.leave(held)
        profit, swap = self._realise(held, held.volume, price)
        del self.open[held.ticket]
        held.ticket, held.magic, held.comment = order.ticket, order.magic, order.comment
        held.side = order.side
        held.volume = round(volume - held.volume, _VOLUME_DECIMALS)
        held.price = price
        held.stop, held.target = order.stop, order.target
        held.updated_at_ns = at_ns
        self.open[held.ticket] = held
        self._ledger.enter(held)
        self._set_margin(held)
        order.position = held.identifier
        entry = mt5.DEAL_ENTRY_INOUT
        return self._book(order, held, held.side, volume, price, at_ns, entry, profit, swap)

    def _realise(self, held: HeldPosition, volume: float, price: float) -> tuple[float, float]:
        """Return profit and swap of a part that closes; its swap leaves the position."""
        ledger, market = self._ledger, self._markets[held.symbol]
        profit = ledger.profit(market, held.side, volume, held.price, price)
        swap = ledger.round(held.swap * volume / held.volume)
        held.swap = ledger.round(held.swap - swap)
        return profit, swap

    def _set_margin(self, held: HeldPosition) -> None:
        market = self._markets[held.symbol]
        margin = self._ledger.margin_of(market, held.volume, held.price)
        self._ledger.use_margin(margin - held.margin)
        held.margin = margin

    def _changed(self, held: HeldPosition) -> None:
        self._told = None
        self._markets[held.symbol].disturb()
        for market in self._markets.values():
            if market.positions:
                market.alert()

    def _book(
        self,
        order: Order,
        held: HeldPosition,
        side: Side,
        volume: float,
        price: float,
        at_ns: int,
        entry: int,
        profit: float = 0.0,
        swap: float = 0.0,
    ) -> DealRow:
        ledger = self._ledger
        per_lot = self._markets[held.symbol].instrument.commission_or(
            ledger.rules.commission_per_lot
        )
        deal = DealRow(
            ticket=self._history.next_ticket,
            order=order.ticket,
            position=held.identifier,
            at_ns=at_ns,
            type=mt5.DEAL_TYPE_BUY if side is BUY else mt5.DEAL_TYPE_SELL,
            entry=entry,
            reason=order.reason,
            magic=order.magic,
            symbol=order.symbol,
            volume=volume,
            price=price,
            profit=profit,
            commission=-ledger.round(per_lot * volume) or 0.0,
            swap=swap,
            comment=order.comment,
        )
        self._history.add(deal)
        ledger.post(deal)
        self._changed(held)
        return deal
