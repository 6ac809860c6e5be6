"""Laws of longer timeframes and of windows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from feature_repo.bars import BarArrays
from feature_repo.catalogue import select
from feature_repo.engine import Vector, compute_batch
from feature_repo.higher import HigherStream, compute_higher, resample
from feature_repo.indicators.longer import seen_on
from feature_repo.window import WindowStream, make_windows, pack, unpack
from online.domain.errors import InvalidInput
from online.domain.market import Timeframe
from tests.laws.feature_data import HOUR_NS, random_bars
from tests.laws.feature_laws import causality_breaks, differing

_OWN = select(["log_return_1", "ema_12_ratio", "atr_14", "volume_ratio_20", "london_session"])
_ENTRIES = tuple(seen_on(Timeframe.H4, entry) for entry in _OWN)


@pytest.fixture(scope="module")
def bars() -> BarArrays:
    """Hourly bars over two quarters' edges, with volumes that no float holds exactly."""
    made = random_bars(2600, seed=17)
    return BarArrays(
        made.closed_at_ns, made.open, made.high, made.low, made.close, made.volume * 0.1
    )


def compute(bars: BarArrays) -> dict[str, Vector]:
    return compute_higher(bars, Timeframe.H4, _ENTRIES)


def test_a_longer_bar_is_never_seen_before_its_close(bars: BarArrays) -> None:
    moments = np.random.default_rng(1).integers(50, len(bars) - 1, 25).tolist()
    assert not causality_breaks(compute, bars, moments)


def test_an_unclosed_longer_bar_is_caught(bars: BarArrays) -> None:
    def leaking(bars: BarArrays) -> dict[str, Vector]:
        end = -(-bars.closed_at_ns // (4 * HOUR_NS))
        final = pd.Series(bars.close).groupby(end).transform("last")
        return {"leak": final.to_numpy().astype(np.float32)}

    at = int(np.flatnonzero(bars.closed_at_ns // HOUR_NS % 4 == 2)[50])
    assert causality_breaks(leaking, bars, [at]) == {"leak"}


@pytest.mark.parametrize("start", [0, 1, 3, 4, 5, 700, 1201, 2063, 2064, 2065])
def test_live_equals_batch_wherever_it_starts(bars: BarArrays, start: int) -> None:
    batch = compute(bars)
    stream = HigherStream(bars.part(0, start), Timeframe.H4, _ENTRIES)
    live = np.array([stream.update(bars.bar(i)) for i in range(start, len(bars))])
    for place, name in enumerate(stream.names):
        assert not differing(np.ascontiguousarray(live[:, place]), batch[name][start:]), name


def test_at_equal_stamps_the_longer_bar_is_seen_at_the_next_bar(bars: BarArrays) -> None:
    longer = resample(bars, Timeframe.H4)
    values = compute_batch(longer, _OWN)["ema_12_ratio"]
    seen = compute(bars)["h4_ema_12_ratio"]
    for number in (40, 200, 400):
        at = int(np.searchsorted(bars.closed_at_ns, longer.closed_at_ns[number]))
        assert bars.closed_at_ns[at] == longer.closed_at_ns[number]
        assert seen[at] == values[number - 1]
        assert seen[at + 1] == values[number]


def test_longer_bars_equal_those_of_pandas(bars: BarArrays) -> None:
    frame = pd.DataFrame(
        {n: getattr(bars, n) for n in ("open", "high", "low", "close", "volume")},
        index=pd.to_datetime(bars.closed_at_ns, utc=True),
    )
    expected = frame.resample("4h", closed="right", label="right").agg(
        {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    )
    expected = expected.dropna(subset=["close"])
    longer = resample(bars, Timeframe.H4)
    expected = expected.iloc[: len(longer)]
    np.testing.assert_array_equal(
        pd.DatetimeIndex(expected.index).as_unit("ns").asi8, longer.closed_at_ns
    )
    for name in ("open", "high", "low", "close"):
        np.testing.assert_array_equal(expected[name], getattr(longer, name))
    np.testing.assert_allclose(expected["volume"], longer.volume)


def test_bars_cannot_be_made_of_longer_ones(bars: BarArrays) -> None:
    with pytest.raises(InvalidInput, match="not longer"):
        resample(bars, Timeframe.M15)


@pytest.mark.parametrize("length", [1, 7, 32])
def test_a_live_window_has_the_bytes_of_the_batch_window(bars: BarArrays, length: int) -> None:
    entries = select(["rsi_14", "atr_14"])
    values = compute_batch(bars.part(0, 300), entries)
    vectors = np.stack([values[f.name] for f in entries], axis=1)
    ends, windows = make_windows(vectors, length)
    assert ends[0] == 14 + length - 1
    packed = {int(end): pack(window) for end, window in zip(ends, windows, strict=True)}
    for start in (0, 10, 20, 150):
        stream = WindowStream(length, vectors[:start])
        for index in range(start, 300):
            assert stream.update(vectors[index]) == packed.get(index)
    last = unpack(packed[299], ["rsi_14", "atr_14"])
    np.testing.assert_array_equal(last, vectors[300 - length :])


def test_a_window_of_another_size_is_refused() -> None:
    with pytest.raises(InvalidInput) as refusal:
        unpack(b"\0" * 12, ["a", "b"])
    assert refusal.value.code == "WINDOW_SIZE"
