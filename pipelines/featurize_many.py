"""Featurize many symbols: by symbol and quarter, on Dask.

Work is split only where features are opened anew, at the quarters' anchors, so it does not matter
who computes a quarter, or when: the files are those of `pipelines.featurize`, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from prefect import flow, task
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    update_progress_artifact,
)
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner
from prefect.utilities.annotations import unmapped

from feature_repo.anchors import periods
from feature_repo.bars import BarArrays
from feature_repo.catalogue import select, served
from feature_repo.offline_files import remove_other_periods
from feature_repo.panel import Panel
from feature_repo.vector import needed
from online.domain.errors import InvalidMarketData
from online.domain.market import Timeframe
from pipelines import feature_steps
from pipelines.feature_history import read_part
from pipelines.feature_report import FeaturizeReport, report, to_markdown
from pipelines.home import Home
from pipelines.lake import Lake
from pipelines.window_steps import store_windows

_PROGRESS_STEPS = 20


@dataclass(frozen=True, slots=True)
class Span:
    """Some bars of a series: first and last close in nanoseconds UTC, and how many there are."""

    first_ns: int
    last_ns: int
    bars: int


@dataclass(frozen=True, slots=True)
class QuarterWork:
    """One symbol's quarter: what a worker needs to know, the bars it reads itself.

    Parameters
    ----------
    symbol, timeframe
        The series.
    quarter
        Quarters since 1970.
    spans
        The bars it is computed from, by symbol: its own and its peers', from their anchors on.
    features
        Names of what the whole series can serve, which one quarter alone may not show.
    """

    symbol: str
    timeframe: Timeframe
    quarter: int
    spans: dict[str, Span]
    features: tuple[str, ...]


def task_runner(
    scheduler: str | None = None, workers: int | None = None
) -> TaskRunner[PrefectFuture[Any]]:
    """Return Prefect's runner on Dask.

    Parameters
    ----------
    scheduler
        Address such as ``tcp://host:8786`` of a running cluster, whose workers see the home's
        folder and have Sextant installed; None for a cluster of processes on this machine.
    workers
        Processes of the local cluster; None for Dask's choice, one a core.
    """
    from prefect_dask.task_runners import DaskTaskRunner  # noqa: PLC0415 - seconds to import

    local = {
        "n_workers": workers,
        "threads_per_worker": 1,
        "processes": True,
        "dashboard_address": None,
    }
    runner = (
        DaskTaskRunner(cluster_kwargs=local)
        if scheduler is None
        else DaskTaskRunner(address=scheduler)
    )
    return cast("TaskRunner[PrefectFuture[Any]]", runner)  # its futures are Prefect's


@flow(name="featurize-many", validate_parameters=True)
def featurize_many(
    home_root: Path | str,
    symbols: list[str],
    timeframe: str,
    scheduler: str | None = None,
    workers: int | None = None,
    project: str = "sextant",
) -> list[FeaturizeReport]:
    """Compute the features of many symbols, a task each quarter, then serve the newest rows.

    Parameters
    ----------
    home_root
        Runtime folder (see `pipelines.home.Home`).
    symbols, timeframe
        Series of the lake.
    scheduler, workers
        As for `task_runner`.
    project
        Feast's name space.

    Raises
    ------
    NotFound
        If the lake lacks a series.
    Unavailable
        If the online store does not answer.
    """
    home, length = Home(Path(home_root)), Timeframe.parse(timeframe)
    series = {symbol: feature_steps.read_series(home, symbol, length) for symbol in symbols}
    work = [each for panel in series.values() for each in plan(panel)]
    fan_out = compute_quarters.with_options(task_runner=task_runner(scheduler, workers))
    needed = fan_out(home, work)
    found = []
    for symbol, panel in series.items():
        root, features = home.lake / "features", served(panel)
        quarters = list(periods(panel.own.closed_at_ns))
        remove_other_periods(root, symbol, length, features, quarters)
        store_windows(home, panel)
        newest_ns = feature_steps.serve_newest(home, panel, project)
        computed = sum(n for n, w in zip(needed, work, strict=True) if w.symbol == symbol)
        counts = (computed, len(quarters) - computed)
        found.append(report(home, panel, counts, newest_ns))
        create_markdown_artifact(
            to_markdown(found[-1]),
            key=f"features-{symbol}-{length}".lower(),
            description=f"{len(found[-1].coverage)} features over {found[-1].bars} bars",
        )
    return found


def plan(panel: Panel) -> list[QuarterWork]:
    """Return a symbol's work, a quarter each."""
    features = served(panel)
    names = tuple(feature.name for feature in features)
    work = []
    for period in periods(panel.own.closed_at_ns):
        part, _ = needed(panel, features, period)
        spans = {symbol: _span(bars) for symbol, bars in part.bars.items()}
        work.append(QuarterWork(panel.symbol, panel.timeframe, period.quarter, spans, names))
    return work


def _span(bars: BarArrays) -> Span:
    stamps = bars.closed_at_ns
    return Span(int(stamps[0]), int(stamps[-1]), len(bars)) if len(bars) else Span(0, 0, 0)


@flow(name="compute quarters", validate_parameters=False)
def compute_quarters(home: Home, work: Sequence[QuarterWork]) -> list[bool]:
    """Compute every quarter in a task of its own; tell which were not current."""
    shown = cast(  # in a flow that is not async, Prefect's function is neither
        "UUID",
        create_progress_artifact(0.0, key="featurize-many", description="quarters computed"),
    )
    found = []
    for future in compute_one.map(unmapped(home), work):
        found.append(bool(future.result()))
        if not len(found) % max(1, len(work) // _PROGRESS_STEPS) or len(found) == len(work):
            update_progress_artifact(shown, 100.0 * len(found) / len(work))
    return found


@task(name="compute a quarter", cache_policy=NO_CACHE)  # the files know what they are of
def compute_one(home: Home, work: QuarterWork) -> bool:
    """Compute one symbol's quarter where it is not current."""
    return run_quarter(home, work)


def run_quarter(home: Home, work: QuarterWork) -> bool:
    """Do what the task does, without Prefect.

    Raises
    ------
    InvalidMarketData
        With code ``LAKE_CHANGED`` if the lake no longer has the bars that were planned with.
    """
    lake, found = Lake(home.lake), {}
    for symbol, span in work.spans.items():
        bars = read_part(lake, symbol, work.timeframe, span.first_ns, span.last_ns + 1)
        if _span(bars) != span:
            raise InvalidMarketData(
                f"the lake's {symbol} bars from {span.first_ns} to {span.last_ns} are others than "
                "those planned with",
                code="LAKE_CHANGED",
                remedy="Run it again once nothing writes these bars.",
            )
        found[symbol] = bars
    own = found.pop(work.symbol)
    panel = Panel(work.symbol, work.timeframe, own, found)
    *_, period = periods(own.closed_at_ns)
    features = select(work.features, work.timeframe)
    return feature_steps.compute_quarter(home, panel, period, features)
