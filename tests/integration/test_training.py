"""The train and promote flows on the real bars of the demonstration."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from feast import FeatureStore
from prefect.artifacts import Artifact

from feature_repo.store import apply_definitions
from feature_repo.transform import transform_fingerprint
from models.export import digest_folder, read_manifest
from models.families.lightgbm import LightgbmConfig
from models.families.logistic import LogisticConfig
from models.families.xgboost import XgboostConfig
from models.gates import Alias
from models.recipe import LabelChoice, Recipe
from models.targets import Target
from online.adapters.onnx_model import load_bundle
from online.adapters.rule_model import read_rules
from online.domain.errors import InvalidInput, ModelRefused, NotFound
from online.domain.market import Timeframe
from online.domain.rules import RULE_FEATURES
from online.instruments import find_instrument
from pipelines import training_data
from pipelines.backtest import backtest
from pipelines.code_version import code_version
from pipelines.feature_steps import compute_offline, read_series
from pipelines.home import Home
from pipelines.lake import Lake
from pipelines.promote import promote
from pipelines.quality import check
from pipelines.registries import open_registry
from pipelines.retrain import retrain
from pipelines.sources.demo import DemoConfig
from pipelines.sources.source import open_source
from pipelines.train import train
from pipelines.train_report import TrainReport
from pipelines.training import conduct
from pipelines.training_data import TrainPlan, load_training_data
from tests.planted_leaks import LEAKS, Planted

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("prefect_storage")]
SYMBOL, NAME = "EURUSD", "EURUSD.H1.barrier"
RECIPE = Recipe(families=(XgboostConfig(max_rounds=40, patience=5),), n_folds=3)
END_NS = int(datetime(2017, 10, 1, tzinfo=UTC).timestamp()) * 1_000_000_000


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home with the demonstration's bars and features, under a Prefect server."""
    made = Home(tmp_path_factory.mktemp("home"))
    checked = check(open_source(DemoConfig()).read(), find_instrument(SYMBOL))
    Lake(made.lake).write_bars(SYMBOL, Timeframe.H1, checked.side, checked.bars, checked.source)
    compute_offline(made, read_series(made, SYMBOL, Timeframe.H1))
    patch = pytest.MonkeyPatch()
    patch.delenv("MLFLOW_TRACKING_URI", raising=False)
    yield made
    patch.undo()


@pytest.fixture(scope="module")
def trained(home: Home) -> TrainReport:
    return train(home.root, SYMBOL, "H1", None, END_NS, recipe=RECIPE)


def test_the_scorer_loads_what_was_trained_and_promoted(home: Home, trained: TrainReport) -> None:
    promoted = promote(home.root, NAME)
    model = load_bundle(Path(promoted.bundle), promoted.alias, promoted.version)
    assert promoted.alias == trained.best_alias == "paper"
    assert model.sha256 == trained.bundle_sha256 == promoted.bundle_sha256
    assert model.verification.bit_equal
    manifest = model.manifest
    assert manifest.name == NAME
    assert manifest.training.ended_at_ns < END_NS
    assert manifest.training.n_bars == trained.rows
    assert manifest.min_edge == trained.min_edge
    assert manifest.price_side == "ask"
    assert manifest.assumed_spread_points == find_instrument("EURUSD").typical_spread_points
    assert manifest.spread_source.startswith("declared; ")


def test_training_leaves_rules_for_a_scorer_that_has_no_model(
    home: Home, trained: TrainReport
) -> None:
    rules = read_rules(home.bundles / "fallback" / f"{trained.name}.json").manifest
    assert rules.name == NAME
    assert set(rules.vector.names) == {*RULE_FEATURES, "atr_14"}
    assert rules.transform_fingerprint == transform_fingerprint(rules.vector.names)
    assert rules.barriers == read_manifest(Path(trained.bundle)).barriers


def test_the_report_says_plainly_how_the_model_stands_to_the_baseline(
    trained: TrainReport,
) -> None:
    mine, theirs = trained.figures["total_units"], trained.baseline_figures["total_units"]
    assert trained.headline.startswith("No model beats") == (mine <= theirs)
    assert trained.headline.startswith("The model beats") == (mine > max(theirs, 0.0))
    assert {row["gate"] for row in trained.gates} >= {"purged", "deflated_sharpe", "calibrated"}
    assert trained.folds == RECIPE.n_folds
    assert trained.coverage >= RECIPE.min_coverage


def test_every_bar_is_learnt_from_or_counted_as_left_out(home: Home, trained: TrainReport) -> None:
    bars = Lake(home.lake).read_bars(SYMBOL, "H1", None, END_NS)
    assert trained.rows + sum(trained.left_out.values()) == len(bars)


@pytest.mark.usefixtures("trained")
def test_prefect_shows_the_comparison_and_the_gates() -> None:
    for key in (
        "train-eurusd-h1-barrier",
        "comparison-eurusd-h1-barrier",
        "gates-eurusd-h1-barrier",
    ):
        assert Artifact.get(key) is not None


def test_training_again_gives_the_same_version(home: Home, trained: TrainReport) -> None:
    (Path(trained.bundle) / "manifest.json").write_text("changed since")
    again = train(home.root, SYMBOL, "H1", None, END_NS, recipe=RECIPE)
    assert again.version == trained.version
    assert again.bundle_sha256 == trained.bundle_sha256
    assert again.run_id != trained.run_id
    assert digest_folder(Path(again.bundle)) == trained.bundle_sha256


def test_an_alias_moved_by_anybody_makes_no_champion_that_is_easily_beaten(
    home: Home, trained: TrainReport
) -> None:
    registry = open_registry(home, None)
    with registry.record("peek", "peek") as run:
        client = run.client
    client.set_registered_model_alias(NAME, "champion", trained.version)
    try:
        beside = train(home.root, SYMBOL, "H1", None, END_NS, recipe=RECIPE)
    finally:
        client.delete_registered_model_alias(NAME, "champion")
    gate = next(row for row in beside.gates if row["gate"] == "beats_champion")
    assert (gate["measured"], gate["verdict"]) == ("nan", "FAIL")


def test_training_without_prefect_gives_the_same_model_and_applies_the_views_once(
    home: Home, trained: TrainReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    applied: list[object] = []

    def apply(store: FeatureStore, root: Path, timeframes: list[Timeframe]) -> None:
        applied.extend(timeframes)
        apply_definitions(store, root, timeframes)

    monkeypatch.setattr(training_data, "apply_definitions", apply)
    plan = TrainPlan(home.root, SYMBOL, Timeframe.H1, None, END_NS, RECIPE, "sextant")
    found = conduct(plan, open_registry(home, None))
    assert applied == [Timeframe.H1]
    known, again = (read_manifest(Path(report.bundle)) for report in (trained, found))
    assert again.members == known.members


def test_an_ensemble_is_served_with_all_its_members_or_not_at_all(home: Home) -> None:
    quick = LightgbmConfig(max_rounds=40, patience=5)
    recipe = replace(RECIPE, families=(*RECIPE.families, quick))
    plan = TrainPlan(home.root, SYMBOL, Timeframe.H1, None, END_NS, recipe, "sextant")
    report = conduct(plan, open_registry(home, None))
    folder = Path(report.bundle)
    model = load_bundle(folder, "paper", report.version, report.bundle_sha256)
    members = model.manifest.members
    assert [member.name for member in members] == ["xgboost", "lightgbm"]
    assert sum(member.weight for member in members) == pytest.approx(1.0)
    assert members[0].calibration != members[1].calibration
    assert model.verification.bit_equal
    assert next(row["contender"] for row in report.comparison) == "xgboost+lightgbm"
    file_bytes = (folder / "lightgbm.onnx").read_bytes()
    (folder / "lightgbm.onnx").unlink()
    with pytest.raises(ModelRefused, match="lightgbm"):
        load_bundle(folder, "paper")
    (folder / "lightgbm.onnx").write_bytes(file_bytes)


def test_mlflow_holds_figures_plots_and_manifest(home: Home, trained: TrainReport) -> None:
    with open_registry(home, None).record("peek", "peek") as run:
        client = run.client
    found = client.get_run(trained.run_id)
    assert found.data.metrics["total_units"] == trained.figures["total_units"]
    assert found.data.params["families"] == "xgboost"
    assert len(client.get_metric_history(trained.run_id, "fold.log_loss")) == RECIPE.n_folds
    files = {item.path for item in client.list_artifacts(trained.run_id, "plots")}
    assert files == {
        f"plots/{name}.png"
        for name in ("reliability", "equity", "accuracy_coverage", "importance_xgboost")
    }
    assert found.info.run_name == "xgboost barrier"
    told = found.data.tags["mlflow.note.content"]
    assert told.startswith(trained.headline)
    shown = client.get_model_version(NAME, trained.version).description
    for text in (told, shown or ""):
        assert "Costs: spread 8 points" in text
        assert "slippage 4 points on each entry" in text
    version, _, commit = found.data.params["code"].partition("+")
    assert found.data.params["code"] == code_version()
    assert found.data.tags["mlflow.source.name"] == f"sextant {version}"
    assert found.data.tags.get("mlflow.source.git.commit", "") == commit
    assert found.inputs is not None
    (learnt_from,) = found.inputs.dataset_inputs
    assert learnt_from.dataset.name == "EURUSD.H1"
    assert found.data.params["data_sha256"].startswith(learnt_from.dataset.digest)
    kind = client.get_experiment(found.info.experiment_id).tags["mlflow.experimentKind"]
    assert kind == "custom_model_development"
    top = {item.path for item in client.list_artifacts(trained.run_id)}
    assert "importances.json" in top
    assert top >= {"model_card.md", "gates.json", "comparison.json", "attribution.json"}
    nested = client.search_runs(
        [found.info.experiment_id], f"tags.mlflow.parentRunId = '{trained.run_id}'"
    )
    assert len(nested) == RECIPE.n_folds
    for fold in nested:
        params = fold.data.params
        assert int(params["train_ended_at_ns"]) < int(params["test_began_at_ns"])
    bundle = {item.path for item in client.list_artifacts(trained.run_id, "bundle")}
    assert bundle == {
        f"bundle/{file}"
        for file in ("manifest.json", "xgboost.onnx", "golden.npz", "certificate.json")
    }


def test_a_window_that_is_too_short_fails_the_run_and_registers_nothing(home: Home) -> None:
    registry = open_registry(home, None)
    before = [version.version for version in registry.versions(NAME)]
    first = Lake(home.lake).read_bars(SYMBOL, "H1")["closed_at_ns"].iloc[0]
    end_ns = int(first) + 100 * Timeframe.H1.duration_ns
    plan = TrainPlan(home.root, SYMBOL, Timeframe.H1, None, end_ns, RECIPE, "sextant")
    with pytest.raises(InvalidInput) as caught:
        conduct(plan, registry)
    assert caught.value.code == "TOO_FEW_ROWS"
    assert [version.version for version in registry.versions(NAME)] == before


def test_what_a_recipe_spares_its_trades_is_known_of_the_data(home: Home) -> None:
    known = find_instrument(SYMBOL)
    label = LabelChoice(slippage_points=1, assumed_spread_points=known.typical_spread_points)
    plan = TrainPlan(
        home.root, SYMBOL, Timeframe.H1, None, END_NS, replace(RECIPE, label=label), "sextant"
    )
    assert load_training_data(plan).spared == {"slippage": known.slipped_points - 1.0}


def test_a_retraining_without_data_is_a_failed_run_that_says_why(home: Home) -> None:
    before_ns = END_NS - 260 * 86_400 * 1_000_000_000
    with pytest.raises(InvalidInput):
        retrain(home.root, SYMBOL, "H1", until_ns=before_ns, recipe=RECIPE)
    with open_registry(home, None).record("peek", "peek") as run:
        client = run.client
    experiment = client.get_experiment_by_name("EURUSD.H1")
    assert experiment is not None
    newest = client.search_runs([experiment.experiment_id], max_results=1)[0]
    assert newest.info.status == "FAILED"
    assert newest.data.tags["failure"].startswith("TOO_FEW_ROWS: ")


def test_a_feature_unknown_to_the_catalogue_is_named(home: Home) -> None:
    recipe = replace(RECIPE, features=("rsi_14", "atr_14", "oracle"))
    plan = TrainPlan(home.root, SYMBOL, Timeframe.H1, None, END_NS, recipe, "sextant")
    with pytest.raises(NotFound, match="oracle") as caught:
        conduct(plan, open_registry(home, None))
    assert caught.value.code == "UNKNOWN_FEATURE"


def test_every_setting_tried_is_a_nested_run_and_counted(home: Home, trained: TrainReport) -> None:
    recipe = replace(RECIPE, n_tuning_trials=3)
    plan = TrainPlan(home.root, SYMBOL, Timeframe.H1, None, END_NS, recipe, "sextant")
    registry = open_registry(home, None)
    before = registry.count_trials(plan.experiment, plan.recipe.trial(plan.vector.names))
    report = conduct(plan, registry)
    assert report.trials >= trained.trials // before * (before + 2)
    with registry.record("peek", "peek") as run:
        client = run.client
    found = client.search_runs(
        [client.get_run(report.run_id).info.experiment_id],
        f"tags.mlflow.parentRunId = '{report.run_id}'",
    )
    names = {run.info.run_name for run in found}
    assert {f"xgboost trial {number}" for number in (1, 2, 3)} <= names
    trial = next(run for run in found if run.info.run_name == "xgboost trial 1")
    kept = Path(client.download_artifacts(trial.info.run_id, "daily_units.csv"))
    assert kept.read_text().startswith("day,share_0.250,")
    told = client.get_run(report.run_id).data
    assert told.metrics["search.trials"] == report.luck["search.trials"] == 3
    assert 0.0 <= told.metrics["search.overfitting"] <= 1.0
    assert 1.0 <= told.metrics["effective_trials"] <= report.trials
    assert told.metrics["deflated_sharpe_effective"] >= told.metrics["deflated_sharpe"]
    assert told.tags["luck"] == report.luck_told
    card = Path(client.download_artifacts(report.run_id, "model_card.md")).read_text()
    assert report.luck_told in card
    assert "search.overfitting" in card


@pytest.mark.parametrize("leak", LEAKS, ids=[leak.name for leak in LEAKS])
def test_a_planted_leak_is_refused_and_nothing_is_registered(home: Home, leak: Planted) -> None:
    registry = open_registry(home, None)
    before = [version.version for version in registry.versions(NAME)]
    plan = TrainPlan(home.root, SYMBOL, Timeframe.H1, None, END_NS, RECIPE, "sextant")
    with pytest.raises(ModelRefused) as caught:
        conduct(plan, registry, leak.load(load_training_data), leak.learn_from)
    assert caught.value.code == leak.code
    assert [version.version for version in registry.versions(NAME)] == before


def test_a_model_for_paper_is_refused_as_champion(home: Home, trained: TrainReport) -> None:
    with pytest.raises(ModelRefused) as caught:
        promote(home.root, NAME, trained.version, str(Alias.CHAMPION))
    assert caught.value.code == "GATES_FAILED"


def test_a_model_that_tells_no_direction_is_registered_and_never_promoted(home: Home) -> None:
    label = LabelChoice(target=Target.VOLATILITY)
    recipe = Recipe(families=(LogisticConfig(),), n_folds=3, label=label, target="volatility")
    plan = TrainPlan(home.root, SYMBOL, Timeframe.H1, None, END_NS, recipe, "sextant")
    report = conduct(plan, open_registry(home, None))
    assert (report.name, report.best_alias) == ("EURUSD.H1.volatility", None)
    assert not read_manifest(Path(report.bundle)).is_tradable
    with pytest.raises(ModelRefused, match="tradable_target"):
        promote(home.root, report.name, report.version, "paper")


def test_a_model_of_direction_trades_by_its_stop_and_its_time(home: Home) -> None:
    label = LabelChoice(target=Target.DIRECTION)
    recipe = Recipe(families=(LogisticConfig(),), n_folds=3, label=label, target="direction")
    plan = TrainPlan(home.root, SYMBOL, Timeframe.H1, None, END_NS, recipe, "sextant")
    report = conduct(plan, open_registry(home, None))
    promote(home.root, report.name, report.version, "paper")
    found = backtest(home.root, [report.name], start_ns=END_NS, quick=True)
    assert found.figures["trades"] > 10


def test_promoting_what_is_not_there_is_named(home: Home) -> None:
    with pytest.raises(NotFound) as caught:
        promote(home.root, "EURUSD.M1.barrier")
    assert caught.value.code == "NO_MODEL"
    with pytest.raises(InvalidInput) as wrong:
        promote(home.root, NAME, None, "king")
    assert wrong.value.code == "UNKNOWN_ALIAS"


def test_a_retraining_is_done_once_a_window_moves_no_alias_and_survives_being_killed(
    home: Home, trained: TrainReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = open_registry(home, None)
    before, aliases = len(registry.versions(NAME)), registry.aliases(NAME)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pipelines.training.certify", killed)  # all but registered
        with pytest.raises(KeyboardInterrupt):
            retrain.fn(home.root, SYMBOL, "H1", None, END_NS, recipe=RECIPE)
    assert len(registry.versions(NAME)) == before
    first = retrain(home.root, SYMBOL, "H1", None, END_NS, recipe=RECIPE)
    assert not first.known
    assert first.window == "the first bar to 2017-09-25"
    assert first.bundle_sha256 != trained.bundle_sha256  # a window of its own
    again = retrain(home.root, SYMBOL, "H1", None, END_NS, recipe=RECIPE)
    assert again == replace(first, known=True)
    shutil.rmtree(home.mlflow / "retrained")
    anew = retrain(home.root, SYMBOL, "H1", None, END_NS, recipe=RECIPE)
    assert (anew.version, anew.bundle_sha256) == (first.version, first.bundle_sha256)
    assert registry.aliases(NAME) == aliases
