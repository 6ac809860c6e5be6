"""Train a model: features and labels → folds → fit → calibrate → judge → bundle → register."""

from __future__ import annotations

import hashlib
import logging
import subprocess
import tempfile
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

from feature_repo.catalogue import transform_fingerprint
from models.champion import duel
from models.export import Bundle, read_manifest, replay_golden, write_bundle
from models.gates import Alias, Evidence, Verdict, judge
from models.learn import Study, learn
from models.recipe import Recipe
from models.registry import Registry
from online.domain.errors import NotFound, Unavailable
from online.domain.manifest import MANIFEST_SCHEMA, Manifest, Member, Training
from online.domain.market import Timeframe
from pipelines.home import Home
from pipelines.train_report import TrainReport, make_report, record_study, show_in_prefect
from pipelines.training_data import TrainingData, TrainPlan, load_training_data

logger = logging.getLogger(__name__)
_ROOT = Path(__file__).resolve().parents[1]
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
        A server's or a ``sqlite:///`` URI; None for the home's own database.
    recipe
        Every choice; None for the defaults.
    project
        Feast's name space.

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
    with registry.record(plan.experiment, f"{plan.name} {plan.recipe.family.kind}") as run:
        data = load_data(plan)
        trials = registry.count_trials(plan.experiment, plan.recipe.trial(data.dataset.names))
        study = run_study(plan, data, trials)
        record_study(run, plan, data, study)
        bundle = bind(plan, data, study, trials)
        verdict = judge_study(plan, data, study, bundle, registry)
        run.log_table(verdict.table(), "gates.json")
        registered = registry.register(run, plan.name, bundle, verdict)
    report = make_report(
        *(plan, data, study, verdict),
        version=registered.version,
        run_id=run.run_id,
        bundle=bundle.folder,
        digest=bundle.digest,
    )
    show_in_prefect(report)
    return report


def open_registry(home: Home, mlflow_uri: str | None) -> Registry:
    """Return the registry behind `mlflow_uri`, or the home's own database."""
    if mlflow_uri is not None:
        return Registry(mlflow_uri, home.mlflow / "artifacts")
    home.mlflow.mkdir(parents=True, exist_ok=True)
    return Registry(f"sqlite:///{(home.mlflow / 'mlflow.db').resolve()}", home.mlflow / "artifacts")


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
        *(str(data.assumed_spread_points), str(parameters["trials"]), _code_digest()),
    )
    return hashlib.sha256("|".join(named).encode()).hexdigest()


@task(name="learn", cache_key_fn=_name_of_study, persist_result=True)
def run_study(plan: TrainPlan, data: TrainingData, trials: int) -> Study:
    """Cut folds, fit, calibrate, choose the threshold, judge, and fit everything."""
    return learn(data.dataset, plan.recipe, plan.vector, plan.rule, data.costs, trials)


def bind(plan: TrainPlan, data: TrainingData, study: Study, trials: int) -> Bundle:
    """Write the bundle into the home; the same model is the same folder."""
    manifest = make_manifest(plan, data, study, trials)
    parent = plan.home.bundles / "trained" / plan.name
    parent.mkdir(parents=True, exist_ok=True)
    members = {manifest.members[0].name: study.member}
    with tempfile.TemporaryDirectory(dir=parent) as scratch:
        written = write_bundle(Path(scratch) / "bundle", manifest, members, study.golden)
        folder = parent / written.digest[:16]
        if not folder.exists():
            written.folder.rename(folder)
    return Bundle(folder, written.digest)


def make_manifest(plan: TrainPlan, data: TrainingData, study: Study, trials: int) -> Manifest:
    """Return the model's contract with the scorer."""
    labels = data.dataset.labels
    member = Member(
        name=study.member.family,
        family=study.member.family,
        file=f"{study.member.family}.onnx",
        sha256=study.member.sha256,
        weight=1.0,
        calibration=study.calibration,
    )
    return Manifest(
        schema=MANIFEST_SCHEMA,
        symbol=plan.symbol,
        timeframe=plan.timeframe,
        target=plan.recipe.target,
        vector=plan.vector,
        transform_fingerprint=transform_fingerprint(plan.vector.names),
        barriers=plan.rule,
        price_side=data.price_side,
        assumed_spread_points=data.assumed_spread_points,
        members=(member,),
        min_edge=study.threshold.chosen.min_edge,
        training=Training(
            started_at_ns=int(labels.decided_at_ns[0]),
            ended_at_ns=int(labels.ended_at_ns.max()),
            n_bars=len(labels),
            data_digest=data.dataset.digest,
            code_version=code_version(),
            seed=plan.recipe.seed,
            n_trials=trials,
        ),
    )


def judge_study(
    plan: TrainPlan, data: TrainingData, study: Study, bundle: Bundle, registry: Registry
) -> Verdict:
    """Put the gates to what was measured; the bundle is read back for it."""
    ended = data.dataset.labels.ended_at_ns
    champion_units, beside = _duel(plan, data, study, registry)
    evidence = Evidence(
        comparison=study.comparison,
        refit_differs=study.refit_differs,
        purge_violations=study.purge_violations,
        labels_beyond_window=0 if plan.end_ns is None else int((ended >= plan.end_ns).sum()),
        golden_difference=replay_golden(bundle.folder, read_manifest(bundle.folder)),
        parity=study.member.parity,
        champion_units=champion_units,
        model_units_beside_champion=beside,
    )
    verdict = judge(evidence)
    for gate in verdict.gates:
        logger.info("gate %s: %s", gate.name, gate)
    return verdict


def _duel(
    plan: TrainPlan, data: TrainingData, study: Study, registry: Registry
) -> tuple[float | None, float | None]:
    """Return the champion's and the model's units on the same rows; None if there is none."""
    try:
        champion = registry.resolve(plan.name, Alias.CHAMPION)
    except NotFound:
        return None, None
    with tempfile.TemporaryDirectory() as scratch:
        fetched = registry.download_bundle(champion, Path(scratch) / "champion")
        min_edge = study.threshold.chosen.min_edge
        found = duel(fetched.folder, data.dataset, study.signals, min_edge)
    return found.champion_units, found.model_units


@lru_cache(maxsize=1)
def code_version() -> str:
    """Return the version of Sextant, with the commit where there is a checkout."""
    try:
        installed = package_version("sextant")
    except PackageNotFoundError:
        installed = "unknown"
    if not (_ROOT / ".git").exists():
        return installed
    command = ["git", "-C", str(_ROOT), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)  # noqa: S603 - a fixed command
    except (OSError, subprocess.SubprocessError):
        return installed
    return f"{installed}+{done.stdout.strip()}"


@lru_cache(maxsize=1)
def _code_digest() -> str:
    """Return the digest of the code that learns."""
    running = hashlib.sha256()
    for folder in (_ROOT / "models", _ROOT / "online" / "domain"):
        for path in sorted(folder.rglob("*.py")):
            running.update(path.read_bytes())
    return running.hexdigest()
