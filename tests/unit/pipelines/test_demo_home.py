"""The demonstration empties its own folder and nobody else's."""

from __future__ import annotations

from pathlib import Path

import pytest

from online.domain.errors import InvalidInput
from pipelines.demo import prepare_home
from pipelines.home import Home


def test_a_folder_of_an_earlier_demonstration_is_emptied(tmp_path: Path) -> None:
    home = Home(tmp_path)
    prepare_home(home)
    home.journal.parent.mkdir(parents=True)
    home.journal.write_text("of the demonstration")
    prepare_home(home)
    assert not home.journal.exists()


@pytest.mark.parametrize("part", ["lake", "journal", "mlflow", "bundles", "my notes"])
def test_a_home_that_somebody_works_in_is_not_emptied(tmp_path: Path, part: str) -> None:
    (tmp_path / part).mkdir()
    kept = tmp_path / part / "kept"
    kept.write_text("work")
    with pytest.raises(InvalidInput) as refusal:
        prepare_home(Home(tmp_path))
    assert refusal.value.code == "NOT_A_DEMO_HOME"
    assert part in str(refusal.value)
    assert kept.read_text() == "work"
