"""Retrain a model on a moving window: idempotent, resumable, and never promoted by itself.

The window ends at the last whole week of bars in the lake, so every run within a week is the same
run. What was trained before on the same window, data, code and choices is found and returned; a
killed run leaves nothing registered and goes on where it was when it is started again: its search
is kept in a file, its study in Prefect's cache. Promoting the result is another flow, by a person.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from prefect import flow

from models.recipe import Recipe, parse_training_window
from models.registry import Registry
from online.domain.errors import InvalidInput, NotFound, SextantError
from online.domain.market import NANOSECONDS_PER_SECOND, Timeframe
from pipelines.home import Home
from pipelines.lake import Lake
from pipelines.registries import open_registry
from pipelines.train import code_digest, load_data, run_study
from pipelines.train_report import show_in_prefect
from pipelines.training import conduct
from pipelines.training_data import TrainingData, TrainPlan
from pipelines.whole_file import put_file

logger = logging.getLogger(__name__)
DAY_NS: Final = 86_400 * NANOSECONDS_PER_SECOND
WEEK_NS: Final = 7 * DAY_NS
_MONDAY_NS: Final = 4 * DAY_NS  # 1970-01-05, as the epoch began on a Thursday


@dataclass(frozen=True, slots=True)
class Window:
    """Bars that close within ``[start_ns, end_ns)``; no start for all there is before."""

    start_ns: int | None
    end_ns: int

    def __str__(self) -> str:
        """Return both days."""
        first = "the first bar" if self.start_ns is None else _day(self.start_ns)
        return f"{first} to {_day(self.end_ns)}"


@dataclass(frozen=True, slots=True)
class RetrainReport:
    """What a retraining gave.

    Parameters
    ----------
    name, version, bundle_sha256
        Of the registered model.
    window
        Days it was trained on.
    known
        True if it had been trained before: nothing was done.
    best_alias
        Best alias its gates allow; None if they allow none. No alias was moved.
    headline
        One plain sentence.
    """

    name: str
    version: str
    bundle_sha256: str
    window: str
    known: bool
    best_alias: str | None
    headline: str


@flow(name="retrain", validate_parameters=True)
def retrain(
    home_root: Path | str,
    symbol: str,
    timeframe: str,
    rolling_days: int | None = None,
    until_ns: int | None = None,
    mlflow_uri: str | None = None,
    recipe: Recipe | None = None,
    project: str = "sextant",
    training_window: str | None = None,
) -> RetrainReport:
    """Train on the newest whole window, unless that was done; parameters as of `train`.

    Parameters
    ----------
    rolling_days
        How far back the bars go that are read at all (> 0); None for all there are.
    training_window
        What each fold, and what serves, learns from: ``expanding`` or ``rolling:N`` days, as
        ``sextant train --window``; None for what the recipe says.
    until_ns
        As if it were this instant, nanoseconds UTC; None for the newest bar.

    Raises
    ------
    NotFound
        If the lake has no such series, or no whole week of it.
    InvalidInput
        If the window has no length.
    """
    home, parsed = Home(Path(home_root)), Timeframe.parse(timeframe)
    newest_ns = newest_bar_ns(Lake(home.lake), symbol, parsed)
    if until_ns is not None:
        newest_ns = min(newest_ns, until_ns)
    window = choose_window(newest_ns, rolling_days)
    chosen = Recipe() if recipe is None else recipe
    if training_window is not None:
        chosen = replace(chosen, rolling_days=parse_training_window(training_window))
    # The calendar moves the window's bounds: its length is what was chosen.
    named = "all there is" if rolling_days is None else f"the last {rolling_days} days"
    bounds = (window.start_ns, window.end_ns)
    plan = TrainPlan(home.root, symbol, parsed, *bounds, chosen, project, named)
    registry = open_registry(home, mlflow_uri)
    data = load_or_record(plan, registry)
    receipt = receipt_path(plan, data)
    known = read_receipt(receipt, registry)
    if known is not None:
        logger.info("%s was trained on %s before: version %s", plan.name, window, known.version)
        return known
    trained = conduct(plan, registry, lambda _: data, run_study)
    show_in_prefect(trained)
    report = RetrainReport(
        *(trained.name, trained.version, trained.bundle_sha256, str(window)),
        known=False,
        best_alias=trained.best_alias,
        headline=trained.headline,
    )
    write_receipt(receipt, report)
    return report


def load_or_record(plan: TrainPlan, registry: Registry) -> TrainingData:
    """Return the plan's data; why there are none is recorded in a FAILED run, as of a training."""
    try:
        return load_data(plan)
    except SextantError:
        with registry.record(plan.experiment, plan.run_name):
            raise


def newest_bar_ns(lake: Lake, symbol: str, timeframe: Timeframe) -> int:
    """Return the close of a series' newest bar.

    Raises
    ------
    NotFound
        With code ``UNKNOWN_SERIES``.
    """
    for entry in lake.describe():
        if entry.symbol == symbol and entry.timeframe is timeframe:
            return entry.last_ns
    raise NotFound(f"the lake has no {symbol} {timeframe}", code="UNKNOWN_SERIES")


def choose_window(newest_ns: int, rolling_days: int | None) -> Window:
    """Return the window that ends with the last whole week, Monday 00:00 UTC.

    Parameters
    ----------
    newest_ns
        Close of the newest bar, nanoseconds UTC.
    rolling_days
        Its length in days (> 0); None for no start.

    Raises
    ------
    InvalidInput
        If the length is not above 0.

    Examples
    --------
    >>> str(choose_window(1_507_075_200_000_000_000, 14))
    '2017-09-18 to 2017-10-02'
    """
    if rolling_days is not None and rolling_days <= 0:
        raise InvalidInput(f"rolling_days must be above 0, got {rolling_days}")
    end_ns = (newest_ns - _MONDAY_NS) // WEEK_NS * WEEK_NS + _MONDAY_NS
    return Window(None if rolling_days is None else end_ns - rolling_days * DAY_NS, end_ns)


def receipt_path(plan: TrainPlan, data: TrainingData) -> Path:
    """Return where the receipt of a retraining lies: one for window, data, code and choices."""
    named = (
        *(plan.name, plan.recipe.trial(data.dataset.names), str(plan.recipe.seed)),
        *(str(plan.recipe.n_tuning_trials), str(plan.start_ns), str(plan.end_ns)),
        *(data.dataset.digest, str(data.costs), str(data.spread.points), code_digest()),
    )
    key = hashlib.sha256("|".join(named).encode()).hexdigest()[:16]
    return plan.home.mlflow / "retrained" / f"{plan.name}-{key}.json"


def read_receipt(path: Path, registry: Registry) -> RetrainReport | None:
    """Return what a retraining gave, if its receipt lies there and the registry has it still."""
    try:
        told = RetrainReport(**{**json.loads(path.read_text()), "known": True})
        registry.find(told.name, told.version)
    except (FileNotFoundError, NotFound):
        return None
    except (TypeError, ValueError):
        logger.warning("the receipt %s cannot be read: training again", path)
        return None
    return told


def write_receipt(path: Path, report: RetrainReport) -> None:
    """Write a receipt whole, or not at all; it comes last, when the model is registered."""
    fields = {name: getattr(report, name) for name in RetrainReport.__dataclass_fields__}
    put_file(path, f"{json.dumps(fields, indent=1)}\n".encode())


def _day(at_ns: int) -> str:
    return f"{datetime.fromtimestamp(at_ns // NANOSECONDS_PER_SECOND, tz=UTC):%Y-%m-%d}"
