"""Networks on the demonstration's bars: windows from the store, in the bundle and in a backtest."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_repo.windows import find_window
from models.families.lstm import LstmConfig
from models.families.xgboost import XgboostConfig
from models.recipe import Recipe
from online.adapters.onnx_model import load_bundle
from online.domain.errors import InvalidInput, ModelRefused
from online.domain.market import Timeframe
from online.domain.record import DecisionRecord
from online.instruments import find_instrument
from online.settings import load_settings
from pipelines.backtest import run_backtest
from pipelines.feature_steps import compute_offline, read_series
from pipelines.home import Home
from pipelines.lake import Lake
from pipelines.leak_checks import refuse_leaking_data, refuse_leaking_study
from pipelines.market import read_market
from pipelines.quality import check
from pipelines.sources.demo import DemoConfig
from pipelines.sources.source import open_source
from pipelines.training import bind, study
from pipelines.training_data import TrainPlan, load_training_data, open_training_store
from pipelines.window_history import lend_windows

pytestmark = pytest.mark.integration
SYMBOL, H1 = "EURUSD", Timeframe.H1
WINDOW = find_window("default_32")


def at_ns(year: int, month: int, day: int) -> int:
    return int(datetime(year, month, day, tzinfo=UTC).timestamp()) * 1_000_000_000


START_NS, END_NS = at_ns(2017, 5, 15), at_ns(2017, 7, 1)
RECIPE = Recipe(
    families=(XgboostConfig(max_rounds=25), LstmConfig(hidden=8, max_epochs=1)), n_folds=2
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with the demonstration's bars and features."""
    made = Home(tmp_path_factory.mktemp("home"))
    checked = check(open_source(DemoConfig()).read(), find_instrument(SYMBOL))
    Lake(made.lake).write_bars(SYMBOL, H1, checked.side, checked.bars, checked.source)
    compute_offline(made, read_series(made, SYMBOL, H1))
    return made


@pytest.fixture(scope="module")
def plan(home: Home) -> TrainPlan:
    return TrainPlan(home.root, SYMBOL, H1, START_NS, END_NS, RECIPE, "sextant")


def test_trees_and_a_network_are_trained_bound_and_backtested(home: Home, plan: TrainPlan) -> None:
    data = load_training_data(plan)
    assert data.dataset.windows is not None
    assert data.dataset.left_out["missing_window"] == 0  # the windows begin before the rows
    refuse_leaking_data(plan, data)
    found = study(plan, data, 1)
    refuse_leaking_study(plan, data, found)
    model = load_bundle(bind(plan, data, found, 1).folder, "paper")
    assert [member.reads for member in model.manifest.members] == ["vector", "window"]
    assert model.manifest.vector.window == WINDOW.contract(H1)
    assert model.verification.bit_equal is True
    market = read_market(
        Lake(home.lake), find_instrument(SYMBOL), H1, END_NS, at_ns(2017, 7, 8), 8.0
    )
    records = run_backtest(home, market, model, load_settings("replay", environment={})).records
    decisions = [record for record in records if isinstance(record, DecisionRecord)]
    assert len(decisions) == len(market.bars) - 1
    assert all(len(record.window or b"") == WINDOW.contract(H1).n_bytes for record in decisions)
    assert all(record.signal is not None for record in decisions)


def test_windows_that_hold_other_vectors_than_their_bars_gave_are_refused(
    home: Home, plan: TrainPlan
) -> None:
    folder = home.lake / "features" / WINDOW.view_name(H1) / f"symbol={SYMBOL}"
    file = next(file for file in folder.iterdir() if "Q2" in file.name)
    kept = file.read_bytes()
    table = pq.read_table(file)
    cells = table[WINDOW.field].to_pylist()
    shifted = pa.array([*cells[1:], cells[-1]], pa.binary())  # each row has the next bar's window
    try:
        pq.write_table(table.set_column(1, WINDOW.field, shifted), file)
        with pytest.raises(ModelRefused) as caught:
            refuse_leaking_data(plan, load_training_data(plan))
    finally:
        file.write_bytes(kept)
    assert caught.value.code == "FEATURES_LOOK_AHEAD"


def test_a_lake_without_stored_windows_is_named(home: Home, plan: TrainPlan) -> None:
    folder = home.lake / "features" / WINDOW.view_name(H1)
    hidden = folder.rename(folder.with_name("hidden"))
    try:
        with pytest.raises(InvalidInput) as caught:
            load_training_data(plan)
    finally:
        for left in folder.glob("*"):
            left.unlink()
        if folder.exists():
            folder.rmdir()
        hidden.rename(folder)
    assert caught.value.code == "NO_WINDOWS"


def test_tabular_recipes_read_no_windows(plan: TrainPlan) -> None:
    tabular = dataclasses.replace(plan, recipe=Recipe())
    assert tabular.vector.window is None
    data = load_training_data(tabular)
    assert data.dataset.windows is None
    assert np.isfinite(data.dataset.features).all()


def test_a_tabular_model_is_lent_the_windows_of_the_champion_it_is_compared_with(
    plan: TrainPlan,
) -> None:
    tabular = dataclasses.replace(plan, recipe=Recipe())
    lean, whole = load_training_data(tabular).dataset, load_training_data(plan).dataset
    store = open_training_store(plan)
    lent = lend_windows(lean, store, SYMBOL, WINDOW.contract(H1))
    assert lent.windows is not None
    assert whole.windows is not None
    rows = np.arange(len(whole))
    assert lent.windows[rows].tobytes() == whole.windows[rows].tobytes()
    assert lend_windows(whole, store, SYMBOL, WINDOW.contract(H1)) is whole
