"""Bring market data into the lake: read, check, write, report."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import pandas as pd
from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from online.domain.errors import InvalidInput, InvalidMarketData, Unavailable
from online.domain.market import Timeframe
from online.instruments import find_instrument, load_instruments
from pipelines.home import Home
from pipelines.lake import Lake
from pipelines.lake_merge import WriteReport
from pipelines.quality import SCALE_FACTOR_MAX, CheckedBars, check
from pipelines.quality_gaps import DAY_NS, calendar_of, count_out_of_session, find_gaps
from pipelines.quality_report import (
    GAPS_SHOWN,
    GapRecord,
    IngestReport,
    to_markdown,
    write_report,
)
from pipelines.quarantine import conflict_rows
from pipelines.reading_cache import name_of_content, prune_readings
from pipelines.sources.clock import find_clock
from pipelines.sources.correlation import KnownSeries
from pipelines.sources.source import SourceConfig, open_source
from pipelines.sources.terminal import TerminalConfig

_log = logging.getLogger(__name__)
RETRY_DELAYS_SECONDS = [1.0, 5.0, 15.0]
_NEAR_NS = 7 * DAY_NS


def is_worth_a_retry(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Return whether the same call may succeed later: wrong input stays wrong."""
    return isinstance(state.result(raise_on_failure=False), (Unavailable, OSError))


@flow(name="ingest", validate_parameters=True)
def ingest(
    home_root: Path | str,
    source: SourceConfig,
    symbol: str,
    *,
    priority: int = 0,
    reference: str | None = None,
) -> IngestReport:
    """Bring the bars of a source into the lake; what is there already is not written again.

    Parameters
    ----------
    home_root
        Runtime folder (see `pipelines.home.Home`).
    source
        Where the bars are.
    symbol
        Whose bars they are; one of ``infra/config/instruments.toml``.
    priority
        Rank of the source where sources disagree (see `pipelines.lake.Lake.write_bars`).
    reference
        A series of the lake whose clock is known, such as ``EURUSD.H1``: hourly returns are
        compared with its own, to infer the source's clock or to prove the one it was given.

    Raises
    ------
    NotFound, InvalidInput
        Named by their code: an unknown symbol, a file that is missing, empty, malformed, of
        another preset or without a usable row. Nothing is written then.
    """
    home = Home(Path(home_root))
    known = None if reference is None else read_known(Lake(home.lake), reference)
    checked = read_and_check(source, symbol, known)
    prune_readings()
    written = write_to_lake(home, symbol, checked, priority)
    return report_quality(home, symbol, checked, written)


@task(
    name="read and check",
    retries=len(RETRY_DELAYS_SECONDS),
    retry_delay_seconds=RETRY_DELAYS_SECONDS,
    retry_condition_fn=is_worth_a_retry,
    cache_key_fn=name_of_content,
    persist_result=True,
)
def read_and_check(
    source: SourceConfig, symbol: str, known: KnownSeries | None = None
) -> CheckedBars:
    """Read every row of the source and judge it."""
    instrument = find_instrument(symbol)
    if isinstance(source, TerminalConfig) and source.symbol != symbol:
        raise InvalidInput(
            f"the source is set to {source.symbol}, it was given as {symbol}",
            code="SYMBOL_MISMATCH",
        )
    opened = open_source(source)
    _require_symbol(symbol, opened.files())
    return check(opened.read(known), instrument, now_ns=time.time_ns())


@task(
    name="write to the lake",
    retries=len(RETRY_DELAYS_SECONDS),
    retry_delay_seconds=RETRY_DELAYS_SECONDS,
    retry_condition_fn=is_worth_a_retry,
    cache_policy=NO_CACHE,  # the lake may be another one, or have changed
)
def write_to_lake(home: Home, symbol: str, checked: CheckedBars, priority: int) -> WriteReport:
    """Write the fit rows to the lake, if they can be of the same thing as what is there."""
    lake = Lake(home.lake)
    _require_scale(lake, symbol, checked)
    return lake.write_bars(
        symbol,
        checked.timeframe,
        checked.side,
        checked.bars,
        checked.source,
        priority=priority,
    )


@task(name="report quality", cache_policy=NO_CACHE)
def report_quality(
    home: Home, symbol: str, checked: CheckedBars, written: WriteReport
) -> IngestReport:
    """Keep the unfit rows, write the report, and show it in Prefect."""
    instrument = find_instrument(symbol)
    calendar, clock = calendar_of(instrument), find_clock(checked.clock)
    stamps = checked.bars["closed_at_ns"].to_numpy()
    gaps = find_gaps(stamps, checked.timeframe, calendar)
    quarantine = pd.concat([checked.quarantine, _conflicts(checked, written)], ignore_index=True)
    counts = {str(k): int(n) for k, n in quarantine["reason"].value_counts().items()}
    name = f"{symbol}-{checked.timeframe}-{checked.file_sha256[:12]}"
    kept = Lake(home.lake).write_quarantine(symbol, checked.timeframe, name, quarantine)
    reports = home.lake / "reports"
    report = IngestReport(
        symbol=symbol,
        timeframe=checked.timeframe.value,
        price_side=checked.side.value,
        source=checked.source,
        source_file=checked.source_file,
        file_sha256=checked.file_sha256,
        clock=checked.clock,
        clock_evidence=list(checked.clock_evidence),
        rows_read=checked.rows_read,
        bars=len(checked.bars),
        added=written.added,
        unchanged=written.unchanged,
        replaced=written.replaced,
        quarantined=counts,
        gaps=len(gaps),
        missing_bars=sum(gap.missing_bars for gap in gaps),
        largest_gaps=[
            GapRecord.of(gap, clock)
            for gap in sorted(gaps, key=lambda gap: -gap.missing_bars)[:GAPS_SHOWN]
        ],
        bars_out_of_session=count_out_of_session(stamps, checked.timeframe, calendar),
        decimals_seen=checked.decimals_seen,
        digits=instrument.digits,
        first_closed_at_ns=int(stamps[0]),
        last_closed_at_ns=int(stamps[-1]),
        report_html=str(reports / f"ingest-{name}.html"),
        report_json=str(reports / f"ingest-{name}.json"),
        quarantine=str(kept) if kept is not None else None,
    )
    write_report(report, checked.bars, gaps)
    create_markdown_artifact(
        to_markdown(report),
        key=f"ingest-{symbol}-{checked.timeframe}".lower(),
        description=report.headline,
    )
    _log.info(report.headline)
    return report


def read_known(lake: Lake, reference: str) -> KnownSeries:
    """Return a series of the lake to compare clocks with.

    Parameters
    ----------
    lake
        Where it is.
    reference
        Symbol and timeframe, such as ``EURUSD.H1``.

    Raises
    ------
    InvalidInput
        If it is not written so.
    NotFound
        ``EMPTY_LAKE``, ``UNKNOWN_SYMBOL`` or ``UNKNOWN_TIMEFRAME``.
    """
    symbol, separator, length = reference.rpartition(".")
    if not separator:
        raise InvalidInput(f"a reference is SYMBOL.TIMEFRAME such as EURUSD.H1, got {reference!r}")
    bars = lake.read_bars(symbol, length)
    return KnownSeries(
        name=f"{symbol} {length}",
        closed_at_ns=bars["closed_at_ns"].to_numpy(),
        close=bars["close"].to_numpy(),
        timeframe=Timeframe.parse(length),
    )


def _conflicts(checked: CheckedBars, written: WriteReport) -> pd.DataFrame:
    """Return the rows that the lake refused, as quarantine."""
    refused = written.conflicting
    place = checked.bars["closed_at_ns"].searchsorted(refused["closed_at_ns"])
    return conflict_rows(refused, checked.source_file, checked.row_numbers[place].tolist())


def _require_symbol(symbol: str, files: tuple[Path, ...]) -> None:
    """Refuse a file whose name says that it is of another instrument."""
    for path in files:
        named = [known for known in load_instruments() if known in path.name.upper()]
        if named and symbol not in named:
            raise InvalidInput(
                f"{path.name} is named for {', '.join(named)}, it was given as {symbol}",
                code="SYMBOL_MISMATCH",
                remedy="Give the symbol of the file, or rename the file.",
            )


def _require_scale(lake: Lake, symbol: str, checked: CheckedBars) -> None:
    """Refuse a file whose prices are of another order than the lake's of the same weeks."""
    closes = checked.bars["closed_at_ns"]
    first_ns, last_ns = int(closes.iloc[0]) - _NEAR_NS, int(closes.iloc[-1]) + _NEAR_NS
    for entry in lake.describe():
        if entry.symbol != symbol:
            continue
        near = lake.read_bars(symbol, entry.timeframe, first_ns, last_ns)
        if near.empty:
            continue
        ours, theirs = float(checked.bars["close"].median()), float(near["close"].median())
        if not 1.0 / SCALE_FACTOR_MAX < ours / theirs < SCALE_FACTOR_MAX:
            raise InvalidMarketData(
                f"{checked.source_file} has prices about {ours:g}, the lake's {entry.timeframe} "
                f"bars of {symbol} about {theirs:g} at that time",
                code="WRONG_SCALE",
                remedy="Check the symbol and the unit of the file's prices.",
            )
