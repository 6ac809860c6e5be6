"""The journal's copy in PostgreSQL: its tables, its connections, its migrations.

The tables, triggers and views themselves are written in ``infra/migrations/versions/``.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    Engine,
    LargeBinary,
    MetaData,
    Table,
    Text,
    create_engine,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from online.domain.errors import InvalidInput, Unavailable
from pipelines.audit.bounded_connection import STATEMENT_SECONDS, bound

MIGRATIONS = Path(__file__).resolve().parents[2] / "infra" / "migrations"
SCHEMA = "audit"
_CONNECT_SECONDS = 5
_LINK = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
"""After which a server is given up that took nothing and said nothing, as libpq spells it."""

_log = logging.getLogger(__name__)
_metadata = MetaData(schema=SCHEMA)

JOURNALS = Table(
    "journals",
    _metadata,
    Column("journal_id", Text, primary_key=True),
    Column("relayed_sequence", BigInteger, nullable=False),
    Column("relayed_hash", Text, nullable=False),
    Column("relayed_at", DateTime(timezone=True), nullable=False),
)
"""How far each journal's copy reaches."""

RECORDS = Table(
    "records",
    _metadata,
    Column("journal_id", Text, primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("decision_id", Text),
    Column("raw", LargeBinary, nullable=False),
    Column("previous_hash", Text, nullable=False),
    Column("hash", Text, nullable=False),
)
"""The columns of a record that the relay writes or compares; the database fills the others."""


def connect(url: str, pool_size: int = 2, stopping: threading.Event | None = None) -> Engine:
    """Return pooled connections to a PostgreSQL server; none is opened yet.

    None waits for ever: see `pipelines.audit.bounded_connection`.

    Parameters
    ----------
    url
        ``postgresql://user:password@host/database``, as libpq spells it.
    pool_size
        Connections kept open (> 0); as many more may be opened for a while.
    stopping
        Set by whoever wants everything to end soon: then a silent server is given up at once.

    Raises
    ------
    InvalidInput
        If it is no URL of PostgreSQL; the message never repeats it, for its password.
    """
    try:
        parsed = make_url(url.strip())
    except ArgumentError:
        raise InvalidInput("the PostgreSQL URL cannot be read: expected postgresql://...") from None
    if parsed.get_backend_name() not in {"postgresql", "postgres"}:
        raise InvalidInput(f"expected a postgresql:// URL, got {parsed.drivername}://")
    engine = create_engine(
        parsed.set(drivername="postgresql+psycopg"),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=True,
        pool_recycle=1800,
        connect_args={
            "connect_timeout": _CONNECT_SECONDS,
            "application_name": "sextant-audit",
            "options": f"-c statement_timeout={round(STATEMENT_SECONDS * 1000)}",
            **_LINK,
        },
    )
    bound(engine, stopping)
    return engine


def migrate(engine: Engine) -> tuple[str | None, str]:
    """Bring the database to the newest revision; return the revision before and after.

    Raises
    ------
    InvalidInput
        With code ``SCHEMA_NEWER`` if the database was migrated by a newer Sextant.
    """
    config = _config()
    newest = _newest(config)
    with engine.begin() as connection:
        before = _revision(connection)
        if before != newest:
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                raise InvalidInput(
                    f"the database is at revision {before}, this Sextant knows up to {newest}",
                    code="SCHEMA_NEWER",
                    remedy="Relay with the version of Sextant that migrated the database.",
                ) from error
            _log.info("migrated schema %s from %s to %s", SCHEMA, before or "nothing", newest)
    return before, newest


def check_schema(engine: Engine) -> None:
    """Check that the database is at the newest revision.

    Raises
    ------
    Unavailable
        With code ``SCHEMA_OUTDATED`` if it is not.
    """
    newest = _newest(_config())
    with engine.connect() as connection:
        found = _revision(connection)
    if found != newest:
        raise Unavailable(
            f"the database is at revision {found or 'nothing'}, expected {newest}",
            code="SCHEMA_OUTDATED",
            remedy="Run `sextant audit relay --migrate` once, as a role that may create tables.",
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _newest(config: Config) -> str:
    newest = ScriptDirectory.from_config(config).get_current_head()
    if newest is None:
        raise InvalidInput(f"there are no migrations in {MIGRATIONS}: the installation is damaged")
    return newest


def _revision(connection: Connection) -> str | None:
    options = {"version_table_schema": SCHEMA}
    return MigrationContext.configure(connection, opts=options).get_current_revision()
