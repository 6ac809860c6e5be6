"""Ports: what the story needs of the world. Adapters and the backtest implement them.

Outside systems are `async`; an implementation that never waits (the backtest's) can be driven
without an event loop by `online.trade.run_to_completion`.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from online.domain.account import Account, Deal, Position
from online.domain.manifest import Manifest
from online.domain.market import Quote
from online.domain.order import Intent, OrderReply
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
    """

    quote: Quote | None
    account: Account | None
    positions: tuple[Position, ...] | None
    deals: tuple[Deal, ...]


class Broker(Protocol):
    """Where orders go."""

    async def observe(self, symbol: str, after_deal: int) -> Observation:
        """Return quote, account, positions and the deals with tickets above `after_deal`.

        Raises
        ------
        Unavailable
            If the broker does not answer.
        """

    async def send(self, intent: Intent) -> OrderReply:
        """Send an order, once, and return what came back.

        Raises
        ------
        Unavailable
            If no reply came; the order may live at the broker.
        """

    async def find(self, intent: Intent) -> OrderReply | None:
        """Return the fate of an order sent earlier, by its magic number; None without evidence.

        Raises
        ------
        Unavailable
            If the broker does not answer.
        """


class Journal(Protocol):
    """The append-only record of everything."""

    async def append(self, *records: Record) -> None:
        """Append records together; they are durable when this returns.

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

    def score(self, values: tuple[float, ...]) -> tuple[MemberOutput, ...]:
        """Return every member's raw output for one vector in the manifest's order."""
