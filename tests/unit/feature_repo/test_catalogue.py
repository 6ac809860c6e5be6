from __future__ import annotations

import dataclasses

import pytest

from feature_repo import catalogue
from feature_repo.catalogue import (
    CATALOGUE,
    DEFAULT_NAMES,
    available,
    contract,
    expand,
    select,
)
from feature_repo.expression import CLOSE, call
from feature_repo.transform import transform_fingerprint
from online.domain.errors import NotFound
from online.domain.market import Timeframe
from tests.conftest import REPOSITORY


def test_names_are_unique() -> None:
    assert len({entry.name for entry in CATALOGUE}) == len(CATALOGUE)


def test_the_default_vector_holds_the_unit_of_the_exit_and_needs_no_volume() -> None:
    features = select(DEFAULT_NAMES)
    assert "atr_14" in DEFAULT_NAMES
    assert all("volume" not in feature.inputs for feature in features)


def test_a_contract_orders_features_as_the_catalogue_does() -> None:
    vector = contract(Timeframe.H1, ["rsi_14", "atr_14", "log_return_1"])
    assert vector.names == ("log_return_1", "rsi_14", "atr_14")
    assert [view.name for view in vector.views] == ["h1_returns", "h1_momentum", "h1_volatility"]
    assert all(view.max_age_seconds == Timeframe.H1.seconds for view in vector.views)


def test_an_unknown_feature_is_refused_with_what_is_near() -> None:
    with pytest.raises(NotFound, match="rsi_14") as refusal:
        contract(Timeframe.H1, ["rsi_15"])
    assert refusal.value.code == "UNKNOWN_FEATURE"


@pytest.mark.parametrize(("word", "near"), [("defaul", "default"), ("hig", "higher")])
def test_a_group_that_is_almost_one_is_refused_with_what_is_near(word: str, near: str) -> None:
    with pytest.raises(NotFound, match=f"the catalogue has {near}"):
        expand([word], Timeframe.H1)


def test_a_source_without_volume_has_no_feature_of_it() -> None:
    prices = frozenset({"open", "high", "low", "close", "closed_at_ns"})
    assert all("volume" not in feature.inputs for feature in available(prices))


def test_the_fingerprint_ignores_the_order_of_names() -> None:
    assert transform_fingerprint(["rsi_14", "atr_14"]) == transform_fingerprint(
        ["atr_14", "rsi_14"]
    )


@pytest.mark.parametrize("change", ["version", "parameter"])
def test_the_fingerprint_changes_with_version_and_parameters(
    change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = transform_fingerprint(["rsi_14"])
    (entry,) = catalogue.select(("rsi_14",))
    other = (
        dataclasses.replace(entry, version=entry.version + 1)
        if change == "version"
        else dataclasses.replace(entry, expression=call("RSI", CLOSE, timeperiod=15))
    )
    replaced = tuple(other if f.name == "rsi_14" else f for f in CATALOGUE)
    monkeypatch.setattr(catalogue, "CATALOGUE", replaced)
    assert transform_fingerprint(["rsi_14"]) != before


def test_a_views_version_rises_with_an_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    (entry,) = catalogue.select(("rsi_14",))
    before = catalogue.view_version(entry.group)
    other = dataclasses.replace(entry, version=entry.version + 1)
    replaced = tuple(other if f.name == "rsi_14" else f for f in CATALOGUE)
    monkeypatch.setattr(catalogue, "CATALOGUE", replaced)
    assert catalogue.view_version(entry.group) == before + 1
    assert catalogue.view_name(Timeframe.H1, entry.group) == f"h1_{entry.group.value}_v{before + 1}"
    assert contract(Timeframe.H1, ["rsi_14"]).views[0].name.endswith(f"_v{before + 1}")


def test_the_views_of_a_vector_are_streamed_whole() -> None:
    features = catalogue.whole_views(["rsi_14"])
    (entry,) = catalogue.select(("rsi_14",))
    assert {f.group for f in features} == {entry.group}
    assert set(features) == {f for f in CATALOGUE if f.group is entry.group}


def test_a_model_cannot_ask_for_what_its_source_lacks() -> None:
    prices = frozenset({"open", "high", "low", "close", "closed_at_ns"})
    assert contract(Timeframe.M1, inputs=prices).names == contract(Timeframe.M1).names
    with pytest.raises(NotFound, match="money_flow_index_14") as refusal:
        contract(Timeframe.M1, ["money_flow_index_14"], prices)
    assert refusal.value.code == "FEATURE_INPUT_ABSENT"


def test_feast_imports_the_definitions_alone() -> None:
    folder = REPOSITORY / "feature_repo"
    ignored = {
        line
        for line in (folder / ".feastignore").read_text().splitlines()
        if line and not line.startswith("#")
    }
    files = {path.name for path in folder.glob("*.py")} - {"definitions.py"}
    folders = {f"{path.parent.name}/" for path in folder.glob("*/*.py")}
    assert ignored == files | folders
