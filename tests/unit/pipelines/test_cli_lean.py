"""The commands a trading host needs, with the scorer's dependencies alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from online.domain.manifest import encode_manifest
from online.domain.reasons import MEANING, Reason
from online.domain.record import LimitsRecord, ModelRecord, Record
from pipelines import cli
from pipelines.cli import run
from pipelines.commands.terminal import console
from tests.desks import World
from tests.fakes import (
    BAR_NS,
    HOUR_NS,
    make_reading,
)
from tests.journals import write_journal

pytestmark = pytest.mark.lean
HEAVY = ("pandas", "prefect", "mlflow", "feast", "torch", "sklearn", "xgboost", "psutil", "talib")
SLOW = (*HEAVY, "httpx", "numpy", "sqlite3")
"""What nobody waits for who only asks how a command is called."""


def _trade_two_bars() -> tuple[list[Record], list[str]]:
    """Return a journal of two decisions, an order and a veto, and their ids."""
    world = World()
    ids = []
    for bar_ns in (BAR_NS, BAR_NS + HOUR_NS):
        world.move(bar_ns)
        world.features.reading = make_reading(stamps_ns=(bar_ns, BAR_NS))
        ids.append(world.ask(bar_ns).record.decision_id)
    model = world.model
    loaded = ModelRecord(
        at_ns=BAR_NS,
        name=model.manifest.name,
        alias=model.alias,
        version="3",
        sha256=model.sha256,
        manifest=encode_manifest(model.manifest).decode(),
        runtime="runtime 1",
        bit_equal=True,
    )
    return [loaded, LimitsRecord(BAR_NS, world.desk.limits), *world.journal.records], ids


@pytest.fixture
def traded(tmp_path: Path) -> tuple[Path, list[str]]:
    records, ids = _trade_two_bars()
    write_journal(tmp_path / "journal" / "journal.db", records)
    return tmp_path, ids


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["serve", "--help"],
        ["status", "--help"],
        ["explain", "--help"],
        ["settings"],
        ["status", "--json"],
        ["ingest", "--help"],
        ["up", "--help"],
        ["demo", "--help"],
    ],
)
def test_lean_commands_load_no_heavy_package(arguments: list[str], tmp_path: Path) -> None:
    unwanted = SLOW if "--help" in arguments else HEAVY
    code = (
        "import sys; from pipelines.cli import run; status = run(sys.argv[1:]); "
        f"found = sorted(set({unwanted!r}) & set(sys.modules)); "
        "assert not found, found; raise SystemExit(status)"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={"PYTHONPATH": str(Path(__file__).resolve().parents[3]), "PATH": ""},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    expected = 2 if arguments == ["status", "--json"] else 0  # nothing runs in that folder
    assert (finished.returncode, "Error" in finished.stderr) == (expected, False), finished.stderr


@pytest.mark.parametrize("module", ["online.app", "pipelines.platform.check"])
def test_a_program_of_the_scorers_host_is_imported_without_heavy_packages(module: str) -> None:
    code = f"import sys, {module}; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    finished = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).resolve().parents[3],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert finished.stdout.split() == []


def test_every_command_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    names = (
        *("demo", "up", "status", "ingest", "features", "train", "promote", "backtest"),
        *("serve", "explain", "bench", "settings"),
    )
    for name in names:
        assert run([name, "--help"]) == 0
        assert f"sextant {name}" in capsys.readouterr().out.replace("Usage: sextant", "")


def test_an_order_is_explained_with_every_fact(
    traded: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    home, (ordered, _) = traded
    assert run(["explain", ordered, "--home", str(home)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert f"{ordered}: BUY" in told
    assert "EURUSD.H1.barrier version 3 by alias paper" in told
    for name in ("rsi_14", "return_1", "atr_14", "hour_sin"):
        assert name in told
    assert "calibrated, combined │ 0.100000 │ 0.200000 │ 0.700000" in told
    assert "bid 1.1, ask 1.1001" in told
    assert "risk per trade fraction │ 0.01" in told
    assert "No rule refused." in told
    assert "filled, return code 10009" in told
    assert "buy in" in told


def test_nothing_of_an_explanation_is_cut_on_a_narrow_terminal(
    traded: tuple[Path, list[str]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home, (ordered, _) = traded
    monkeypatch.setattr(console, "width", 50)
    for words in (["explain", ordered], ["audit", "verify"]):
        assert run([*words, "--home", str(home)]) == 0
        assert "…" not in capsys.readouterr().out


def test_a_veto_is_explained_with_its_meaning_and_what_was_measured(
    traded: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    home, (_, vetoed) = traded
    assert run(["explain", vetoed, "--home", str(home)]) == 0
    told = capsys.readouterr().out
    assert Reason.TORN_VECTOR in told
    assert MEANING[Reason.TORN_VECTOR] in told
    assert f"h1_clock holds bar {BAR_NS}" in told
    assert "Order: none." in told


def test_the_raw_records_are_told_as_json(
    traded: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    home, (ordered, _) = traded
    assert run(["explain", ordered, "--home", str(home), "--json"]) == 0
    story = json.loads(capsys.readouterr().out)
    assert story["decision"]["decision_id"] == ordered
    assert story["results"][0]["reply"]["status"] == "filled"
    assert story["deals"][0]["deal"]["magic"] == story["decision"]["intent"]["magic"]
    assert story["limits"]["limits"]["max_volume_lots"] == 1.0


def test_an_unknown_decision_is_one_sentence_and_status_2(
    traded: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    home, ids = traded
    assert run(["explain", "nope", "--home", str(home)]) == 2
    told = capsys.readouterr().err
    assert told.startswith("sextant: UNKNOWN_DECISION: ")
    assert ids[1] in told


def test_a_missing_journal_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "x", "--home", str(tmp_path)]) == 2
    assert str(tmp_path / "journal" / "journal.db") in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["frob"], "No such command 'frob'"),
        (["explain"], "Missing argument 'ID'"),
        (["status", "--jsn"], "No such option"),
        (["up", "--bar-seconds", "0"], "--bar-seconds"),
        (["bench", "nothing-like-this"], "no benchmark 'nothing-like-this'"),
    ],
)
def test_wrong_arguments_are_one_sentence_and_status_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told


@pytest.mark.parametrize("arguments", [["models", "rollback", "a", "b"], ["explain"]])
def test_wrong_arguments_are_answered_with_how_the_command_is_called(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    run(arguments)
    words = " ".join(arguments[:2] if arguments[0] == "models" else arguments[:1])
    told = capsys.readouterr().err
    assert f"Usage: sextant {words} [OPTIONS]" in told
    assert f"sextant {words} --help" in told


@pytest.mark.parametrize("error", [KeyboardInterrupt(), EOFError()])
def test_a_command_that_is_interrupted_says_so_with_status_130(
    error: BaseException, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop() -> None:
        raise error

    broken = typer.Typer()
    broken.command()(stop)
    monkeypatch.setattr(cli, "app", broken)
    assert run([]) == 130
    assert capsys.readouterr().err.split() == ["interrupted"]


def test_settings_in_force_are_shown_without_credentials(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "token"
    token.write_text("x" * 40)
    token.chmod(0o600)
    monkeypatch.setenv("SEXTANT_TOKEN_FILE", str(token))
    monkeypatch.setenv("SEXTANT_FEATURES__KIND", "feast_redis")
    monkeypatch.setenv("SEXTANT_MODELS__KIND", "mlflow")
    monkeypatch.setenv("SEXTANT_MODELS__URL", "http://reader:secret@models:5000")
    assert run(["settings", "--mode", "replay"]) == 0
    told = capsys.readouterr().out
    assert "http://***@models:5000" in told
    assert "secret" not in told.replace("secrets_folder", "")


def test_a_wrong_setting_is_named_and_refuses_to_start(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEXTANT_MODE", "replay")
    monkeypatch.setenv("SEXTANT_HTTP__PROT", "1")
    assert run(["serve"]) == 2
    assert "http.prot" in capsys.readouterr().err


def test_a_journal_is_put_aside_for_a_replay_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SEXTANT_MODE", "paper")
    assert run(["serve", "--fresh-journal"]) == 2
    assert "mode is paper" in capsys.readouterr().err
