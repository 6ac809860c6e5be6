"""Networks on windows: refused by name, left as they were found, and beside trees in one model."""

from __future__ import annotations

import dataclasses
import math

import msgspec
import numpy as np
import pytest
import torch

from models.champion import duel
from models.export import read_manifest, replay_golden, write_bundle
from models.families.build import build_family, on_device, parse_device, parse_families
from models.families.lstm import LstmConfig
from models.families.xgboost import XgboostConfig
from models.fit import training_set
from models.labels import horizon_ns
from models.leaks import refuse_hindsight
from models.learn import Study, cut_folds, learn
from models.recipe import Recipe
from models.tuning import has_space
from online.adapters.onnx_model import load_bundle
from online.domain.errors import InvalidInput, ModelRefused
from online.domain.manifest import Manifest, Member
from online.domain.window import WindowContract
from tests.fakes import make_manifest
from tests.unit.models.markets import CONTRACT, COSTS, LENGTH, NAMES, RULE, make_dataset

QUICK = LstmConfig(hidden=8, max_epochs=2)
RECIPE = Recipe(families=(XgboostConfig(max_rounds=20), QUICK), n_folds=2)
WINDOWED = msgspec.structs.replace(
    CONTRACT, window=WindowContract("h1_window_all_8", 1, "packed", LENGTH, NAMES, 3600)
)


@pytest.fixture(scope="module")
def study() -> Study:
    return learn(make_dataset(drift=40.0, windowed=True), RECIPE, WINDOWED, RULE, COSTS, 1)


def as_it_was(manifest: Manifest) -> str:
    return manifest.transform_fingerprint


def test_trees_and_networks_are_members_of_one_ensemble(
    study: Study, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert [m.exported.reads for m in study.members] == ["vector", "window"]
    assert study.refit_differs == 0
    assert [i.names for i in study.importances] == [NAMES, NAMES]
    members = tuple(
        Member(
            name=m.exported.family,
            family=m.exported.family,
            file=f"{m.exported.family}.onnx",
            sha256=m.exported.sha256,
            weight=m.weight,
            calibration=m.calibration,
            reads=m.exported.reads,
        )
        for m in study.members
    )
    manifest = msgspec.structs.replace(
        make_manifest(),
        vector=WINDOWED,
        members=members,
        barriers=RULE,
        training=msgspec.structs.replace(make_manifest().training, ended_at_ns=0),
    )
    files = {m.exported.family: m.exported for m in study.members}
    bundle = write_bundle(tmp_path_factory.mktemp("b") / "bundle", manifest, files, study.golden)
    assert replay_golden(bundle.folder, read_manifest(bundle.folder)) == 0.0
    model = load_bundle(bundle.folder, "paper")
    assert model.verification.bit_equal is True
    window = study.golden.windows
    assert window is not None
    found = model.score(tuple(study.golden.inputs[5].tolist()), window[5].tobytes())
    outputs = np.array([output.raw for output in found], np.float32)
    assert outputs.tobytes() == study.golden.outputs[:, 5].tobytes()
    dataset = make_dataset(drift=40.0, windowed=True)
    judged = (study.signals, study.threshold, RULE, as_it_was)
    beside = duel(bundle.folder, dataset, *judged)
    assert math.isfinite(beside.champion_units)
    blind = dataclasses.replace(dataset, windows=None)
    refused = duel(bundle.folder, blind, *judged)
    assert math.isnan(refused.champion_units)
    assert refused.reason == "the data lack the windows that it reads"


def test_a_network_that_saw_what_came_later_is_refused(study: Study) -> None:
    dataset = make_dataset(drift=40.0, windowed=True)
    fold = cut_folds(dataset, RECIPE, RULE)[0]
    embargo = RECIPE.embargo_ns(RULE)
    families = [build_family(config) for config in RECIPE.families]
    hashes = study.folds[0].onnx_sha256
    told = {"embargo_ns": embargo, "seed": RECIPE.seed}
    refuse_hindsight(dataset, fold, families, hashes, **told)
    windows = dataset.windows
    assert windows is not None
    scaled = dataclasses.replace(windows, vectors=windows.vectors - windows.vectors.mean(axis=0))
    leaking = dataclasses.replace(dataset, windows=scaled)
    with pytest.raises(ModelRefused) as caught:
        refuse_hindsight(leaking, fold, families, hashes, **told)
    assert caught.value.code == "FIT_LOOKS_AHEAD"


def test_rows_without_windows_are_refused_by_name() -> None:
    training = training_set(make_dataset(), np.arange(1000, dtype=np.int64), horizon_ns(RULE))
    with pytest.raises(InvalidInput) as caught:
        build_family(QUICK).fit(training, 7)
    assert caught.value.code == "NO_WINDOWS"


@pytest.mark.skipif(torch.cuda.is_available(), reason="a graphics card is here")
def test_a_graphics_card_that_is_not_there_is_named() -> None:
    dataset = make_dataset(windowed=True)
    training = training_set(dataset, np.arange(1000, dtype=np.int64), horizon_ns(RULE))
    (config,) = on_device((QUICK,), parse_device("cuda"))
    with pytest.raises(InvalidInput) as caught:
        build_family(config).fit(training, 7)
    assert caught.value.code == "NO_CUDA"
    with pytest.raises(InvalidInput, match="expected cpu or cuda"):
        parse_device("tpu")


def test_only_networks_are_moved_to_a_device() -> None:
    trees, network = on_device(parse_families("xgboost,lstm"), "cuda")
    assert trees == XgboostConfig()
    assert network == LstmConfig(device="cuda")
    assert has_space(network)


def test_a_fit_leaves_pytorch_as_it_was_and_another_seed_gives_another_network() -> None:
    dataset = make_dataset(drift=40.0, windowed=True)
    training = training_set(dataset, np.arange(1000, dtype=np.int64), horizon_ns(RULE))
    torch.manual_seed(99)
    before = (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled())
    state = torch.get_rng_state()
    first = build_family(QUICK).fit(training, 7)
    assert torch.equal(torch.get_rng_state(), state)
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before
    torch.manual_seed(5)
    assert build_family(QUICK).fit(training, 7).to_onnx() == first.to_onnx()
    assert build_family(QUICK).fit(training, 8).to_onnx() != first.to_onnx()


def test_a_recipe_knows_whether_windows_are_read() -> None:
    assert RECIPE.reads_windows
    assert not Recipe().reads_windows
    assert RECIPE.trial(NAMES) != dataclasses.replace(RECIPE, window="other_8").trial(NAMES)
