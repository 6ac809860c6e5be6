"""The running scorer on fakes: what it does at its start and when a model is swapped."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from online.adapters.bundle_folder import BundleFolder
from online.adapters.memory_journal import MemoryJournal
from online.adapters.onnx_model import load_bundle
from online.api.accounting import OtherAccount, RealAccount
from online.api.messages import MarketStep
from online.api.metrics import Meters, TimedBroker, TimedJournal
from online.api.parts import Parts
from online.api.scorer import NoModel, Scorer
from online.domain.book import Book
from online.domain.certificate import GateLine
from online.domain.errors import InvalidInput, ModelRefused, NotFound
from online.domain.manifest import encode_manifest
from online.domain.market import Timeframe
from online.domain.order import OrderStatus
from online.domain.record import AccountRecord, ModelRecord, Request, ResultRecord
from online.domain.rules import RULE_FEATURES, SAY_LONG
from online.domain.vector import VectorContract, VectorReading, ViewContract
from tests.bundles import write_bundle
from tests.certificates import APPROVER, BAD, GOOD, RICH, Signers, put
from tests.fake_broker import FakeBroker
from tests.fakes import BAR_NS, INSTRUMENTS, FakeClock, FakeFeatures, make_limits, make_manifest

pytestmark = pytest.mark.lean
NAME = "EURUSD.H1.barrier"
SIGNERS = Signers()
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
        currency="USD",
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


def certified(
    folder: Path, *gates: GateLine, approved: bool = False, alias: str = "paper"
) -> Scorer:
    """Return a scorer that asks for certificates, with version 1 under its alias."""
    scorer = make_scorer(folder, FakeBroker(), MemoryJournal(), Book())
    scorer.parts.trust = SIGNERS.publish(folder / "trusted")
    scorer.parts.model_alias = alias
    add_version(folder, "1", *gates, approved=approved)
    (folder / NAME / alias).symlink_to("1")
    return scorer


def add_version(folder: Path, version: str, *gates: GateLine, approved: bool = False) -> None:
    """Write a certified bundle."""
    write_bundle(folder / NAME / version, names=("linear", version))
    digest = load_bundle(folder / NAME / version, "paper").sha256
    put(folder / NAME / version, SIGNERS.certify(digest, *gates, approved=approved))


def move(folder: Path, alias: str, version: str) -> None:
    """Point an alias at another version, as anybody may who can write there."""
    (folder / NAME / alias).unlink()
    (folder / NAME / alias).symlink_to(version)


def test_a_moved_alias_is_a_request_that_only_a_certificate_grants(tmp_path: Path) -> None:
    scorer = certified(tmp_path, GOOD, RICH, approved=True, alias="champion")
    add_version(tmp_path, "2", GOOD, RICH)

    async def story() -> None:
        await scorer.start()
        assert scorer.loaded is not None
        assert (scorer.loaded.policy, scorer.loaded.approver) == ("live", APPROVER)
        move(tmp_path, "champion", "2")
        for _ in range(2):
            with pytest.raises(ModelRefused, match="nobody approved"):
                await scorer.reload()
        assert scorer.loaded.version == "1"
        state = (await scorer.readiness()).parts["model"]
        assert state.ready
        assert state.code == "NOT_APPROVED"
        assert "version 1" in state.detail
        assert "refused" in state.detail
        assert (await scorer.decide(REQUEST)).record.model_sha256 == scorer.loaded.sha256
        move(tmp_path, "champion", "1")
        await scorer.reload()
        assert (await scorer.readiness()).parts["model"].code == ""

    asyncio.run(story())
    told = scorer.meters.render().decode()
    assert 'sextant_model_refusals_total{code="NOT_APPROVED"} 2.0' in told


def test_a_scorer_that_asks_for_certificates_starts_with_none_that_lacks_one(
    tmp_path: Path,
) -> None:
    scorer = certified(tmp_path, BAD)
    asyncio.run(scorer.start())
    told = asyncio.run(scorer.readiness())
    assert not told.parts["model"].ready
    assert "calibrated" in told.parts["model"].detail
    with pytest.raises(NoModel, match="calibrated"):
        asyncio.run(scorer.decide(REQUEST))


def test_any_tampered_file_of_a_certified_bundle_is_refused(tmp_path: Path) -> None:
    scorer = certified(tmp_path, GOOD, RICH, approved=True)
    asyncio.run(scorer.reload())
    folder = tmp_path / NAME / "1"
    for path in sorted(folder.iterdir()):
        raw = path.read_bytes()
        for place in (0, len(raw) // 2, len(raw) - 1):
            changed = bytearray(raw)
            changed[place] ^= 1
            path.write_bytes(bytes(changed))
            with pytest.raises((ModelRefused, InvalidInput)):
                asyncio.run(scorer.reload())
        path.write_bytes(raw)
    (folder / "added.json").write_text("{}")
    with pytest.raises(ModelRefused):
        asyncio.run(scorer.reload())
    (folder / "added.json").unlink()
    asyncio.run(scorer.reload())


def test_nothing_of_a_bundle_is_opened_before_its_certificate_is_asked_for(tmp_path: Path) -> None:
    scorer = certified(tmp_path, GOOD)
    folder = tmp_path / NAME / "1"
    for file in ("linear.onnx", "golden.npz", "manifest.json"):
        (folder / file).write_bytes(b"whatever somebody put there")
    with pytest.raises(ModelRefused) as caught:
        asyncio.run(scorer.reload())
    assert caught.value.code == "CERTIFICATE_OF_ANOTHER"
    (folder / "certificate.json").unlink()
    with pytest.raises(ModelRefused) as caught:
        asyncio.run(scorer.reload())
    assert caught.value.code == "CERTIFICATE_MISSING"


def test_a_watching_scorer_sees_a_moved_alias_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = certified(tmp_path, GOOD)
    add_version(tmp_path, "2", GOOD)

    async def story() -> None:
        await scorer.start()
        swapped = asyncio.Event()
        tell = scorer.meters.tell_model

        def tell_and_say(*told: str) -> None:
            tell(*told)
            swapped.set()

        monkeypatch.setattr(scorer.meters, "tell_model", tell_and_say)
        watching = asyncio.create_task(scorer.watch(0.001))
        move(tmp_path, "paper", "2")
        async with asyncio.timeout(20.0):
            await swapped.wait()
        watching.cancel()
        assert scorer.loaded is not None
        assert scorer.loaded.version == "2"

    asyncio.run(story())


def ruled(folder: Path) -> Path:
    """Write a manifest by which the rules may decide, and return its file."""
    rules = VectorContract((ViewContract("all", 1, (*RULE_FEATURES, "atr_14"), 7_200),))
    path = folder / "rules.json"
    path.write_bytes(encode_manifest(make_manifest(vector=rules)))
    return path


def test_rules_decide_where_no_model_can_be_loaded_until_one_can(tmp_path: Path) -> None:
    scorer = make_scorer(tmp_path, FakeBroker(), MemoryJournal(), Book())
    scorer.parts.fallback = ruled(tmp_path)
    values = (0.001, 0.2, 55.0, 0.00125)
    scorer.parts.features = FakeFeatures(VectorReading(values, (BAR_NS,)))

    async def story() -> None:
        await scorer.start()
        state = (await scorer.readiness()).parts["model"]
        assert (state.ready, state.code) == (True, "NO_MODEL")
        assert "rules" in state.detail
        outcome = await scorer.decide(REQUEST)
        assert outcome.record.signal is not None
        assert outcome.record.signal.probabilities == pytest.approx(SAY_LONG)
        write_bundle(tmp_path / NAME / "paper")
        assert (await scorer.reload()).alias == "paper"

    asyncio.run(story())


@pytest.mark.parametrize("text", ["no json", "{}", "absent"])
def test_a_fallback_that_cannot_be_used_is_no_model(tmp_path: Path, text: str) -> None:
    scorer = make_scorer(tmp_path, FakeBroker(), MemoryJournal(), Book())
    scorer.parts.fallback = tmp_path / "rules.json"
    if text != "absent":
        scorer.parts.fallback.write_text(text)
    asyncio.run(scorer.start())
    assert scorer.loaded is None
    lacking = encode_manifest(make_manifest())  # a vector without what the rules look at
    scorer.parts.fallback.write_bytes(lacking)
    asyncio.run(scorer.start())
    assert scorer.loaded is None


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


def test_while_the_account_is_not_known_it_is_decided_and_nothing_is_sent(tmp_path: Path) -> None:
    write_bundle(tmp_path / NAME / "paper")
    broker, journal = FakeBroker(), MemoryJournal()
    scorer = make_scorer(tmp_path, broker, journal, Book())
    link = FakeBroker(down=True)
    scorer.parts.identify = link.identify

    async def story() -> None:
        await scorer.start()
        assert (await scorer.trade(REQUEST)).reply is None
        link.down = False
        assert (await scorer.trade(REQUEST)).reply is not None

    asyncio.run(story())
    assert len(broker.sent) == 1
    told = [record.account for record in journal.records() if isinstance(record, AccountRecord)]
    assert told == ["1@Fake"]


def test_a_paper_scorer_neither_starts_nor_trades_on_an_account_of_real_money(
    tmp_path: Path,
) -> None:
    write_bundle(tmp_path / NAME / "paper")
    broker, journal = FakeBroker(real=True), MemoryJournal()
    scorer = make_scorer(tmp_path, broker, journal, Book())
    scorer.parts.identify = broker.identify
    for story in (scorer.start(), scorer.trade(REQUEST)):
        with pytest.raises(RealAccount, match="real money and the mode is"):
            asyncio.run(story)
    assert broker.sent == []
    assert not [record for record in journal.records() if isinstance(record, AccountRecord)]


def test_another_account_than_the_journals_stops_the_start_and_every_trade(tmp_path: Path) -> None:
    write_bundle(tmp_path / NAME / "paper")
    broker, book = FakeBroker(), Book()
    book.apply(AccountRecord(BAR_NS, "2@Fake"))
    scorer = make_scorer(tmp_path, broker, MemoryJournal(), book)
    scorer.parts.identify = broker.identify
    for story in (scorer.start(), scorer.trade(REQUEST)):
        with pytest.raises(OtherAccount, match="2@Fake"):
            asyncio.run(story)
    assert broker.sent == []
