"""Ticks of the live terminal, through the gateway beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Literal

import numpy as np
import pandas as pd

from online.gateway.price_desk import PricePage
from pipelines.sources.clock import find_clock, to_utc
from pipelines.sources.terminal import ZonedTime, to_ns
from pipelines.sources.terminal_link import (
    GatewayPlace,
    TerminalLink,
    clock_of,
    open_link,
    prove_clock,
)
from pipelines.sources.ticks import RawTicks

FEED = "terminal"
_DAY_NS = 86_400 * 10**9
_MILLISECOND_NS = 1_000_000
_KEY = ["at_milliseconds", "bid", "ask", "flags"]


class TerminalTicksConfig(GatewayPlace):
    """Ticks of one symbol from the terminal's history.

    Attributes
    ----------
    symbol
        Our name.
    since
        Ticks of earlier days of UTC are left.
    """

    kind: Literal["terminal-ticks"] = "terminal-ticks"
    feed: Literal["terminal"] = "terminal"
    symbol: str
    since: ZonedTime


class TickReader:
    """Hands every tick over once, however often the terminal repeats it.

    The terminal is asked by whole seconds and tells the last second again; what it told of that
    second already is left out, by time, bid, ask and flags.

    Parameters
    ----------
    link
        To the gateway.
    symbol
        Whose ticks.
    since_ns
        Ticks before are left, UTC nanoseconds.

    Attributes
    ----------
    clock, evidence
        Name of the server's clock, and what tells that it is read rightly; empty before the first
        page.
    """

    def __init__(self, link: TerminalLink, symbol: str, since_ns: int) -> None:
        self._link = link
        self._symbol = symbol
        self._since_ns = since_ns
        self._told = pd.DataFrame(columns=_KEY)
        self.clock = ""
        self.evidence = ""

    def read(self) -> pd.DataFrame:
        """Return the ticks that are new: ``at_ns``, ``bid``, ``ask`` and ``fault``, oldest first.

        Raises
        ------
        Unavailable
            If the gateway or its terminal does not answer, or refuses.
        InvalidMarketData
            With code ``CLOCK_CONTRADICTED``.
        """
        pages = list(self._link.ticks(self._symbol, self._since_ns))
        self.clock = clock_of(pages[0].server_time)
        self.evidence = prove_clock(pages[-1])
        rows = pd.DataFrame(
            [tick for page in pages for tick in _rows(page)], columns=_KEY
        ).drop_duplicates(ignore_index=True)
        again = pd.MultiIndex.from_frame(rows).isin(pd.MultiIndex.from_frame(self._told))
        new = rows[~again]
        wall_ns = new["at_milliseconds"].to_numpy(dtype=np.int64) * _MILLISECOND_NS
        at_ns, fault = to_utc(wall_ns, find_clock(self.clock))
        found = pd.DataFrame(
            {"at_ns": at_ns, "bid": new["bid"].to_numpy(float), "ask": new["ask"].to_numpy(float)}
        )
        found["fault"] = fault
        found = found[(at_ns >= self._since_ns) | (fault != "")].reset_index(drop=True)
        if len(rows):
            last_second = rows["at_milliseconds"].max() // 1000
            self._told = rows[rows["at_milliseconds"] // 1000 == last_second]
            self._since_ns = max(self._since_ns, int(found["at_ns"].max() if len(found) else 0))
        whole: pd.DataFrame = found
        return whole


def reaches_back(link: TerminalLink, symbol: str, since_ns: int, before_ns: int) -> bool:
    """Tell whether the terminal's history has a tick of an interval; errors as `TickReader.read`.

    Parameters
    ----------
    since_ns, before_ns
        The interval, UTC nanoseconds, its end excluded.
    """
    for page in link.ticks(symbol, since_ns):  # the first one tells the oldest tick
        wall_ns = np.array([row[0] for row in _rows(page)], np.int64) * _MILLISECOND_NS
        at_ns, fault = to_utc(wall_ns, find_clock(clock_of(page.server_time)))
        return bool(np.any((at_ns >= since_ns) & (at_ns < before_ns) & (fault == "")))
    return False


def read_days(config: TerminalTicksConfig) -> tuple[str, list[RawTicks]]:
    """Return the server's clock, and the ticks asked for by days of UTC, oldest first.

    Raises
    ------
    Unavailable, InvalidMarketData
        As `TickReader.read`.
    """
    with open_link(config) as link:
        reader = TickReader(link, config.symbol, first_day_ns(config))
        ticks = reader.read()
    dated = ticks["at_ns"].where(ticks["fault"] == "").ffill().bfill().fillna(0.0)
    days = ticks.groupby((dated // _DAY_NS).to_numpy())  # one without a time stays with its like
    found = [
        raw_ticks(rows, pd.Timestamp(int(rows["at_ns"].max())).strftime("%Y%m%d"))
        for _, rows in days
    ]
    return reader.clock, found


def first_day_ns(config: TerminalTicksConfig) -> int:
    """Return when the first day that is read begins, UTC nanoseconds."""
    return to_ns(config.since) // _DAY_NS * _DAY_NS


def raw_ticks(ticks: pd.DataFrame, name: str) -> RawTicks:
    """Return ticks of a reader as raw ones, under a name that stands for a file's."""
    rows = ticks.reset_index(drop=True)
    rows.insert(0, "row_number", np.arange(1, len(rows) + 1, dtype=np.int64))
    content = b"".join(rows[column].to_numpy().tobytes() for column in ("at_ns", "bid", "ask"))
    texts = rows[["at_ns", "bid", "ask"]].to_csv(index=False, header=False).splitlines()
    return RawTicks(
        feed=FEED,
        source_file=f"terminal-{name}",
        file_sha256=hashlib.sha256(content).hexdigest(),
        rows=rows,
        raw_text=lambda places: [texts[place] for place in places],
    )


def _rows(page: PricePage) -> Iterator[tuple[int, float, float, int]]:
    return ((t.at_milliseconds, t.bid, t.ask, t.flags) for t in page.ticks)
