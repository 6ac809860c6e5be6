"""The live terminal, behind its gateway: every closed bar and every tick it tells, page by page."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from online.adapters.gateway_address import GatewayAddress
from online.adapters.gateway_prices import GatewayPrices
from online.domain.daylight import DaylightSaving
from online.domain.errors import InvalidInput, InvalidMarketData, Unavailable
from online.domain.market import NANOSECONDS_PER_SECOND, Timeframe
from online.gateway.price_desk import BARS_PER_PAGE, TICKS_PER_PAGE, PricePage
from online.gateway.tls import TlsFiles
from online.simulator.server_time import ServerTime

T = TypeVar("T")
FIRST_CLOSED = 1
"""Place of the newest bar that is closed: the one at 0 is still forming."""

_AHEAD_MAX_NS = 300 * NANOSECONDS_PER_SECOND
_FRESH_NS = 300 * NANOSECONDS_PER_SECOND
_MILLISECONDS = 1_000
_NANOSECONDS_PER_MILLISECOND = 1_000_000


class GatewayPlace(BaseModel):
    """Where the gateway is.

    Attributes
    ----------
    host, port
        Of the gateway.
    certificates
        Folder with ``authority.pem``, ``reader.pem`` and ``reader.key``.
    answer_seconds
        Longest wait for a page (> 0).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: int = 8220
    certificates: Path = Path("certificates")
    answer_seconds: float = Field(default=15.0, gt=0.0)


class PriceReader(Protocol):
    """Who answers with pages; see `online.adapters.gateway_prices.GatewayPrices`."""

    async def bars(self, symbol: str, timeframe: Timeframe, position: int, count: int) -> PricePage:
        """Return bars by place from the end."""

    async def ticks(self, symbol: str, since_seconds: int, count: int) -> PricePage:
        """Return ticks from a second on."""

    async def close(self) -> None:
        """End the connection."""


class TerminalLink:
    """A connection to the gateway, for programs that are not asynchronous.

    It runs an event loop in a thread of its own, so that the connection stays alive between two
    questions. Use it as a context manager.

    Parameters
    ----------
    prices
        The gateway, or who answers as it does.
    """

    def __init__(self, prices: PriceReader) -> None:
        self._prices = prices
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gateway", daemon=True)

    def __enter__(self) -> Self:
        """Begin; the connection is made with the first question."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection and end the thread."""
        self._run(self._prices.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def bars(
        self, symbol: str, timeframe: Timeframe, since_ns: int | None = None
    ) -> Iterator[PricePage]:
        """Yield the closed bars that open at `since_ns` or later, newest page first.

        The last page may have older ones, too. A bar that closes meanwhile shifts the places, so
        that some rows come twice; none is lost.

        Parameters
        ----------
        since_ns
            UTC nanoseconds; None for all that the terminal keeps.

        Raises
        ------
        Unavailable
            If the gateway or its terminal does not answer, or refuses.
        """
        position = FIRST_CLOSED
        while True:
            page = self._run(self._prices.bars(symbol, timeframe, position, BARS_PER_PAGE))
            yield page
            if len(page.bars) < BARS_PER_PAGE or _reaches(page, since_ns):
                return
            position += BARS_PER_PAGE

    def ticks(self, symbol: str, since_ns: int) -> Iterator[PricePage]:
        """Yield the ticks from the second of `since_ns` on, oldest first.

        A page begins with the last second of the page before, so some rows come twice.

        Raises
        ------
        Unavailable
            As `bars`; ``TICKS_TOO_DENSE`` if one second holds more than a page.
        """
        rule = self._run(self._prices.bars(symbol, Timeframe.M1, 0, 1)).server_time
        seconds = rule.to_server_ns(since_ns) // NANOSECONDS_PER_SECOND
        while True:
            page = self._run(self._prices.ticks(symbol, seconds, TICKS_PER_PAGE))
            yield page
            if len(page.ticks) < TICKS_PER_PAGE:
                return
            last = page.ticks[-1].at_milliseconds // _MILLISECONDS
            if last <= seconds:
                raise Unavailable(
                    f"{symbol} has {TICKS_PER_PAGE} ticks and more in second {last}",
                    code="TICKS_TOO_DENSE",
                )
            seconds = last

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def open_link(place: GatewayPlace) -> TerminalLink:
    """Return a link to a gateway.

    Raises
    ------
    InvalidSettings
        If the certificates cannot be used.
    """
    folder = place.certificates
    tls = TlsFiles(folder / "authority.pem", folder / "reader.pem", folder / "reader.key")
    address = GatewayAddress(place.host, place.port, tls, answer_seconds=place.answer_seconds)
    return TerminalLink(GatewayPrices(address))


def clock_of(server_time: ServerTime) -> str:
    """Return the name of a trade server's clock, as `pipelines.sources.clock.find_clock` knows it.

    Examples
    --------
    >>> clock_of(ServerTime(2, DaylightSaving.AMERICA)), clock_of(ServerTime(3))
    ('broker-us', 'UTC+03:00')
    """
    hours, name = server_time.offset_hours, None
    match server_time.daylight_saving:
        case DaylightSaving.AMERICA:
            name = {2: "broker-us", -5: "America/New_York"}.get(hours)
        case DaylightSaving.EUROPE:
            name = {2: "broker-eu", 1: "Europe/Berlin", 0: "Europe/London"}.get(hours)
        case DaylightSaving.NONE:
            name = "UTC" if not hours else f"UTC{'+' if hours > 0 else '-'}{abs(hours):02d}:00"
    if name is None:
        raise InvalidInput(
            f"no clock is known that is {hours} hours from UTC and keeps the summer time of "
            f"{server_time.daylight_saving}",
            code="UNKNOWN_CLOCK",
            remedy="Correct server_time in the gateway's settings.",
        )
    return name


def prove_clock(page: PricePage) -> str:
    """Return what the newest tick tells of the clock that the gateway is set to.

    Raises
    ------
    InvalidMarketData
        With code ``CLOCK_CONTRADICTED`` if the tick would be of the future.
    """
    clock = clock_of(page.server_time)
    if not page.newest_tick_milliseconds:
        return f"{clock}, as the gateway is set; no tick to prove it by"
    newest_ns = page.newest_tick_milliseconds * _NANOSECONDS_PER_MILLISECOND
    age_ns = page.asked_at_ns - page.server_time.to_utc_ns(newest_ns)
    age = f"{age_ns / NANOSECONDS_PER_SECOND:.1f} s"
    if age_ns < -_AHEAD_MAX_NS:
        raise InvalidMarketData(
            f"by {clock} the newest tick would be of the future, its age {age}",
            code="CLOCK_CONTRADICTED",
            remedy="Correct server_time in the gateway's settings, or the gateway host's clock.",
        )
    if age_ns > _FRESH_NS:
        return f"{clock}, as the gateway is set; the newest tick is {age} old and proves nothing"
    return f"{clock}, as the gateway is set; the newest tick is {age} old by it"


def _reaches(page: PricePage, since_ns: int | None) -> bool:
    """Tell whether a page begins at or before an instant."""
    if since_ns is None:
        return False
    opened_ns = page.bars[0].opened_at_seconds * NANOSECONDS_PER_SECOND
    return page.server_time.to_utc_ns(opened_ns) <= since_ns
