"""Fixtures of the tests that start a scorer, a gateway, or a PostgreSQL for the journal's copy."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.gateway_world import Terminal, World, running_terminal, running_world
from tests.journals import halts, write_journal
from tests.scorers import Store, add_model, open_store

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.postgres import PostgresForTests


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with open_store(tmp_path_factory.mktemp("store")) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path, store: Store) -> Path:
    add_model(tmp_path)
    store.push()
    return tmp_path


@pytest.fixture(scope="module")
def terminal() -> Iterator[Terminal]:
    """Return a simulated terminal, a process that outlives every gateway of the module."""
    with running_terminal() as running:
        yield running


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, terminal: Terminal) -> Iterator[World]:
    """Return one gateway that every test of the module connects to anew."""
    with running_world(tmp_path_factory.mktemp("gateway"), terminal) as running:
        asyncio.run(running.ready())
        yield running


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresForTests]:
    """Return a PostgreSQL; whoever stops it starts it again."""
    from tests.postgres import running_postgres  # noqa: PLC0415 - PostgreSQL is not lean

    with running_postgres() as running:
        yield running


@pytest.fixture
def url(postgres_server: PostgresForTests) -> str:
    """Return the URL of an empty database."""
    return postgres_server.new_database()


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """Return connections to a database with the tables of the journal's copy."""
    from pipelines.audit import postgres  # noqa: PLC0415 - PostgreSQL is not lean

    made = postgres.connect(url)
    postgres.migrate(made)
    yield made
    made.dispose()


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Return a journal of 37 records."""
    return write_journal(tmp_path / "journal.db", halts(37))
