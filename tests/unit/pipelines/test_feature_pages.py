from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from feature_repo.catalogue import CATALOGUE, groups
from pipelines.feature_pages import write_catalogue_page
from tests.laws.feature_data import random_bars


def test_the_page_names_every_feature_and_draws_every_view(tmp_path: Path) -> None:
    write_catalogue_page(tmp_path / "catalogue.html", random_bars(400, seed=1), "random bars")
    text = (tmp_path / "catalogue.html").read_text()
    assert all(feature.name in text for feature in CATALOGUE)
    assert text.count("<img") == len(groups())


def test_the_page_says_what_bars_without_volume_cannot_serve(tmp_path: Path) -> None:
    bars = random_bars(400, seed=1)
    silent = dataclasses.replace(bars, volume=np.zeros(len(bars)))
    write_catalogue_page(tmp_path / "catalogue.html", silent, "random bars")
    text = (tmp_path / "catalogue.html").read_text()
    assert text.count("<img") == len(groups()) - 1
    assert "the view is absent" in text
