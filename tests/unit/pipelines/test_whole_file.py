"""Files and bundles that several trainings of one home put in place at once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from models.export import Bundle, digest_folder
from pipelines.whole_file import put_bundle, put_file


def make(folder: Path, content: str) -> Bundle:
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(content)
    return Bundle(folder, digest_folder(folder))


def test_two_that_replace_a_file_at_once_do_not_disturb_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, replace = tmp_path / "made" / "certificate.json", Path.replace

    def replace_late(new: Path, target: Path) -> Path:
        with monkeypatch.context() as other:
            other.setattr(Path, "replace", replace)
            put_file(path, b"the other's")
        return replace(new, target)

    monkeypatch.setattr(Path, "replace", replace_late)
    put_file(path, b"mine")
    assert path.read_bytes() == b"mine"
    assert [each.name for each in path.parent.iterdir()] == ["certificate.json"]


def test_a_file_that_cannot_be_put_in_place_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "taken" / "certificate.json").mkdir(parents=True)
    with pytest.raises(OSError, match="certificate"):
        put_file(tmp_path / "taken" / "certificate.json", b"mine", tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["taken"]


def test_the_same_bundle_that_another_training_made_first_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, mine = tmp_path / "kept", make(tmp_path / "scratch" / "bundle", "one")
    rename = Path.rename

    def rename_late(new: Path, target: Path) -> Path:
        shutil.copytree(mine.folder, folder)
        return rename(new, target)

    monkeypatch.setattr(Path, "rename", rename_late)
    put_bundle(mine, folder)
    assert digest_folder(folder) == mine.digest


def test_a_bundle_that_was_changed_is_made_anew_and_another_in_its_place_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, mine = tmp_path / "kept", make(tmp_path / "scratch" / "bundle", "one")
    make(folder, "changed")
    put_bundle(mine, folder)
    assert digest_folder(folder) == mine.digest
    shutil.rmtree(folder)
    again = make(tmp_path / "again" / "bundle", "one")
    rename = Path.rename

    def rename_late(new: Path, target: Path) -> Path:
        make(folder, "another")
        return rename(new, target)

    monkeypatch.setattr(Path, "rename", rename_late)
    with pytest.raises(OSError, match="kept"):
        put_bundle(again, folder)
