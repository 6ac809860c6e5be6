"""A command's own servers stay while another command uses them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from pipelines.commands import terminal
from pipelines.commands.environment import online_store, running_urls
from pipelines.home import Home
from pipelines.platform.leaning import await_leaning, lean, stand_alone
from pipelines.platform.probes import ValkeyProbe

# Uses what runs on a home: says so, waits for a line, and says whether it still runs.
LEANER = """
import sys
from pathlib import Path
from pipelines.commands.environment import prepare_environment
from pipelines.home import Home
from pipelines.platform.probes import ValkeyProbe
home = Home(Path(sys.argv[1]))
prepare_environment(home)
print("leaning", flush=True)
sys.stdin.readline()
print(ValkeyProbe(str(home.valkey_socket)).check().ready, flush=True)
"""


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("h"))


def start_leaner(home: Home) -> subprocess.Popen[str]:
    leaner = subprocess.Popen(
        [sys.executable, "-c", LEANER, str(home.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert leaner.stdout is not None
    assert leaner.stdout.readline() == "leaning\n"
    return leaner


def test_servers_stay_for_a_command_that_uses_them_and_go_when_it_is_done(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    with online_store(home):
        leaner = start_leaner(home)
        assert leaner.stdin is not None
        line = leaner.stdin

        def go_on(text: str) -> None:
            told.append(text)
            line.write("\n")
            line.flush()

        monkeypatch.setattr(terminal.notes, "print", go_on)
    assert leaner.stdout is not None
    assert leaner.stdout.read() == "True\n"
    assert leaner.wait() == 0
    assert told == ["done; the servers stay for another command that uses them"]
    assert not ValkeyProbe(str(home.valkey_socket)).check().ready
    assert running_urls(home) == {}


def test_an_interrupted_command_waits_for_nobody(home: Home) -> None:
    leaner: list[subprocess.Popen[str]] = []

    def interrupt() -> None:
        with online_store(home):
            leaner.append(start_leaner(home))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    out, _ = leaner[0].communicate("\n")
    assert out == "False\n"


def refuse(_: str) -> None:
    pytest.fail("nobody leans on it")


@pytest.mark.parametrize("end", [lambda leaner: leaner.kill(), lambda leaner: leaner.communicate()])
def test_who_has_ended_leans_no_more(
    home: Home, end: Callable[[subprocess.Popen[str]], None]
) -> None:
    with online_store(home):
        leaner = start_leaner(home)
        end(leaner)
        leaner.wait()
        await_leaning(home, refuse).close()


def test_a_process_does_not_wait_for_itself(home: Home) -> None:
    lean(home)
    lean(home)
    await_leaning(home, refuse).close()
    stand_alone(home)
