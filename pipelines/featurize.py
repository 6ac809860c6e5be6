"""Compute a series' features, store them for training, and serve the newest."""

from __future__ import annotations

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
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from feature_repo.panel import Panel
from online.domain.errors import Unavailable
from online.domain.market import Timeframe
from pipelines import feature_steps
from pipelines.feature_report import FeaturizeReport, report, to_markdown
from pipelines.home import Home

_RETRY_DELAYS_SECONDS = [1.0, 5.0, 15.0]


def _is_worth_a_retry(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Return whether the same call may succeed later: wrong input stays wrong."""
    return isinstance(state.result(raise_on_failure=False), (Unavailable, OSError))


@flow(name="featurize", validate_parameters=True)
def featurize(
    home_root: Path | str,
    symbol: str,
    timeframe: str,
    until_ns: int | None = None,
    project: str = "sextant",
) -> FeaturizeReport:
    """Compute features from the lake, store them offline, and serve the newest online.

    Quarters already computed from the same bars by the same formulas are not computed again.

    Parameters
    ----------
    home_root
        Runtime folder (see `pipelines.home.Home`).
    symbol, timeframe
        A series of the lake.
    until_ns
        Only bars that closed before this are used, nanoseconds UTC; None for all.
    project
        Feast's name space.

    Raises
    ------
    NotFound
        If the lake has no such series.
    Unavailable
        If the online store does not answer.
    """
    home, length = Home(Path(home_root)), Timeframe.parse(timeframe)
    panel = read_bars(home, symbol, length, until_ns)
    quarters = store_offline(home, panel)
    newest_ns = serve_online(home, panel, project)
    return report_features(home, panel, quarters, newest_ns)


def run_featurize(
    home: Home,
    symbol: str,
    timeframe: Timeframe,
    until_ns: int | None = None,
    project: str = "sextant",
) -> FeaturizeReport:
    """Do what the flow does, without Prefect; parameters as of `featurize`."""
    panel = feature_steps.read_series(home, symbol, timeframe, until_ns)
    quarters = feature_steps.compute_offline(home, panel)
    newest_ns = feature_steps.serve_newest(home, panel, project)
    return report(home, panel, quarters, newest_ns)


@task(name="read the lake", cache_policy=NO_CACHE)  # the lake may have changed
def read_bars(home: Home, symbol: str, timeframe: Timeframe, until_ns: int | None = None) -> Panel:
    """Return the symbol's bars, and its peers' where the lake has them."""
    return feature_steps.read_series(home, symbol, timeframe, until_ns)


@task(
    name="store offline",
    retries=len(_RETRY_DELAYS_SECONDS),
    retry_delay_seconds=_RETRY_DELAYS_SECONDS,
    retry_condition_fn=_is_worth_a_retry,
    cache_policy=NO_CACHE,  # the files remember what they were computed from
)
def store_offline(home: Home, panel: Panel) -> tuple[int, int]:
    """Compute the quarters that are not current."""
    shown = cast(  # in a task that is not async, Prefect's function is neither
        "UUID",
        create_progress_artifact(
            0.0,
            key=f"featurize-{panel.symbol}-{panel.timeframe}".lower(),
            description="quarters computed",
        ),
    )

    def tell(percentage: float) -> None:
        update_progress_artifact(shown, percentage)

    return feature_steps.compute_offline(home, panel, tell)


@task(
    name="serve online",
    retries=len(_RETRY_DELAYS_SECONDS),
    retry_delay_seconds=_RETRY_DELAYS_SECONDS,
    retry_condition_fn=_is_worth_a_retry,
    cache_policy=NO_CACHE,  # the online store is outside
)
def serve_online(home: Home, panel: Panel, project: str) -> int | None:
    """Define the views and materialize the newest row."""
    return feature_steps.serve_newest(home, panel, project)


@task(name="report features", cache_policy=NO_CACHE)  # the page belongs to the run
def report_features(
    home: Home, panel: Panel, quarters: tuple[int, int], online_at_ns: int | None
) -> FeaturizeReport:
    """Write the coverage page and show it in Prefect."""
    found = report(home, panel, quarters, online_at_ns)
    create_markdown_artifact(
        to_markdown(found),
        key=f"features-{panel.symbol}-{panel.timeframe}".lower(),
        description=f"{len(found.coverage)} features over {found.bars} bars",
    )
    return found
