"""The project's frame: what may lie where, how large, and what must never be in a tracked file."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
TOP_LEVEL = {
    *(".ci", ".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md"),
    *("docker-compose.yml", "feature_repo", "infra", "models", "online", "pipelines"),
    *("pyproject.toml", "tests"),
}
LINES_OF_A_FILE = 400
TEXT = {".py", ".md", ".toml", ".yml", ".yaml", ".sh", ".txt", ".json", ".Dockerfile", ""}
# Written in pieces, so that this file does not hold what it looks for.
INDEX_HOSTS = ("py" + "pi.org", "python" + "hosted", "download." + "pytorch", "index-url" + " =")
MACHINE_PATHS = re.compile(
    r"(?<![\w.$}])/(?:" + "|".join(("wo" + "rk", "ro" + "ot", "Us" + "ers")) + ")/"
)
NOT_PINNED = {"sextant", "pip", "setuptools", "wheel"}


@cache
def tracked() -> tuple[Path, ...]:
    """Return every file that git keeps and that is still there."""
    git = shutil.which("git")
    if git is None or not (REPOSITORY / ".git").exists():
        pytest.skip("not a checkout: the frame is checked where git is")
    listed = subprocess.run(
        [git, "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    paths = (REPOSITORY / name for name in listed.stdout.splitlines())
    return tuple(path for path in paths if path.is_file())


def texts() -> list[Path]:
    return [path for path in tracked() if path.suffix in TEXT]


def _name(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def test_the_top_level_is_what_it_should_be() -> None:
    found = {path.relative_to(REPOSITORY).parts[0] for path in tracked()}
    assert found - TOP_LEVEL == set()


def test_no_file_is_too_long() -> None:
    long = {}
    for path in tracked():
        if path.suffix == ".py":
            lines = len(path.read_text().splitlines())
            if lines > LINES_OF_A_FILE:
                long[_name(path)] = lines
    assert long == {}


def test_package_files_are_empty() -> None:
    filled = [_name(p) for p in tracked() if p.name == "__init__.py" and p.read_text().strip()]
    assert filled == []


def test_every_installed_package_is_pinned_at_its_version() -> None:
    pinned = {}
    for line in (REPOSITORY / "infra" / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, _, version = line.partition("==")
            pinned[_normal(name)] = version
    assert all(pinned.values())
    installed = {_normal(d.metadata["Name"]): d.version for d in distributions()}
    for name in NOT_PINNED:
        installed.pop(name, None)
    differing = {
        name: (version.partition("+")[0], pinned.get(name))
        for name, version in installed.items()
        if pinned.get(name) != version.partition("+")[0]  # torch's build: 2.13.0+cpu
    }
    assert differing == {}


def test_the_graphics_card_gets_the_same_pytorch_in_its_larger_build() -> None:
    lines = (REPOSITORY / "infra" / "constraints-gpu.txt").read_text().splitlines()
    named = [line for line in lines if not line.startswith("#")]
    assert named[0] == "-c constraints.txt"
    assert all(re.fullmatch(r"[\w-]+={2,3}[\w.]+", line) for line in named[1:])
    shared = (REPOSITORY / "infra" / "constraints.txt").read_text().splitlines()
    (torch,) = [line.partition("==")[2] for line in shared if line.startswith("torch==")]
    assert f"torch==={torch}" in named
    assert f'"torch=={torch}; ' in (REPOSITORY / "pyproject.toml").read_text()


def test_no_package_index_is_named() -> None:
    named = [
        (_name(path), host) for path in texts() for host in INDEX_HOSTS if host in path.read_text()
    ]
    assert named == []


def test_no_path_of_a_machine_is_named() -> None:
    named = [
        (_name(path), found.group())
        for path in texts()
        for found in [MACHINE_PATHS.search(path.read_text())]
        if found
    ]
    assert named == []


def test_every_link_between_documents_leads_somewhere() -> None:
    links = [
        (path, target)
        for path in tracked()
        if path.suffix == ".md"
        for target in re.findall(r"\]\(([^)\s#]+)[^)]*\)", path.read_text())
        if "://" not in target
    ]
    assert links
    broken = [(_name(p), target) for p, target in links if not (p.parent / target).exists()]
    assert broken == []


def test_make_explains_every_command() -> None:
    text = (REPOSITORY / "Makefile").read_text()
    commands = set(re.findall(r"^\.PHONY: (\w+)$", text, re.MULTILINE))
    shown = subprocess.run(
        ["make", "help"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert set(re.findall(r"^  make (\w+)", shown.stdout, re.MULTILINE)) == commands
    assert {"help", "install", "demo", "up", "test", "check", "fix", "bench"} <= commands


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
