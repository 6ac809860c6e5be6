"""A year of minutes for the benchmarks: real where they are at hand, else generated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from feature_repo.bars import BarArrays
from pipelines.sources.delimited import CsvBars, CsvConfig

REAL = Path(__file__).resolve().parents[3] / "shared/data/histdata_m1/EURUSD_2017.zip"
BARS = 371_635
"""As many as there are in EURUSD's 2017."""


def year_of_minutes() -> tuple[BarArrays, str]:
    """Return a year of minute bars and what they are.

    HistData has no volume, so a seeded one is added: the whole catalogue shall be measured.
    """
    if not REAL.is_file():
        return generated_minutes(BARS), f"{BARS} generated minutes"
    rows = CsvBars(CsvConfig(path=REAL, preset="histdata")).read().rows
    rows = rows[rows["fault"] == ""].drop_duplicates("closed_at_ns").sort_values("closed_at_ns")
    bars = BarArrays.from_frame(rows)
    volume = np.floor(np.random.default_rng(7).gamma(2.0, 50.0, len(bars))) + 1.0
    found = BarArrays(bars.closed_at_ns, bars.open, bars.high, bars.low, bars.close, volume)
    return found, f"{len(found)} real minutes of EURUSD 2017 (HistData), volume generated"


def generated_minutes(count: int, seed: int = 7) -> BarArrays:
    """Return seeded minute bars from 2017 on, weekends left out, prices in steps of a tenth pip."""
    random = np.random.default_rng(seed)
    minutes = pd.date_range("2017-01-02", periods=count * 7 // 5 + 10_000, freq="min", tz="UTC")
    minutes = minutes[minutes.dayofweek < 5][:count].as_unit("ns")
    close = np.round(1.1 * np.exp(np.cumsum(random.standard_t(4, count) * 6e-5)), 5)
    opened = np.concatenate([[1.1], close[:-1]])
    reach = np.round(np.abs(random.normal(0.0, 5e-5, (2, count))), 5)
    return BarArrays(
        minutes.asi8,
        opened,
        np.maximum(opened, close) + reach[0],
        np.minimum(opened, close) - reach[1],
        close,
        np.floor(random.gamma(2.0, 50.0, count)) + 1.0,
    )
