"""Ports: what the story needs of the world. Adapters and the backtest implement them.

Outside systems are `async`; an implementation that never waits (the backtest's) can be driven
without an event loop by `online.trade.run_to_completion`.
"""

from __future__ import annotations

from math import isfinite
from operator import attrgetter
from typing import Final, Protocol

import msgspec

from online.domain.account import Account, AccountIdentity, Deal, Position, RestingOrder
from online.domain.manifest import Manifest
from online.domain.market import Quote
from online.domain.order import Intent, OrderReply
from online.domain.reasons import Reason, Veto
from online.domain.reconciliation import Statement
from online.domain.record import Record
from online.domain.signal import MemberOutput
from online.domain.vector import VectorContract, VectorReading


class Clock(Protocol):
    """Tells the time."""

    def now_ns(self) -> int:
        """Return nanoseconds since 1970-01-01 UTC."""


class FeatureReader(Protocol):
    """Reads the newest vector of a symbol from the online store."""

    async def read(self, symbol: str, contract: VectorContract) -> VectorReading:
        """Return what the store holds, missing values and stamps included.

        Raises
        ------
        Unavailable
            If the store does not answer.
        """


class Observation(msgspec.Struct, frozen=True, gc=False):
    """What the broker told at one instant.

    Parameters
    ----------
    quote
        Of the symbol asked for; None if there is none.
    account, positions
        None if the broker did not tell; an empty tuple of positions means flat.
    deals
        Fills after the ticket asked for, oldest first.
    orders
        What rests at the broker, of every symbol; None if the broker did not tell.
    told_at_ns
        The broker's clock, or its gateway's, nanoseconds UTC; None if it did not tell.
    rates
        Quotes of the conversion pairs asked for; those without a price are left out.
    """

    quote: Quote | None
    account: Account | None
    positions: tuple[Position, ...] | None
    deals: tuple[Deal, ...]
    orders: tuple[RestingOrder, ...] | None = ()
    told_at_ns: int | None = None
    rates: tuple[Quote, ...] = ()


class Broker(Protocol):
    """Where orders go."""

    async def observe(
        self, symbol: str, after_deal: int, pairs: tuple[str, ...] = ()
    ) -> Observation:
        """Return quote, account, positions and the deals with tickets above `after_deal`.

        `pairs` are symbols whose quotes are wanted as well, to convert currencies by.

        Raises
        ------
        Unavailable
            If the broker does not answer.
        """

    async def statement(self, since_ns: int) -> Statement:
        """Return the whole account, with the deals since an instant, nanoseconds UTC.

        Raises
        ------
        Unavailable
            If the broker does not answer, or does not tell all of it.
        """

    async def send(self, intent: Intent) -> OrderReply:
        """Send an order, a change or a cancel, once, and return what came back.

        Raises
        ------
        Unavailable
            If no reply came; the order may live at the broker.
        """

    async def find(self, intent: Intent) -> OrderReply | None:
        """Return the fate of an order sent earlier; None without evidence.

        Deals and the broker's own record prove a trade, the position's exits a modify, and the
        absence of the resting order a cancel.

        Raises
        ------
        InvalidInput
            If the broker answers, but cannot tell of this order.
        Unavailable
            If the broker does not answer.
        """


class AccountBroker(Broker, Protocol):
    """A broker that can say whose account it trades."""

    async def identify(self) -> AccountIdentity:
        """Return the account.

        Raises
        ------
        Unavailable
            If the broker does not tell it now.
        """


class Journal(Protocol):
    """The append-only record of everything."""

    async def append(self, *records: Record, durable: bool = True) -> None:
        """Append records together, in order.

        Parameters
        ----------
        records
            Appended all or not at all.
        durable
            True: they survive a power cut when this returns. False: they survive the death of the
            process when this returns, and a power cut very soon after.

        Raises
        ------
        JournalUnavailable
            If they could not be made durable; none of them was appended.
        """


class Model(Protocol):
    """A verified model."""

    @property
    def manifest(self) -> Manifest:
        """The bundle's manifest."""

    @property
    def sha256(self) -> str:
        """The bundle's digest."""

    @property
    def alias(self) -> str:
        """The alias it was loaded by."""

    def score(
        self, values: tuple[float, ...], window: bytes | None = None
    ) -> tuple[MemberOutput, ...]:
        """Return every member's raw output for one vector in the manifest's order.

        Parameters
        ----------
        values
            In the contract's order.
        window
            Packed as the contract says; None where the manifest asks for none.
        """


def _numbers(struct: type[msgspec.Struct]) -> attrgetter[tuple[float, ...]]:
    """Return what reads the struct's floating point numbers."""
    fields = msgspec.structs.fields(struct)
    return attrgetter(*(field.name for field in fields if field.type is float))


def _is_finite(
    told: tuple[Position | Deal | Quote | RestingOrder, ...], numbers: attrgetter[tuple[float, ...]]
) -> bool:
    for each in told:  # noqa: SIM110 - a generator costs more than what it would ask
        if not isfinite(sum(numbers(each))):
            return False
    return True


_NUMBERS_OF_POSITION: Final = _numbers(Position)
_NUMBERS_OF_DEAL: Final = _numbers(Deal)
_NUMBERS_OF_QUOTE: Final = _numbers(Quote)
_NUMBERS_OF_ORDER: Final = _numbers(RestingOrder)


def keep_finite(
    told: Observation, before: Observation | None = None
) -> tuple[Observation, tuple[Veto, ...]]:
    """Return what the broker told without what is not finite, and a veto for each thing dropped.

    A number that is none would make every comparison false and the journal unreadable. A sum is
    finite only if everything in it is, which is quicker to see.

    Parameters
    ----------
    told
        By the broker.
    before
        What was returned earlier: positions that are the same object were looked at then.
    """
    quote, account, positions, deals = told.quote, told.account, told.positions, told.deals
    rates, orders = told.rates, told.orders
    if (
        quote is not None
        and account is not None
        and not (deals or rates or orders)
        and (not positions or (before is not None and positions is before.positions))
        and isfinite(quote.bid + quote.ask + account.equity + account.balance)
        and isfinite((account.margin or 0.0) + (account.leverage or 0.0))
    ):
        return told, ()  # the usual case, told apart at once
    doubts = []
    if quote is not None and not isfinite(quote.bid + quote.ask):
        doubts.append(Veto(Reason.CROSSED_QUOTE, f"bid {quote.bid}, ask {quote.ask}"))
        quote = None
    if account is not None and not isfinite(
        account.equity + account.balance + (account.margin or 0.0) + (account.leverage or 0.0)
    ):
        detail = f"equity is {account.equity}, balance {account.balance}, margin {account.margin}"
        doubts.append(Veto(Reason.ACCOUNT_UNAVAILABLE, detail))
        account = None
    known = before is not None and positions is before.positions
    if positions and not known and not _is_finite(positions, _NUMBERS_OF_POSITION):
        doubts.append(Veto(Reason.ACCOUNT_UNAVAILABLE, f"a position is not finite: {positions}"))
        positions = None
    if deals and not _is_finite(deals, _NUMBERS_OF_DEAL):
        doubts.append(Veto(Reason.ACCOUNT_UNAVAILABLE, f"a deal is not finite: {deals}"))
        deals = ()
    if rates and not _is_finite(rates, _NUMBERS_OF_QUOTE):
        doubts.append(Veto(Reason.NO_CONVERSION_RATE, f"a rate is not finite: {rates}"))
        rates = ()
    if orders and not _is_finite(orders, _NUMBERS_OF_ORDER):
        doubts.append(Veto(Reason.ACCOUNT_UNAVAILABLE, f"an order is not finite: {orders}"))
        orders = None
    if not doubts:
        return told, ()
    kept = (quote, account, positions, deals, orders)
    return Observation(*kept, told.told_at_ns, rates), tuple(doubts)
