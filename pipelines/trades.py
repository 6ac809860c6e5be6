"""Trades: what an account's deals tell of each position, from its opening until all is closed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from online.domain.account import Deal
from online.domain.market import Side

_SAME_VOLUME = 1e-9
_ENDED_BY = {"expert": "time-out"}  # the trading code closes a position for no other reason


@dataclass(frozen=True, slots=True)
class Trade:
    """A position from its first opening deal to the closing deal that left nothing of it.

    Prices are means over the lots where it was opened or closed in parts, `volume_lots` is all that
    was closed, `reason` the last closing's. `pnl_net` is profit and what all its deals paid, in the
    account's currency; of it are `commission` and `swap`, negative costs.
    """

    position: int
    symbol: str
    side: str
    volume_lots: float
    opened_at_ns: int
    opened_price: float
    closed_at_ns: int
    closed_price: float
    reason: str
    pnl_net: float
    commission: float = 0.0
    swap: float = 0.0


def trades_of(deals: Iterable[Deal]) -> tuple[Trade, ...]:
    """Return the positions that are closed, oldest closing first.

    One that is closed in parts is a trade once its last part is. A deal of a netting account that
    turns a position around ends one and begins another. What was opened before the first of `deals`
    is no trade.
    """
    return tuple(_fold(sorted(deals, key=lambda deal: deal.ticket)))


def _fold(deals: Iterable[Deal]) -> Iterator[Trade]:
    held: dict[int, _Held] = {}
    for deal in deals:
        position = held.get(deal.position)
        if position is None:
            if deal.entry:
                held[deal.position] = _Held(deal, deal.volume_lots, deal.money, deal.commission)
            continue
        if deal.side is position.side:
            position.grow(deal)
            continue
        over_lots = max(0.0, deal.volume_lots - position.left_lots)
        is_around = over_lots > _SAME_VOLUME
        rest = deal.commission * over_lots / deal.volume_lots if is_around else 0.0
        position.shrink(deal, over_lots, rest)
        if position.left_lots > _SAME_VOLUME:
            continue
        yield position.end(deal)
        del held[deal.position]
        if is_around:
            held[deal.position] = _Held(deal, over_lots, rest, rest, swap=0.0)


class _Held:
    """What is open of a position, and what its deals have brought so far."""

    __slots__ = ("_first", "closed", "commission", "left_lots", "money", "opened", "swap")

    def __init__(
        self,
        deal: Deal,
        lots: float,
        money: float,
        commission: float,
        swap: float | None = None,
    ) -> None:
        self._first = deal
        self.opened, self.closed = [(lots, deal.price)], list[tuple[float, float]]()
        self.left_lots, self.money, self.commission = lots, money, commission
        self.swap = deal.swap if swap is None else swap

    @property
    def side(self) -> Side:
        """Which way it goes."""
        return self._first.side

    def grow(self, deal: Deal) -> None:
        """Add a deal of a netting account to it."""
        self.opened.append((deal.volume_lots, deal.price))
        self.left_lots += deal.volume_lots
        self._pay(deal, 0.0)

    def shrink(self, deal: Deal, over_lots: float, rest: float) -> None:
        """Take a deal off it; `over_lots`, and their commission `rest`, are not its own."""
        lots = deal.volume_lots - over_lots
        self.closed.append((lots, deal.price))
        self.left_lots -= lots
        self._pay(deal, rest)

    def end(self, deal: Deal) -> Trade:
        """Return it as a trade; the deal has left nothing of it."""
        first = self._first
        lots, price = _mean(self.closed)
        return Trade(
            position=first.position,
            symbol=first.symbol,
            side=first.side.value,
            volume_lots=lots,
            opened_at_ns=first.at_ns,
            opened_price=_mean(self.opened)[1],
            closed_at_ns=deal.at_ns,
            closed_price=price,
            reason=_ENDED_BY.get(deal.reason, deal.reason),
            pnl_net=self.money,
            commission=self.commission,
            swap=self.swap,
        )

    def _pay(self, deal: Deal, rest: float) -> None:
        self.money += deal.money - rest
        self.commission += deal.commission - rest
        self.swap += deal.swap


def _mean(parts: list[tuple[float, float]]) -> tuple[float, float]:
    """Return volume and mean price of fills."""
    if len(parts) == 1:
        return parts[0]
    lots = sum(each for each, _ in parts)
    return lots, sum(each * price for each, price in parts) / lots
