"""The audit names the first record that is not as it was written."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from online.adapters.journal_reader import read_sealed
from online.domain.audit import (
    Anchor,
    Auditor,
    RecordCorrupt,
    SealedRecord,
    audit,
    join_copies,
)
from online.domain.errors import InvalidInput, JournalCorrupt, NotFound
from online.domain.merkle import MerkleTree
from online.domain.numbering import Numbering
from online.domain.record import GENESIS, chain
from tests.journals import decision, halts, seal, tamper, write_journal

pytestmark = pytest.mark.lean


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return write_journal(tmp_path / "journal.db", halts(25))


def test_a_sound_journal_is_reported_with_its_days_and_head(journal: Path) -> None:
    report = audit(read_sealed(journal))
    sealed = seal(halts(25))
    assert report.records == 25
    assert report.head == Anchor(25, sealed[-1].hash)
    assert report.journal_id == sealed[0].hash
    assert [(d.day, d.records, d.first_sequence, d.last_sequence) for d in report.days] == [
        ("2017-10-04", 10, 1, 10),
        ("2017-10-05", 10, 11, 20),
        ("2017-10-06", 5, 21, 25),
    ]
    assert report.kinds == {"halt": 25}


def test_an_empty_journal_is_sound(tmp_path: Path) -> None:
    report = audit(read_sealed(write_journal(tmp_path / "journal.db", ())))
    assert (report.records, report.head, report.days) == (0, Anchor(), ())


@pytest.mark.parametrize(
    ("statement", "sequence", "what"),
    [
        (
            "UPDATE records SET body = CAST('{}' AS BLOB) WHERE sequence = 7",
            7,
            "not as it was written",
        ),
        ("UPDATE records SET hash = substr(hash, 2) || '0' WHERE sequence = 7", 7, "stored hash"),
        ("UPDATE records SET previous_hash = hash WHERE sequence = 7", 7, "hash before it"),
        ("DELETE FROM records WHERE sequence = 7", 7, "is missing"),
        ("DELETE FROM records WHERE sequence = 1", 1, "is missing"),
        ("UPDATE records SET sequence = 26 WHERE sequence = 7", 7, "is missing"),
        ("UPDATE records SET kind = 'deal' WHERE sequence = 7", 7, "stored as kind 'deal'"),
        ("UPDATE records SET decision_id = 'x' WHERE sequence = 7", 7, "of decision 'x'"),
        ("UPDATE records SET body = CAST(body AS TEXT) WHERE sequence = 7", 7, "columns hold"),
    ],
)
def test_a_tampered_record_is_named(
    journal: Path, statement: str, sequence: int, what: str
) -> None:
    tamper(journal, statement)
    with pytest.raises(RecordCorrupt, match=what) as caught:
        audit(read_sealed(journal))
    assert caught.value.sequence == sequence
    assert f"record {sequence}:" in str(caught.value)


def test_a_journal_cut_at_its_end_is_found_by_an_anchor_kept_elsewhere(journal: Path) -> None:
    anchor = Anchor.parse(str(audit(read_sealed(journal)).head))
    assert audit(read_sealed(journal), [anchor]).head == anchor
    tamper(journal, "DELETE FROM records WHERE sequence > 20")
    assert audit(read_sealed(journal)).records == 20  # its chain alone cannot tell
    with pytest.raises(RecordCorrupt, match="ends at 20") as caught:
        audit(read_sealed(journal), [anchor])
    assert caught.value.sequence == 21


def test_a_journal_rewritten_with_a_sound_chain_is_found_by_an_anchor() -> None:
    honest = seal(halts(10))
    anchor = Anchor(8, honest[7].hash)
    forged = seal((*halts(5), *halts(5, first=50)))
    assert audit(forged).records == 10
    with pytest.raises(RecordCorrupt, match="rewritten") as caught:
        audit(forged, [anchor])
    assert caught.value.sequence == 8


@pytest.mark.parametrize("text", ["", "7", "x:" + "0" * 64, "0:" + "0" * 64, "7:" + "g" * 64])
def test_an_anchor_written_otherwise_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="SEQUENCE:HASH"):
        Anchor.parse(text)


def test_a_body_that_is_no_record_is_named_even_where_the_chain_holds() -> None:
    body = b'{"type":"nothing known"}'
    sealed = SealedRecord(1, "halt", None, body, GENESIS, chain(GENESIS, body))
    with pytest.raises(RecordCorrupt, match="record 1:"):
        audit([sealed])


def test_an_instant_beyond_time_is_named() -> None:
    record = msgspec.structs.replace(halts(1)[0], at_ns=1 << 63)
    with pytest.raises(RecordCorrupt, match="no time"):
        audit(seal([record]))


def test_what_is_no_journal_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a database, but long enough to be looked at" * 20)
    with pytest.raises(JournalCorrupt, match="damaged"):
        audit(read_sealed(tmp_path / "text"))
    (tmp_path / "empty").touch()
    with pytest.raises(JournalCorrupt, match="no journal"):
        audit(read_sealed(tmp_path / "empty"))
    with pytest.raises(NotFound):
        audit(read_sealed(tmp_path / "absent"))


@given(st.lists(st.integers(1, 30), min_size=1))
def test_numbering_knows_every_number_given_and_every_one_missing(numbers: list[int]) -> None:
    ledger, given_ = Numbering(), set[int]()
    for number in numbers:
        assert ledger.claim(number) is (number not in given_)
        given_.add(number)
    missing = {n for first, last in ledger.missing for n in range(first, last + 1)}
    assert missing == set(range(1, max(given_))) - given_


def test_numbering_refuses_numbers_below_one() -> None:
    assert not Numbering().claim(0)
    assert not Numbering().claim(-3)


def _root_by_definition(leaves: list[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    half = 1 << (len(leaves) - 1).bit_length() - 1
    left, right = _root_by_definition(leaves[:half]), _root_by_definition(leaves[half:])
    return hashlib.sha256(b"\x01" + left + right).digest()


@given(st.lists(st.binary(max_size=4), max_size=40))
def test_the_root_grown_leaf_by_leaf_is_the_root_by_definition(leaves: list[bytes]) -> None:
    tree = MerkleTree()
    for leaf in leaves:
        tree.add(leaf)
    assert tree.root == _root_by_definition(leaves).hex()
    assert tree.size == len(leaves)


def test_a_day_root_moves_with_any_record_of_its_day_and_with_no_other() -> None:
    before = audit(seal(halts(20)))
    after = audit(seal((*halts(19), *halts(1, first=90))))
    assert before.days[0] == after.days[0]
    assert before.days[1].root != after.days[1].root


@pytest.mark.parametrize("starts_at", [1, 6, 11])
def test_archive_and_journal_join_to_one_chain(starts_at: int) -> None:
    sealed = seal(halts(20))
    joined = list(join_copies(sealed[:10], sealed[starts_at - 1 :]))
    assert joined == sealed
    assert audit(joined).records == 20


def test_a_gap_between_archive_and_journal_is_named() -> None:
    sealed = seal(halts(20))
    with pytest.raises(RecordCorrupt, match="record 11: is missing"):
        audit(join_copies(sealed[:10], sealed[11:]))


def test_an_archive_that_differs_from_the_journal_is_named() -> None:
    sealed, other = seal(halts(20)), seal(halts(20, per_day=9))
    with pytest.raises(RecordCorrupt, match="do not hold the same") as caught:
        list(join_copies(other[:10], sealed))
    assert caught.value.sequence == 2  # both begin with the same record


@pytest.mark.parametrize("length", [0, 8])
def test_a_journal_shorter_than_its_archive_is_named(length: int) -> None:
    sealed = seal(halts(20))
    with pytest.raises(RecordCorrupt, match="missing from the journal") as caught:
        list(join_copies(sealed[:10], sealed[:length]))
    assert caught.value.sequence == length + 1


def test_a_decision_number_given_twice_is_named() -> None:
    first, again = decision(1), decision(1)
    with pytest.raises(RecordCorrupt, match="record 2: decision number 1"):
        audit(seal([first, again]))
    auditor = Auditor()
    for sealed in seal([decision(2), decision(5), decision(1)]):
        auditor.add(sealed)
    assert auditor.report().missing_numbers == ((3, 4),)
    assert auditor.report().decisions == 3
