"""A journal that an earlier version wrote is read: what it does not state is named, not made up."""

from __future__ import annotations

import asyncio
import csv
import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from online.adapters.sqlite_journal import open_journal, verify
from online.domain.errors import JournalCorrupt
from online.domain.former import FormerLimitsRecord
from online.domain.limits import Limits
from online.domain.record import (
    GENESIS,
    DecisionRecord,
    FormerDecisionRecord,
    LimitsRecord,
    chain,
    decode_record,
    encode_record,
)
from pipelines.cli import run
from tests.fakes import make_limits
from tests.journals import FIRST_NS, decision

pytestmark = pytest.mark.lean
BODIES = (Path(__file__).parent / "first_version.jsonl").read_bytes().splitlines()
"""As the first version wrote them: limits, model, halt, decision, result, deal, decision."""
DECISION = "EURUSD-H1-20171004T0100Z-1"


def write_bodies(path: Path, bodies: Iterable[bytes]) -> Path:
    """Make a journal of bodies that this version does not write."""
    journal, _ = open_journal(path)
    journal.close()
    previous = GENESIS
    with closing(sqlite3.connect(path)) as connection, connection:
        for sequence, body in enumerate(bodies, 1):
            told = json.loads(body)
            sealed = chain(previous, body)
            row = (sequence, told["type"], told.get("decision_id") or None, body, previous, sealed)
            connection.execute("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)", row)
            previous = sealed
    return path


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return write_bodies(tmp_path / "journal.db", BODIES)


def test_limits_of_a_former_shape_tell_what_they_state_and_what_they_lack() -> None:
    record = decode_record(BODIES[0])
    assert isinstance(record, FormerLimitsRecord)
    assert record.limits["max_volume_lots"] == 5.0
    assert record.untold[:2] == ("allowed_models", "max_symbol_notional")
    assert set(record.untold) == set(Limits.__struct_fields__) - set(record.limits) - {"symbols"}
    assert record.forgotten == ()
    told = json.loads(BODIES[0])
    told["limits"]["max_haste"] = 3
    told["previous"] = {**told["limits"], "max_volume_lots": 4.0}
    again = decode_record(json.dumps(told).encode())
    assert isinstance(again, FormerLimitsRecord)
    assert again.forgotten == ("max_haste",)
    assert again.changes == {"max_volume_lots": (4.0, 5.0)}


def test_a_former_decision_is_a_decision_whose_state_names_what_was_not_told() -> None:
    record = decode_record(BODIES[3])
    assert isinstance(record, FormerDecisionRecord)
    assert record.intent is not None
    assert record.intent.kind == "market"
    assert "trading" in record.untold_state
    assert "losses_in_a_row" in record.untold_state
    assert "peak_equity" not in record.untold_state
    assert decision(1).untold_state == ()
    halted = BODIES[3].replace(b'"halted":""', b'"halted":"a storm"')
    found = decode_record(halted)
    assert isinstance(found, DecisionRecord)
    assert found.state.trading == "halted"


def test_the_scorer_goes_on_with_a_former_journal_and_states_its_limits_anew(
    journal: Path,
) -> None:
    opened, book = open_journal(journal)
    try:
        assert (book.limits, book.last_number) == (None, 2)
        assert [order.state.stage for order in book.orders.newest(9)] == ["filled"]
        asyncio.run(opened.append(LimitsRecord(FIRST_NS, make_limits(), "start", book.limits)))
    finally:
        opened.close()
    assert verify(journal) == len(BODIES) + 1
    opened, book = open_journal(journal)
    opened.close()
    assert book.limits == make_limits()


def test_verify_export_and_explain_read_it_and_name_what_it_does_not_tell(
    journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", "verify", "--journal", str(journal), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["former"] == {"decision": 2, "limits": 1}
    assert report["orders"] == {"filled": 1}
    assert run(["audit", "verify", "--journal", str(journal)]) == 0
    assert "earlier version of Sextant, and read as such" in capsys.readouterr().out

    out = tmp_path / "out"
    period = ["--from", "2017-10-01", "--to", "2017-10-31", "--format", "csv", "--out", str(out)]
    assert run(["audit", "export", *period, "--journal", str(journal)]) == 0
    with (out / "limits.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert json.loads(row["limits"])["max_volume_lots"] == 5.0
    with (out / "decisions.csv").open(encoding="utf-8", newline="") as file:
        first, *_ = csv.DictReader(file)
    assert "losses_in_a_row" in json.loads(first["risk_state_untold"])

    capsys.readouterr()
    assert run(["explain", DECISION, "--journal", str(journal)]) == 0
    shown = capsys.readouterr().out
    assert "not recorded by the version of then" in shown
    assert "Limits that did not exist then: allowed_models" in shown
    assert run(["explain", DECISION, "--journal", str(journal), "--json"]) == 0


def test_a_manifest_of_a_former_shape_hides_no_decision(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = json.loads(BODIES[1])
    model["manifest"] = '{"schema": 0}'
    bodies = [BODIES[0], json.dumps(model).encode(), *BODIES[2:]]
    journal = write_bodies(tmp_path / "j.db", bodies)
    assert run(["explain", DECISION, "--journal", str(journal)]) == 0
    assert "whose manifest is of an earlier version" in " ".join(capsys.readouterr().out.split())


def _changed(body: bytes, part: str, **changes: object) -> bytes:
    told = json.loads(body)
    told[part] = {**told[part], **changes}
    return json.dumps(told).encode()


TODAY = encode_record(LimitsRecord(FIRST_NS, make_limits()))
TRAIL = b'{"type":"trail","at_ns":1,"position":1,"symbol":"X","by":"","note":"","rule":'
UNREADABLE = [
    TRAIL + b'{"distance":-1.0,"step":0.0}}',
    _changed(TODAY, "limits", max_volume_lots="much"),
    _changed(BODIES[0], "limits", max_volume_lots="much"),
    BODIES[3].replace(b'"peak_equity":0.0,', b""),
    BODIES[3].replace(b'"number":1,', b""),
    BODIES[3].replace(b'"decision","decision_id"', b'"choice","decision_id"'),
    b'{"type":"limits","at_ns":1}',
    b'{"type":"decision","state":{"halted":""}}',
    b"[]",
    b"no JSON",
]


@pytest.mark.parametrize("body", UNREADABLE)
def test_what_no_version_wrote_is_unreadable_and_not_guessed_at(body: bytes) -> None:
    with pytest.raises(JournalCorrupt) as caught:
        decode_record(body)
    assert caught.value.code == "RECORD_UNREADABLE"
    assert "version" in caught.value.remedy


def test_limits_that_later_bounds_refuse_are_still_shown() -> None:
    record = decode_record(_changed(TODAY, "limits", max_consecutive_losses=2_000_000))
    assert isinstance(record, FormerLimitsRecord)
    assert (record.limits["max_consecutive_losses"], record.untold) == (2_000_000, ())


def test_a_record_of_a_later_version_keeps_the_scorer_from_starting_and_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    later = b'{"type":"premonition","at_ns":1}'
    journal = write_bodies(tmp_path / "j.db", [*BODIES[:3], later])
    with pytest.raises(JournalCorrupt, match="record 4") as caught:
        open_journal(journal)
    assert caught.value.code == "RECORD_UNREADABLE"
    assert run(["audit", "verify", "--journal", str(journal)]) == 1
    assert "RECORD_UNREADABLE: record 4" in capsys.readouterr().err


def test_what_is_written_is_never_of_a_former_shape() -> None:
    for record in (decision(1), LimitsRecord(FIRST_NS, make_limits())):
        assert type(decode_record(encode_record(record))) is type(record)
    assert msgspec.json.decode(TODAY)["limits"].keys() == set(Limits.__struct_fields__)
