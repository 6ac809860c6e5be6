"""A year of minutes for the benchmarks: real where they are at hand, else generated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from feature_repo.bars import BarArrays, Floats
from pipelines.sources.delimited import CsvBars, CsvConfig

FOLDER = Path(__file__).resolve().parents[3] / "shared/data/histdata_m1"
BARS = 371_635
"""As many as there are in EURUSD's 2017."""


def year_of_minutes(year: int = 2017) -> tuple[BarArrays, str]:
    """Return a year of minute bars and what they are.

    HistData has neither volume nor quotes, so seeded ones are added: the whole catalogue shall be
    measured.
    """
    real = FOLDER / f"EURUSD_{year}.zip"
    if not real.is_file():
        return generated_minutes(BARS), f"{BARS} generated minutes"
    rows = CsvBars(CsvConfig(path=real, preset="histdata")).read().rows
    rows = rows[rows["fault"] == ""].drop_duplicates("closed_at_ns").sort_values("closed_at_ns")
    bars = BarArrays.from_frame(rows)
    told = generated_quotes_of(len(bars))
    found = BarArrays(
        bars.closed_at_ns, bars.open, bars.high, bars.low, bars.close, told[0].copy(), told
    )
    return found, f"{len(found)} real minutes of EURUSD {year} (HistData), their quotes generated"


def generated_minutes(count: int, seed: int = 7) -> BarArrays:
    """Return seeded minute bars from 2017 on, weekends left out, prices in steps of a tenth pip."""
    random = np.random.default_rng(seed)
    minutes = pd.date_range("2017-01-02", periods=count * 7 // 5 + 10_000, freq="min", tz="UTC")
    minutes = minutes[minutes.dayofweek < 5][:count].as_unit("ns")
    close = np.round(1.1 * np.exp(np.cumsum(random.standard_t(4, count) * 6e-5)), 5)
    opened = np.concatenate([[1.1], close[:-1]])
    reach = np.round(np.abs(random.normal(0.0, 5e-5, (2, count))), 5)
    told = generated_quotes_of(count, seed)
    return BarArrays(
        minutes.asi8,
        opened,
        np.round(np.maximum(opened, close) + reach[0], 5),
        np.round(np.minimum(opened, close) - reach[1], 5),
        close,
        told[0].copy(),
        told,
    )


def generated_quotes_of(count: int, seed: int = 7) -> Floats:
    """Return what seeded quotes tell of `count` minutes, in the order of `MICROSTRUCTURE`."""
    random = np.random.default_rng(seed)
    quotes = np.floor(random.gamma(2.0, 50.0, count)) + 1.0
    rising, falling = np.floor(random.uniform(0.0, 0.5, (2, count)) * quotes)
    variance = random.gamma(2.0, 1e-9, count)
    spread = random.gamma(9.0, 1.0, count) + 1.0
    return np.array(
        [
            *(quotes, rising, falling, spread, spread * random.uniform(1.0, 3.0, count)),
            (rising - falling) / np.maximum(rising + falling, 1.0),
            *(variance, variance * random.uniform(0.2, 1.1, count)),
            -variance * random.uniform(-0.2, 0.7, count),
        ]
    )
