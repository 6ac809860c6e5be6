"""A training run, step by step, as plain functions that need no Prefect."""

from __future__ import annotations

import logging
import math
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from feature_repo.transform import transform_fingerprint
from models.card import write_card
from models.champion import Duel, duel
from models.compare import count_search
from models.export import Bundle, read_manifest, replay_golden, write_bundle
from models.gates import Alias, Evidence, Verdict, judge
from models.labels import horizon_ns
from models.leaks import measure_embargo
from models.learn import Study, learn
from models.registry import Registry
from models.search import SearchLuck
from models.tuning import Crew
from online.adapters.key_files import read_trust
from online.domain.errors import ModelRefused, NotFound
from online.domain.manifest import MANIFEST_SCHEMA, Manifest, Member, Training
from pipelines.certify import certify, renew
from pipelines.code_version import code_version
from pipelines.fallback import write_fallback
from pipelines.leak_checks import refuse_leaking_data, refuse_leaking_study
from pipelines.train_report import TrainReport, make_report, record_study
from pipelines.training_data import (
    TrainingData,
    TrainPlan,
    define_service,
    load_training_data,
    open_training_store,
)
from pipelines.tuning import tune_plan
from pipelines.whole_file import put_bundle
from pipelines.window_history import lend_windows

logger = logging.getLogger(__name__)


def study(plan: TrainPlan, data: TrainingData, trials: int) -> Study:
    """Cut folds, fit, calibrate, choose the threshold, judge, and fit everything."""
    return learn(data.dataset, plan.recipe, plan.vector, plan.rule, data.costs, trials)


def conduct(
    plan: TrainPlan,
    registry: Registry,
    load: Callable[[TrainPlan], TrainingData] = load_training_data,
    learn_from: Callable[[TrainPlan, TrainingData, int], Study] = study,
    crew: Crew | None = None,
) -> TrainReport:
    """Train, judge and register; an error marks the run FAILED and registers nothing.

    Leaks are errors: what was found to know the future is refused before it can be registered.

    Parameters
    ----------
    plan
        What is trained, on what.
    registry
        Where it is recorded.
    load, learn_from
        The two long steps; Prefect's tasks of them give retries and caching.
    crew
        Judges the trials of a search in parallel; None for one after the other.
    """
    with registry.record(plan.experiment, plan.run_name) as run:
        data = load(plan)
        refuse_leaking_data(plan, data)
        plan, search = tune_plan(plan, data, run, crew)
        trials = registry.count_trials(plan.experiment, plan.trial(data.dataset.names), run)
        found = weigh(learn_from(plan, data, trials), search)
        refuse_leaking_study(plan, data, found)
        record_study(run, plan, data, found)
        bundle = bind(plan, data, found, trials)
        verdict = judge_study(plan, data, found, bundle, registry)
        certify(plan.home, plan.name, bundle, verdict)
        run.log_table(verdict.table(), "gates.json")
        manifest = read_manifest(bundle.folder)
        write_fallback(plan.home, manifest)
        run.log_text(write_card(manifest, bundle.digest, found, verdict), "model_card.md")
        run.log_params({"feature_service": define_service(plan, manifest)})
        told = f"{found.comparison.verdict()}\n\n{data.costs_told}"
        registered = registry.register(run, plan.name, bundle, verdict, told)
        if registered.run_id != run.run_id:
            renew(plan.home, registry, registered, bundle)
    return make_report(
        *(plan, data, found, verdict),
        version=registered.version,
        run_id=run.run_id,
        bundle=bundle.folder,
        digest=bundle.digest,
    )


def weigh(found: Study, search: SearchLuck | None) -> Study:
    """Return the study with the search before it weighed."""
    weighed = count_search(found.comparison, found.threshold, search)
    return replace(found, comparison=weighed)


def bind(plan: TrainPlan, data: TrainingData, found: Study, trials: int) -> Bundle:
    """Write the bundle into the home; the same model is the same folder.

    A folder of that name that holds anything else is made anew.
    """
    manifest = make_manifest(plan, data, found, trials)
    parent = plan.home.bundles / "trained" / plan.name
    parent.mkdir(parents=True, exist_ok=True)
    members = {member.exported.family: member.exported for member in found.members}
    with tempfile.TemporaryDirectory(dir=parent) as scratch:
        written = write_bundle(Path(scratch) / "bundle", manifest, members, found.golden)
        folder = parent / written.digest[:16]
        put_bundle(written, folder)
    return Bundle(folder, written.digest)


def make_manifest(plan: TrainPlan, data: TrainingData, found: Study, trials: int) -> Manifest:
    """Return the model's contract with the scorer."""
    rows = found.served_rows
    labels = data.dataset.labels if rows is None else data.dataset.labels.take(rows)
    return Manifest(
        schema=MANIFEST_SCHEMA,
        symbol=plan.symbol,
        timeframe=plan.timeframe,
        target=plan.recipe.target,
        vector=plan.vector,
        transform_fingerprint=transform_fingerprint(
            plan.vector.all_names, plan.timeframe, plan.symbol
        ),
        barriers=plan.rule,
        price_side=data.price_side,
        assumed_spread_points=data.spread.points,
        spread_source=data.spread.source,
        swap_told=data.swap_told,
        slippage_told=data.slippage_told,
        members=tuple(
            Member(
                name=member.exported.family,
                family=member.exported.family,
                file=f"{member.exported.family}.onnx",
                sha256=member.exported.sha256,
                weight=member.weight,
                calibration=member.calibration,
                reads=member.exported.reads,
            )
            for member in found.members
        ),
        min_edge=found.threshold.chosen.min_edge,
        training=Training(
            started_at_ns=int(labels.decided_at_ns[0]),
            ended_at_ns=int(labels.ended_at_ns.max()),
            n_bars=len(labels),
            data_digest=data.dataset.digest,
            code_version=code_version(),
            seed=plan.recipe.seed,
            n_trials=trials,
            horizon_ns=horizon_ns(plan.rule),
            embargo_ns=plan.recipe.embargo_ns(plan.rule),
        ),
        validators=found.validators,
        degrades=plan.recipe.degrades,
        is_tradable=plan.recipe.label.target.is_tradable,
    )


def judge_study(
    plan: TrainPlan, data: TrainingData, found: Study, bundle: Bundle, registry: Registry
) -> Verdict:
    """Put the gates to what was measured; the bundle is read back for it."""
    ended = data.dataset.labels.ended_at_ns
    duelled = _duel(plan, data, found, registry)
    evidence = Evidence(
        comparison=found.comparison,
        refit_differs=found.refit_differs,
        purge_violations=found.purge_violations,
        labels_beyond_window=0 if plan.end_ns is None else int((ended >= plan.end_ns).sum()),
        embargo_horizons=measure_embargo(found.folds) / horizon_ns(plan.rule),
        is_tradable=plan.recipe.label.target.is_tradable,
        golden_difference=replay_golden(bundle.folder, read_manifest(bundle.folder)),
        parity=max(member.exported.parity for member in found.members),
        champion_units=None if duelled is None else duelled.champion_units,
        model_units_beside_champion=None if duelled is None else duelled.model_units,
        no_duel="" if duelled is None else duelled.reason,
        duel_note="" if duelled is None else duelled.note,
        spared_points=data.spared,
    )
    verdict = judge(evidence)
    for gate in verdict.gates:
        logger.info("gate %s: %s", gate.name, gate)
    return verdict


def _duel(plan: TrainPlan, data: TrainingData, found: Study, registry: Registry) -> Duel | None:
    """Return what the champion and the model earned on the same rows; None if there is none.

    NaN where they cannot be compared: an alias that anybody may move makes no champion, and what
    is none is not what must be beaten.
    """
    try:
        champion = registry.resolve(plan.name, Alias.CHAMPION)
    except NotFound:
        return None
    try:
        registry.check(champion, Alias.CHAMPION, read_trust(plan.home.trusted))
    except ModelRefused as error:
        logger.warning("version %s is no champion to be beaten: %s", champion.version, error)
        return Duel(math.nan, math.nan, 0, f"version {champion.version} is none: {error}")
    with tempfile.TemporaryDirectory() as scratch:
        fetched = registry.download_bundle(champion, Path(scratch) / "champion")
        dataset = data.dataset
        window = read_manifest(fetched.folder).vector.window
        if window is not None:
            dataset = lend_windows(dataset, open_training_store(plan), plan.symbol, window)
        judged = (found.signals, found.threshold, plan.rule)
        return duel(fetched.folder, dataset, *judged, _fingerprint)


def _fingerprint(manifest: Manifest) -> str:
    """Return how the catalogue makes the features of a manifest now."""
    return transform_fingerprint(manifest.vector.all_names, manifest.timeframe, manifest.symbol)
