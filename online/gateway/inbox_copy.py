"""The inbox as others may read it, while its gateway has it locked: a copy, never the file itself.

Everything written since the log was begun anew lies in the log. So the tables' file copied first
and the log after it make a whole inbox, whatever was moved from one into the other meanwhile,
unless the log was begun anew in between: that shows in its head, and the copy is made again.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from online.domain.called_reply import apart
from online.domain.errors import InvalidInput, NotFound, Unavailable
from online.domain.order import Intent, OrderReply
from online.domain.order_state import Stage
from online.domain.terminal_call import TerminalCall
from online.gateway.inbox_entry import COLUMNS, entry_of
from online.gateway.inbox_tables import VERSION
from online.prepared_log import log_of

OWN_MARK = "sx-flatten-"
"""Begins the comment of every order that a gateway places by itself."""
_CAUSE = "cause of "
_HEAD_BYTES = 32
_TRIES, _PAUSE_SECONDS = 20, 0.05


class KeptOrder(msgspec.Struct, frozen=True):
    """An order that a gateway accepted, or placed by itself.

    Parameters
    ----------
    cause
        Why the gateway placed it; empty for a scorer's.
    calls
        Of the terminal, as far as they are known.
    ended_at_ns
        When its fate was written; null while it is open.
    """

    intent: Intent
    cause: str
    stage: Stage
    reply: OrderReply | None
    calls: tuple[TerminalCall, ...]
    accepted_at_ns: int
    ended_at_ns: int | None


def cause_of(intent_id: str) -> str:
    """Return the name of the fact that tells why the gateway placed an order."""
    return f"{_CAUSE}{intent_id}"


def is_own(intent: Intent) -> bool:
    """Tell whether a gateway places an order by itself."""
    return intent.comment.startswith(OWN_MARK)


def read_orders(inbox: Path, *, own: bool) -> tuple[KeptOrder, ...]:
    """Return the orders of an inbox, oldest first; of `own` only those its gateway placed itself.

    Whoever has the inbox open must be another process: systems that are not Windows forget a
    process's locks on a file that it reads and closes.

    Raises
    ------
    NotFound, InvalidInput
        If there is no inbox, or the file is none that this release reads.
    Unavailable
        If it cannot be copied now.
    """
    if not inbox.is_file():
        raise NotFound(
            f"there is no inbox at {inbox}", remedy="Name the settings of a gateway that has run."
        )
    try:
        with _copied(inbox) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version != VERSION:
                raise InvalidInput(
                    f"{inbox} is of version {version}, this release reads {VERSION}",
                    code="INBOX_UNREADABLE",
                    remedy="Run the release that serves it; an older one is updated by serving.",
                )
            causes = dict(
                connection.execute(
                    "SELECT name, value FROM facts WHERE name GLOB ?", (f"{_CAUSE}*",)
                )
            )
            query = f"SELECT {COLUMNS}, ended_at_ns FROM orders ORDER BY accepted_at_ns"  # noqa: S608 - constants
            rows = [_order_of(row, causes) for row in connection.execute(query)]
    except OSError as error:
        raise Unavailable(f"{inbox} cannot be copied: {error}") from error
    except sqlite3.Error as error:
        raise InvalidInput(f"{inbox} is no inbox of a gateway: {error}") from error
    return tuple(row for row in rows if not own or is_own(row.intent))


def _order_of(row: tuple[object, ...], causes: dict[str, str]) -> KeptOrder:
    *columns, ended_at_ns = row
    entry = entry_of(tuple(columns))
    return KeptOrder(
        intent=entry.intent,
        cause=causes.get(cause_of(entry.intent.intent_id), ""),
        stage=entry.stage,
        reply=None if entry.reply is None else apart(entry.reply)[0],
        calls=entry.calls,
        accepted_at_ns=entry.accepted_at_ns,
        ended_at_ns=ended_at_ns if isinstance(ended_at_ns, int) else None,
    )


@contextmanager
def _copied(inbox: Path) -> Iterator[sqlite3.Connection]:
    """Copy an inbox as it is at one instant, and open the copy."""
    with TemporaryDirectory(prefix="sextant-inbox-") as folder:
        copy = Path(folder) / inbox.name
        for _ in range(_TRIES):
            if _copy(inbox, copy):
                break
            time.sleep(_PAUSE_SECONDS)
        else:
            raise Unavailable(f"{inbox} is written so fast that no copy of it is whole: try again")
        with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
            yield connection


def _copy(inbox: Path, copy: Path) -> bool:
    """Copy tables and log; tell whether both are of one instant."""
    log, copied_log = log_of(inbox), log_of(copy)
    copied_log.unlink(missing_ok=True)
    before = _head(log)
    shutil.copyfile(inbox, copy)
    if before:
        try:
            shutil.copyfile(log, copied_log)
        except FileNotFoundError:  # the gateway has just ended
            return False
    return before == _head(copied_log) == _head(log)


def _head(log: Path) -> bytes:
    """Return what tells one beginning of a log from the next; nothing if there is no log."""
    try:
        with log.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except FileNotFoundError:
        return b""
