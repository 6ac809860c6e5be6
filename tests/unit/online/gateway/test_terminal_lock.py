"""The lock of the one order worker: who holds it is ended, and nobody else."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from online.domain.errors import Unavailable
from online.gateway import terminal_lock
from online.gateway.terminal_lock import hold_lock

pytestmark = pytest.mark.lean
HOLDER = """
import sys
from pathlib import Path
from online.gateway.terminal_lock import hold_lock
held = hold_lock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[str]]:
    """Yield a process that has nothing to do with the lock; it ends with its standard input."""
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(terminal_lock, "_PATIENCE_SECONDS", 0.2)
    return tmp_path / "orders.lock"


def name_holder(path: Path, process: subprocess.Popen[str]) -> None:
    path.with_name(f"{path.name}.pid").write_text(str(process.pid), encoding="ascii")


def refusal(path: Path) -> str:
    with pytest.raises(Unavailable) as refused:
        hold_lock(path)
    return refused.value.code


def test_an_older_worker_that_lives_is_ended(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal_lock, "_PATIENCE_SECONDS", 20.0)
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as older:
        assert older.stdout is not None
        assert older.stdout.readline() == "held\n"
        hold_lock(path).close()
        assert older.wait(20) != 0
    assert path.with_name("orders.lock.pid").read_text(encoding="ascii") == str(os.getpid())


def test_who_got_the_number_of_a_worker_that_is_gone_is_not_ended(
    path: Path, stranger: subprocess.Popen[str]
) -> None:
    name_holder(path, stranger)
    hold_lock(path).close()
    assert stranger.poll() is None


def test_nobody_is_ended_while_the_next_worker_has_not_written_its_number(
    path: Path, stranger: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name_holder(path, stranger)
    codes = []

    def look_in_between(_: Path, *__: object, **___: object) -> None:
        codes.append(refusal(path))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", look_in_between)
        hold_lock(path).close()
    assert codes == ["WORKER_LINGERS"]
    assert stranger.poll() is None


def test_nobody_is_ended_because_of_who_only_reads_the_file(
    path: Path, stranger: subprocess.Popen[str]
) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("CREATE TABLE any (one)")
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM any").fetchall()
        name_holder(path, stranger)
        hold_lock(path).close()
    assert stranger.poll() is None


@pytest.mark.parametrize("file", ["orders.lock", "orders.lock.door"])
def test_nobody_is_ended_because_the_files_cannot_be_used(
    path: Path, stranger: subprocess.Popen[str], file: str
) -> None:
    name_holder(path, stranger)
    path.with_name(file).write_bytes(b"no database" * 100)
    assert refusal(path) == "LOCK_UNUSABLE"
    assert stranger.poll() is None


def test_a_folder_that_is_absent_is_told(tmp_path: Path) -> None:
    assert refusal(tmp_path / "absent" / "orders.lock") == "LOCK_UNUSABLE"
