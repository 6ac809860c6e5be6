"""Make the longer bars of a series in the lake: read, aggregate, write."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec
from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from online.domain.market import Timeframe
from online.instruments import find_instrument
from pipelines.home import Home
from pipelines.lake import Lake
from pipelines.quality_gaps import calendar_of
from pipelines.resample import resample_bars

DERIVED_PRIORITY = -1
"""Rank of bars made of others: below any source that reports such bars itself."""

_log = logging.getLogger(__name__)


class AggregateReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one length of bar.

    Parameters
    ----------
    symbol, source, target
        The series, the length read and the length made.
    added, unchanged, replaced
        What the lake did with the bars (see `pipelines.lake.WriteReport`); replaced are those
        made before of fewer or other parts.
    refused
        Bars that differ from those of a source that reports this length itself; those stay.
    """

    symbol: str
    source: str
    target: str
    added: int
    unchanged: int
    replaced: int
    refused: int


@flow(name="aggregate")
def aggregate(
    home_root: Path | str, symbol: str, source: Timeframe, targets: tuple[Timeframe, ...]
) -> list[AggregateReport]:
    """Make bars of longer timeframes and write them to the lake; a second run adds nothing.

    Parameters
    ----------
    home_root
        Runtime folder (see `pipelines.home.Home`).
    symbol, source
        The series to read.
    targets
        Lengths to make, each longer than `source`.

    Raises
    ------
    NotFound, InvalidInput
        Named by their code: ``EMPTY_LAKE``, ``UNKNOWN_SYMBOL``, ``UNKNOWN_TIMEFRAME``, or
        ``WRONG_TIMEFRAME`` if a target is not longer.
    """
    home = Home(Path(home_root))
    reports = [make_longer_bars(home, symbol, source, target) for target in targets]
    create_table_artifact(
        [msgspec.to_builtins(report) for report in reports],
        key=f"aggregate-{symbol}-{source}".lower(),
        description=f"Bars of {symbol} made of its {source} bars",
    )
    return reports


@task(name="make longer bars", cache_policy=NO_CACHE)
def make_longer_bars(
    home: Home, symbol: str, source: Timeframe, target: Timeframe
) -> AggregateReport:
    """Read a series, aggregate it and write what is over."""
    lake = Lake(home.lake)
    bars = lake.read_bars(symbol, source)
    made = resample_bars(bars, source, target, calendar_of(find_instrument(symbol)))
    written = lake.write_bars(
        symbol,
        target,
        lake.price_side(symbol, source),
        made,
        f"aggregated:{source}",
        priority=DERIVED_PRIORITY,
        supersede=True,
    )
    report = AggregateReport(
        symbol=symbol,
        source=source.value,
        target=target.value,
        added=written.added,
        unchanged=written.unchanged,
        replaced=written.replaced,
        refused=len(written.conflicting),
    )
    _log.info(
        "%s %s of %s: %d bars added, %d replaced, %d refused",
        symbol,
        target,
        source,
        report.added,
        report.replaced,
        report.refused,
    )
    return report
