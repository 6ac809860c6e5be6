"""The bar that `make coverage` holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.branches import main


def report(folder: Path, taken: dict[str, tuple[int, int]]) -> Path:
    files = {
        path: {"summary": {"covered_branches": covered, "num_branches": there}}
        for path, (covered, there) in taken.items()
    }
    path = folder / "report.json"
    path.write_text(json.dumps({"files": files}))
    return path


def test_each_folder_must_have_its_branches_taken_whatever_the_other_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    enough = {
        "online/trade.py": (50, 50),
        "online/api/a.py": (40, 50),
        "feature_repo/a.py": (9, 10),
    }
    assert main(report(tmp_path, enough)) == 0
    assert "online: 90 of 100 branches taken, 90.0%" in capsys.readouterr().out
    assert main(report(tmp_path, {**enough, "feature_repo/a.py": (8, 10)})) == 1


def test_a_folder_that_was_not_measured_fails(tmp_path: Path) -> None:
    assert main(report(tmp_path, {"online/trade.py": (9, 9)})) == 1
