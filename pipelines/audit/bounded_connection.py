"""A connection to PostgreSQL that waits for no answer for ever.

A server that is stopped (a frozen machine, a paused container, SIGSTOP) keeps its connections open:
the kernel takes what is sent, no keepalive fails, and the server's own time limits do not run.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from time import monotonic
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.conninfo import make_conninfo
from psycopg.pq import PGconn, Ping
from sqlalchemy import Engine, event

SILENT_SECONDS = 15.0
"""Silence on a connection after which the server is asked, by another, whether it is there."""
STOPPING_SECONDS = 2
"""Silence that is borne once whoever waits has been told to end."""
PROBE_SECONDS = 5
STATEMENT_SECONDS = 120.0
"""A statement that takes longer is ended by the server."""
_POLL_SECONDS = 0.1
RV = TypeVar("RV")


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that is closed where its server has fallen silent.

    A long statement of a server that answers others is waited for, a little longer than the
    server itself would let it run.

    Attributes
    ----------
    stopping
        Set by whoever wants everything to end soon.
    """

    stopping: threading.Event | None = None

    def wait(
        self, gen: PQGen[RV], interval: float = _POLL_SECONDS, timeout: float | None = None
    ) -> RV:
        """Wait for an answer; `OperationalError`, and closed, if the server is silent too long."""
        return super().wait(self._listen(gen), interval, timeout)

    def _listen(self, gen: PQGen[RV]) -> Generator[Any, Any, RV]:
        silent_since = asked_at = monotonic()
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                now = monotonic()
                if ready:
                    silent_since = asked_at = now
                elif self._is_told_to_end() and now - silent_since >= STOPPING_SECONDS:
                    self._give_up(now - silent_since, "this process is to end")
                elif now - silent_since >= STATEMENT_SECONDS + SILENT_SECONDS:
                    self._give_up(now - silent_since, "it lets no statement run so long")
                elif now - asked_at >= SILENT_SECONDS:
                    if not self._server_answers():
                        self._give_up(monotonic() - silent_since, "nor does it to anybody else")
                    asked_at = monotonic()
                wanted = gen.send(ready)
        except StopIteration as done:
            value: RV = done.value
            return value

    def _is_told_to_end(self) -> bool:
        return self.stopping is not None and self.stopping.is_set()

    def _server_answers(self) -> bool:
        asked = make_conninfo(self.info.dsn, connect_timeout=PROBE_SECONDS)
        return PGconn.ping(asked.encode()) in {Ping.OK, Ping.REJECT}

    def _give_up(self, seconds: float, why: str) -> None:
        self.close()
        raise psycopg.OperationalError(f"no answer on a connection for {seconds:.0f} s: {why}")


def bound(engine: Engine, stopping: threading.Event | None = None) -> None:
    """Have an engine of psycopg open connections that are bounded.

    Parameters
    ----------
    stopping
        Set by whoever wants everything to end soon.
    """

    @event.listens_for(engine, "do_connect")
    def connect(
        _dialect: object, _record: object, arguments: list[Any], named: dict[str, Any]
    ) -> BoundedConnection:
        if stopping is not None and stopping.is_set():
            named = {**named, "connect_timeout": STOPPING_SECONDS}
        made = BoundedConnection.connect(*arguments, **named)
        made.stopping = stopping
        return made
