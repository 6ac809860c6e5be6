"""What tests of the relay ask PostgreSQL, and the journal they relay."""

from __future__ import annotations

import psycopg

BATCH = 10
"""Records in a transaction of the tests' relays."""


def count_relayed(url: str) -> int:
    """Return how many records a database holds."""
    with psycopg.connect(url) as connection:
        count = scalar_of(connection, "SELECT count(*) FROM audit.records")
    assert isinstance(count, int)
    return count


def scalar_of(connection: psycopg.Connection[tuple[object, ...]], query: str) -> object:
    """Return the first column of a query's first row."""
    row = connection.execute(query.encode()).fetchone()
    return None if row is None else row[0]
