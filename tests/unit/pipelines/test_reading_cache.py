"""The cache of readings stays small, and leaves what is not its own."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any, cast

import pytest

from online.instruments import find_instrument
from pipelines.reading_cache import PREFIX, name_of_content, prune_readings
from pipelines.sources.demo import DemoConfig


def test_only_the_newest_readings_stay_within_the_limit(tmp_path: Path) -> None:
    other = tmp_path / "another-result"
    other.write_bytes(b"x" * 1000)
    for age in range(5):
        path = tmp_path / f"{PREFIX}{age}"
        path.write_bytes(b"x" * 100)
        os.utime(path, (1000 - age, 1000 - age))
    assert prune_readings(tmp_path, bytes_max=250) == 3
    assert sorted(p.name for p in tmp_path.glob(f"{PREFIX}*")) == [f"{PREFIX}0", f"{PREFIX}1"]
    assert other.exists()
    assert prune_readings(tmp_path, bytes_max=250) == 0


def test_the_newest_reading_stays_whatever_its_size(tmp_path: Path) -> None:
    (tmp_path / f"{PREFIX}a").write_bytes(b"x" * 1000)
    assert prune_readings(tmp_path, bytes_max=10) == 0
    assert prune_readings(tmp_path / "absent", bytes_max=10) == 0


def test_a_reading_judged_by_other_digits_of_the_instrument_is_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = {"source": DemoConfig(), "symbol": "EURUSD"}
    named = name_of_content(cast("Any", None), asked)
    assert named is not None
    assert name_of_content(cast("Any", None), asked) == named
    corrected = dataclasses.replace(find_instrument("EURUSD"), digits=4)
    monkeypatch.setattr("pipelines.reading_cache.find_instrument", lambda _symbol: corrected)
    assert name_of_content(cast("Any", None), asked) != named
