"""What the relay and PostgreSQL refuse: a journal or a copy that is not as it was written."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from online.adapters.journal_reader import read_sealed
from online.domain.audit import audit
from online.domain.errors import InvalidInput, JournalCorrupt, NotFound, Unavailable
from pipelines.audit import postgres
from pipelines.audit.answers import SILENCE
from pipelines.audit.comparison import compare_copy
from pipelines.audit.relay import Relay
from pipelines.cli import run
from tests.conftest import REPOSITORY
from tests.journals import halts, tamper, write_journal
from tests.relays import BATCH, count_relayed, scalar_of

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE records SET body = CAST('{}' AS BLOB) WHERE sequence = 7", "record 7:"),
        ("UPDATE records SET hash = previous_hash WHERE sequence = 7", "record 7:"),
        ("DELETE FROM records WHERE sequence = 7", "record 7: is missing"),
        ("UPDATE records SET kind = 'deal' WHERE sequence = 7", "record 7:"),
    ],
)
def test_a_journal_with_a_broken_chain_is_not_relayed(
    journal: Path, engine: Engine, url: str, statement: str, named: str
) -> None:
    tamper(journal, statement)
    relay = Relay(journal, engine, BATCH)
    for relaying in (relay.check, relay.catch_up):
        with pytest.raises(JournalCorrupt, match=named):
            relaying()
    assert count_relayed(url) == 0


def test_the_command_says_the_lag_the_equality_and_the_broken_record(
    journal: Path,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AUDIT_POSTGRES_URL", url)
    asked = ["audit", "relay", "--journal", str(journal), "--json"]
    assert run([*asked, "--no-migrate"]) == 1
    assert "SCHEMA_OUTDATED" in capsys.readouterr().err
    assert run(asked) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["relayed"] == 37
    assert "migrated schema audit from nothing to 0003" in told.err
    write_journal(journal, halts(4, first=37))
    assert run([*asked, "--status"]) == 0
    assert json.loads(capsys.readouterr().out)["lag"]["records"] == 4
    assert run([*asked, "--check"]) == 0
    assert json.loads(capsys.readouterr().out)["equal"] == 37
    tamper(journal, "DELETE FROM records WHERE sequence = 39")
    assert run(asked) == 1
    assert "record 39: is missing" in capsys.readouterr().err
    assert count_relayed(url) == 37


def test_a_journal_cut_after_it_was_relayed_is_refused(journal: Path, engine: Engine) -> None:
    relay = Relay(journal, engine, BATCH)
    relay.catch_up()
    tamper(journal, "DELETE FROM records WHERE sequence > 30")
    assert relay.check() == 30  # its chain alone cannot tell
    with pytest.raises(JournalCorrupt, match="record 37 is in PostgreSQL and missing"):
        relay.catch_up()
    with pytest.raises(JournalCorrupt, match="record 31 is in PostgreSQL and missing"):
        compare_copy(journal, engine)


def test_a_journal_rewritten_after_it_was_relayed_is_refused(
    journal: Path, engine: Engine, tmp_path: Path
) -> None:
    Relay(journal, engine, BATCH).catch_up()
    forged = write_journal(tmp_path / "forged.db", (*halts(20), *halts(30, first=50)))
    assert audit(read_sealed(forged)).records == 50
    with pytest.raises(JournalCorrupt, match="record 37 has hash"):
        Relay(forged, engine, BATCH).catch_up()
    with pytest.raises(JournalCorrupt, match="record 21 is not the same"):
        compare_copy(forged, engine)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit.records SET raw = 'x' WHERE sequence = 3",
        "DELETE FROM audit.records WHERE sequence = 37",
        "TRUNCATE audit.records",
    ],
)
def test_postgres_refuses_to_change_its_copy(
    journal: Path, engine: Engine, url: str, statement: str
) -> None:
    Relay(journal, engine).catch_up()
    with psycopg.connect(url) as connection, pytest.raises(psycopg.Error, match="append-only"):
        connection.execute(statement)
    assert compare_copy(journal, engine) == 37


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE audit.records SET body = '{}' WHERE sequence = 3", "record 3 shows"),
        ("UPDATE audit.records SET raw = 'x' WHERE sequence = 3", "record 3 is not the same"),
        ("DELETE FROM audit.records WHERE sequence = 5", "record 5 is missing from PostgreSQL"),
        ("DELETE FROM audit.records WHERE sequence = 37", "record 37 is missing from PostgreSQL"),
    ],
)
def test_a_copy_changed_behind_its_triggers_is_named(
    journal: Path, engine: Engine, url: str, statement: str, named: str
) -> None:
    Relay(journal, engine).catch_up()
    with psycopg.connect(url) as connection:
        connection.execute("ALTER TABLE audit.records DISABLE TRIGGER USER")
        connection.execute(statement)
    with pytest.raises(JournalCorrupt, match=named):
        compare_copy(journal, engine)


def test_postgres_itself_refuses_a_row_that_does_not_follow(journal: Path, engine: Engine) -> None:
    relay = Relay(journal, engine, BATCH)
    relay.catch_up()
    insert = text(
        "INSERT INTO audit.records (journal_id, sequence, raw, previous_hash, hash) "
        "SELECT journal_id, 38, :raw, hash, :hash FROM audit.records WHERE sequence = 37"
    )
    with pytest.raises(Exception, match="hash is not that of its bytes"), engine.begin() as opened:
        opened.execute(insert, {"raw": b"{}", "hash": "0" * 64})


def test_the_documented_grants_are_enough_to_relay_and_to_read(
    journal: Path, url: str, engine: Engine
) -> None:
    documented = (REPOSITORY / "infra" / "audit.md").read_text()
    grants = documented.split("```sql\n")[1].split("```")[0]
    with engine.begin() as connection:
        connection.execute(text(grants))
    as_relay = postgres.connect(url.replace("postgres@", "relay@"))
    assert postgres.migrate(as_relay) == ("0003", "0003")
    assert Relay(journal, as_relay, BATCH).catch_up() == 37
    assert compare_copy(journal, as_relay) == 37
    as_relay.dispose()
    with psycopg.connect(url.replace("postgres@", "reader@"), autocommit=True) as reader:
        assert scalar_of(reader, "SELECT count(*) FROM audit.records") == 37
        assert scalar_of(reader, "SELECT count(*) FROM audit.decisions") == 0
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("UPDATE audit.journals SET relayed_sequence = 0")


def test_migrating_twice_changes_nothing_and_an_empty_database_is_refused_without(
    url: str, journal: Path
) -> None:
    engine = postgres.connect(url)
    with pytest.raises(Unavailable, match="expected 0003"):
        postgres.check_schema(engine)
    with pytest.raises(InvalidInput, match="PostgreSQL refused"):
        Relay(journal, engine).catch_up()
    assert postgres.migrate(engine) == (None, "0003")
    assert postgres.migrate(engine) == ("0003", "0003")
    postgres.check_schema(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE audit.alembic_version SET version_num = '9999'"))
    with pytest.raises(InvalidInput, match="revision 9999") as caught:
        postgres.migrate(engine)
    assert caught.value.code == "SCHEMA_NEWER"


def test_a_url_of_another_database_is_refused_without_repeating_its_password() -> None:
    for url in ("mysql://user:secret@host/db", "secret", "postgresql:/secret@"):
        with pytest.raises(InvalidInput) as caught:
            postgres.connect(url)
        assert "secret" not in str(caught.value)


def test_an_absent_journal_is_named(tmp_path: Path, engine: Engine) -> None:
    with pytest.raises(NotFound, match="no journal"):
        Relay(tmp_path / "absent.db", engine).catch_up()


def test_a_statement_that_never_ends_is_given_up_and_counts_as_silence(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "STATEMENT_SECONDS", 0.02)
    bounded = postgres.connect(url)
    with bounded.connect() as connection, pytest.raises(OperationalError, match="timeout"):
        connection.execute(text("SELECT pg_sleep(60)"))
    assert issubclass(OperationalError, SILENCE)
    bounded.dispose()
