"""A study: from a dataset to a model that can serve, with everything measured of it.

1. Cut the labels into purged, embargoed folds (`models.splits`).
2. Fit each fold and score its test rows through ONNX (`models.fit`).
3. Calibrate by earlier folds alone, then choose the least edge to trade (`models.calibrate`,
   `models.trading`).
4. Judge beside the rules, buy-and-hold and a coin (`models.evaluate`).
5. Fit everything, twice: the bytes must be the same (`models.export`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from models.calibrate import calibrate_forward, combine_rows, fit_calibration
from models.combinatorial import Paths, walk_paths
from models.compare import Comparison, compare
from models.dataset import Dataset, Features
from models.evaluate import OutOfFold, number_folds
from models.export import ExportedMember, Scores, golden_vectors
from models.families.build import build_family
from models.families.rules import RulesModel
from models.fit import FoldFit, FoldSummary, fit_everything, fit_folds, gather, summarise
from models.importance import Importance, measure_importance
from models.labels import Costs, horizon_ns
from models.recipe import Recipe
from models.splits import Fold, purge_violations, walk_forward
from models.threshold import Threshold, fit_min_edge
from online.domain.barriers import BarrierRule
from online.domain.signal import Calibration
from online.domain.vector import VectorContract

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Study:
    """What a training run found.

    Parameters
    ----------
    member
        The model fitted on everything.
    calibration
        Fitted on all out-of-fold outputs.
    golden
        Inputs and outputs for the bundle.
    threshold
        The least edge to trade, with all that were tried.
    signals, baseline
        Out of fold, of the model and of the rules.
    comparison
        Both judged.
    importance
        Of every feature.
    paths
        Of the combinatorial cross-validation; None if the recipe leaves it out.
    folds
        Training and test sets, in order of time.
    purge_violations
        Training labels that overlap their fold's test; counted on the actual folds.
    refit_differs
        1 if a second fit gave other bytes.
    """

    member: ExportedMember
    calibration: Calibration
    golden: tuple[Features, Scores]
    threshold: Threshold
    signals: OutOfFold
    baseline: OutOfFold
    comparison: Comparison
    importance: Importance
    paths: Paths | None
    folds: tuple[FoldSummary, ...]
    purge_violations: int
    refit_differs: int


def learn(
    dataset: Dataset,
    recipe: Recipe,
    contract: VectorContract,
    rule: BarrierRule,
    costs: Costs,
    n_configurations: int,
) -> Study:
    """Run a study; it reads nothing but its arguments and gives the same bytes again.

    Parameters
    ----------
    dataset
        Rows of one window.
    recipe
        Every choice.
    contract
        The vector behind the dataset's columns.
    rule, costs
        Of the label.
    n_configurations
        Configurations ever tried for this model, this one included.

    Raises
    ------
    InvalidInput
        If there is too little to learn from.
    ModelRefused
        If the export differs from its library.
    """
    family = build_family(recipe.family)
    labels = dataset.labels
    horizon = horizon_ns(rule)
    embargo = horizon + recipe.extra_embargo_bars * rule.timeframe.duration_ns
    folds = walk_forward(
        labels.decided_at_ns,
        labels.ended_at_ns,
        n_folds=recipe.n_folds,
        embargo_ns=embargo,
        horizon_ns=horizon,
        first_train_share=recipe.first_train_share,
    )
    fits = fit_folds(dataset, folds, family, embargo_ns=embargo, seed=recipe.seed)
    signals, calibration = _signals(dataset, folds, fits, family.name)
    baseline = _baseline(signals, dataset, contract)
    threshold = fit_min_edge(signals.edge, signals.labels, signals.fold, recipe.min_coverage)
    comparison = compare(
        signals,
        threshold,
        baseline,
        costs,
        n_configurations=n_configurations,
        seed=recipe.seed,
    )
    logger.info(comparison.verdict())
    member = fit_everything(dataset, family, embargo_ns=embargo, seed=recipe.seed)
    again = fit_everything(dataset, family, embargo_ns=embargo, seed=recipe.seed)
    logger.info("fitted on all %d rows, ONNX %s", len(dataset), member.sha256[:12])
    return Study(
        member=member,
        calibration=calibration,
        golden=golden_vectors([member], dataset.features, recipe.seed),
        threshold=threshold,
        signals=signals,
        baseline=baseline,
        comparison=comparison,
        importance=measure_importance(dataset, fits, recipe.seed),
        paths=_paths(dataset, recipe, embargo, threshold) if recipe.n_groups else None,
        folds=tuple(summarise(dataset, fit) for fit in fits),
        purge_violations=purge_violations(labels.decided_at_ns, labels.ended_at_ns, folds),
        refit_differs=int(again.onnx != member.onnx),
    )


def _paths(dataset: Dataset, recipe: Recipe, embargo_ns: int, threshold: Threshold) -> Paths:
    """Return the paths at the threshold's coverage."""
    return walk_paths(
        dataset,
        build_family(recipe.family),
        n_groups=recipe.n_groups,
        embargo_ns=embargo_ns,
        coverage=threshold.chosen.coverage,
        seed=recipe.seed,
    )


def _signals(
    dataset: Dataset, folds: tuple[Fold, ...], fits: tuple[FoldFit, ...], name: str
) -> tuple[OutOfFold, Calibration]:
    """Return calibrated signals of the tested rows, and the calibration of all of them."""
    rows, raw, prior = gather(fits, len(dataset))
    labels = dataset.labels
    forward = calibrate_forward(
        raw, labels.classes, folds, labels.decided_at_ns, labels.ended_at_ns
    )
    probabilities = [
        combine_rows([fit.raw], (calibration,), (1.0,))
        for fit, calibration in zip(fits, forward, strict=True)
    ]
    signals = OutOfFold(
        name=name,
        probabilities=np.concatenate(probabilities),
        prior=prior[rows],
        labels=labels.take(rows),
        fold=number_folds([fold.test for fold in folds]),
    )
    return signals, fit_calibration(raw[rows], labels.classes[rows])


def _baseline(signals: OutOfFold, dataset: Dataset, contract: VectorContract) -> OutOfFold:
    """Return what the rules said on the same rows."""
    place = np.searchsorted(dataset.labels.decided_at_ns, signals.labels.decided_at_ns)
    votes = RulesModel(contract).predict(dataset.features[place])
    return OutOfFold("rules", votes, signals.prior, signals.labels, signals.fold)
