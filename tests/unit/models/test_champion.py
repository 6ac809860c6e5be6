"""A new model beside the champion, the card that tells of it, and where its result came from."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import msgspec
import numpy as np
import pytest

from models.attribution import attribute
from models.card import write_card
from models.champion import duel
from models.export import (
    Bundle,
    digest_folder,
    read_manifest,
    replay_golden,
    write_bundle,
)
from models.families.xgboost import XgboostConfig
from models.gates import Verdict
from models.learn import Study, learn
from models.recipe import Recipe
from models.threshold import fit_min_edge
from models.trading import trade
from online.domain.bundle import GOLDEN_TOLERANCE
from online.domain.errors import ModelRefused
from online.domain.manifest import (
    MANIFEST_SCHEMA,
    Manifest,
    Member,
    Training,
    decode_manifest,
    encode_manifest,
)
from online.domain.market import PriceSide, Timeframe
from tests.unit.models.markets import CONTRACT, COSTS, RULE, make_dataset

RECIPE = Recipe(families=(XgboostConfig(max_rounds=30, patience=5),), n_folds=3)


@pytest.fixture(scope="module")
def study() -> Study:
    return learn(make_dataset(drift=40.0), RECIPE, CONTRACT, RULE, COSTS, 1)


@pytest.fixture(scope="module")
def manifest(study: Study) -> Manifest:
    labels = make_dataset(drift=40.0).labels
    member = Member(
        "a",
        "xgboost",
        "a.onnx",
        study.members[0].exported.sha256,
        1.0,
        study.members[0].calibration,
    )
    first, middle = int(labels.decided_at_ns[0]), int(labels.decided_at_ns[900])
    return Manifest(
        schema=MANIFEST_SCHEMA,
        symbol="EURUSD",
        timeframe=Timeframe.H1,
        target="barrier",
        vector=CONTRACT,
        transform_fingerprint="0",
        barriers=RULE,
        price_side=PriceSide.ASK,
        assumed_spread_points=8.0,
        members=(member,),
        min_edge=study.threshold.chosen.min_edge,
        training=Training(first, middle, 900, "0", "test", 7, 1),
    )


@pytest.fixture(scope="module")
def bundle(study: Study, manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("bundle")
    return write_bundle(folder, manifest, {"a": study.members[0].exported}, study.golden)


def as_it_was(manifest: Manifest) -> str:
    return manifest.transform_fingerprint


def test_a_bundle_read_back_is_what_was_written(
    bundle: Bundle, manifest: Manifest, study: Study
) -> None:
    assert read_manifest(bundle.folder) == manifest
    assert replay_golden(bundle.folder, manifest) == 0.0
    assert digest_folder(bundle.folder) == bundle.digest
    assert {path.name for path in bundle.folder.iterdir()} == {
        "manifest.json",
        "golden.npz",
        "a.onnx",
    }
    assert (bundle.folder / "a.onnx").read_bytes() == study.members[0].exported.onnx


def test_a_golden_output_that_is_no_number_is_no_agreement(
    manifest: Manifest, study: Study, tmp_path: Path
) -> None:
    outputs = study.golden.outputs.copy()
    outputs[0, 3, 1] = np.nan
    golden = dataclasses.replace(study.golden, outputs=outputs)
    written = write_bundle(tmp_path / "nan", manifest, {"a": study.members[0].exported}, golden)
    found = replay_golden(written.folder, manifest)
    assert not found <= GOLDEN_TOLERANCE


def test_the_same_bundle_has_the_same_digest_and_a_changed_one_another(
    bundle: Bundle, manifest: Manifest, study: Study, tmp_path: Path
) -> None:
    members = {"a": study.members[0].exported}
    again = write_bundle(tmp_path / "again", manifest, members, study.golden)
    changed = msgspec.structs.replace(manifest, min_edge=0.5)
    other = write_bundle(tmp_path / "other", changed, members, study.golden)
    assert again.digest == bundle.digest
    assert other.digest != bundle.digest
    with pytest.raises(ModelRefused) as caught:
        write_bundle(tmp_path / "again", manifest, members, study.golden)
    assert caught.value.code == "BUNDLE_EXISTS"


def test_the_duel_uses_rows_the_champion_never_learnt_from(
    bundle: Bundle, manifest: Manifest, study: Study
) -> None:
    dataset = make_dataset(drift=40.0)
    found = duel(bundle.folder, dataset, study.signals, study.threshold, RULE, as_it_was)
    later = study.signals.labels.decided_at_ns > manifest.training.ended_at_ns
    labels = study.signals.labels.take(np.flatnonzero(later))
    assert found.n_rows == len(labels) < len(study.signals.labels)
    assert found.champion_units > 0.0
    assert found.reason == ""
    assert "chosen without slippage" in found.note  # its manifest tells of none


def test_the_duel_leaves_out_the_folds_in_which_the_new_model_had_no_validators(
    bundle: Bundle, study: Study
) -> None:
    dataset, signals = make_dataset(drift=40.0), study.signals
    both = (study.threshold, RULE, as_it_was)
    everywhere = duel(bundle.folder, dataset, signals, *both)
    judged = signals.fold == signals.fold.max()
    partly = dataclasses.replace(signals, allowed=judged, judged=judged)
    found = duel(bundle.folder, dataset, partly, *both)
    assert 0 < found.n_rows < everywhere.n_rows
    assert 0.0 < found.champion_units < everywhere.champion_units


def test_a_champion_that_was_judged_with_slippage_needs_no_note(
    manifest: Manifest, study: Study, tmp_path: Path
) -> None:
    sliding = msgspec.structs.replace(manifest, slippage_told="4 points on each entry")
    members = {"a": study.members[0].exported}
    written = write_bundle(tmp_path / "sliding", sliding, members, study.golden)
    dataset = make_dataset(drift=40.0)
    found = duel(written.folder, dataset, study.signals, study.threshold, RULE, as_it_was)
    assert (found.reason, found.note) == ("", "")


def test_the_duel_uses_the_threshold_that_rows_before_it_would_have_chosen(
    bundle: Bundle, manifest: Manifest, study: Study
) -> None:
    signals = study.signals
    later = signals.labels.decided_at_ns > manifest.training.ended_at_ns
    labels = signals.labels.take(np.flatnonzero(later))
    rows = np.flatnonzero(signals.labels.ended_at_ns < labels.decided_at_ns[0])
    known = (signals.said_edge[rows], signals.labels.take(rows), signals.fold[rows])
    chosen = fit_min_edge(*known, 0.25).chosen
    assert chosen.min_edge != study.threshold.chosen.min_edge
    found = duel(bundle.folder, make_dataset(drift=40.0), signals, study.threshold, RULE, as_it_was)
    mine = trade(signals.edge[later], labels, chosen.min_edge)
    assert found.model_units == mine.net_units.sum()


def test_a_champion_whose_features_are_made_otherwise_now_cannot_be_compared(
    bundle: Bundle, study: Study
) -> None:
    found = duel(
        bundle.folder,
        make_dataset(drift=40.0),
        *(study.signals, study.threshold, RULE, lambda _: "1"),
    )
    assert math.isnan(found.champion_units)
    assert math.isnan(found.model_units)
    assert found.reason == "it learnt from features of fingerprint 0, the catalogue's is 1"


def test_a_champion_that_learnt_from_everything_cannot_be_compared(
    manifest: Manifest, study: Study, tmp_path: Path
) -> None:
    last = int(study.signals.labels.decided_at_ns[-1])
    training = msgspec.structs.replace(manifest.training, ended_at_ns=last)
    newer = msgspec.structs.replace(manifest, training=training)
    written = write_bundle(
        tmp_path / "newer", newer, {"a": study.members[0].exported}, study.golden
    )
    judged = (study.signals, study.threshold, RULE, as_it_was)
    found = duel(written.folder, make_dataset(drift=40.0), *judged)
    assert found.reason == "0 rows lie behind its training, 200 are needed"
    assert found.n_rows == 0
    assert math.isnan(found.champion_units)
    assert math.isnan(found.model_units)


def test_a_champion_that_trades_by_other_exits_cannot_be_compared(
    bundle: Bundle, study: Study
) -> None:
    wider = msgspec.structs.replace(RULE, stop_units=2.0, target_units=2.0)
    judged = (study.signals, study.threshold, wider, as_it_was)
    found = duel(bundle.folder, make_dataset(drift=40.0), *judged)
    assert found.reason.startswith("it trades by other exits")
    assert found.n_rows > 0
    assert math.isnan(found.champion_units)
    assert math.isnan(found.model_units)


def test_the_attribution_adds_up_to_the_whole_by_each_view(study: Study) -> None:
    trades = study.comparison.model.trades
    rules = study.comparison.baseline.trades
    rows = attribute(study.signals, trades, study.threshold.chosen.min_edge, rules, "EURUSD")
    for view in ("symbol", "month", "session", "regime"):
        mine = [row for row in rows if row["by"] == view]
        assert sum(row["trades"] for row in mine) == len(trades)
        assert sum(row["rows"] for row in mine) == len(study.signals.labels)
        beside = sum(row["rules_net_units"] or 0.0 for row in mine)
        assert beside == pytest.approx(rules.net_units.sum(), abs=0.001 * len(mine))
        total = sum(row["net_units"] for row in mine)
        assert total == pytest.approx(trades.net_units.sum(), abs=0.001 * len(mine))
    whole = next(row for row in rows if row["by"] == "symbol")
    assert whole["hit_rate"] == pytest.approx(study.comparison.model.pooled.hit_rate, abs=1e-4)
    assert {row["of"] for row in rows if row["by"] == "session"} <= {
        "Asia 22-07",
        "London 07-13",
        "New York 13-22",
    }


def test_every_figure_has_an_interval_that_holds_it(study: Study) -> None:
    comparison = study.comparison
    figures = comparison.model.pooled.figures()
    bare = {"n_rows", "n_trades", "prior_log_loss", "account_per_lot", "sharpe_annual"}
    assert comparison.intervals.keys() == (figures.keys() - bare) | {"log_loss_gain"}
    for name, interval in comparison.intervals.items():
        assert interval.low <= interval.high, name
        if name not in {"log_loss_gain", "max_drawdown_units"}:  # the latter is biased
            assert interval.low <= figures[name] <= interval.high, name
    assert len(comparison.fold_intervals) == len(study.folds)
    for fold, bounds in zip(comparison.model.folds, comparison.fold_intervals, strict=True):
        for name in ("log_loss", "brier", "hit_rate", "coverage", "mean_units"):
            assert bounds[name].low <= fold.figures()[name] <= bounds[name].high, name


def test_the_card_says_what_a_model_must_not_be_used_for(manifest: Manifest, study: Study) -> None:
    card = write_card(manifest, "d" * 64, study, Verdict(()))
    assert "For nothing: it passed no policy." in card
    assert "d" * 64 in card
    assert study.comparison.verdict() in card
    assert "spread of 8 points assumed" in card
    assert "swap of positions held overnight is not counted" in card


def test_the_card_says_where_the_spread_comes_from(manifest: Manifest, study: Study) -> None:
    declared = msgspec.structs.replace(manifest, spread_source="declared; nobody published one")
    card = write_card(declared, "d" * 64, study, Verdict(()))
    assert "spread of 8 points assumed (declared; nobody published one)" in card
    told = "recorded with each bar, median 9 points, 90% within 14"
    recorded = msgspec.structs.replace(manifest, assumed_spread_points=None, spread_source=told)
    nights = msgspec.structs.replace(manifest, swap_told="-4 points a night long")
    assert "| slippage | not counted" in card
    sliding = msgspec.structs.replace(manifest, slippage_told="4 points on each entry")
    assert "| slippage | 4 points on each entry |" in write_card(sliding, "d", study, Verdict(()))
    assert "| swap | -4 points a night long |" in write_card(nights, "d", study, Verdict(()))
    assert f"spread recorded ({told})" in write_card(recorded, "d" * 64, study, Verdict(()))
    assert decode_manifest(encode_manifest(declared)) == declared
    assert b"spread_source" not in encode_manifest(manifest)
