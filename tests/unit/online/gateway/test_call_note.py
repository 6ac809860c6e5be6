"""The note of an order's calls outlives its worker, and tells of no order but its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from online.domain.errors import InvalidSettings
from online.gateway.call_note import NOTE_BYTES, CallNote, read_note
from tests.conftest import REPOSITORY
from tests.terminal_calls import make_call, unanswered

pytestmark = pytest.mark.lean
KILLED = """
import os, signal, sys
from pathlib import Path
from online.gateway.call_note import CallNote
from tests.terminal_calls import unanswered
CallNote(Path(sys.argv[1])).write("entry-1", (unanswered(),))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "orders.calls"


@pytest.fixture
def note(path: Path) -> Iterator[CallNote]:
    opened = CallNote(path)
    yield opened
    opened.close()


def test_the_calls_of_the_order_under_way_are_read_and_those_of_no_other(
    note: CallNote, path: Path
) -> None:
    assert read_note(path, "entry-1", "killed") == ()
    note.write("entry-1", (make_call(), unanswered()))
    assert read_note(path, "entry-1", "killed") == (make_call(), unanswered("killed"))
    assert read_note(path, "entry-2", "killed") == ()
    note.write("entry-2", (make_call(),))
    assert read_note(path, "entry-1", "killed") == ()
    assert read_note(path, "entry-2", "killed") == (make_call(),)


def test_what_a_killed_process_noted_is_there(path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(path)]
    ended = subprocess.run(command, cwd=REPOSITORY, env={**os.environ}, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert read_note(path, "entry-1", "killed") == (unanswered("killed"),)
    again = CallNote(path)  # the next worker's, which sends nothing yet
    assert read_note(path, "entry-1", "killed") == (unanswered("killed"),)
    again.close()


def test_a_note_that_is_torn_or_absent_or_of_another_shape_tells_nothing(
    note: CallNote, path: Path, tmp_path: Path
) -> None:
    note.write("entry-1", (unanswered(),))
    whole = path.read_bytes()
    for torn in (
        whole[:40] + b"\0" * (NOTE_BYTES - 40),
        b"\xff\xff\xff\xff" + whole[4:],
        whole[:20] + b"?" + whole[21:],
        b"",
    ):
        (tmp_path / "torn").write_bytes(torn)
        assert read_note(tmp_path / "torn", "entry-1", "killed") == ()
    assert read_note(tmp_path / "nowhere", "entry-1", "killed") == ()


def test_calls_too_long_for_the_note_are_not_noted_in_part(note: CallNote, path: Path) -> None:
    note.write("entry-1", (unanswered(),))
    note.write("entry-2", (make_call(request={"comment": "x" * NOTE_BYTES}),))
    assert read_note(path, "entry-1", "killed") == ()
    assert read_note(path, "entry-2", "killed") == ()


def test_a_note_that_cannot_be_made_is_told_before_any_order(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidSettings, match="cannot hold an order's calls"):
        CallNote(tmp_path / "file" / "orders.calls")
