"""The gateway where what Windows lacks is absent: every module, and an order's whole way.

It is no Windows: see `tests/windows_like/sitecustomize.py` for what is taken away and changed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from online.adapters.sqlite_journal import iterate
from online.domain.record import ResultRecord
from online.gateway.terminal_lock import hold_lock
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.integration
WINDOWS_LIKE = Path(__file__).resolve().parents[1] / "windows_like"
EVERY_MODULE = """
import importlib, json, pkgutil, sys
import online
from online.gateway import serving

for module in pkgutil.walk_packages(online.__path__, "online."):
    importlib.import_module(module.name)
import pipelines.cli
print(json.dumps([serving.sys.platform, serving._loop_factory(), "uvloop" in sys.modules]))
"""


def as_on_windows(*words: str) -> subprocess.CompletedProcess[str]:
    """Run Python so; text that is read or written without an encoding is an error of ours."""
    path = os.pathsep.join([str(WINDOWS_LIKE), str(REPOSITORY)])
    return subprocess.run(
        [sys.executable, *words],
        env={**os.environ, "PYTHONPATH": path, "PYTHONWARNDEFAULTENCODING": "1"},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_every_module_of_the_scorer_and_the_gateways_commands_are_imported() -> None:
    done = as_on_windows("-c", EVERY_MODULE)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["win32", None, False]


def test_what_is_taken_away_is_missed_by_who_asks_for_it(tmp_path: Path) -> None:
    asked = tmp_path / "online" / "greedy.py"
    asked.parent.mkdir()
    (asked.parent / "__init__.py").touch()
    program = "import os, signal\nassert not hasattr(signal, 'SIGKILL')\nimport fcntl\n"
    asked.write_text(program, encoding="utf-8")
    path = os.pathsep.join([str(WINDOWS_LIKE), str(tmp_path)])
    done = subprocess.run(
        [sys.executable, "-m", "online.greedy"],
        env={**os.environ, "PYTHONPATH": path},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "No module named 'fcntl'" in done.stderr


def test_a_gateway_serves_and_a_lost_reply_is_found_again(tmp_path: Path) -> None:
    words = ["-m", "pipelines.cli", "--debug", "gateway", "demonstrate", "lost-reply", "--folder"]
    done = as_on_windows(*words, str(tmp_path / "told"))
    assert done.returncode == 0, done.stdout + done.stderr
    records = iterate(tmp_path / "told" / "journal.db")
    fates = [r.reply.status for r in records if isinstance(r, ResultRecord)]
    assert fates == ["unknown", "filled"]
    log = (tmp_path / "told" / "gateway.log").read_text(encoding="utf-8")
    assert "listening on" in log
    assert "Traceback" not in log


def test_a_holder_of_the_lock_that_has_just_ended_is_no_trouble_on_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = hold_lock(tmp_path / "lock")
    pid_file = tmp_path / "lock.pid"
    pid_file.write_text("999999", encoding="ascii")

    def no_such_process(process_id: int, _number: int) -> None:
        assert process_id == 999999
        held.close()
        raise OSError(22, "[WinError 87] The parameter is incorrect")

    monkeypatch.setattr("online.gateway.terminal_lock.os.kill", no_such_process)
    hold_lock(tmp_path / "lock").close()
    assert pid_file.read_text(encoding="ascii") == str(os.getpid())
