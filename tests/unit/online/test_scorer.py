"""The running scorer on fakes: what it does at its start and when a model is swapped."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from online.adapters.bundle_folder import BundleFolder
from online.adapters.memory_journal import MemoryJournal
from online.api.messages import MarketStep
from online.api.metrics import Meters, TimedBroker, TimedJournal
from online.api.scorer import NoModel, Parts, Scorer
from online.domain.book import Book
from online.domain.errors import InvalidInput, NotFound
from online.domain.market import Timeframe
from online.domain.order import OrderStatus
from online.domain.record import ModelRecord, Request, ResultRecord
from tests.bundles import write_bundle
from tests.fakes import (
    BAR_NS,
    INSTRUMENTS,
    FakeBroker,
    FakeClock,
    FakeFeatures,
    make_limits,
)

pytestmark = pytest.mark.lean
NAME = "EURUSD.H1.barrier"
REQUEST = Request("EURUSD", Timeframe.H1, BAR_NS, send=True)


@dataclass(slots=True)
class Alive:
    """A store that lives."""

    pings: itertools.count[int] = field(default_factory=itertools.count)

    async def ping(self) -> None:
        next(self.pings)


def make_scorer(folder: Path, broker: FakeBroker, journal: MemoryJournal, book: Book) -> Scorer:
    """Return a scorer whose model lies in `folder`."""
    meters = Meters()
    parts = Parts(
        mode="paper",
        features=FakeFeatures(),
        broker=TimedBroker(broker, meters),
        journal=TimedJournal(journal, meters),
        clock=FakeClock(),
        book=book,
        limits=make_limits(),
        instruments=INSTRUMENTS,
        strategy=1,
        store=Alive(),
        source=BundleFolder(folder),
        model_name=NAME,
        model_alias="paper",
        simulation=None,
        read_decision=lambda _: (),
    )
    return Scorer(parts, meters)


def test_an_order_of_unknown_fate_is_resolved_by_evidence_when_the_scorer_starts_again(
    tmp_path: Path,
) -> None:
    write_bundle(tmp_path / NAME / "paper")
    broker, journal = FakeBroker(loses=True), MemoryJournal()

    async def story() -> None:
        first = make_scorer(tmp_path, broker, journal, Book())
        await first.start()
        outcome = await first.trade(REQUEST)
        assert outcome.reply is not None
        assert outcome.reply.status is OrderStatus.UNKNOWN
        book = Book()
        for record in journal.records():
            book.apply(record)
        assert len(book.pending) == 1
        broker.down = True
        await make_scorer(tmp_path, broker, journal, book).start()
        assert len(book.pending) == 1  # nobody to ask: the fate stays unknown
        broker.down = False
        await make_scorer(tmp_path, broker, journal, book).start()
        assert not book.pending

    asyncio.run(story())
    results = [record for record in journal.records() if isinstance(record, ResultRecord)]
    assert [result.reply.status for result in results] == [
        OrderStatus.UNKNOWN,
        OrderStatus.FILLED,
    ]
    assert len({result.decision_id for result in results}) == 1
    assert len(broker.sent) == 1


def test_a_bundle_of_another_name_is_refused(tmp_path: Path) -> None:
    write_bundle(tmp_path / NAME / "paper")
    scorer = make_scorer(tmp_path, FakeBroker(), MemoryJournal(), Book())
    scorer.parts.model_name = "GBPUSD.H1.barrier"
    (tmp_path / NAME).rename(tmp_path / "GBPUSD.H1.barrier")
    with pytest.raises(InvalidInput, match=r"is EURUSD\.H1\.barrier"):
        asyncio.run(scorer.reload())
    with pytest.raises(NoModel, match=r"EURUSD\.H1\.barrier"):
        asyncio.run(scorer.decide(REQUEST))


def test_every_load_is_recorded_with_its_runtime_and_the_next_request_uses_it(
    tmp_path: Path,
) -> None:
    write_bundle(tmp_path / NAME / "1")
    write_bundle(tmp_path / NAME / "2", names=("one", "two"))
    alias, journal = tmp_path / NAME / "paper", MemoryJournal()
    scorer = make_scorer(tmp_path, FakeBroker(), journal, Book())

    async def story() -> None:
        alias.symlink_to("1")
        await scorer.start()
        first = (await scorer.decide(REQUEST)).record
        alias.unlink()
        alias.symlink_to("2")
        assert (await scorer.reload()).version == "2"
        second = (await scorer.decide(REQUEST)).record
        assert first.model_sha256 != second.model_sha256
        assert second.signal is not None
        assert [output.name for output in second.signal.members] == ["one", "two"]

    asyncio.run(story())
    loads = [record for record in journal.records() if isinstance(record, ModelRecord)]
    assert [load.version for load in loads] == ["1", "2"]
    assert all(load.bit_equal and load.runtime.startswith("onnxruntime") for load in loads)


def test_only_a_replay_has_a_market_to_move(tmp_path: Path) -> None:
    scorer = make_scorer(tmp_path, FakeBroker(), MemoryJournal(), Book())
    with pytest.raises(InvalidInput, match="no simulated market"):
        asyncio.run(scorer.move_market(MarketStep("EURUSD")))


def test_a_scorer_without_a_model_tells_which_part_is_missing(tmp_path: Path) -> None:
    scorer = make_scorer(tmp_path, FakeBroker(), MemoryJournal(), Book())
    with pytest.raises(NotFound):
        asyncio.run(scorer.reload())
    told = asyncio.run(scorer.readiness())
    assert not told.ready
    assert {name for name, part in told.parts.items() if not part.ready} == {"model"}
