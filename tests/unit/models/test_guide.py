"""The guide of what learns, executed: a family in one file."""

from __future__ import annotations

import re
import sys
import types
from typing import Any

import numpy as np
import pytest

from models.export import export_member
from models.families.build import FAMILIES
from models.fit import training_set
from models.labels import horizon_ns
from tests.conftest import REPOSITORY
from tests.unit.models.markets import RULE, make_dataset

GUIDE = (REPOSITORY / "models" / "README.md").read_text(encoding="utf-8")


def test_the_guide_adds_a_family_in_one_file(monkeypatch: pytest.MonkeyPatch) -> None:
    family, network, proof = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    module = types.ModuleType("models.families.shares")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    words: dict[str, Any] = module.__dict__
    exec(family, words)  # noqa: S102 - the guide is ours, and this is what it is tested for
    words["dataset"] = make_dataset()
    words["rows"] = np.arange(1000, dtype=np.int64)
    words["embargo_ns"] = horizon_ns(RULE)
    exec(proof, words)  # noqa: S102 - as above
    assert words["member"].parity_rows == 10_000
    _prove_network(monkeypatch, network)


def _prove_network(monkeypatch: pytest.MonkeyPatch, network: str) -> None:
    """Fit the guide's network on windows and compare its ONNX file."""
    module = types.ModuleType("models.families.mean")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    words: dict[str, Any] = module.__dict__
    exec(network, words)  # noqa: S102 - as above
    dataset = make_dataset(windowed=True)
    family = words["MeanFamily"](words["MeanConfig"](max_epochs=1))
    fitted = family.fit(training_set(dataset, np.arange(1000), horizon_ns(RULE)), 7)
    member = export_member("mean", fitted, dataset.inputs("window"), 7, 500, "window")
    assert member.parity <= 1e-6


def test_the_guide_links_to_files_that_exist() -> None:
    linked = re.findall(r"\]\(([^)]+)\)", GUIDE)
    assert len(linked) > 10
    assert [path for path in linked if not (REPOSITORY / "models" / path).exists()] == []


def test_every_family_has_a_file_of_its_name() -> None:
    for kind in FAMILIES:
        assert (REPOSITORY / "models" / "families" / f"{kind}.py").exists()
