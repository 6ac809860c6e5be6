"""Limits read anew from the settings' own files."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from online.domain.errors import InvalidSettings
from online.domain.record import LimitsRecord
from online.instruments import CONFIG_FOLDER
from online.limits_source import SettingsLimits
from online.settings import load_settings

pytestmark = pytest.mark.lean


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a copy of the replay mode's file."""
    path = tmp_path / "replay.toml"
    path.write_text((CONFIG_FOLDER / "replay.toml").read_text())
    return path


@pytest.fixture
def source(file: Path) -> SettingsLimits:
    reread = partial(load_settings, "replay", environment={}, config_folder=file.parent)
    return SettingsLimits(reread, (file,))


def edit(file: Path, before: str, after: str) -> None:
    """Change a file's text; it must have been there."""
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))


def test_a_changed_file_gives_changed_limits_and_another_stamp(
    file: Path, source: SettingsLimits
) -> None:
    stamp = source.stamp()
    assert source.read().max_volume_lots == 1.0
    edit(file, "max_volume_lots = 1.0", "max_volume_lots = 0.25")
    assert source.read().max_volume_lots == 0.25
    assert source.stamp() != stamp


def test_a_changed_limit_of_one_symbol_is_read_and_changes_no_other(
    file: Path, source: SettingsLimits
) -> None:
    before = source.read()
    edit(file, "max_volume_lots = 10.0", "max_volume_lots = 4.0")
    after = source.read()
    assert (before.of("NSXUSD").max_volume_lots, after.of("NSXUSD").max_volume_lots) == (10.0, 4.0)
    assert LimitsRecord(1, after, "file", before).changes == {
        "symbols.NSXUSD.max_volume_lots": (10.0, 4.0)
    }


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ("max_volume_lots = 1.0", "max_volume_lots = -1.0", "max_volume_lots"),
        ("max_volume_lots = 1.0", "max_volume_lot = 1.0", "max_volume_lot"),
        ("max_volume_lots = 1.0\n", "", "max_volume_lots"),
        ("max_volume_lots = 10.0", "max_volume_lots = -4.0", "max_volume_lots"),
        ("max_volume_lots = 10.0", "max_volume_lot = 4.0", "max_volume_lot"),
        ("[limits.symbols.NSXUSD]", "[limits.symbols.NSX]", "NSX"),
        ("max_volume_lots = 1.0", "max_volume_lots = 'many'", "max_volume_lots"),
        ("max_volume_lots = 1.0", "max_volume_lots = nan", "max_volume_lots"),
        ('news_impact = "high"', 'news_impact = "huge"', "news_impact"),
        ("[limits]", "[limits", "TOML"),
    ],
)
def test_a_wrong_file_is_refused_and_names_what_is_wrong(
    file: Path, source: SettingsLimits, before: str, after: str, named: str
) -> None:
    edit(file, before, after)
    with pytest.raises(InvalidSettings, match=named):
        source.read()


def test_a_file_that_is_gone_or_written_again_has_another_stamp(
    file: Path, source: SettingsLimits
) -> None:
    stamp = source.stamp()
    os.utime(file, ns=(1, 1))
    touched = source.stamp()
    assert touched != stamp
    file.unlink()
    assert source.stamp() != touched
