"""What is exported and archived is what the journal holds."""

from __future__ import annotations

import csv
import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np
import pyarrow.parquet
import pytest

from online.adapters.journal_reader import read_sealed
from online.domain.audit import RecordCorrupt, audit, join_copies
from online.domain.errors import InvalidInput, JournalCorrupt, NotFound, Unavailable
from online.domain.operation import Close, Modify
from online.domain.order import OrderStatus
from online.domain.record import DealRecord, DecisionRecord, Record, ResultRecord, TrailRecord
from online.domain.trailing import TrailingRule
from online.resolve import Statement, resolve_by_hand
from online.sending import append
from online.trade import run_to_completion
from pipelines.audit.archive import list_archive, read_archive, write_archive
from pipelines.audit.columns import Format, format_time
from pipelines.audit.export import ExportManifest, export
from pipelines.audit.tables import TABLES
from pipelines.cli import run
from pipelines.simulation import simulate
from tests import worlds
from tests.floors import TestFloor
from tests.journals import DAY_NS, FIRST_NS, decision, halts, tamper, write_journal

FOREVER_NS = 1 << 62


@pytest.fixture(scope="module")
def records() -> tuple[Record, ...]:
    bars = worlds.random_bars(120, seed=3)
    return simulate(
        worlds.market_of(bars),
        np.array([bar.closed_at_ns for bar in bars]),
        worlds.columns_of(bars, seed=4),
        worlds.ToneModel(worlds.manifest_of()),
        worlds.LIMITS,
        worlds.TERMS,
        {"EURUSD": worlds.EURUSD},
    ).records


@pytest.fixture(scope="module")
def traded(records: tuple[Record, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_journal(tmp_path_factory.mktemp("traded") / "journal.db", records)


def _csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_an_export_holds_every_record_of_its_period_to_the_last_digit(
    traded: Path, records: tuple[Record, ...], tmp_path: Path
) -> None:
    manifest = export(traded, tmp_path / "out", 0, FOREVER_NS)
    decisions = [r for r in records if isinstance(r, DecisionRecord)]
    orders = [r.intent for r in decisions if r.intent is not None]
    replies = [r.reply for r in records if isinstance(r, ResultRecord)]
    deals = [r.deal for r in records if isinstance(r, DealRecord)]
    assert manifest.rows == {
        "decisions": len(decisions),
        "orders": len(orders),
        "replies": len(replies),
        "deals": len(deals),
        **dict.fromkeys(TABLES.keys() - {"decisions", "orders", "replies", "deals"}, 0),
    }
    assert len(orders) > 20
    assert len(deals) > 20
    rows = _csv(tmp_path / "out" / "orders.csv")
    assert [(r["intent_id"], float(r["stop"]), int(r["magic"]), r["side"]) for r in rows] == [
        (i.intent_id, i.stop, i.magic, i.side.value) for i in orders
    ]
    assert [r["expires_at"] for r in rows] == [
        format_time(i.expires_at_ns) if i.expires_at_ns else "" for i in orders
    ]
    rows = _csv(tmp_path / "out" / "deals.csv")
    assert [(int(r["ticket"]), float(r["profit"]), r["entry"]) for r in rows] == [
        (d.ticket, d.profit, str(d.entry).lower()) for d in deals
    ]
    rows = _csv(tmp_path / "out" / "decisions.csv")
    assert [json.loads(r["features"]) for r in rows if r["features"]] == [
        list(d.features) for d in decisions if d.features is not None
    ]


def test_what_operators_did_is_exported_with_who_and_why(tmp_path: Path) -> None:
    floor = TestFloor()
    floor.enter()
    floor.operate("a", Modify(1, 1.095, 1.12))
    rule = TrailRecord(floor.clock.time_ns, 1, "EURUSD", TrailingRule(0.005), "ann", "the news")
    run_to_completion(append(floor, rule))
    floor.broker.loses_order = True
    floor.operate("b", Close(1, 0.05))
    stated = Statement("op-b", OrderStatus.NOT_SENT, "ann", "no trace at the broker")
    run_to_completion(resolve_by_hand(stated, floor))
    path = write_journal(tmp_path / "j.db", floor.journal.records())
    manifest = export(path, tmp_path / "out", 0, FOREVER_NS)
    assert [manifest.rows[name] for name in ("operations", "resolutions", "trails")] == [2, 1, 1]
    first, second = _csv(tmp_path / "out" / "operations.csv")
    assert (first["by"], first["purpose"], float(first["stop"])) == ("ann", "modify", 1.095)
    assert json.loads(second["operation"]) == {"position": 1, "type": "close", "volume_lots": 0.05}
    (row,) = _csv(tmp_path / "out" / "resolutions.csv")
    assert (row["status"], row["note"]) == ("not_sent", "no trace at the broker")
    (row,) = _csv(tmp_path / "out" / "trails.csv")
    assert (float(row["distance"]), row["by"]) == (0.005, "ann")


def test_csv_and_parquet_hold_the_same(traded: Path, tmp_path: Path) -> None:
    export(traded, tmp_path, 0, FOREVER_NS)
    for table, columns in TABLES.items():
        text = _csv(tmp_path / f"{table}.csv")
        typed = pyarrow.parquet.read_table(tmp_path / f"{table}.parquet").to_pylist()
        assert len(text) == len(typed)
        for written, row in zip(text, typed, strict=True):
            assert list(written) == list(row) == [column.name for column in columns]
            for column in columns:
                value = row[column.name]
                if isinstance(value, float):
                    assert float(written[column.name]) == value
                else:
                    shown = str(value).lower() if isinstance(value, bool) else str(value)
                    assert written[column.name] == ("" if value is None else shown)


def test_a_period_takes_its_first_instant_and_not_its_end(tmp_path: Path) -> None:
    stamps = [FIRST_NS - 1, FIRST_NS, FIRST_NS + DAY_NS - 1, FIRST_NS + DAY_NS]
    path = write_journal(
        tmp_path / "j.db", [decision(n, at_ns) for n, at_ns in enumerate(stamps, 1)]
    )
    export(path, tmp_path / "out", FIRST_NS, FIRST_NS + DAY_NS, [Format.CSV])
    assert [row["number"] for row in _csv(tmp_path / "out" / "decisions.csv")] == ["2", "3"]


def test_the_dictionary_explains_every_column_and_the_manifest_seals_every_file(
    traded: Path, tmp_path: Path
) -> None:
    export(traded, tmp_path, 0, FOREVER_NS)
    explained = {(r["table"], r["column"]) for r in _csv(tmp_path / "data_dictionary.csv")}
    for table in TABLES:
        with (tmp_path / f"{table}.csv").open(encoding="utf-8", newline="") as file:
            assert {(table, name) for name in next(csv.reader(file))} <= explained
    assert all(r["meaning"] and r["source"] for r in _csv(tmp_path / "data_dictionary.csv"))
    raw = (tmp_path / "manifest.json").read_bytes()
    manifest = msgspec.json.decode(raw, type=ExportManifest)
    assert manifest.head == audit(read_sealed(traded)).head
    present = {path.name for path in tmp_path.iterdir()} - {"manifest.json"}
    assert present == set(manifest.files)
    for name, digest in manifest.files.items():
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == digest


def test_a_tampered_journal_is_not_exported(tmp_path: Path) -> None:
    path = write_journal(tmp_path / "j.db", halts(20))
    tamper(path, "UPDATE records SET body = CAST('{}' AS BLOB) WHERE sequence = 9")
    with pytest.raises(RecordCorrupt, match="record 9"):
        export(path, tmp_path / "out", 0, FOREVER_NS)
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_an_export_refuses_a_full_folder_and_an_empty_period(traded: Path, tmp_path: Path) -> None:
    (tmp_path / "old.csv").touch()
    with pytest.raises(InvalidInput, match="not empty"):
        export(traded, tmp_path, 0, FOREVER_NS)
    with pytest.raises(InvalidInput, match="ends before it begins: from 2017-10-04T00:00:00"):
        export(traded, tmp_path / "out", FIRST_NS, 5)


def test_an_archive_is_verifiable_alone_and_together_with_the_journal(tmp_path: Path) -> None:
    path = write_journal(tmp_path / "j.db", halts(400, per_day=10))
    folder = tmp_path / "archive"
    november_ns = FIRST_NS + 28 * DAY_NS
    written = write_archive(path, folder, november_ns)
    assert [(f.before.sequence, f.last.sequence) for f in written] == [(0, 280)]
    assert audit(read_archive(folder)).head == written[-1].last
    whole = audit(join_copies(read_archive(folder), read_sealed(path)))
    assert whole == audit(read_sealed(path))
    assert list(read_archive(folder)) == list(read_sealed(path))[:280]


def test_an_archive_goes_on_where_it_ended_one_file_a_month(tmp_path: Path) -> None:
    path = write_journal(tmp_path / "j.db", halts(70, per_day=1))
    folder = tmp_path / "archive"
    assert len(write_archive(path, folder, FIRST_NS + 5 * DAY_NS)) == 1
    assert write_archive(path, folder, FIRST_NS + 5 * DAY_NS) == ()
    later = write_archive(path, folder, FOREVER_NS)
    assert [(f.first_day, f.last_day) for f in later] == [
        ("2017-10-09", "2017-10-31"),
        ("2017-11-01", "2017-11-30"),
        ("2017-12-01", "2017-12-12"),
    ]
    assert [f.retain_until for f in list_archive(folder)] == [
        "2024-10-08",
        "2024-10-31",
        "2024-11-30",
        "2024-12-12",
    ]
    assert audit(read_archive(folder)).records == 70


def test_a_file_of_a_leap_day_is_kept_a_day_longer_not_shorter(tmp_path: Path) -> None:
    leap_ns = 1_582_934_400_000_000_000  # 2020-02-29
    record = msgspec.structs.replace(halts(1)[0], at_ns=leap_ns)
    (written,) = write_archive(
        write_journal(tmp_path / "j.db", [record]), tmp_path / "archive", FOREVER_NS
    )
    assert written.retain_until == "2027-03-01"


def test_archiving_takes_nothing_out_of_the_journal(tmp_path: Path) -> None:
    path = write_journal(tmp_path / "j.db", halts(30))
    before = list(read_sealed(path))
    write_archive(path, tmp_path / "archive", FOREVER_NS)
    assert list(read_sealed(path)) == before
    with (
        closing(sqlite3.connect(path)) as connection,
        pytest.raises(sqlite3.IntegrityError, match="append-only"),
    ):
        connection.execute("DELETE FROM records WHERE sequence = 1")


def test_a_tampered_archive_is_named_and_nothing_is_added_to_it(tmp_path: Path) -> None:
    path = write_journal(tmp_path / "j.db", halts(30))
    folder = tmp_path / "archive"
    (file,) = write_archive(path, folder, FIRST_NS + 2 * DAY_NS)
    table = pyarrow.parquet.read_table(folder / file.name)
    bodies = table.column("body").to_pylist()
    bodies[6] = bodies[6].replace(b"reason 6", b"reason 9")
    place = table.schema.get_field_index("body")
    forged = table.set_column(place, table.schema.field("body"), [bodies])
    said = pyarrow.parquet.read_metadata(folder / file.name).metadata
    with pyarrow.parquet.ParquetWriter(tmp_path / "forged", forged.schema) as writer:
        writer.write_table(forged)
        writer.add_key_value_metadata({"sextant.archive": said[b"sextant.archive"].decode()})
    (tmp_path / "forged").replace(folder / file.name)
    with pytest.raises(RecordCorrupt, match="record 7: it is not as it was written"):
        audit(read_archive(folder))
    with pytest.raises(RecordCorrupt, match="record 7"):
        write_archive(path, folder, FOREVER_NS)
    assert len(list(folder.iterdir())) == 1


def test_what_is_no_archive_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no archive"):
        list(read_archive(tmp_path / "absent"))
    (tmp_path / "journal-x.parquet").write_bytes(b"no parquet")
    with pytest.raises(JournalCorrupt, match="no file of an archive"):
        list(read_archive(tmp_path))


def test_the_archive_of_another_journal_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    write_archive(write_journal(tmp_path / "a.db", halts(10)), folder, FOREVER_NS)
    other = write_journal(tmp_path / "b.db", halts(20, first=5))
    with pytest.raises(RecordCorrupt, match="record 1: the journal and its archive"):
        write_archive(other, folder, FOREVER_NS)


def test_a_folder_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    path = write_journal(tmp_path / "j.db", halts(10))
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="export cannot be written"):
        export(path, tmp_path / "file" / "out", 0, FOREVER_NS)
    with pytest.raises(Unavailable, match="archive cannot be written"):
        write_archive(path, tmp_path / "file" / "archive", FOREVER_NS)


def test_an_archive_cut_while_it_was_written_goes_on(tmp_path: Path) -> None:
    path = write_journal(tmp_path / "j.db", halts(10))
    folder = tmp_path / "archive"
    folder.mkdir()
    (folder / "writing.part").write_bytes(b"half a file")
    (folder / "writing.part").chmod(0o444)
    (written,) = write_archive(path, folder, FOREVER_NS)
    assert [file.name for file in folder.iterdir()] == [written.name]
    assert audit(read_archive(folder)).records == 10


def test_the_command_archives_and_verifies_archive_and_journal_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_journal(tmp_path / "journal.db", halts(40))
    named = ["--journal", str(path)]
    assert run(["audit", "archive", *named, "--before", "2017-10-06", "--json"]) == 0
    (file,) = json.loads(capsys.readouterr().out)["written"]
    assert (file["last"]["sequence"], file["retain_until"]) == (20, "2024-10-05")
    archive = ["--archive", str(tmp_path / "archive")]
    assert run(["audit", "verify", *named, *archive]) == 0
    assert "40 records" in capsys.readouterr().out
    assert run(["audit", "verify", *archive, "--archive-only"]) == 0
    assert "20 records" in capsys.readouterr().out
    tamper(path, "DELETE FROM records WHERE sequence > 15")
    assert run(["audit", "verify", *named, *archive]) == 1
    assert "record 16: is missing from the journal" in capsys.readouterr().err
