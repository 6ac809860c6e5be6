"""Feast is imported without torch and without compiling checks, and works as before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import REPOSITORY

PROGRAM = """
import sys
from feature_repo.objects import symbol_entity
import typeguard
assert symbol_entity().name == "symbol"
print(*sorted({"torch", "feast"} & set(sys.modules)))

@typeguard.typechecked
class Ours:
    def twice(self, number: int) -> int:
        return 2 * number

try:
    Ours().twice("no number")
except typeguard.TypeCheckError:
    print("others are checked")
from feast.online_response import get_torch
print(get_torch().tensor([1.0]).sum().item())
"""


def test_feast_comes_without_torch_until_it_is_asked_for_and_others_are_checked_as_ever(
    tmp_path: Path,
) -> None:
    program = tmp_path / "program.py"  # a file, as typeguard needs it
    program.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, str(program)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        check=False,
        capture_output=True,
        text=True,
        timeout=120.0,
    )
    assert done.stdout.splitlines() == ["feast", "others are checked", "1.0"], done.stderr
