"""PostgreSQL equals the journal, whatever ends the relay or the server, and wherever."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from online.adapters.journal_reader import read_sealed
from online.domain.account import Deal
from online.domain.audit import audit
from online.domain.errors import InvalidInput, JournalCorrupt, NotFound, Unavailable
from online.domain.market import Side
from online.domain.order import OrderReply, OrderStatus
from online.domain.record import DealRecord, HaltRecord, Record, ResultRecord
from pipelines.audit import postgres
from pipelines.audit.comparison import compare_copy
from pipelines.audit.relay import Relay
from pipelines.cli import run
from pipelines.simulation import simulate
from tests import worlds
from tests.conftest import REPOSITORY
from tests.journals import halts, tamper, write_journal
from tests.postgres import PostgresForTests, running_postgres

pytestmark = pytest.mark.integration
BATCH = 10
LOCK = 77
DEADLINE_SECONDS = 90.0  # of a machine that does much else


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresForTests]:
    with running_postgres() as running:
        yield running


@pytest.fixture
def url(server: PostgresForTests) -> str:
    return server.new_database()


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    made = postgres.connect(url)
    postgres.migrate(made)
    yield made
    made.dispose()


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return write_journal(tmp_path / "journal.db", halts(37))


def _until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not done():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)  # between two looks; the look decides


def _count(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM audit.records").fetchone()
    assert row is not None
    return int(row[0])


def _start_relay(journal: Path, url: str, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pipelines.cli", "audit", "relay", "--journal", str(journal)]
    return subprocess.Popen(
        [*command, "--batch-records", str(BATCH), "--poll-seconds", "0.02", *options],
        cwd=REPOSITORY,
        env={**os.environ, "AUDIT_POSTGRES_URL": url},
        stderr=subprocess.PIPE,
    )


def test_everything_is_relayed_once_and_equals_the_journal(journal: Path, engine: Engine) -> None:
    relay = Relay(journal, engine, BATCH)
    assert relay.catch_up() == 37
    assert compare_copy(journal, engine) == 37
    assert relay.catch_up() == 0
    write_journal(journal, halts(5, first=37))
    assert relay.lag().records == 5
    assert relay.catch_up() == 5
    assert compare_copy(journal, engine) == 42


def test_lag_counts_what_waits_and_the_age_of_the_oldest(journal: Path, engine: Engine) -> None:
    relay = Relay(journal, engine, BATCH)
    assert relay.step() == BATCH
    oldest_ns = halts(37)[BATCH].at_ns
    lag = relay.lag(now_ns=oldest_ns + 2_500_000_000)
    assert (lag.journal_sequence, lag.relayed_sequence, lag.records) == (37, BATCH, 27)
    assert lag.seconds == 2.5
    relay.catch_up()
    assert relay.lag().seconds == 0.0


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_AMOUNT = st.floats(allow_nan=False, allow_infinity=False)
_STAMP = st.integers(0, (1 << 63) - 1)
_TICKET = st.integers(0, (1 << 63) - 1)
_HALT = st.builds(HaltRecord, at_ns=_STAMP, reason=_TEXT, by=_TEXT)
_DEAL = st.builds(
    DealRecord,
    at_ns=_STAMP,
    deal=st.builds(
        Deal, ticket=_TICKET, order=_TICKET, position=_TICKET, magic=_TICKET, symbol=_TEXT,
        side=st.sampled_from(Side), entry=st.booleans(), reason=_TEXT, volume_lots=_AMOUNT,
        price=_AMOUNT, at_ns=_STAMP, profit=_AMOUNT, commission=_AMOUNT,
    ),
)  # fmt: skip
_RESULT = st.builds(
    ResultRecord,
    decision_id=_TEXT,
    intent_id=_TEXT,
    at_ns=_STAMP,
    reply=st.builds(
        OrderReply, status=st.sampled_from(OrderStatus), retcode=st.integers(0, 99999),
        order=_TICKET, deal=_TICKET, position=_TICKET, price=_AMOUNT, volume_lots=_AMOUNT,
        comment=_TEXT,
    ),
)  # fmt: skip


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    records=st.lists(st.one_of(_HALT, _DEAL, _RESULT), min_size=1, max_size=12),
    batch=st.integers(1, 15),
    cut=st.integers(0, 12),
)
def test_any_records_in_any_batches_arrive_as_they_are(
    tmp_path_factory: pytest.TempPathFactory,
    engine: Engine,
    records: list[Record],
    batch: int,
    cut: int,
) -> None:
    path = tmp_path_factory.mktemp("any") / "journal.db"
    first, rest = records[:cut], records[cut:]
    relay = Relay(path, engine, batch)
    write_journal(path, first)
    with engine.begin() as connection:  # two examples may begin with the same record
        connection.execute(text("ALTER TABLE audit.records DISABLE TRIGGER USER"))
        connection.execute(text("DELETE FROM audit.records"))
        connection.execute(text("DELETE FROM audit.journals"))
        connection.execute(text("ALTER TABLE audit.records ENABLE TRIGGER USER"))
    relay.catch_up()
    write_journal(path, rest)
    relay.catch_up()
    assert compare_copy(path, engine) == len(records)


def test_sql_users_find_decisions_orders_replies_and_deals(tmp_path: Path, engine: Engine) -> None:
    bars = worlds.random_bars(120, seed=3)
    backtest = simulate(
        worlds.market_of(bars),
        np.array([bar.closed_at_ns for bar in bars]),
        worlds.columns_of(bars, seed=4),
        worlds.ToneModel(worlds.manifest_of()),
        worlds.LIMITS,
        worlds.TERMS,
        {"EURUSD": worlds.EURUSD},
    )
    path = write_journal(tmp_path / "journal.db", backtest.records)
    Relay(path, engine).catch_up()
    deals = [record.deal for record in backtest.records if isinstance(record, DealRecord)]
    with engine.connect() as connection:
        counts = {
            view: connection.execute(text(f"SELECT count(*) FROM audit.{view}")).scalar_one()  # noqa: S608 - four names of ours
            for view in ("decisions", "orders", "replies", "deals")
        }
        profit = connection.execute(
            text("SELECT ticket, profit, price FROM audit.deals ORDER BY sequence")
        ).all()
        joined = connection.execute(
            text(
                "SELECT count(*) FROM audit.replies JOIN audit.orders USING (intent_id, journal_id)"
                " WHERE status = 'filled' AND expires_at > decided_at"
            )
        ).scalar_one()
    assert counts["decisions"] == backtest.performance.decisions == 119
    assert counts["orders"] == counts["replies"] == backtest.performance.orders > 20
    assert [tuple(row) for row in profit] == [(d.ticket, d.profit, d.price) for d in deals]
    assert 0 < joined <= backtest.performance.fills


@pytest.mark.parametrize("sequence", [1, 15])
def test_a_relay_killed_within_a_batch_leaves_whole_batches_and_resumes(
    journal: Path, url: str, engine: Engine, sequence: int
) -> None:
    _block(engine, f"BEFORE INSERT ON audit.records FOR EACH ROW WHEN (NEW.sequence = {sequence})")
    _kill_where_blocked(journal, url)
    assert _count(url) == (sequence - 1) // BATCH * BATCH
    _unblock(engine)
    assert Relay(journal, engine, BATCH).catch_up() == 37 - (sequence - 1) // BATCH * BATCH
    assert compare_copy(journal, engine) == 37


def test_a_relay_killed_before_its_commit_leaves_nothing_of_the_batch(
    journal: Path, url: str, engine: Engine
) -> None:
    _block(
        engine,
        "AFTER UPDATE ON audit.journals FOR EACH ROW WHEN (NEW.relayed_sequence = 20)",
    )
    _kill_where_blocked(journal, url)
    assert _count(url) == BATCH
    _unblock(engine)
    assert Relay(journal, engine, BATCH).catch_up() == 27
    assert compare_copy(journal, engine) == 37


def test_a_commit_whose_acknowledgement_nobody_hears_is_not_relayed_again(
    journal: Path, url: str, engine: Engine
) -> None:
    _block(
        engine,
        "AFTER UPDATE ON audit.journals DEFERRABLE INITIALLY DEFERRED FOR EACH ROW "
        "WHEN (NEW.relayed_sequence = 20)",
        constraint=True,
    )
    _kill_where_blocked(journal, url)
    assert _count(url) == 20  # PostgreSQL was committing when the relay died
    _unblock(engine)
    assert Relay(journal, engine, BATCH).catch_up() == 17
    assert compare_copy(journal, engine) == 37


def test_two_relays_at_once_relay_every_record_once(
    journal: Path, url: str, engine: Engine
) -> None:
    relays = [_start_relay(journal, url), _start_relay(journal, url)]
    assert [relay.wait(DEADLINE_SECONDS) for relay in relays] == [0, 0]
    assert compare_copy(journal, engine) == 37


def test_a_following_relay_outlives_a_crash_of_postgres_and_ends_when_told(
    journal: Path, url: str, engine: Engine, server: PostgresForTests
) -> None:
    relay = _start_relay(journal, url, "--follow")
    _until(lambda: _count(url) == 37)
    server.stop()
    write_journal(journal, halts(25, first=37))
    assert relay.stderr is not None
    while b"again in" not in relay.stderr.readline():
        assert relay.poll() is None, "the relay ended when PostgreSQL did"
    server.start()
    _until(lambda: _count(url) == 62)
    relay.send_signal(signal.SIGTERM)
    relay.communicate(timeout=DEADLINE_SECONDS)
    assert relay.returncode == 0
    engine.dispose()
    assert compare_copy(journal, engine) == 62


def test_an_impatient_relay_says_that_postgres_does_not_answer(journal: Path) -> None:
    nowhere = postgres.connect("postgresql://postgres@127.0.0.1:1/postgres")
    with pytest.raises(Unavailable, match="did not answer"):
        Relay(journal, nowhere, patience_seconds=0.0).catch_up()


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
    assert _count(url) == 0


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
    assert "migrated schema audit from nothing to 0001" in told.err
    write_journal(journal, halts(4, first=37))
    assert run([*asked, "--status"]) == 0
    assert json.loads(capsys.readouterr().out)["lag"]["records"] == 4
    assert run([*asked, "--check"]) == 0
    assert json.loads(capsys.readouterr().out)["equal"] == 37
    tamper(journal, "DELETE FROM records WHERE sequence = 39")
    assert run(asked) == 1
    assert "record 39: is missing" in capsys.readouterr().err
    assert _count(url) == 37


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
    assert postgres.migrate(as_relay) == ("0001", "0001")
    assert Relay(journal, as_relay, BATCH).catch_up() == 37
    assert compare_copy(journal, as_relay) == 37
    as_relay.dispose()
    with psycopg.connect(url.replace("postgres@", "reader@"), autocommit=True) as reader:
        assert _scalar(reader, "SELECT count(*) FROM audit.records") == 37
        assert _scalar(reader, "SELECT count(*) FROM audit.decisions") == 0
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("UPDATE audit.journals SET relayed_sequence = 0")


def test_migrating_twice_changes_nothing_and_an_empty_database_is_refused_without(
    url: str, journal: Path
) -> None:
    engine = postgres.connect(url)
    with pytest.raises(Unavailable, match="expected 0001"):
        postgres.check_schema(engine)
    with pytest.raises(InvalidInput, match="PostgreSQL refused"):
        Relay(journal, engine).catch_up()
    assert postgres.migrate(engine) == (None, "0001")
    assert postgres.migrate(engine) == ("0001", "0001")
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


def _block(engine: Engine, when: str, *, constraint: bool = False) -> None:
    """Make PostgreSQL wait for a lock at one point of the relay's transaction."""
    with engine.begin() as connection:
        connection.execute(
            text(
                "CREATE FUNCTION wait_here() RETURNS trigger LANGUAGE plpgsql AS "
                f"'BEGIN PERFORM pg_advisory_xact_lock({LOCK}); RETURN NEW; END'"
            )
        )
        kind = "CONSTRAINT TRIGGER" if constraint else "TRIGGER"
        connection.execute(text(f"CREATE {kind} a_wait_here {when} EXECUTE FUNCTION wait_here()"))


def _unblock(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("DROP FUNCTION wait_here CASCADE"))


def _kill_where_blocked(journal: Path, url: str) -> None:
    """Start the relay as its user does, kill -9 it where it waits, and let PostgreSQL go on."""
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    ours = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sextant-audit' "
        "AND datname = current_database() AND state <> 'idle'"
    )
    with psycopg.connect(url, autocommit=True) as gate:
        gate.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
        relay = _start_relay(journal, url)
        _until(lambda: _scalar(gate, waiting) == 1)
        relay.kill()
        relay.communicate(timeout=DEADLINE_SECONDS)
        assert relay.returncode == -signal.SIGKILL
        gate.execute("SELECT pg_advisory_unlock(%s)", (LOCK,))
        _until(lambda: _scalar(gate, ours) == 0)


def _scalar(connection: psycopg.Connection[tuple[object, ...]], query: str) -> object:
    row = connection.execute(query.encode()).fetchone()
    return None if row is None else row[0]
