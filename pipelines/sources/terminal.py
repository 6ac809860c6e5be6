"""Bars of the live terminal, through the gateway beside it."""

from __future__ import annotations

import dataclasses
import hashlib
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator

from online.domain.errors import InvalidMarketData
from online.domain.market import NANOSECONDS_PER_SECOND, PriceSide, Timeframe
from online.gateway.price_desk import ServerBar
from pipelines.sources.clock import find_clock, to_utc
from pipelines.sources.correlation import KnownSeries
from pipelines.sources.raw import MEASURES, PRICES, RawBars
from pipelines.sources.stamping import Origin, put_on_utc
from pipelines.sources.terminal_link import GatewayPlace, clock_of, open_link, prove_clock

_SECOND_NS = NANOSECONDS_PER_SECOND


def require_zone(at: datetime) -> datetime:
    """Return a time that names its zone.

    Raises
    ------
    ValueError
        If it names none: it would be read in the machine's.
    """
    if at.tzinfo is None:
        raise ValueError("the time needs a zone, such as Z for UTC")
    return at


ZonedTime = Annotated[datetime, AfterValidator(require_zone)]


class TerminalConfig(GatewayPlace):
    """Closed bars of one symbol, bid prices, from the terminal's history.

    Attributes
    ----------
    symbol, timeframe
        Our name of the symbol, and the bars' length.
    since
        Bars that open before are left; None for all that the terminal keeps.
    """

    kind: Literal["terminal"] = "terminal"
    symbol: str
    timeframe: Timeframe
    since: ZonedTime | None = None


class TerminalBars:
    """Bars read through the gateway.

    Parameters
    ----------
    config
        Where it is, and what is wanted.
    """

    def __init__(self, config: TerminalConfig) -> None:
        self._config = config

    def files(self) -> tuple[Path, ...]:
        """Return nothing: there are no files."""
        return ()

    def read(self, known: KnownSeries | None = None, /) -> RawBars:
        """Read every closed bar since the time asked for, oldest first, each once.

        The bar that is still forming is never read.

        Raises
        ------
        Unavailable
            If the gateway or its terminal does not answer, or refuses.
        InvalidMarketData
            ``EMPTY_FILE`` if there is no bar, ``CLOCK_CONTRADICTED`` if the newest tick or a known
            series tells another clock.
        """
        config = self._config
        since_ns = None if config.since is None else to_ns(config.since)
        with open_link(config) as link:
            pages = list(link.bars(config.symbol, config.timeframe, since_ns))
        evidence, clock = prove_clock(pages[0]), clock_of(pages[0].server_time)
        rows = {row.opened_at_seconds: row for page in reversed(pages) for row in page.bars}
        bars = [rows[opened] for opened in sorted(rows)]
        wall_ns = np.array([row.opened_at_seconds for row in bars], np.int64) * _SECOND_NS
        if since_ns is not None:
            utc_ns, unclear = to_utc(wall_ns, find_clock(clock))
            wanted = (utc_ns >= since_ns) | (unclear != "")
            bars = [row for row, is_wanted in zip(bars, wanted, strict=True) if is_wanted]
            wall_ns = wall_ns[wanted]
        if not bars:
            raise InvalidMarketData(
                f"the terminal has no closed {config.timeframe} bar of {config.symbol} since "
                f"{config.since or 'ever'}",
                code="EMPTY_FILE",
            )
        origin = Origin(
            source=config.kind,
            source_file=f"{config.host}:{config.port}",
            file_sha256=hashlib.sha256(msgspec.msgpack.encode(bars)).hexdigest(),
            side=PriceSide.BID,
            timeframe=config.timeframe,
            clock=clock,
        )
        raw = put_on_utc(
            origin,
            np.arange(1, len(bars) + 1, dtype=np.int64),
            wall_ns,
            _measures(bars),
            np.full(len(bars), "", dtype=object),
            lambda places: [repr(bars[place]) for place in places],
            known,
        )
        return dataclasses.replace(raw, clock_evidence=(evidence, *raw.clock_evidence))


def to_ns(at: datetime) -> int:
    """Return an instant as UTC nanoseconds."""
    return int(at.timestamp()) * _SECOND_NS


def _measures(bars: list[ServerBar]) -> dict[str, NDArray[np.float64]]:
    columns = (*PRICES, "tick_volume", "spread_points")
    return {
        name: np.array([getattr(bar, column) for bar in bars], np.float64)
        for name, column in zip(MEASURES, columns, strict=True)
    }
