"""docker-compose.yml against the code: every command, option, port, variable and path it names."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from online.domain.market import PriceSide, Timeframe
from online.settings import VirtualClockSettings, load_settings
from pipelines.bootstrap import tell_clock
from pipelines.feed import find_replay_start_ns
from pipelines.home import Home
from pipelines.lake import Lake
from pipelines.platform import services as embedded
from pipelines.platform.check import make_probe
from pipelines.platform.embedded import MODEL_ALIAS, MODEL_NAME, REPLAY_PROJECT
from pipelines.platform.probes import HttpProbe, ReportProbe, ValkeyProbe
from pipelines.platform.service import Service
from pipelines.platform.supervisor import Platform
from pipelines.sources.raw import BAR_COLUMNS

REPOSITORY = Path(__file__).resolve().parents[3]
FILE = REPOSITORY / "docker-compose.yml"
IN_CONTAINER = Path("/var/lib/sextant")
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILES = sorted((REPOSITORY / "infra" / "docker").glob("*.Dockerfile"))


def _compose(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("docker-compose")
    if program is None:
        pytest.skip("docker-compose is absent: install Debian's package to validate the file")
    return subprocess.run(
        [program, "-f", str(FILE), *arguments],
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_compose_accepts_the_file(tmp_path: Path) -> None:
    done = _compose("config", "--quiet", SECRETS_FOLDER=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")


def test_compose_refuses_to_start_without_secrets() -> None:
    done = _compose("config", "--quiet")
    assert done.returncode != 0
    assert "postgres_password and token" in done.stderr


def test_the_parts_are_those_of_the_platform_and_postgresql() -> None:
    expected = {"postgres", "valkey", "prefect", "mlflow", "worker", "scorer", "feed", "relay"}
    assert expected <= set(SERVICES)


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_runs_as_an_ordinary_user(name: str) -> None:
    user, _, group = SERVICES[name]["user"].partition(":")
    assert int(user) > 0
    assert int(group) > 0


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_is_pinned(name: str) -> None:
    assert re.fullmatch(r"[a-z/-]+:\d+\.\d+[\w.-]*", SERVICES[name]["image"])


@pytest.mark.parametrize("name", SERVICES)
def test_what_stays_has_a_health_check_and_what_is_waited_for_has_one(name: str) -> None:
    service = SERVICES[name]
    if name not in {"home", "bootstrap"}:
        assert service["healthcheck"]["test"][0] == "CMD"
    for other, how in service.get("depends_on", {}).items():
        once = other in {"home", "bootstrap"}
        wanted = "service_completed_successfully" if once else "service_healthy"
        assert how["condition"] == wanted


def test_no_secret_stands_in_the_file() -> None:
    for service in SERVICES.values():
        for variable in service.get("environment", {}):
            assert not re.search("PASSWORD$|TOKEN$|SECRET$", variable)
    for secret in COMPOSE["secrets"].values():
        assert secret["file"].startswith("${SECRETS_FOLDER:?")


def test_ports_are_published_on_loopback_alone_and_are_the_usual_ones() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    usual = {
        "prefect": embedded.PREFECT_PORT,
        "mlflow": embedded.MLFLOW_PORT,
        "scorer": embedded.SCORER_PORT,
    }
    assert published == {n: [f"127.0.0.1:{port}:{port}"] for n, port in usual.items()}
    for name, port in usual.items():
        assert f"http://127.0.0.1:{port}/" in SERVICES[name]["healthcheck"]["test"][-1]


@pytest.mark.parametrize("name", ["scorer", "worker", "bootstrap", "feed"])
def test_every_setting_is_one_of_the_scorers(name: str, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("t" * 40)
    token.chmod(0o600)
    told = {k: str(v) for k, v in SERVICES[name]["environment"].items()}
    own = {k: str(tmp_path / "none") for k in told if k == "SEXTANT_SECRETS_FOLDER"}
    (tmp_path / "none").mkdir()
    settings = load_settings(environment={**told, **own, "SEXTANT_TOKEN_FILE": str(token)})
    home = Home(IN_CONTAINER)
    assert settings.features.socket_path == home.valkey_socket
    assert settings.features.project == REPLAY_PROJECT
    assert settings.journal.path == home.journal
    assert (settings.model.name, settings.model.alias) == (MODEL_NAME, MODEL_ALIAS)
    assert told["SEXTANT_TOKEN_FILE"] == str(home.token)
    assert {"source": "token", "target": str(home.token)} in SERVICES[name]["secrets"]


def test_every_module_and_command_exists() -> None:
    from pipelines.cli import app  # noqa: PLC0415 - the commands register when it is imported

    known = {command.name for command in app.registered_commands}
    for name, service in SERVICES.items():
        command = service.get("command", [])
        if command[:2] == ["python", "-m"]:
            assert importlib.util.find_spec(command[2]) is not None, command
        elif name == "scorer":
            assert command[0] in known
        elif command and command[0] not in {"mkdir", "valkey-server", "prefect", "mlflow"}:
            pytest.fail(f"{name} runs an unknown program: {command}")


@pytest.mark.parametrize(
    ("name", "program"),
    [("mlflow", ["-m", "mlflow", "server"]), ("prefect", ["-m", "prefect", "server", "start"])],
)
def test_every_option_of_the_servers_exists(name: str, program: list[str]) -> None:
    asked = subprocess.run(
        [sys.executable, *program, "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    options = [word for word in SERVICES[name]["command"] if word.startswith("--")]
    assert options
    for option in options:
        assert option in asked.stdout, option


def test_the_feeds_command_line_is_understood() -> None:
    words = SERVICES["feed"]["command"][3:]
    embedded_words = [w for w in words if w.startswith("--")]
    asked = subprocess.run(
        [sys.executable, "-m", "pipelines.feed", "--help"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert words[0] == str(IN_CONTAINER)
    assert all(word in asked.stdout for word in embedded_words)


def test_the_scorers_clock_begins_with_the_replay_by_what_the_bootstrap_wrote(
    tmp_path: Path,
) -> None:
    home, hour_ns = Home(tmp_path), 3_600_000_000_000
    last_ns = pd.Timestamp("2017-11-15 10:00").value
    row = dict(zip(BAR_COLUMNS, (last_ns, 1.1, 1.1, 1.1, 1.1, 6.0, 1.0), strict=True))
    Lake(home.lake).write_bars("EURUSD", Timeframe.H1, PriceSide.BID, pd.DataFrame([row]), "test")
    folder = tell_clock(home)
    told = SERVICES["scorer"]["environment"]
    inside = Path(told["SEXTANT_SECRETS_FOLDER"])
    assert inside == IN_CONTAINER / folder.relative_to(home.root)
    mounted = {volume.split(":")[1] for volume in SERVICES["scorer"]["volumes"]}
    assert mounted & {str(parent) for parent in inside.parents}
    settings = load_settings(environment={**told, "SEXTANT_SECRETS_FOLDER": str(folder)})
    assert settings.clock == VirtualClockSettings(
        starts_at_ns=find_replay_start_ns(home, "EURUSD", Timeframe.H1) - hour_ns
    )


def test_the_relays_command_line_is_the_platforms_own_and_its_database_is_made() -> None:
    home = Home(IN_CONTAINER)
    assert tuple(SERVICES["relay"]["command"][1:]) == embedded.relay(home).command[1:]
    url = SERVICES["relay"]["environment"]["AUDIT_POSTGRES_URL"]
    databases = (REPOSITORY / "infra" / "docker" / "make-databases.sh").read_text()
    assert url.rpartition("/")[2] in re.findall(r"for name in (.*); do", databases)[0].split()


def test_valkeys_very_command_line_serves_its_socket(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    home = Home(tmp_path_factory.mktemp("c"))
    own = embedded.valkey(home)
    told = SERVICES["valkey"]["command"]
    command = [word.replace(str(IN_CONTAINER), str(home.root)) for word in told]
    probe = ValkeyProbe(str(home.valkey_socket))
    with Platform(home) as platform:
        platform.start(Service("valkey", (own.command[0], *command[1:]), probe))
        assert probe.check().ready
    healthcheck = SERVICES["valkey"]["healthcheck"]["test"]
    assert str(Home(IN_CONTAINER).valkey_socket) in healthcheck


@pytest.mark.parametrize("name", SERVICES)
def test_every_health_check_of_ours_is_one_the_code_knows(name: str) -> None:
    test = SERVICES[name].get("healthcheck", {}).get("test", [])
    if test[1:4] != ["python", "-m", "pipelines.platform.check"]:
        return
    probe = make_probe(*test[4:])
    if isinstance(probe, ReportProbe):
        report = embedded.relay_report if name == "relay" else embedded.feed_report
        assert probe.path == str(report(Home(IN_CONTAINER)))
    if isinstance(probe, HttpProbe):
        assert probe.url.startswith("http://127.0.0.1:")


def test_every_path_it_mounts_or_builds_from_exists() -> None:
    for service in SERVICES.values():
        if "build" in service:
            assert (REPOSITORY / service["build"]["dockerfile"]).is_file()
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (REPOSITORY / source).is_file(), source
            else:
                assert source in COMPOSE["volumes"]
        for secret in service.get("secrets", []):
            assert (secret if isinstance(secret, str) else secret["source"]) in COMPOSE["secrets"]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_an_image_copies_what_exists_and_ends_as_an_ordinary_user(path: Path) -> None:
    lines = path.read_text().splitlines()
    ignored = path.with_name(f"{path.name}.dockerignore").read_text().splitlines()
    for line in lines:
        if line.startswith("COPY "):
            *sources, _ = [word for word in line.split()[1:] if not word.startswith("--")]
            for source in sources:
                assert (REPOSITORY / source).exists(), source
                assert f"!{source}" in ignored, source
    assert next(line for line in reversed(lines) if line.startswith("USER ")) == "USER 10001:10001"
    base = next(line for line in lines if line.startswith("FROM "))
    assert re.fullmatch(r"FROM python:3\.11\.\d+-slim-\w+", base)


def test_the_scorers_image_holds_the_scorer_alone() -> None:
    text = (REPOSITORY / "infra" / "docker" / "scorer.Dockerfile").read_text()
    assert re.findall(r"'\.\[(\w+)\]'", text) == ["online"]


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / "infra" / "docker").glob("*.sh")), ids=lambda path: path.name
)
def test_a_script_is_executable_and_well_formed(path: Path) -> None:
    assert os.access(path, os.X_OK)
    subprocess.run(["sh", "-n", str(path)], check=True, timeout=10)


def test_a_program_gets_its_database_password_from_the_secret_file(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("from the file\n")
    script = REPOSITORY / "infra" / "docker" / "with-secrets.sh"
    done = subprocess.run(
        [str(script), "sh", "-c", 'printf %s "$PGPASSWORD"'],
        env={"PATH": os.environ["PATH"], "PGPASSWORD_FILE": str(secret)},
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
    )
    assert done.stdout == "from the file"
