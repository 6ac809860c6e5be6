"""A study: honest on noise, able to see a signal, blind to what comes after."""

from __future__ import annotations

import dataclasses
import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from models.bars import Bars
from models.dataset import Dataset
from models.families.build import build_family
from models.families.xgboost import XgboostConfig
from models.fit import FoldFit, fit_everything, fit_folds, training_set
from models.gates import Alias, Evidence, Gate, Verdict, judge
from models.labels import Outcome, horizon_ns
from models.learn import Study, cut_folds, learn
from models.recipe import Recipe, parse_training_window
from models.splits import Fold, walk_forward
from online.domain.certificate import Policy
from online.domain.errors import InvalidInput
from online.domain.manifest import decode_manifest, encode_manifest
from online.domain.market import PriceSide, Timeframe
from pipelines.spread import SpreadUsed
from pipelines.training import make_manifest
from pipelines.training_data import TrainingData, TrainPlan
from tests.unit.models.markets import (
    CONTRACT,
    COSTS,
    HOUR,
    NAMES,
    RULE,
    build,
    make_bars,
    make_dataset,
    make_frame,
)

FAST = XgboostConfig(max_rounds=40, patience=5, min_rounds=5)
RECIPE = Recipe(families=(FAST,), n_folds=4)


@pytest.fixture(scope="module")
def on_noise() -> Study:
    return learn(make_dataset(), RECIPE, CONTRACT, RULE, COSTS, 1)


@pytest.fixture(scope="module")
def on_signal() -> Study:
    return learn(make_dataset(3000, drift=40.0), RECIPE, CONTRACT, RULE, COSTS, 1)


def evidence(study: Study, **changed: float) -> Evidence:
    known = Evidence(
        comparison=study.comparison,
        refit_differs=study.refit_differs,
        purge_violations=study.purge_violations,
        labels_beyond_window=0,
        embargo_horizons=1.0,
        is_tradable=True,
        golden_difference=0.0,
        parity=study.members[0].exported.parity,
    )
    return dataclasses.replace(known, **changed)  # type: ignore[arg-type] # names are the fields'


def test_noise_is_never_a_champion(on_noise: Study) -> None:
    verdict = judge(evidence(on_noise))
    assert not verdict.passes(Policy.LIVE)
    assert verdict.best_alias is not Alias.CHAMPION


def test_a_planted_signal_passes_every_gate(on_signal: Study) -> None:
    verdict = judge(evidence(on_signal))
    assert [gate.name for gate in verdict.gates if not gate.passed] == []
    assert verdict.best_alias is Alias.CHAMPION
    assert "beats the baseline after costs" in on_signal.comparison.verdict()
    assert on_signal.comparison.coins_beaten > 0.99


def test_where_there_is_no_champion_the_rules_are_what_must_be_beaten(on_signal: Study) -> None:
    def gate_of(known: Evidence) -> Gate:
        return next(gate for gate in judge(known).gates if gate.name == "beats_champion")

    alone = evidence(on_signal)
    mine, theirs = (
        each.pooled.performance.total_units
        for each in (alone.comparison.model, alone.comparison.baseline)
    )
    gate = gate_of(alone)
    assert (gate.passed, gate.measured, gate.relation) == (True, mine - theirs, ">")
    assert str(gate).endswith("> 0 (no champion to beat: the rules trade in its place)")
    assert gate.line.note == gate.note
    assert gate.meaning == f"Units more than the rules earned ({gate.note})."
    as_good = dataclasses.replace(alone.comparison, baseline=alone.comparison.model)
    assert not gate_of(dataclasses.replace(alone, comparison=as_good)).passed


def test_a_model_that_was_spared_a_known_cost_never_trades_live(on_signal: Study) -> None:
    spared = dataclasses.replace(
        evidence(on_signal), spared_points={"spread": 8.0, "slippage": 4.0}
    )
    verdict = judge(spared)
    assert verdict.best_alias is Alias.PAPER
    (gate,) = (each for each in verdict.gates if not each.passed)
    assert (gate.name, str(gate)) == (
        "costs_charged",
        "FAIL: 12 <= 0 (spread 8 less, slippage 4 less)",
    )


def test_a_gate_tells_what_is_to_know_of_the_champion_it_was_compared_with(
    on_signal: Study,
) -> None:
    known = evidence(on_signal, champion_units=1.0, model_units_beside_champion=3.0)
    for note, told in (
        ("", "on rows it never learnt from."),
        ("chosen without slippage", "on rows it never learnt from (chosen without slippage)."),
    ):
        verdict = judge(dataclasses.replace(known, duel_note=note))
        (gate,) = (each for each in verdict.gates if each.name == "beats_champion")
        assert gate.passed
        assert gate.meaning.endswith(told)


def test_a_planted_signal_wins_on_every_combinatorial_path() -> None:
    recipe = dataclasses.replace(RECIPE, n_groups=4)
    study = learn(make_dataset(3000, drift=40.0), recipe, CONTRACT, RULE, COSTS, 1)
    assert study.paths is not None
    figures = study.paths.figures()
    assert figures["paths"] == 3
    assert figures["paths.losing_share"] == 0.0
    assert figures["paths.sharpe_worst"] > 0.0


def test_a_baseline_that_never_trades_leaves_gaps_and_no_nan_in_the_table() -> None:
    dataset = make_dataset(1500, drift=40.0)
    silent = dataset.features.copy()
    silent[:, NAMES.index("ema_50_ratio")] = 0.0
    quiet = dataclasses.replace(dataset, features=silent)
    comparison = learn(quiet, RECIPE, CONTRACT, RULE, COSTS, 1).comparison
    rules = next(row for row in comparison.table() if row["contender"] == "rules")
    assert rules["trades"] == 0
    assert "net_units_per_trade" not in rules
    assert comparison.beats_baseline == (comparison.model.pooled.performance.total_units > 0.0)


def test_the_planted_feature_matters_most(on_signal: Study) -> None:
    importance = on_signal.importances[0]
    assert importance.permutation.mean(axis=0).argmax() == NAMES.index("hint")
    assert importance.shapley is not None
    assert importance.shapley.shape == (RECIPE.n_folds, len(NAMES))
    assert (importance.shapley.argmax(axis=1) == NAMES.index("hint")).all()
    assert 0.0 < importance.shapley_stability <= 1.0
    assert importance.table()[0]["mean_abs_shap"] > 0.0  # type: ignore[operator] # a figure


def test_the_same_data_and_seed_give_the_same_study(on_signal: Study) -> None:
    again = learn(make_dataset(3000, drift=40.0), RECIPE, CONTRACT, RULE, COSTS, 1)
    assert again.members[0].exported.onnx == on_signal.members[0].exported.onnx
    assert again.members[0].calibration == on_signal.members[0].calibration
    assert again.threshold.chosen.min_edge == on_signal.threshold.chosen.min_edge
    assert on_signal.refit_differs == 0


def test_replacing_all_data_after_a_folds_training_leaves_its_fitted_bytes_unchanged() -> None:
    bars, hint = make_bars(1500, 11, 30.0)
    frame = make_frame(bars, hint, 11)
    known = build(frame, bars)
    horizon = horizon_ns(RULE)
    labels = known.labels
    stamps = labels.decided_at_ns, labels.ended_at_ns
    for fold in walk_forward(*stamps, n_folds=3, embargo_ns=horizon, horizon_ns=horizon):
        end = int(np.searchsorted(bars.closed_at_ns, labels.ended_at_ns[fold.train].max()))
        other = frame.copy()
        other.loc[end + 1 :, [n for n in NAMES if n != "atr_14"]] *= -1.0
        changed = build(other, mirror_after(bars, end))
        first, again = (fit_fold(data, fold, horizon) for data in (known, changed))
        assert np.array_equal(known.labels.classes[fold.train], changed.labels.classes[fold.train])
        assert first.member.onnx == again.member.onnx
        assert not np.array_equal(first.raw, again.raw)


def fit_fold(data: Dataset, fold: Fold, horizon: int) -> FoldFit:
    short = Fold(fold.number, fold.train, fold.test[:50])
    return fit_folds(data, [short], build_family(FAST), embargo_ns=horizon, seed=7)[0]


def mirror_after(bars: Bars, end: int) -> Bars:
    """Return the bars with everything after `end` turned upside down."""
    axis = 2.0 * bars.close[end]
    turned = slice(end + 1, None)

    def put(prices: np.ndarray, source: np.ndarray) -> np.ndarray:
        changed = prices.copy()
        changed[turned] = axis - source[turned]
        return changed

    return Bars(
        bars.closed_at_ns,
        put(bars.open, bars.open),
        put(bars.high, bars.low),
        put(bars.low, bars.high),
        put(bars.close, bars.close),
    )


@pytest.mark.parametrize(
    "name",
    ["golden_difference", "parity", "purge_violations", "refit_differs", "labels_beyond_window"],
)
def test_no_gate_passes_on_a_figure_that_is_missing(on_signal: Study, name: str) -> None:
    verdict = judge(evidence(on_signal, **{name: math.nan}))
    assert verdict.best_alias is None


def test_a_champion_that_cannot_be_compared_bars_the_way(on_signal: Study) -> None:
    unknown = {"champion_units": math.nan, "model_units_beside_champion": 12.0}
    assert judge(evidence(on_signal, **unknown)).best_alias is Alias.PAPER
    half = {"champion_units": 3.0}
    assert judge(evidence(on_signal, **half)).best_alias is Alias.PAPER


def test_a_better_champion_stays(on_signal: Study) -> None:
    better = {"champion_units": 13.0, "model_units_beside_champion": 12.0}
    worse = {"champion_units": 11.0, "model_units_beside_champion": 12.0}
    assert judge(evidence(on_signal, **better)).best_alias is Alias.PAPER
    assert judge(evidence(on_signal, **worse)).best_alias is Alias.CHAMPION


def test_a_leak_bars_even_paper(on_signal: Study) -> None:
    assert judge(evidence(on_signal, purge_violations=1)).best_alias is None


def test_a_verdict_without_gates_allows_nothing() -> None:
    assert Verdict(()).best_alias is None
    assert not Verdict(()).allows(Alias.PAPER)


def test_a_gate_on_an_infinite_figure_fails() -> None:
    gate = Gate("any", Policy.PAPER, math.inf, ">=", 1.0, "")
    assert not gate.passed
    assert str(gate).startswith("FAIL")


def test_too_few_rows_for_the_folds_are_named() -> None:
    with pytest.raises(InvalidInput) as caught:
        learn(make_dataset(300), Recipe(families=(FAST,), n_folds=9), CONTRACT, RULE, COSTS, 1)
    assert caught.value.code == "TOO_FEW_ROWS"


def test_a_training_set_of_one_class_is_named_whatever_the_family() -> None:
    dataset, embargo = make_dataset(), RECIPE.embargo_ns(RULE)
    classes = dataset.labels.classes.copy()
    classes[:500] = Outcome.LONG  # the stopping part of the first 600 knows others
    labels = dataclasses.replace(dataset.labels, classes=classes)
    with pytest.raises(InvalidInput, match="long") as caught:
        training_set(dataclasses.replace(dataset, labels=labels), np.arange(600), embargo)
    assert caught.value.code == "ONE_CLASS"


def test_a_rolling_window_shortens_every_training_set_and_what_serves_alike() -> None:
    dataset, days = make_dataset(), 30
    recipe = dataclasses.replace(RECIPE, rolling_days=days)
    decided, rolling_ns = dataset.labels.decided_at_ns, days * 24 * HOUR
    for long, short in zip(
        cut_folds(dataset, RECIPE, RULE), cut_folds(dataset, recipe, RULE), strict=True
    ):
        assert np.array_equal(long.test, short.test)
        began = decided[short.test[0]]
        assert np.array_equal(short.train, long.train[decided[long.train] >= began - rolling_ns])
        assert 0 < len(short.train) < len(long.train)
    horizon, family = horizon_ns(RULE), build_family(FAST)
    whole = partial(fit_everything, family=family, embargo_ns=horizon, seed=7)
    last = np.flatnonzero(decided >= decided[-1] - rolling_ns)
    served = family.fit(training_set(dataset, last, horizon), 7)
    assert whole(dataset, rolling_ns=rolling_ns).onnx == served.to_onnx()
    assert whole(dataset).onnx != served.to_onnx()


def test_the_manifest_of_a_rolling_model_tells_of_the_rows_it_was_fitted_on(tmp_path: Path) -> None:
    dataset, recipe = make_dataset(), dataclasses.replace(RECIPE, rolling_days=30)
    study = learn(dataset, recipe, CONTRACT, RULE, COSTS, 1)
    plan = TrainPlan(tmp_path, "EURUSD", Timeframe.H1, None, None, recipe, "sextant")
    spread = SpreadUsed(8.0, "as given")
    words = ("4 points a night", "2 points a fill")
    data = TrainingData(dataset, COSTS, PriceSide.ASK, spread, *words)
    told = make_manifest(plan, data, study, 1)
    decided = dataset.labels.decided_at_ns
    fitted = decided >= decided[-1] - 30 * 24 * HOUR
    assert told.training.n_bars == int(fitted.sum()) < len(dataset)
    assert told.training.started_at_ns == decided[fitted][0]
    assert told.training.ended_at_ns == dataset.labels.ended_at_ns.max()
    assert (told.swap_told, told.slippage_told) == words
    assert decode_manifest(encode_manifest(told)) == told


def test_a_training_window_is_a_choice_that_is_recorded_counted_and_checked() -> None:
    rolling = dataclasses.replace(RECIPE, rolling_days=parse_training_window("rolling:90"))
    assert rolling.parameters()["rolling_days"] == 90
    assert rolling.trial(NAMES) != RECIPE.trial(NAMES)
    assert parse_training_window("expanding") is None
    for text in ("rolling", "rolling:0", "rolling:-3", "rolling:x", "expanding:3", ""):
        with pytest.raises(InvalidInput, match="rolling:N") as caught:
            parse_training_window(text)
        assert caught.value.code == "UNKNOWN_WINDOW"
    with pytest.raises(InvalidInput, match="rolling_days"):
        dataclasses.replace(RECIPE, rolling_days=0)


def test_every_choice_makes_another_trial() -> None:
    known = RECIPE.trial(NAMES)
    assert RECIPE.trial(NAMES) == known
    assert dataclasses.replace(RECIPE, n_folds=5).trial(NAMES) != known
    assert RECIPE.trial(NAMES[:-1]) != known
    sliding = dataclasses.replace(RECIPE.label, slippage_points=3)
    assert dataclasses.replace(RECIPE, label=sliding).trial(NAMES) != known
    held = dataclasses.replace(RECIPE.label, swap_points=(-4.0, 0.0))
    assert dataclasses.replace(RECIPE, label=held).trial(NAMES) != known
    assert RECIPE.label.costs(1e5, 1.0, slippage_points=4).slippage_points == 4
    assert sliding.costs(1e5, 1.0, slippage_points=4).slippage_points == 3
    assert "xgboost.max_depth" in RECIPE.parameters()
