"""What stands between a model and a store whose values may be made otherwise."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

import pytest

from online.api.matching import MatchedFeatures
from online.domain.errors import FeaturesChanged, ModelRefused, Unavailable
from online.domain.manifest import Manifest
from online.domain.reasons import Reason
from online.domain.transform import combine_digests, judge_transforms
from online.domain.vector import VectorContract, VectorReading
from online.trade import run_to_completion
from tests.fakes import BAR_NS, TRANSFORM, make_manifest, make_reading, make_windowed_contract

_OFTEN = 4
Held = dict[str, dict[str, str] | None]


def told_of(manifest: Manifest, digest: str = TRANSFORM) -> Held:
    """Return what a store tells whose every feature is made the same way."""
    vector = manifest.vector
    held: Held = {view.name: dict.fromkeys(view.features, digest) for view in vector.views}
    if vector.window is not None:
        held[vector.window.view] = dict.fromkeys(vector.window.features, digest)
    return held


@dataclass
class FakeStore:
    """A store that tells what it is given, and counts how often it is asked."""

    held: Held = field(default_factory=dict)
    down: bool = False
    asked: int = 0
    reading: VectorReading = field(default_factory=make_reading)
    asked_often: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self, symbol: str, contract: VectorContract) -> VectorReading:  # noqa: ARG002
        return self.reading

    async def read_told(self, symbol: str, contract: VectorContract) -> tuple[VectorReading, Held]:
        return await self.read(symbol, contract), self._told(contract)

    async def read_transforms(self, symbol: str, contract: VectorContract) -> Held:  # noqa: ARG002
        self.asked += 1
        if self.asked == _OFTEN:
            self.asked_often.set()
        return self._told(contract)

    def _told(self, contract: VectorContract) -> Held:
        if self.down:
            raise Unavailable("the store is down")
        return {view.name: self.held.get(view.name) for view in contract.views}

    async def ping(self) -> None:
        if self.down:
            raise Unavailable("the store is down")


def make_matched(**told: object) -> tuple[MatchedFeatures, FakeStore, Manifest]:
    manifest = make_manifest()
    store = FakeStore(told_of(manifest), **told)  # type: ignore[arg-type]
    return MatchedFeatures(store), store, manifest


def test_a_vector_is_read_without_asking_again_how_it_is_made() -> None:
    matched, store, manifest = make_matched()
    run_to_completion(matched.admit(manifest))
    for _ in range(5):
        assert run_to_completion(matched.read("EURUSD", manifest.vector)) == make_reading()
    assert store.asked == 1


def test_a_model_fitted_on_other_features_is_refused_by_name() -> None:
    matched, store, manifest = make_matched()
    store.held = told_of(manifest, "another formula")
    with pytest.raises(ModelRefused, match="fingerprint") as refusal:
        run_to_completion(matched.admit(manifest))
    assert refusal.value.code == "FEATURES_CHANGED"
    with pytest.raises(FeaturesChanged):
        run_to_completion(matched.read("EURUSD", manifest.vector))


def test_a_store_that_tells_nothing_yet_lets_the_model_in_and_gives_it_nothing() -> None:
    matched, store, manifest = make_matched()
    told, store.held = store.held, {}
    run_to_completion(matched.admit(manifest))
    run_to_completion(matched.ping())
    with pytest.raises(FeaturesChanged, match="does not tell") as refusal:
        run_to_completion(matched.read("EURUSD", manifest.vector))
    assert refusal.value.code == Reason.FEATURES_CHANGED
    store.held = told
    assert run_to_completion(matched.read("EURUSD", manifest.vector)) == make_reading()


def test_a_store_that_does_not_answer_lets_the_model_in_and_gives_it_nothing() -> None:
    matched, store, manifest = make_matched(down=True)
    run_to_completion(matched.admit(manifest))
    with pytest.raises(Unavailable) as refusal:
        run_to_completion(matched.read("EURUSD", manifest.vector))
    assert refusal.value.code == "UNAVAILABLE"
    store.down = False
    assert run_to_completion(matched.read("EURUSD", manifest.vector)) == make_reading()


def test_what_was_never_written_is_a_torn_vector_and_no_other_formula() -> None:
    matched, store, manifest = make_matched()
    run_to_completion(matched.admit(manifest))
    store.held["h1_clock"] = None
    store.reading = VectorReading((1.0, 2.0, 3.0, None), (BAR_NS, None))
    run_to_completion(matched.look())
    assert run_to_completion(matched.read("EURUSD", manifest.vector)) == store.reading
    store.reading = VectorReading((None, None, None, 4.0), (None, BAR_NS))
    with pytest.raises(FeaturesChanged):
        run_to_completion(matched.read("EURUSD", manifest.vector))


@pytest.mark.parametrize("change", ["other", "one other", "withdrawn", "lacking"])
@pytest.mark.parametrize("looks", [0, 1])
def test_values_made_otherwise_since_are_never_read(
    change: str, looks: int, caplog: pytest.LogCaptureFixture
) -> None:
    matched, store, manifest = make_matched()
    run_to_completion(matched.admit(manifest))
    match change:
        case "other":
            store.held = told_of(manifest, "another formula")
        case "one other":
            store.held["h1_momentum"] = {**(store.held["h1_momentum"] or {}), "rsi_14": "other"}
        case "withdrawn":
            store.held["h1_clock"] = None
        case _:
            store.held["h1_clock"] = {}
    for _ in range(looks):
        with caplog.at_level(logging.WARNING):
            run_to_completion(matched.look())
        assert "reads nothing" in caplog.text
    with pytest.raises(FeaturesChanged):
        run_to_completion(matched.read("EURUSD", manifest.vector))
    if change != "withdrawn":
        with pytest.raises(FeaturesChanged):
            run_to_completion(matched.ping())


def test_a_store_that_does_not_answer_at_a_look_is_no_other_formula() -> None:
    matched, store, manifest = make_matched()
    run_to_completion(matched.admit(manifest))
    store.down = True
    run_to_completion(matched.look())
    for ask in (matched.read("EURUSD", manifest.vector), matched.ping()):
        with pytest.raises(Unavailable):
            run_to_completion(ask)
    store.down = False
    assert run_to_completion(matched.read("EURUSD", manifest.vector)) == make_reading()


def test_the_model_before_is_still_known_while_the_next_takes_its_place() -> None:
    matched, _, manifest = make_matched()
    following = make_manifest(min_edge=0.2)
    run_to_completion(matched.admit(manifest))
    run_to_completion(matched.admit(following))
    assert run_to_completion(matched.read("EURUSD", manifest.vector)) == make_reading()
    assert run_to_completion(matched.read("EURUSD", following.vector)) == make_reading()


def test_a_model_taken_as_it_is_reads_nothing_until_the_store_fits_it() -> None:
    matched, store, manifest = make_matched()
    told, store.held = store.held, told_of(manifest, "another formula")
    matched.expect(manifest)
    with pytest.raises(FeaturesChanged):
        run_to_completion(matched.read("EURUSD", manifest.vector))
    store.held = told
    assert run_to_completion(matched.read("EURUSD", manifest.vector)) == make_reading()


def test_the_store_is_looked_at_again_and_again() -> None:
    matched, store, manifest = make_matched()

    async def story() -> None:
        await matched.admit(manifest)
        keeping = asyncio.create_task(matched.keep(0.001))
        await store.asked_often.wait()
        keeping.cancel()

    asyncio.run(asyncio.wait_for(story(), 10))


def test_a_windows_features_count_and_must_agree_with_the_vectors() -> None:
    vector = make_windowed_contract()
    fingerprint = combine_digests(dict.fromkeys(vector.all_names, TRANSFORM))
    manifest = make_manifest(vector=vector)
    held = told_of(manifest)
    assert judge_transforms(held, vector, fingerprint) is None
    assert vector.window is not None
    name = vector.window.features[0]
    held[vector.window.view] = {**(held[vector.window.view] or {}), name: "other"}
    found = judge_transforms(held, vector, fingerprint)
    assert found is not None
    assert not found.untold
