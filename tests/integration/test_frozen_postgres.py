"""A PostgreSQL that is stopped and keeps its connections open holds up nobody for ever."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

import psutil
import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from pipelines.audit import bounded_connection, postgres
from pipelines.audit.bounded_connection import BoundedConnection
from pipelines.audit.comparison import compare_copy
from pipelines.audit.relay import Relay
from tests.journals import halts, write_journal
from tests.postgres import PostgresForTests

pytestmark = pytest.mark.integration
DEADLINE_SECONDS = 60.0


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Have silence noticed soon: after a fifth of a second, and one of a probe."""
    monkeypatch.setattr(bounded_connection, "SILENT_SECONDS", 0.2)
    monkeypatch.setattr(bounded_connection, "PROBE_SECONDS", 1)
    monkeypatch.setattr(postgres, "_CONNECT_SECONDS", 1)
    return monkeypatch


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Return what is set once a connection waits for its server."""
    begun, genuine = threading.Event(), BoundedConnection._listen

    def listen(self: BoundedConnection, gen: object) -> object:
        begun.set()
        return genuine(self, gen)  # type: ignore[arg-type]  # a generator, whatever it yields

    monkeypatch.setattr(BoundedConnection, "_listen", listen)
    return begun


@pytest.mark.usefixtures("impatient")
def test_a_frozen_postgres_is_told_of_and_the_relay_goes_on_when_it_is_back(
    journal: Path, url: str, engine: Engine, postgres_server: PostgresForTests,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    bounded = postgres.connect(url)
    relay = Relay(journal, bounded, patience_seconds=None)
    assert relay.catch_up() == 37
    write_journal(journal, halts(5, first=37))
    told = threading.Event()
    relay.noticed = told.set
    going_on = threading.Thread(target=relay.catch_up)
    with caplog.at_level(logging.WARNING, "pipelines.audit.relay"), postgres_server.frozen():
        going_on.start()
        assert told.wait(DEADLINE_SECONDS), "the relay says nothing"
        assert relay.breaker.trouble
    going_on.join(DEADLINE_SECONDS)
    assert not going_on.is_alive()
    assert not relay.breaker.trouble
    bounded.dispose()
    assert compare_copy(journal, engine) == 42


def test_a_frozen_postgres_does_not_hold_whoever_is_told_to_end(
    journal: Path, url: str, engine: Engine, postgres_server: PostgresForTests,
    waiting: threading.Event, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(bounded_connection, "STOPPING_SECONDS", 1)
    stopping = threading.Event()
    bounded = postgres.connect(url, stopping=stopping)
    relay = Relay(journal, bounded, patience_seconds=None, stopping=stopping)
    assert relay.catch_up() == 37
    write_journal(journal, halts(5, first=37))
    following = threading.Thread(target=relay.follow, args=(60.0,))
    waiting.clear()
    with postgres_server.frozen():
        following.start()
        assert waiting.wait(DEADLINE_SECONDS)
        began = time.monotonic()
        stopping.set()
        following.join(DEADLINE_SECONDS)
        assert not following.is_alive()
        assert time.monotonic() - began < bounded_connection.SILENT_SECONDS
    bounded.dispose()
    assert Relay(journal, engine).catch_up() == 5
    assert compare_copy(journal, engine) == 42


@pytest.mark.usefixtures("impatient")
def test_a_long_statement_of_a_server_that_answers_others_is_waited_for(url: str) -> None:
    bounded = postgres.connect(url)
    with bounded.connect() as connection:
        assert connection.execute(text("SELECT pg_sleep(0.6), 7")).one()[1] == 7
    bounded.dispose()


def test_a_frozen_process_of_a_server_that_answers_others_is_given_up_in_the_end(
    url: str, impatient: pytest.MonkeyPatch
) -> None:
    bounded = postgres.connect(url)
    with bounded.connect() as connection:
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        frozen = psutil.Process(pid)
        impatient.setattr(bounded_connection, "STATEMENT_SECONDS", 0.5)
        frozen.suspend()
        try:
            with pytest.raises(OperationalError, match="it lets no statement run so long"):
                connection.execute(text("SELECT 1"))
        finally:
            frozen.resume()
        assert connection.invalidated
    with bounded.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
    bounded.dispose()


def test_what_the_server_refuses_is_told_as_it_said_it(url: str) -> None:
    with (
        BoundedConnection.connect(url) as connection,
        pytest.raises(psycopg.errors.DivisionByZero),
    ):
        connection.execute("SELECT 1 / 0")
