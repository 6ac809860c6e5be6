"""An inbox is read while its gateway has it locked, whole, and nothing of it is changed."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from online.domain.called_reply import with_calls
from online.domain.errors import InvalidInput, NotFound, Unavailable
from online.domain.order import OrderReply, OrderStatus
from online.domain.order_state import Stage
from online.gateway import inbox_copy
from online.gateway.inbox import Inbox, open_inbox
from online.gateway.inbox_copy import cause_of, read_orders
from tests.gateway_world import closing as closing_of
from tests.gateway_world import entry
from tests.terminal_calls import make_call

pytestmark = pytest.mark.lean
FILLED = OrderReply(OrderStatus.FILLED, 10009, 4, 5, 4, 1.1, 0.1, "done")
WRITER = """
import sys
import time
from itertools import count
from pathlib import Path
from online.gateway.inbox import open_inbox
from tests.gateway_world import entry
inbox = open_inbox(Path(sys.argv[1]), 65_536)
for number in count(1):
    inbox.accept((entry(number),), number)
    if number % 10 == 0:
        inbox.tidy()
    if number == 10:
        print("writing", flush=True)
    time.sleep(0.001)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "inbox.db"


@pytest.fixture
def inbox(path: Path) -> Iterator[Inbox]:
    opened = open_inbox(path, 65_536)
    yield opened
    opened.close()


def names(path: Path) -> list[str]:
    return [order.intent.intent_id for order in read_orders(path, own=False)]


def test_what_the_gateway_did_by_itself_is_told_with_its_cause_and_its_calls(
    path: Path, inbox: Inbox
) -> None:
    own = msgspec.structs.replace(
        closing_of(1, entry(1), 4), intent_id="flatten-4-1", comment="sx-flatten-1"
    )
    inbox.accept((entry(1),), 1)
    inbox.tidy()
    inbox.write_fact(cause_of("flatten-4-1"), "flatten: leave (ann)")
    inbox.accept((own,), 2)
    inbox.record("flatten-4-1", with_calls(FILLED, (make_call(),)), 3)
    (told,) = read_orders(path, own=True)
    assert told.intent == own
    assert (told.cause, told.stage) == ("flatten: leave (ann)", Stage.FILLED)
    assert (told.reply, told.calls) == (FILLED, (make_call(),))
    assert (told.accepted_at_ns, told.ended_at_ns) == (2, 3)
    assert names(path) == ["entry-1", "flatten-4-1"]
    (first, _) = read_orders(path, own=False)
    assert (first.cause, first.reply, first.ended_at_ns) == ("", None, None)
    inbox.accept((entry(2),), 4)  # the gateway goes on as if nobody had looked
    assert names(path)[-1] == "entry-2"


def test_an_inbox_whose_gateway_is_gone_is_told_as_it_was_left(path: Path) -> None:
    opened = open_inbox(path)
    opened.accept((entry(1), entry(2)), 1)
    opened.close()
    kept = path.read_bytes()
    assert names(path) == ["entry-1", "entry-2"]
    assert path.read_bytes() == kept
    assert [file.name for file in path.parent.iterdir()] == ["inbox.db"]


def begin_log_anew(inbox: Inbox, number: int) -> None:
    """Bring everything into the tables and write what begins the log from its start."""
    inbox.accept((entry(number),), number)
    inbox.tidy()
    inbox.accept((entry(number + 1),), number + 1)


@pytest.mark.parametrize("when", ["before the log", "after the log"])
def test_a_copy_during_which_the_log_was_begun_anew_is_made_again(
    path: Path, inbox: Inbox, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    inbox.accept((entry(1),), 1)
    copy: Callable[[Path, Path], Path] = shutil.copyfile
    copies: list[str] = []

    def interrupted(source: Path, target: Path) -> Path:
        copy(source, target)
        copies.append(source.name)
        if copies in (["inbox.db"], ["inbox.db", "inbox.db-wal"]) and len(copies) == (
            1 if when == "before the log" else 2
        ):
            begin_log_anew(inbox, 2)
        return target

    monkeypatch.setattr(shutil, "copyfile", interrupted)
    monkeypatch.setattr(inbox_copy, "_PAUSE_SECONDS", 0.0)
    assert names(path) == ["entry-1", "entry-2", "entry-3"]
    assert copies == ["inbox.db", "inbox.db-wal"] * 2


def test_an_inbox_that_is_never_still_is_told_to_be_unavailable(
    path: Path, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = iter(range(1, 1_000, 2))
    copy: Callable[[Path, Path], Path] = shutil.copyfile

    def interrupted(source: Path, target: Path) -> Path:
        begin_log_anew(inbox, next(numbers))
        return copy(source, target)

    monkeypatch.setattr(shutil, "copyfile", interrupted)
    monkeypatch.setattr(inbox_copy, "_PAUSE_SECONDS", 0.0)
    with pytest.raises(Unavailable, match="try again"):
        names(path)


def test_every_copy_of_an_inbox_that_is_written_all_the_time_is_whole(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_copy, "_TRIES", 2_000)  # however slow this process is beside it
    monkeypatch.setattr(inbox_copy, "_PAUSE_SECONDS", 0.001)
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        try:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "writing\n"
            seen = 0
            for _ in range(10):
                told = names(path)
                assert told == [f"entry-{number}" for number in range(1, len(told) + 1)]
                assert len(told) >= max(seen, 10)
                seen = len(told)
        finally:
            writer.kill()


def test_what_is_no_inbox_is_named(tmp_path: Path, path: Path) -> None:
    with pytest.raises(NotFound, match=r"inbox\.db"):
        read_orders(path, own=True)
    path.write_bytes(b"no inbox" * 1_000)
    with pytest.raises(InvalidInput, match="no inbox of a gateway"):
        read_orders(path, own=True)
    older = tmp_path / "older.db"
    with closing(sqlite3.connect(older)) as connection:
        connection.execute("PRAGMA user_version = 2")
    with pytest.raises(InvalidInput, match="of version 2, this release reads 3"):
        read_orders(older, own=True)
