"""Train a model: features and labels → folds → fit → calibrate → judge → bundle → register."""

from __future__ import annotations

import hashlib
import logging
from functools import lru_cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext
from prefect.tasks import Task

from models.learn import Study
from models.recipe import Recipe
from online.domain.errors import Unavailable
from online.domain.market import Timeframe
from pipelines.dask_crew import open_crew
from pipelines.registries import open_registry
from pipelines.train_report import TrainReport, show_in_prefect
from pipelines.training import conduct, study
from pipelines.training_data import TrainingData, TrainPlan, load_training_data

logger = logging.getLogger(__name__)
_ROOT = Path(__file__).resolve().parents[1]
_LIBRARIES = (
    *("numpy", "scipy", "pandas", "scikit-learn", "xgboost", "lightgbm", "torch"),
    *("onnx", "onnxmltools", "skl2onnx", "onnxruntime"),
)
"""Other versions of them may fit or export the same data to other bytes."""
_RETRY_DELAYS_SECONDS = [1.0, 5.0, 15.0]


@flow(name="train", validate_parameters=True)
def train(
    home_root: Path | str,
    symbol: str,
    timeframe: str,
    start_ns: int | None = None,
    end_ns: int | None = None,
    mlflow_uri: str | None = None,
    recipe: Recipe | None = None,
    project: str = "sextant",
    scheduler: str | None = None,
    crew_size: int = 4,
) -> TrainReport:
    """Train, judge and register a model; promoting it is another flow.

    Parameters
    ----------
    home_root
        Runtime folder (see `pipelines.home.Home`), with the lake and the features.
    symbol, timeframe
        A series that was ingested and featurized.
    start_ns, end_ns
        Bars that close within ``[start_ns, end_ns)`` are used; None is no bound.
    mlflow_uri
        A server's or a ``sqlite:///`` URI; None for that of ``MLFLOW_TRACKING_URI``, else the
        home's own database.
    recipe
        Every choice; None for the defaults.
    project
        Feast's name space.
    scheduler
        Address of a Dask scheduler that judges the trials of a search; None for this process.
    crew_size
        Trials judged at once there (> 0); the same seed and size give the same search.

    Raises
    ------
    NotFound, InvalidInput, ModelRefused, Unavailable
        Named by their code. The run is then marked FAILED and nothing is registered.
    """
    plan = TrainPlan(
        Path(home_root),
        *(symbol, Timeframe.parse(timeframe), start_ns, end_ns),
        *(Recipe() if recipe is None else recipe, project),
    )
    registry = open_registry(plan.home, mlflow_uri)
    with open_crew(scheduler, crew_size) as crew:
        report = conduct(plan, registry, load_data, run_study, crew)
    show_in_prefect(report)
    return report


def _is_worth_a_retry(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Return whether the same call may succeed later: wrong input stays wrong."""
    return isinstance(state.result(raise_on_failure=False), (Unavailable, OSError))


@task(
    name="load features and labels",
    retries=len(_RETRY_DELAYS_SECONDS),
    retry_delay_seconds=_RETRY_DELAYS_SECONDS,
    retry_condition_fn=_is_worth_a_retry,
    cache_policy=NO_CACHE,  # the lake and the store may have changed
)
def load_data(plan: TrainPlan) -> TrainingData:
    """Read the plan's features and bars, point in time, and label them."""
    data = load_training_data(plan)
    logger.info(
        "%s: %d rows of %d features, left out %s",
        *(plan.name, len(data.dataset), len(data.dataset.names), data.dataset.left_out),
    )
    return data


def _name_of_study(_context: TaskRunContext, parameters: dict[str, Any]) -> str:
    """Return the cache key of a study: its data, every choice, the trials and our code."""
    plan, data = parameters["plan"], parameters["data"]
    named = (
        *(plan.name, plan.recipe.trial(data.dataset.names), data.dataset.digest),
        *(str(len(data.dataset)), str(data.costs), str(data.price_side)),
        *(str(data.spread.points), str(parameters["trials"]), code_digest()),
    )
    return hashlib.sha256("|".join(named).encode()).hexdigest()


@task(name="learn", cache_key_fn=_name_of_study, persist_result=True)
def run_study(plan: TrainPlan, data: TrainingData, trials: int) -> Study:
    """Cut folds, fit, calibrate, choose the threshold, judge, and fit everything."""
    return study(plan, data, trials)


@lru_cache(maxsize=1)
def code_digest() -> str:
    """Return the digest of the code that learns, and of the versions of the libraries it asks."""
    running = hashlib.sha256()
    for library in _LIBRARIES:
        running.update(f"{library} {_version_of(library)}\n".encode())
    for folder in (_ROOT / "models", _ROOT / "online" / "domain"):
        for path in sorted(folder.rglob("*.py")):
            running.update(path.read_bytes())
    return running.hexdigest()


def _version_of(library: str) -> str:
    try:
        return package_version(library)
    except PackageNotFoundError:
        return "absent"
