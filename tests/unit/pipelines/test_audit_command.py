"""`sextant audit` as its user sees it, on the scorer's host too."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from online.adapters.journal_reader import read_sealed
from online.domain.audit import audit
from pipelines.cli import run
from tests.journals import decision, halts, tamper, write_journal

pytestmark = pytest.mark.lean


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return write_journal(tmp_path / "journal" / "journal.db", halts(25))


def _json(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_sound_journal_is_shown_with_its_day_roots_and_an_anchor(
    journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", "verify", "--home", str(journal.parents[1])]) == 0
    shown = capsys.readouterr().out
    report = audit(read_sealed(journal))
    assert "25 records" in shown
    assert all(day.root in shown for day in report.days)
    assert str(report.head) in shown


def test_a_tampered_copy_ends_with_status_1_and_names_the_record(
    journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tamper(journal, "UPDATE records SET body = CAST('{}' AS BLOB) WHERE sequence = 7")
    assert run(["audit", "verify", "--journal", str(journal)]) == 1
    assert "JOURNAL_CORRUPT: record 7:" in capsys.readouterr().err
    assert run(["audit", "verify", "--journal", str(journal), "--json"]) == 1
    found = _json(capsys)
    assert (found["valid"], found["record"], found["code"]) == (False, 7, "JOURNAL_CORRUPT")


def test_an_anchor_kept_elsewhere_finds_a_journal_that_was_cut(
    journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", "verify", "--journal", str(journal), "--json"]) == 0
    head = _json(capsys)["head"]
    tamper(journal, "DELETE FROM records WHERE sequence > 20")
    asked = ["audit", "verify", "--journal", str(journal)]
    assert run(asked) == 0
    assert run([*asked, "--anchor", f"{head['sequence']}:{head['hash']}"]) == 1
    assert "record 21: is missing" in capsys.readouterr().err


def test_missing_decision_numbers_are_listed_and_fail_where_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_journal(tmp_path / "j.db", [decision(1), decision(2), decision(5), decision(7)])
    asked = ["audit", "verify", "--journal", str(path)]
    assert run(asked) == 0
    assert "without a record: 3-4, 6." in capsys.readouterr().out
    assert run([*asked, "--strict", "--json"]) == 1
    found = _json(capsys)
    assert (found["valid"], found["missing_numbers"]) == (False, [[3, 4], [6, 6]])


def test_csv_is_exported_where_pyarrow_is_not_installed_and_parquet_says_so(
    journal: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    period = ["--from", "2017-10-04", "--to", "2017-10-05", "--journal", str(journal)]
    assert run(["audit", "export", *period, "--out", str(tmp_path / "none")]) == 2
    assert "PARQUET_UNAVAILABLE" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
    out = tmp_path / "out"
    assert run(["audit", "export", *period, "--out", str(out), "--format", "csv", "--json"]) == 0
    assert _json(capsys)["to_time"] == "2017-10-06T00:00:00.000000000Z"
    assert (out / "decisions.csv").is_file()
    assert run(["audit", "archive", "--before", "2018-01-01", "--journal", str(journal)]) == 2


@pytest.mark.parametrize("day", ["yesterday", "2017-13-01", "1969-12-31"])
def test_a_day_that_is_none_is_refused(journal: Path, tmp_path: Path, day: str) -> None:
    asked = ["audit", "export", "--journal", str(journal), "--out", str(tmp_path / "out")]
    assert run([*asked, "--from", day, "--to", "2018-01-01"]) == 2


def test_an_absent_journal_and_an_unnamed_database_are_said_so(
    journal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AUDIT_POSTGRES_URL", raising=False)
    assert run(["audit", "verify", "--journal", str(tmp_path / "absent.db")]) == 2
    assert run(["audit", "verify", "--archive-only", "--journal", str(journal)]) == 2


def test_verify_loads_nothing_that_the_scorers_host_does_without(journal: Path) -> None:
    program = (
        "import sys\n"
        "from pipelines.cli import run\n"
        f"assert run(['audit', 'verify', '--journal', {str(journal)!r}]) == 0\n"
        "heavy = {'sqlalchemy', 'alembic', 'psycopg', 'pyarrow', 'pandas', 'tenacity'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
