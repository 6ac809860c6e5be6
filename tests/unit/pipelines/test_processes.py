"""Processes of a platform are found while some of them end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from pipelines.platform.processes import family

_TWO_CHILDREN = """
import subprocess, sys
wait = [sys.executable, "-c", "import sys; sys.stdin.read()"]
for _ in range(2):
    subprocess.Popen(wait)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[bytes]]:
    """A process with two children; all end with this test's end of the pipe."""
    command = [sys.executable, "-c", _TWO_CHILDREN]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process
        process.kill()


def test_a_child_that_ends_while_its_kin_are_looked_at_hides_none_of_them(
    parent: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    leader, first, second = (process.pid for process in family(parent.pid))
    assert leader == parent.pid
    known = psutil.Process.status

    def status(process: psutil.Process) -> str:
        if process.pid == first:
            raise psutil.NoSuchProcess(first)
        return str(known(process))

    monkeypatch.setattr(psutil.Process, "status", status)
    assert [process.pid for process in family(parent.pid)] == [leader, second]


def test_a_process_that_is_gone_has_no_family(parent: subprocess.Popen[bytes]) -> None:
    parent.kill()
    parent.wait()
    assert family(parent.pid) == []
