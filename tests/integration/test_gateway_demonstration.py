"""The demonstration of a lost reply: it ends as it must, and the guide shows what it prints."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from online.adapters.sqlite_journal import iterate
from online.domain.record import ResultRecord
from pipelines.cli import run
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.integration
GUIDE = REPOSITORY / "online" / "gateway" / "README.md"


def plain(told: str) -> str:
    """Return a step without what differs from run to run: a process id."""
    return re.sub(r"process \d+", "process", told)


def test_a_lost_reply_is_resolved_by_evidence_and_the_guide_tells_the_same_story(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["gateway", "demonstrate", "lost-reply", "--json", "--folder", str(tmp_path / "told")]
    assert run(asked) == 0
    steps = json.loads(capsys.readouterr().out)
    guide = GUIDE.read_text().split("$ sextant gateway demonstrate")[1].split("```")[0]
    recorded = re.findall(r"^ ?\d+\. (.*)\.$", guide, re.MULTILINE)
    assert [plain(step["told"]) for step in steps] == [plain(told) for told in recorded]
    journal = tmp_path / "told" / "journal.db"
    fates = [r.reply.status for r in iterate(journal) if isinstance(r, ResultRecord)]
    assert fates == ["unknown", "filled"]
    assert run(["audit", "verify", "--journal", str(journal)]) == 0


def test_an_accident_that_is_not_known_is_refused_by_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["gateway", "demonstrate", "earthquake"]) == 2
    assert "there is lost-reply" in capsys.readouterr().err
