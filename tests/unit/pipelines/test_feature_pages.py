from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from feature_repo.catalogue import CROSS, HIGHER, entries, groups, served
from feature_repo.panel import Panel
from online.domain.market import PriceSide, Timeframe
from pipelines.cli import run
from pipelines.feature_pages import write_catalogue_page
from pipelines.home import Home
from pipelines.lake import Lake
from tests.laws.panels import OWN, whole_panel

H1 = Timeframe.H1


def test_the_page_names_every_feature_and_draws_every_view(tmp_path: Path) -> None:
    panel = whole_panel(1_000, seed=1)
    write_catalogue_page(tmp_path / "catalogue.html", panel)
    text = (tmp_path / "catalogue.html").read_text()
    assert all(f">{feature.name}<" in text for feature in entries(H1))
    assert text.count("<img") == len(groups(served(panel)))
    assert ">H4 bars<" in text
    assert ">h1_window_default_32<" in text


def test_the_page_says_what_bars_without_volume_and_peers_cannot_serve(tmp_path: Path) -> None:
    bars = whole_panel(1_000, seed=1).own
    silent = Panel(OWN, H1, dataclasses.replace(bars, volume=np.zeros(len(bars))))
    write_catalogue_page(tmp_path / "catalogue.html", silent)
    text = (tmp_path / "catalogue.html").read_text()
    assert text.count("<img") == len(groups(served(silent)))
    assert "these bars lack volume" in text
    assert "the bars of GBPUSD, USDJPY" in text


def test_features_are_listed_and_shown_with_their_peers(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["features", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == [feature.name for feature in entries(H1)]
    assert run(["features", "list", "--group", "higher", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == [feature.name for feature in HIGHER[H1]]
    assert run(["features", "show", "h4_rsi_14"]) == 0
    assert "H4: RSI(close, timeperiod=14)" in capsys.readouterr().out
    assert run(["features", "show", CROSS[0].name]) == 0
    assert "EURUSD beside GBPUSD, USDJPY; reference GBPUSD" in capsys.readouterr().out
    assert run(["features", "show", CROSS[0].name, "--symbol", "NSXUSD"]) == 0
    assert "NSXUSD has none: the feature is absent" in capsys.readouterr().out
    assert run(["features", "show", "rsi_15"]) != 0
    assert "rsi_14" in capsys.readouterr().err


def test_the_page_is_written_from_the_lake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home, bars = Home(tmp_path), whole_panel(600, seed=1).own
    names = ("closed_at_ns", "open", "high", "low", "close", "volume")
    frame = pd.DataFrame({name: getattr(bars, name) for name in names}).assign(spread_points=8.0)
    Lake(home.lake).write_bars(OWN, H1, PriceSide.BID, frame, "test")
    assert run(["features", "page", "--home", str(tmp_path)]) == 0
    file = home.lake / "reports" / "catalogue-EURUSD-H1.html"
    assert str(file) in capsys.readouterr().out.replace("\n", "")
    assert "drawn on EURUSD H1" in file.read_text()
