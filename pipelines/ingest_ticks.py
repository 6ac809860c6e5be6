"""Bring quote ticks into the lake, and make bars of them: read, check, write, aggregate, report."""

from __future__ import annotations

import logging
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import pandas as pd
from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from pydantic import Field

from online.domain.errors import InvalidInput
from online.domain.market import PriceSide, Timeframe
from online.instruments import find_instrument
from pipelines.home import Home
from pipelines.ingest import RETRY_DELAYS_SECONDS, is_worth_a_retry
from pipelines.lake import Lake
from pipelines.lake_ticks import TickLake
from pipelines.page import Page
from pipelines.quality_gaps import calendar_of
from pipelines.quality_report import draw_reasons, utc_text, write_json
from pipelines.quality_ticks import CheckedTicks, check_ticks
from pipelines.resample import bars_from_ticks
from pipelines.sources.terminal_ticks import FEED, TerminalTicksConfig, first_day_ns, read_days
from pipelines.sources.text import read_text
from pipelines.sources.ticks import LeanTicks, LeanTicksConfig, read_day

_log = logging.getLogger(__name__)
TickSourceConfig = Annotated[LeanTicksConfig | TerminalTicksConfig, Field(discriminator="kind")]
"""Settings of any source of quotes; the field ``kind`` tells which."""


class DayReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one daily file: its rows, the new ones, and those quarantined by reason."""

    source_file: str
    rows_read: int
    ticks: int
    added: int
    quarantined: dict[str, int]


class TickReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an ingestion of quotes did.

    Parameters
    ----------
    symbol, feed, clock
        Whose quotes, and by which clock they were stamped.
    rows_read, ticks, added
        Rows of all files, those fit, and those new in the lake.
    quarantined
        Rows not fit, by reason.
    bars
        New bars made of the quotes, by timeframe.
    first_at_ns, last_at_ns
        Times of the feed's first and last quote in the lake, UTC nanoseconds.
    days
        The same, file by file.
    report_html, report_json
        Where this report was written.
    """

    symbol: str
    feed: str
    clock: str
    rows_read: int
    ticks: int
    added: int
    quarantined: dict[str, int]
    bars: dict[str, int]
    first_at_ns: int
    last_at_ns: int
    days: list[DayReport]
    report_html: str
    report_json: str

    @property
    def headline(self) -> str:
        """One sentence that says what happened."""
        return (
            f"{self.symbol} quotes of {self.feed}: {self.rows_read:,} rows read, "
            f"{self.ticks:,} usable, {self.added:,} added to the lake, "
            f"{sum(self.quarantined.values()):,} in quarantine"
        )


@flow(name="ingest-ticks")
def ingest_ticks(
    home_root: Path | str,
    source: TickSourceConfig,
    symbol: str,
    timeframes: tuple[Timeframe, ...] = (),
    priority: int = 0,
) -> TickReport:
    """Bring quotes into the lake, a day at a time; a day that is there adds nothing.

    Parameters
    ----------
    home_root
        Runtime folder (see `pipelines.home.Home`).
    source
        Where the quotes are: a folder of daily files, or the live terminal.
    symbol
        Whose quotes they are; one of ``infra/config/instruments.toml``.
    timeframes
        Lengths of the bid bars to make of them; none by default.
    priority
        Rank of those bars where sources disagree (see `pipelines.lake.Lake.write_bars`).

    Raises
    ------
    NotFound, InvalidInput
        Named by their code, as `pipelines.ingest.ingest`; days before the one at fault are kept.
    """
    home = Home(Path(home_root))
    if isinstance(source, TerminalTicksConfig):
        clock, days = bring_terminal(home, source, symbol)
    else:
        clock, paths = source.clock, find_days(source, symbol)
        days = [bring_day(home, source, symbol, path) for path in paths]
    bars = {
        timeframe.value: make_bars(home, symbol, source.feed, timeframe, priority)
        for timeframe in timeframes
    }
    return report_ticks(home, symbol, source.feed, clock, days, bars)


@task(name="find days", cache_policy=NO_CACHE)
def find_days(source: LeanTicksConfig, symbol: str) -> tuple[Path, ...]:
    """Return the daily files, after a look at whose they are."""
    find_instrument(symbol)
    named = source.folder.resolve().name.upper()
    if named != symbol and len(named) == len(symbol) and named.isalpha():
        raise InvalidInput(
            f"the folder is named {named}, it was given as {symbol}",
            code="SYMBOL_MISMATCH",
            remedy="Give the symbol of the folder, or rename the folder.",
        )
    return LeanTicks(source).files()


@task(
    name="bring a day",
    retries=len(RETRY_DELAYS_SECONDS),
    retry_delay_seconds=RETRY_DELAYS_SECONDS,
    retry_condition_fn=is_worth_a_retry,
    cache_policy=NO_CACHE,  # the lake may be another one, or have changed
)
def bring_day(home: Home, source: LeanTicksConfig, symbol: str, path: Path) -> DayReport:
    """Read a day's quotes, judge each, and write the fit and the unfit."""
    checked = check_ticks(read_day(read_text(path), source), find_instrument(symbol))
    _require_past(checked)
    added = TickLake(home.lake).write_ticks(
        symbol, source.feed, checked.source_file, checked.file_sha256, checked.ticks
    )
    return _told(home, symbol, checked, added)


@task(
    name="bring the terminal's ticks",
    retries=len(RETRY_DELAYS_SECONDS),
    retry_delay_seconds=RETRY_DELAYS_SECONDS,
    retry_condition_fn=is_worth_a_retry,
    cache_policy=NO_CACHE,  # the terminal tells more each time
)
def bring_terminal(
    home: Home, source: TerminalTicksConfig, symbol: str
) -> tuple[str, list[DayReport]]:
    """Read the terminal's ticks, judge each, and write the fit and the unfit; tell its clock."""
    instrument = find_instrument(symbol)
    if source.symbol != symbol:
        raise InvalidInput(
            f"the source is set to {source.symbol}, it was given as {symbol}",
            code="SYMBOL_MISMATCH",
        )
    clock, raws = read_days(source)
    lake, days = TickLake(home.lake), []
    for raw in raws:
        checked = check_ticks(raw, instrument)
        _require_past(checked)
        added = lake.extend_ticks(
            symbol, source.feed, checked.source_file, checked.ticks, first_day_ns(source)
        )
        days.append(_told(home, symbol, checked, added))
    told_ns = [at for raw in raws for at in raw.rows["at_ns"].tolist() if at]
    if told_ns:
        lake.cover(symbol, source.feed, min(told_ns), max(told_ns))
    return clock, days


def _told(home: Home, symbol: str, checked: CheckedTicks, added: int) -> DayReport:
    """Keep a day's unfit quotes and return what became of all."""
    if len(checked.quarantine):
        name = Path(checked.source_file).stem
        if checked.feed != FEED:  # a live day's table grows with it
            name += f"-{checked.file_sha256[:12]}"
        Lake(home.lake).write_quarantine(
            symbol, "ticks", f"{checked.feed}-{name}", checked.quarantine
        )
    return DayReport(
        source_file=checked.source_file,
        rows_read=checked.rows_read,
        ticks=len(checked.ticks),
        added=added,
        quarantined=checked.quarantined,
    )


@task(name="make bars of ticks", cache_policy=NO_CACHE)
def make_bars(home: Home, symbol: str, feed: str, timeframe: Timeframe, priority: int) -> int:
    """Write the bid bars of a feed's quotes to the lake; return how many it took."""
    instrument = find_instrument(symbol)
    ticks = TickLake(home.lake).read_ticks(symbol, feed)
    bars = bars_from_ticks(ticks, timeframe, calendar_of(instrument), point=instrument.point)
    if feed == FEED:
        bars = _wholly_read(bars, timeframe, TickLake(home.lake).coverage(symbol, feed))
    written = Lake(home.lake).write_bars(
        symbol, timeframe, PriceSide.BID, bars, f"ticks:{feed}", priority=priority
    )
    if len(written.conflicting):
        _log.warning(
            "%d %s bars of %s ticks differ from those in the lake, which stay",
            len(written.conflicting),
            timeframe,
            feed,
        )
    return written.added + written.replaced


def _wholly_read(
    bars: pd.DataFrame, timeframe: Timeframe, coverage: list[tuple[int, int]]
) -> pd.DataFrame:
    """Return the bars all of whose time was read: a live feed is kept from when it was asked."""
    closed_ns = bars["closed_at_ns"].to_numpy()
    opened_ns = closed_ns - timeframe.duration_ns
    read = np.zeros(len(bars), dtype=np.bool_)
    for first_ns, last_ns in coverage:
        read |= (first_ns <= opened_ns) & (closed_ns <= last_ns)
    if not read.all():
        _log.info("%d %s bars were not wholly read and are left out", (~read).sum(), timeframe)
    return bars[read].reset_index(drop=True)


@task(name="report quotes", cache_policy=NO_CACHE)
def report_ticks(
    home: Home,
    symbol: str,
    feed: str,
    clock: str,
    days: list[DayReport],
    bars: dict[str, int],
) -> TickReport:
    """Write the report and show it in Prefect."""
    counted = Counter[str]()
    for day in days:
        counted.update(day.quarantined)
    (entry,) = (
        entry
        for entry in TickLake(home.lake).describe()
        if (entry.symbol, entry.feed) == (symbol, feed)
    )
    stem = home.lake / "reports" / f"ingest-ticks-{symbol}-{feed}"
    report = TickReport(
        symbol=symbol,
        feed=feed,
        clock=clock,
        rows_read=sum(day.rows_read for day in days),
        ticks=sum(day.ticks for day in days),
        added=sum(day.added for day in days),
        quarantined=dict(counted.most_common()),
        bars=bars,
        first_at_ns=entry.first_ns,
        last_at_ns=entry.last_ns,
        days=days,
        report_html=str(stem.with_suffix(".html")),
        report_json=str(stem.with_suffix(".json")),
    )
    _write_page(report)
    write_json(Path(report.report_json), report)
    create_markdown_artifact(
        _to_markdown(report),
        key=f"ingest-ticks-{symbol}-{feed}".lower(),
        description=report.headline,
    )
    _log.info(report.headline)
    return report


def _require_past(checked: CheckedTicks) -> None:
    last_ns = int(checked.ticks["at_ns"].iloc[-1])
    if last_ns > time.time_ns():
        raise InvalidInput(
            f"{checked.source_file} has quotes of {utc_text(last_ns)}, which is yet to come",
            code="FUTURE_STAMP",
            remedy="Check the day in the file's name and the clock.",
        )


def _write_page(report: TickReport) -> None:
    page = Page(f"Quotes of {report.symbol} from {report.feed}", report.headline)
    page.cards({"rows read": report.rows_read, "usable": report.ticks, "added": report.added})
    page.paragraph(
        f"{utc_text(report.first_at_ns)} to {utc_text(report.last_at_ns)}, clock {report.clock}"
    )
    if report.quarantined:
        page.heading("Rows in quarantine")
        page.picture(draw_reasons(report.quarantined), "Rows in quarantine by reason")
        page.table(["reason", "rows"], list(report.quarantined.items()))
    page.heading("Files")
    page.table(
        ["file", "rows", "usable", "added", "in quarantine"],
        [
            (d.source_file, d.rows_read, d.ticks, d.added, sum(d.quarantined.values()))
            for d in report.days
        ],
    )
    page.write(Path(report.report_html))


def _to_markdown(report: TickReport) -> str:
    counts = report.quarantined or {"none": 0}
    reasons = "".join(f"| {name} | {count:,} |\n" for name, count in counts.items())
    return (
        f"# Quotes of {report.symbol} from {report.feed}\n\n{report.headline}\n\n"
        f"| reason | rows |\n| --- | ---: |\n{reasons}"
    )
