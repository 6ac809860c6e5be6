"""The durable journal: alone, append-only, whole or refused, and never half-written."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from online.adapters import sqlite_journal
from online.adapters.sqlite_journal import (
    SqliteJournal,
    iterate,
    open_journal,
    read_decision,
    verify,
)
from online.domain.book import Book
from online.domain.errors import InvalidInput, JournalCorrupt, JournalUnavailable, NotFound
from online.domain.market import Timeframe
from online.domain.record import (
    GENESIS,
    DecisionRecord,
    HaltRecord,
    Request,
    ResultRecord,
    chain,
)
from online.trade import Desk, consider
from tests.fake_broker import FakeBroker
from tests.fakes import BAR_NS, INSTRUMENTS, FakeClock, FakeFeatures, FakeModel, make_limits

pytestmark = pytest.mark.lean
REPOSITORY = Path(__file__).resolve().parents[4]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "journal.db"


QUICK, SLOW = math.inf, -1.0
"""How long a disk may take that is waited for in the event loop: any, or none."""


@pytest.fixture(params=[QUICK, SLOW], ids=["quick", "slow"])
def journal(
    path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SqliteJournal]:
    monkeypatch.setattr(sqlite_journal, "QUICK_SECONDS", request.param)
    opened, _ = open_journal(path)
    yield opened
    opened.close()


def halt(number: int, size: int = 0) -> HaltRecord:
    """Return a record, as large as wanted."""
    return HaltRecord(number, f"halted {number}" + "x" * size, "test")


def append(journal: SqliteJournal, *records: HaltRecord) -> None:
    """Append records together."""
    asyncio.run(journal.append(*records))


def change(path: Path, *statements: str) -> None:
    """Do to the file what SQLite's shell could."""
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def test_a_reopened_journal_folds_into_the_book_it_left(path: Path) -> None:
    journal, book = open_journal(path)
    append(journal, halt(1))
    journal.close()
    again, folded = open_journal(path)
    assert (book.halted, folded.halted) == ("", "halted 1")
    append(again, HaltRecord(2, "", "test"))
    again.close()
    assert verify(path) == 2


@pytest.mark.parametrize(
    "statement", ["UPDATE records SET kind = 'x'", "DELETE FROM records WHERE sequence = 1"]
)
def test_update_and_delete_are_refused(journal: SqliteJournal, path: Path, statement: str) -> None:
    append(journal, halt(1))
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        change(path, statement)


def test_the_disk_is_waited_for_again_after_what_need_not_be_durable(
    journal: SqliteJournal,
) -> None:
    def waits() -> bool:
        return bool(journal._connection.execute("PRAGMA synchronous").fetchone() == (2,))

    assert waits()
    asyncio.run(journal.append(halt(1), durable=False))
    assert not waits()
    asyncio.run(journal.append(halt(2)))
    assert waits()


def test_a_second_writer_is_refused_while_the_first_lives(
    journal: SqliteJournal, path: Path
) -> None:
    append(journal, halt(1))
    with pytest.raises(JournalUnavailable) as caught:
        open_journal(path)
    assert caught.value.code == "JOURNAL_IN_USE"
    program = f"""
        from pathlib import Path
        from online.adapters.sqlite_journal import open_journal
        open_journal(Path({str(path)!r}))
    """
    other = run_python(program)
    assert "JournalUnavailable" in other.stderr
    journal.close()
    open_journal(path)[0].close()


def test_the_lock_of_a_killed_writer_is_free_and_its_records_are_whole(path: Path) -> None:
    program = f"""
        import asyncio, sys
        from pathlib import Path
        from online.adapters.sqlite_journal import open_journal
        from online.domain.record import HaltRecord
        journal, _ = open_journal(Path({str(path)!r}))
        async def story():
            number = 0
            while True:
                number += 1
                await journal.append(HaltRecord(number, "halted", "test"))
                print(number, flush=True)
        asyncio.run(story())
    """
    writer = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout is not None
    told = 0
    while told < 50:
        told = int(writer.stdout.readline())
    writer.send_signal(signal.SIGKILL)
    rest = writer.stdout.read().split()
    writer.wait()
    told = max([told, *(int(number) for number in rest)])
    journal, _ = open_journal(path)
    journal.close()
    assert verify(path) in {told, told + 1}  # what was told is there; one more may be


@pytest.mark.parametrize(
    ("statements", "named"),
    [
        (["UPDATE records SET body = replace(body, '2', '9') WHERE sequence = 2"], "record 2"),
        (["UPDATE records SET body = CAST('{}' AS BLOB) WHERE sequence = 3"], "record 3"),
        (["UPDATE records SET hash = previous_hash WHERE sequence = 2"], "record 2"),
        (["UPDATE records SET previous_hash = hash WHERE sequence = 2"], "record 2"),
        (["UPDATE records SET body = NULL WHERE sequence = 2"], "record 2"),
        (["UPDATE records SET kind = 'deal' WHERE sequence = 2"], "record 2 is not as it was"),
        (["UPDATE records SET decision_id = 'other' WHERE sequence = 3"], "record 3 is not as"),
        (["DELETE FROM records WHERE sequence = 2"], "record 2 is missing"),
        (["DELETE FROM records WHERE sequence = 1"], "record 1 is missing"),
    ],
)
def test_a_changed_journal_is_refused_and_the_record_is_named(
    path: Path, statements: list[str], named: str
) -> None:
    journal, _ = open_journal(path)
    append(journal, *(halt(n) for n in range(1, 6)))
    journal.close()
    loose = ["DROP TRIGGER records_refuse_update", "DROP TRIGGER records_refuse_delete"]
    if "NULL" in statements[0]:
        loose += ["CREATE TABLE t AS SELECT * FROM records", "DROP TABLE records"]
        loose += ["ALTER TABLE t RENAME TO records"]
    change(path, *loose, *statements)
    for look in (lambda: verify(path), lambda: list(iterate(path)), lambda: open_journal(path)):
        with pytest.raises(JournalCorrupt, match=named):
            look()


def test_a_record_that_cannot_be_read_is_named(path: Path) -> None:
    open_journal(path)[0].close()
    body = b'{"type":"nonsense"}'
    with closing(sqlite3.connect(path)) as connection:
        row = (1, "nonsense", None, body, GENESIS, chain(GENESIS, body))
        connection.execute("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)", row)
        connection.commit()
    with pytest.raises(JournalCorrupt, match="record 1"):
        verify(path)


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises((JournalUnavailable, JournalCorrupt), match=r"journal\.db"):
        open_journal(path)


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(JournalUnavailable, match="cannot be opened"):
        open_journal(tmp_path / "file" / "journal.db")


def test_a_full_database_appends_nothing_of_a_batch_and_recovers(
    journal: SqliteJournal, path: Path
) -> None:
    append(journal, halt(1))
    (pages,) = journal._connection.execute("PRAGMA page_count").fetchone()
    journal._connection.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(JournalUnavailable, match="full"):
        append(journal, halt(2), halt(3, size=100_000))
    assert verify(path) == 1
    journal._connection.execute("PRAGMA max_page_count=100000")
    append(journal, halt(4))
    assert [record.at_ns for record in iterate(path) if isinstance(record, HaltRecord)] == [1, 4]


def test_a_record_too_large_does_not_fail_those_that_share_its_commit(
    journal: SqliteJournal, path: Path
) -> None:
    append(journal, halt(1))
    (pages,) = journal._connection.execute("PRAGMA page_count").fetchone()
    journal._connection.execute(f"PRAGMA max_page_count={pages + 2}")

    async def together() -> list[BaseException | None]:
        stories = (journal.append(r) for r in (halt(2), halt(3, size=100_000), halt(4)))
        return await asyncio.gather(*stories, return_exceptions=True)

    first, second, third = asyncio.run(together())
    assert (first, third) == (None, None)
    assert isinstance(second, JournalUnavailable)
    assert verify(path) == 3


@pytest.mark.skipif(os.name != "posix", reason="file size limits are POSIX'")
def test_a_disk_that_takes_no_more_leaves_a_whole_journal(path: Path) -> None:
    program = f"""
        import asyncio, resource, signal
        from pathlib import Path
        from online.adapters.sqlite_journal import open_journal
        from online.domain.errors import JournalUnavailable
        from online.domain.record import HaltRecord
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        journal, _ = open_journal(Path({str(path)!r}))
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
        async def story():
            for number in range(1, 1000):
                try:
                    long, short = HaltRecord(number, "x" * 3000, "a"), HaltRecord(0, "", "b")
                    await journal.append(long, short)
                except JournalUnavailable as error:
                    print(number - 1, error)
                    return
        asyncio.run(story())
    """
    out = run_python(program).stdout
    appended, _, why = out.partition(" ")
    assert "cannot be written" in why
    assert 10 < int(appended) < 200
    assert verify(path) == 2 * int(appended)
    journal, _ = open_journal(path)
    append(journal, halt(1))
    journal.close()
    assert verify(path) == 2 * int(appended) + 1


def run_python(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_closed_journal_takes_nothing(path: Path) -> None:
    journal, _ = open_journal(path)
    journal.close()
    journal.close()
    with pytest.raises(JournalUnavailable, match="closed"):
        append(journal, halt(1))


def test_a_caller_that_gives_up_does_not_lose_the_record(
    journal: SqliteJournal, path: Path
) -> None:
    async def story() -> None:
        waiting = asyncio.ensure_future(journal.append(halt(1)))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await journal.append(halt(2))

    asyncio.run(story())
    assert verify(path) == 2


def test_a_decision_is_read_with_what_followed_while_the_journal_is_written(
    journal: SqliteJournal, path: Path
) -> None:
    desk = Desk(
        FakeFeatures(),
        FakeBroker(),
        journal,
        FakeClock(),
        FakeModel(),
        make_limits(),
        INSTRUMENTS,
        Book(),
    )
    request = Request("EURUSD", Timeframe.H1, BAR_NS, send=True)
    outcome = asyncio.run(consider(request, desk))
    told = read_decision(path, outcome.record.decision_id)
    assert [type(record) for record in told] == [DecisionRecord, ResultRecord]
    assert told[0] == outcome.record
    with pytest.raises(NotFound) as caught:
        read_decision(path, "EURUSD-H1-20171003T0300Z-99")
    assert caught.value.code == "UNKNOWN_DECISION"


@pytest.mark.parametrize("content", [b"no database at all", b""])
def test_a_file_that_is_no_journal_is_the_readers_mistake(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    for read in (verify, lambda path: read_decision(path, "x")):
        with pytest.raises(InvalidInput) as caught:
            read(path)
        assert caught.value.code == "NOT_A_JOURNAL"


def test_a_journal_that_is_not_there_is_not_found_and_not_made(path: Path) -> None:
    for look in (
        lambda: verify(path),
        lambda: list(iterate(path)),
        lambda: read_decision(path, "x"),
    ):
        with pytest.raises(NotFound):
            look()
    assert not path.exists()
