"""The documents: links lead somewhere, commands exist, decisions have numbers of their own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from pipelines.cli import app

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("feature_repo", "infra", "models", "online", "pipelines")
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md"))]
)
_LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
_COMMAND = re.compile(r"\bsextant((?: [a-z][a-z-]*)+)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_a_file(document: Path) -> None:
    links = _LINK.findall(document.read_text(encoding="utf-8"))
    assert [
        link for link in links if "://" not in link and not (document.parent / link).exists()
    ] == []


def test_every_decision_has_a_number_of_its_own_and_says_it() -> None:
    pages = sorted((ROOT / "infra" / "decisions").glob("*.md"))
    numbers = [int(page.name[:4]) for page in pages]
    assert numbers == list(range(1, len(pages) + 1))
    for number, page in zip(numbers, pages, strict=True):
        assert page.read_text(encoding="utf-8").startswith(f"# {number}. ")


def test_no_word_is_explained_twice() -> None:
    rows = (ROOT / "infra" / "GLOSSARY.md").read_text(encoding="utf-8").splitlines()
    words = [row.split("|")[1].strip() for row in rows if row.startswith("| ")]
    assert len(words) == len(set(words))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_that_code_spans_name_exists(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    root = get_command(app)
    named = [c for span in re.findall(r"`([^`\n]+)`", text) for c in _COMMAND.findall(span)]
    assert [words for words in named if not _exists(root, words.split())] == []


def _exists(command: object, words: list[str]) -> bool:
    for word in words:
        if not isinstance(command, TyperGroup):
            return True  # the rest is arguments
        if word not in command.commands:
            return False
        command = command.commands[word]
    return True
