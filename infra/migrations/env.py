# ruff: noqa: INP001 - Alembic loads its files by path, not as a package
"""Alembic's entry: runs the migrations on the connection that `pipelines.audit.postgres` gives."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, text

SCHEMA = "audit"
_LOCK = 0x5E87A27  # one migration at a time on one database; any number, the same everywhere

connection: Connection = context.config.attributes["connection"]
connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
context.configure(connection=connection, version_table_schema=SCHEMA)
with context.begin_transaction():
    context.run_migrations()
