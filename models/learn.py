"""A study: from a dataset to a model that can serve, with everything measured of it.

1. Cut the labels into purged, embargoed folds (`models.splits`).
2. Fit each family on each fold and score its test rows through ONNX (`models.fit`).
3. Calibrate and weigh the families by earlier folds alone (`models.ensemble`), fit what may
   refuse their signals (`models.validators`), choose the least edge (`models.threshold`).
4. Judge beside the rules, buy-and-hold and a coin (`models.evaluate`).
5. Fit everything, or its last rolling window, twice: the bytes must be the same (`models.export`).
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from models.combinatorial import Paths, walk_paths
from models.compare import Comparison, compare
from models.costs import Costs
from models.dataset import Dataset
from models.ensemble import TrainedMember, blend
from models.evaluate import OutOfFold
from models.export import Golden, golden_vectors
from models.families.build import build_family
from models.families.family import Family
from models.families.rules import RulesModel
from models.fit import FoldSummary, fit_everything, fit_folds, served_rows, summarise
from models.importance import Importance, measure_importance
from models.labels import Rows, horizon_ns
from models.progress import Steps
from models.recipe import Recipe
from models.splits import Fold, purge_violations, walk_forward
from models.threshold import Threshold, fit_min_edge
from models.validators import fit_validators
from online.domain.barriers import BarrierRule
from online.domain.validators import Validators
from online.domain.vector import VectorContract

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Study:
    """What a training run found.

    Parameters
    ----------
    members
        The models fitted on everything, in the recipe's order.
    golden
        Inputs and outputs for the bundle.
    threshold
        The least edge to trade, with all that were tried.
    signals, baseline
        Out of fold, of the model and of the rules.
    comparison
        Both judged.
    importances
        Of every feature, one a member.
    paths
        Of the combinatorial cross-validation; None if the recipe leaves it out.
    folds
        Training and test sets, in order of time.
    purge_violations
        Training labels that overlap their fold's test; counted on the actual folds.
    refit_differs
        Members whose second fit gave other bytes.
    validators
        What may refuse the signals that serve; None for nothing.
    refused
        Out-of-fold rows that validators of earlier folds refused, by reason.
    rolling_days
        Length of the training sets, days; None where they hold all that came before.
    served_rows
        Rows that the model which serves was fitted on, shape ``(n_served,)``; None for all.
    """

    members: tuple[TrainedMember, ...]
    golden: Golden
    threshold: Threshold
    signals: OutOfFold
    baseline: OutOfFold
    comparison: Comparison
    importances: tuple[Importance, ...]
    paths: Paths | None
    folds: tuple[FoldSummary, ...]
    purge_violations: int
    refit_differs: int
    validators: Validators | None = None
    refused: dict[str, int] = field(default_factory=dict)
    rolling_days: int | None = None
    served_rows: Rows | None = None


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
        If there is too little to learn from, or the contract lacks what the rules read.
    ModelRefused
        If the export differs from its library.
    """
    rules = RulesModel.over(contract.names)
    families = [build_family(config) for config in recipe.families]
    labels, embargo = dataset.labels, recipe.embargo_ns(rule)
    folds = cut_folds(dataset, recipe, rule)
    steps = Steps(len(families) * (len(folds) + 2))
    fits = [
        fit_folds(dataset, folds, family, embargo_ns=embargo, seed=recipe.seed, steps=steps)
        for family in families
    ]
    blended = blend(dataset, folds, fits)
    validated = fit_validators(dataset, folds, blended.signals, recipe.validators, contract)
    allowed = validated.allowed
    if not recipe.label.target.is_tradable:
        allowed = np.zeros(len(blended.signals.labels), dtype=np.bool_)
    signals = dataclasses.replace(blended.signals, allowed=allowed, judged=validated.judged)
    baseline = _baseline(signals, dataset, rules)
    threshold = fit_min_edge(signals.said_edge, signals.labels, signals.fold, recipe.min_coverage)
    comparison = compare(
        signals,
        threshold,
        baseline,
        costs,
        n_configurations=n_configurations,
        seed=recipe.seed,
    )
    logger.info(comparison.verdict())
    members, refit_differs = [], 0
    whole = partial(
        fit_everything, embargo_ns=embargo, seed=recipe.seed, rolling_ns=recipe.rolling_ns
    )
    for place, family in enumerate(families):
        fitted = whole(dataset, family)
        steps.advance(f"{family.name} on everything")
        again = whole(dataset, family)
        steps.advance(f"{family.name} on everything again")
        refit_differs += int(again.onnx != fitted.onnx)
        members.append(
            TrainedMember(
                *(fitted, blended.calibrations[place]),
                *(blended.weights[place], blended.losses[place]),
            )
        )
        logger.info(
            "%s fitted, weight %.3f, ONNX %s",
            *(family.name, members[-1].weight, fitted.sha256[:12]),
        )
    return Study(
        members=tuple(members),
        golden=golden_vectors(
            [member.exported for member in members],
            {reads: dataset.inputs(reads) for reads in ("vector", *(f.reads for f in families))},
            recipe.seed,
        ),
        threshold=threshold,
        signals=signals,
        baseline=baseline,
        comparison=comparison,
        importances=tuple(measure_importance(dataset, fit, recipe.seed) for fit in fits),
        paths=_paths(dataset, recipe, families, embargo, threshold) if recipe.n_groups else None,
        folds=tuple(summarise(dataset, of_fold) for of_fold in zip(*fits, strict=True)),
        purge_violations=purge_violations(labels.decided_at_ns, labels.ended_at_ns, folds),
        refit_differs=refit_differs,
        validators=validated.serving,
        refused=validated.refused,
        rolling_days=recipe.rolling_days,
        served_rows=served_rows(dataset, recipe.rolling_ns),
    )


def cut_folds(dataset: Dataset, recipe: Recipe, rule: BarrierRule) -> tuple[Fold, ...]:
    """Return the recipe's purged, embargoed walk-forward over the dataset.

    Raises
    ------
    InvalidInput
        With code ``TOO_FEW_ROWS`` if a fold would be too small.
    """
    return walk_forward(
        dataset.labels.decided_at_ns,
        dataset.labels.ended_at_ns,
        n_folds=recipe.n_folds,
        embargo_ns=recipe.embargo_ns(rule),
        horizon_ns=horizon_ns(rule),
        first_train_share=recipe.first_train_share,
        rolling_ns=recipe.rolling_ns,
    )


def _paths(
    dataset: Dataset,
    recipe: Recipe,
    families: Sequence[Family],
    embargo_ns: int,
    threshold: Threshold,
) -> Paths:
    """Return the paths at the threshold's coverage."""
    return walk_paths(
        dataset,
        families,
        n_groups=recipe.n_groups,
        embargo_ns=embargo_ns,
        coverage=threshold.chosen.coverage,
        seed=recipe.seed,
    )


def _baseline(signals: OutOfFold, dataset: Dataset, rules: RulesModel) -> OutOfFold:
    """Return what the rules said on the same rows, uncalibrated and without a threshold.

    They trade in the folds in which the model may.
    """
    place = np.searchsorted(dataset.labels.decided_at_ns, signals.labels.decided_at_ns)
    votes = rules.predict(dataset.features[place])
    name = "rules" if signals.name != "rules" else "rules as they are"
    return OutOfFold(name, votes, signals.prior, signals.labels, signals.fold, signals.judged)
