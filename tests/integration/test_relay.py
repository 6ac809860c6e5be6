"""PostgreSQL equals the journal, whatever ends the relay or the server, and wherever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from online.domain.account import Deal
from online.domain.errors import Unavailable
from online.domain.market import Side
from online.domain.order import OrderReply, OrderStatus
from online.domain.record import DealRecord, HaltRecord, Record, ResultRecord
from pipelines.audit import postgres
from pipelines.audit.comparison import compare_copy
from pipelines.audit.relay import Relay
from pipelines.simulation import simulate
from tests import worlds
from tests.conftest import REPOSITORY
from tests.journals import halts, write_journal
from tests.postgres import PostgresForTests
from tests.relays import BATCH, count_relayed, scalar_of

pytestmark = pytest.mark.integration
LOCK = 77
DEADLINE_SECONDS = 90.0  # of a machine that does much else


def _until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not done():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)  # between two looks; the look decides


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
    first=st.lists(st.one_of(_HALT, _DEAL), max_size=6),
    rest=st.lists(st.one_of(_HALT, _DEAL, _RESULT), min_size=1, max_size=6),
    batch=st.integers(1, 15),
)
def test_any_records_in_any_batches_arrive_as_they_are(
    tmp_path_factory: pytest.TempPathFactory,
    engine: Engine,
    first: list[Record],
    rest: list[Record],
    batch: int,
) -> None:
    path = tmp_path_factory.mktemp("any") / "journal.db"
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
    assert compare_copy(path, engine) == len(first) + len(rest)


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
    assert count_relayed(url) == (sequence - 1) // BATCH * BATCH
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
    assert count_relayed(url) == BATCH
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
    assert count_relayed(url) == 20  # PostgreSQL was committing when the relay died
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
    journal: Path, url: str, engine: Engine, postgres_server: PostgresForTests
) -> None:
    relay = _start_relay(journal, url, "--follow")
    _until(lambda: count_relayed(url) == 37)
    postgres_server.stop()
    write_journal(journal, halts(25, first=37))
    assert relay.stderr is not None
    while b"again in" not in relay.stderr.readline():
        assert relay.poll() is None, "the relay ended when PostgreSQL did"
    postgres_server.start()
    _until(lambda: count_relayed(url) == 62)
    relay.send_signal(signal.SIGTERM)
    relay.communicate(timeout=DEADLINE_SECONDS)
    assert relay.returncode == 0
    engine.dispose()
    assert compare_copy(journal, engine) == 62


def test_an_impatient_relay_says_that_postgres_does_not_answer(journal: Path) -> None:
    nowhere = postgres.connect("postgresql://postgres@127.0.0.1:1/postgres")
    with pytest.raises(Unavailable, match="did not answer"):
        Relay(journal, nowhere, patience_seconds=0.0).catch_up()


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
        _until(lambda: scalar_of(gate, waiting) == 1)
        relay.kill()
        relay.communicate(timeout=DEADLINE_SECONDS)
        assert relay.returncode == -signal.SIGKILL
        gate.execute("SELECT pg_advisory_unlock(%s)", (LOCK,))
        _until(lambda: scalar_of(gate, ours) == 0)
