"""The cache of readings stays small, and leaves what is not its own."""

from __future__ import annotations

import os
from pathlib import Path

from pipelines.reading_cache import PREFIX, prune_readings


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
