"""What tells one trial from another: whoever declares other costs and trains again tried again."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pytest

from models.recipe import Recipe
from online.domain.market import Instrument, PriceSide, Timeframe
from online.instruments import find_instrument
from pipelines import training_data
from pipelines.spread import SpreadUsed
from pipelines.training_data import TrainingData, TrainPlan
from pipelines.tuning import search_file
from tests.unit.models.markets import COSTS, make_dataset

NAMES = ("log_return_1",)


def trial_under(monkeypatch: pytest.MonkeyPatch, **declared: object) -> str:
    known = dataclasses.replace(find_instrument("EURUSD"), **declared)  # type: ignore[arg-type]

    def find(symbol: str, _: Mapping[str, Instrument] | None = None) -> Instrument:
        assert symbol == "EURUSD"
        return known

    with monkeypatch.context() as patched:
        patched.setattr(training_data, "find_instrument", find)
        plan = TrainPlan(Path("home"), "EURUSD", Timeframe.H1, None, None, Recipe(), "sextant")
        return plan.trial(NAMES)


@pytest.mark.parametrize(
    "declared",
    [
        {"typical_spread_points": 1.0},
        {"commission_per_lot": 1.0},
        {"slippage_points": 1},
        {"swap_long_points": 9.0, "swap_short_points": 0.0},
        {"triple_swap_day": "Fri"},
    ],
)
def test_to_declare_another_cost_is_another_trial(
    monkeypatch: pytest.MonkeyPatch, declared: dict[str, object]
) -> None:
    assert trial_under(monkeypatch, **declared) != trial_under(monkeypatch)


def test_to_say_whence_a_cost_is_known_is_no_other_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"spread_source": "a", "swap_source": "b", "slippage_source": "c"}
    assert trial_under(monkeypatch, **told) == trial_under(monkeypatch)


def test_a_search_under_other_costs_is_another_search() -> None:
    """It keeps what its trials earned: under other costs they earned something else."""
    plan = TrainPlan(Path("home"), "EURUSD", Timeframe.H1, None, None, Recipe(), "sextant")
    spread = SpreadUsed(8.0, "declared")
    dearer = dataclasses.replace(COSTS, slippage_points=4)
    files = {
        search_file(plan, TrainingData(make_dataset(), costs, PriceSide.ASK, spread), 100, None)
        for costs in (COSTS, dearer, dataclasses.replace(COSTS))
    }
    assert len(files) == 2
