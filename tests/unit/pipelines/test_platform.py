"""The embedded platform: ready means ready, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from online.adapters.journal_shelf import put_aside
from online.domain.errors import InvalidInput, InvalidSettings, NotFound, SextantError, Unavailable
from pipelines.home import Home
from pipelines.platform import processes
from pipelines.platform.ports import choose_port, is_free
from pipelines.platform.probes import Health, HttpProbe, ReportProbe, ValkeyProbe, write_report
from pipelines.platform.secrets import ensure_token
from pipelines.platform.service import Service
from pipelines.platform.services import valkey
from pipelines.platform.state import State, judge_parts, read_state, write_state
from pipelines.platform.supervisor import Platform

REPOSITORY = Path(__file__).resolve().parents[3]
# Reports that it is ready and starts a child in a session of its own, as Prefect's runner does.
STAYS_WITH_A_CHILD = """
import subprocess, sys, signal
from pathlib import Path
from pipelines.platform.probes import Health, write_report
child = subprocess.Popen(
    [sys.executable, "-c", "import signal; signal.pause()"], start_new_session=True
)
write_report(Path(sys.argv[1]), Health(ready=True, detail=str(child.pid)))
signal.pause()
"""
# A supervisor to be killed: prints the ids of everything it started.
SUPERVISOR = """
import sys
from pathlib import Path
from pipelines.home import Home
from pipelines.platform import processes
from pipelines.platform.probes import ReportProbe
from pipelines.platform.service import Service
from pipelines.platform.services import valkey
from pipelines.platform.supervisor import Platform
home, script = Home(Path(sys.argv[1])), sys.argv[2]
report = home.run / "child.json"
child = Service("child", (sys.executable, "-c", script, str(report)), ReportProbe(str(report)))
with Platform(home) as platform:
    platform.start(valkey(home), child)
    ids = [process.pid for process in processes.marked(platform.run_id)]
    print(*ids, flush=True)
    platform.watch()
"""


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("h"))


def _script(name: str, code: str, report: Path, ready_within_s: float = 30.0) -> Service:
    return Service(
        name=name,
        command=(sys.executable, "-c", code, str(report)),
        probe=ReportProbe(str(report)),
        ready_within_s=ready_within_s,
    )


def test_valkey_is_ready_when_start_returns_and_gone_after_the_block(home: Home) -> None:
    with Platform(home) as platform:
        platform.start(valkey(home))
        assert ValkeyProbe(str(home.valkey_socket)).check().ready
        (part,) = judge_parts(platform.state_file)
        assert (part.name, part.ready) == ("valkey", True)
        assert part.pid is not None
        assert psutil.pid_exists(part.pid)
    assert not psutil.pid_exists(part.pid)
    assert not home.valkey_socket.exists()
    assert not platform.state_file.exists()


def test_children_in_sessions_of_their_own_end_with_the_block(home: Home) -> None:
    report = home.run / "report.json"
    with Platform(home) as platform:
        platform.start(_script("parent", STAYS_WITH_A_CHILD, report))
        grandchild = int(ReportProbe(str(report)).check().detail)
        assert psutil.pid_exists(grandchild)
    assert not psutil.pid_exists(grandchild)


def test_a_service_that_ends_is_reported_with_the_end_of_its_log(home: Home) -> None:
    code = "raise SystemExit('the disk is made of cheese')"
    with (
        pytest.raises(Unavailable, match="made of cheese") as caught,
        Platform(home) as platform,
    ):
        platform.start(_script("cheese", code, home.run / "never.json"))
    assert caught.value.code == "SERVICE_ENDED"
    assert "cheese.log" in caught.value.remedy


def test_a_service_that_ends_later_ends_the_watch(home: Home) -> None:
    report = home.run / "report.json"
    with Platform(home) as platform:
        platform.start(_script("mortal", STAYS_WITH_A_CHILD, report))
        (part,) = judge_parts(platform.state_file)
        assert part.pid is not None
        os.kill(part.pid, signal.SIGKILL)
        with pytest.raises(Unavailable, match="mortal ended with exit status -9"):
            platform.watch()


def test_a_service_that_is_never_ready_is_named_with_what_was_found(home: Home) -> None:
    service = _script(
        "mute", "import signal; signal.pause()", home.run / "never.json", ready_within_s=0.5
    )
    with pytest.raises(Unavailable, match="no report yet") as caught, Platform(home) as platform:
        platform.start(service)
    assert caught.value.code == "SERVICE_NOT_READY"


def test_a_job_that_fails_is_reported_with_its_exit_status(home: Home) -> None:
    with Platform(home) as platform:
        platform.run("fine", (sys.executable, "-c", "pass"))
        with pytest.raises(SextantError, match=r"exit status 3(.|\n)*no luck") as caught:
            platform.run("job", (sys.executable, "-c", "print('no luck'); raise SystemExit(3)"))
    assert caught.value.code == "JOB_FAILED"


def test_a_second_platform_on_the_same_home_is_refused(home: Home) -> None:
    with Platform(home), pytest.raises(InvalidInput) as caught, Platform(home):
        pass
    assert caught.value.code == "ALREADY_RUNNING"


@pytest.fixture
def supervisor(home: Home) -> Iterator[subprocess.Popen[str]]:
    running = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(home.root), STAYS_WITH_A_CHILD],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield running
    running.kill()
    running.communicate(timeout=30)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_supervisor_that_is_ended_leaves_no_process(
    home: Home, supervisor: subprocess.Popen[str], number: signal.Signals
) -> None:
    assert supervisor.stdout is not None
    started = [psutil.Process(int(pid)) for pid in supervisor.stdout.readline().split()]
    assert len(started) == 3  # Valkey, the service and its child in another session
    supervisor.send_signal(number)
    _, alive = psutil.wait_procs(started, timeout=30)
    assert alive == []
    supervisor.wait(timeout=30)
    with Platform(home) as again:  # what the dead one left lies in nobody's way
        again.start(valkey(home))
        assert ValkeyProbe(str(home.valkey_socket)).check().ready


def test_what_a_dead_platform_left_running_is_ended_by_the_next(home: Home) -> None:
    mark = {processes.RUN_VARIABLE: "an-earlier-run"}
    code = "import signal; signal.pause()"
    orphan = processes.start((sys.executable, "-c", code), mark, home.run / "logs" / "o.log")
    write_state(home.run / "platform.json", State("an-earlier-run", 1, (), ()))
    with Platform(home):
        assert not psutil.pid_exists(orphan.pid)


def test_a_stale_socket_does_not_keep_valkey_from_starting(home: Home) -> None:
    home.run.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(home.valkey_socket))
    assert not ValkeyProbe(str(home.valkey_socket)).check().ready
    with Platform(home) as platform:
        platform.start(valkey(home))
        assert ValkeyProbe(str(home.valkey_socket)).check().ready


def test_a_home_too_deep_for_a_socket_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="at most 104"):
        valkey(Home(tmp_path / ("x" * 120)))


def test_status_without_a_platform_says_so(home: Home) -> None:
    with pytest.raises(NotFound) as caught:
        judge_parts(home.run / "platform.json")
    assert caught.value.code == "NOT_RUNNING"


def test_status_names_parts_that_are_still_to_come(home: Home) -> None:
    with Platform(home, ("valkey", "scorer")) as platform:
        platform.start(valkey(home))
        ready = {part.name: part.ready for part in judge_parts(platform.state_file)}
    assert ready == {"valkey": True, "scorer": False}


def test_a_corrupt_state_file_counts_as_none(home: Home) -> None:
    home.run.mkdir(parents=True)
    (home.run / "platform.json").write_text("{half")
    assert read_state(home.run / "platform.json") is None


def test_a_taken_port_is_replaced_by_a_free_one() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = int(holder.getsockname()[1])
        assert not is_free(taken)
        chosen = choose_port(taken)
    assert chosen != taken
    assert choose_port(chosen, frozenset({chosen})) != chosen


def test_an_unanswered_http_probe_is_not_ready() -> None:
    health = HttpProbe(f"http://127.0.0.1:{choose_port(1)}/health").check()
    assert not health.ready
    assert "does not answer" in health.detail


def test_a_report_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_report(path, Health(ready=True, detail="bar 3"))
    assert ReportProbe(str(path)).check() == Health(ready=True, detail="bar 3")


def test_the_token_is_made_once_and_readable_by_its_owner_alone(home: Home) -> None:
    first = ensure_token(home.token).read_text()
    assert len(first.strip()) >= 32
    assert home.token.stat().st_mode & 0o077 == 0
    assert ensure_token(home.token).read_text() == first


def test_an_earlier_journal_is_put_aside_whole(home: Home) -> None:
    assert put_aside(home.journal) is None
    home.journal.parent.mkdir(parents=True)
    for suffix in ("", "-wal", ".owner"):
        Path(f"{home.journal}{suffix}").write_text(suffix)
    folder = put_aside(home.journal)
    assert folder is not None
    assert sorted(path.name for path in folder.iterdir()) == [
        "journal.db",
        "journal.db-wal",
        "journal.db.owner",
    ]
    assert not home.journal.exists()
