"""Training data from a store that was not told of the lake's newest bars."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.families.logistic import LogisticConfig
from models.recipe import Recipe
from online.domain.errors import ModelRefused, NotFound
from online.domain.market import Timeframe
from online.instruments import find_instrument
from pipelines.feature_steps import compute_offline, read_series
from pipelines.home import Home
from pipelines.lake import Lake
from pipelines.leak_checks import refuse_later_knowledge
from pipelines.quality import check
from pipelines.sources.demo import DemoConfig
from pipelines.sources.source import open_source
from pipelines.training_data import TrainPlan, load_training_data

pytestmark = pytest.mark.integration
FEATURES = ("rsi_14", "atr_14", "ema_50_ratio", "macd_histogram_atr")


def plan_for(home: Home) -> TrainPlan:
    recipe = Recipe(families=(LogisticConfig(),), features=FEATURES)
    return TrainPlan(home.root, "EURUSD", Timeframe.H1, None, None, recipe, "sextant")


def test_bars_that_came_after_their_features_were_stored_are_not_learnt_from(
    tmp_path: Path,
) -> None:
    home = Home(tmp_path)
    checked = check(open_source(DemoConfig()).read(), find_instrument("EURUSD"))
    bars = checked.bars
    known = np.ones(len(bars), dtype=np.bool_)
    known[1500:1503] = False  # long before the next moment that is looked at
    lake, written = Lake(home.lake), (checked.side, checked.source)
    lake.write_bars("EURUSD", Timeframe.H1, written[0], bars[known], written[1])
    compute_offline(home, read_series(home, "EURUSD", Timeframe.H1))
    lake.write_bars("EURUSD", Timeframe.H1, written[0], bars, written[1])
    plan = plan_for(home)
    data = load_training_data(plan)
    with pytest.raises(ModelRefused) as caught:
        refuse_later_knowledge(plan, data.dataset)
    assert caught.value.code == "FEATURES_STALE"
    assert "sextant features" in caught.value.remedy
    compute_offline(home, read_series(home, "EURUSD", Timeframe.H1))
    refuse_later_knowledge(plan, load_training_data(plan).dataset)


def test_bars_without_any_feature_are_told_from_too_few_and_newer_ones_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home, plan = Home(tmp_path), plan_for(Home(tmp_path))
    checked = check(open_source(DemoConfig()).read(), find_instrument("EURUSD"))
    lake, written = Lake(home.lake), (checked.side, checked.source)
    lake.write_bars("EURUSD", Timeframe.H1, written[0], checked.bars[:600], written[1])
    with pytest.raises(NotFound, match=r"no features of EURUSD H1 are stored .* 600") as caught:
        load_training_data(plan)
    assert caught.value.code == "NO_FEATURES"
    assert "sextant features --symbol EURUSD --timeframe H1" in caught.value.remedy
    compute_offline(home, read_series(home, "EURUSD", Timeframe.H1))
    assert len(load_training_data(plan).dataset) > 0
    assert not caplog.messages
    lake.write_bars("EURUSD", Timeframe.H1, written[0], checked.bars[600:700], written[1])
    load_training_data(plan)
    (told,) = (text for text in caplog.messages if "have no features" in text)
    assert "bars have no features and are left out. Run `sextant features" in told
