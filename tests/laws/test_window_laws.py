"""Windows end to end: live is batch is what is stored, after any restart, and knows no future."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from feature_repo.anchors import periods
from feature_repo.bars import BarArrays
from feature_repo.engine import FeatureStream, compute_batch
from feature_repo.panel import Panel
from feature_repo.window import make_windows, pack_each
from feature_repo.window_files import read_vectors, write_windows
from feature_repo.windows import WINDOWS, Window, find_window, served_windows
from online.domain.errors import InvalidInput, NotFound
from online.domain.market import Timeframe
from pipelines import feature_steps
from pipelines.home import Home
from pipelines.window_steps import open_windows, recent_vectors, store_windows
from tests.laws.feature_data import random_bars, real_bars, with_another_future

H1 = Timeframe.H1
WINDOW = find_window("default_32")
FEATURES = WINDOW.entries(H1)


def made_bars() -> BarArrays:
    """Return bars of three quarters, each longer than the warm-up."""
    return random_bars(3000, seed=31, start="2019-10-20")


def batch_windows(bars: BarArrays, length: int = WINDOW.length) -> dict[int, bytes]:
    values = compute_batch(bars, FEATURES)
    vectors = np.stack([values[f.name] for f in FEATURES], axis=1)
    return dict(pack_each(vectors, length))


def live_windows(bars: BarArrays, start: int, end: int) -> dict[int, bytes]:
    """Return the windows of a stream that is opened before bar `start`, as after a restart."""
    history = bars.part(0, start)
    stream = FeatureStream(history, FEATURES)
    seed = recent_vectors(Panel("EURUSD", H1, history), FEATURES, WINDOW.length - 1)
    windows = open_windows([WINDOW], H1, FEATURES, seed)
    found = {}
    for index in range(start, end):
        packed = windows.update(stream.update(bars.bar(index)))[WINDOW.field]
        if packed is not None:
            found[index] = packed
    return found


@pytest.mark.parametrize("source", ["made", "real"])
def test_live_windows_are_the_batchs_bit_for_bit_whenever_the_stream_is_opened(source: str) -> None:
    bars = made_bars() if source == "made" else real_bars()
    if bars is None:
        pytest.skip("gym-anytrading is not installed")
    batch = batch_windows(bars)
    *_, last = periods(bars.closed_at_ns)
    for start in (20, 40, 700, last.start - 3, last.start, last.start + 1, last.start + 40):
        end = min(len(bars), start + 45)
        expected = {i: packed for i, packed in batch.items() if start <= i < end}
        assert live_windows(bars, start, end) == expected
        assert expected or start < 100


def test_a_window_knows_nothing_of_what_comes_after_it() -> None:
    bars = made_bars()
    batch = batch_windows(bars)
    for after in (200, 1500, 2400):
        changed = batch_windows(with_another_future(bars, after))
        assert {i: p for i, p in changed.items() if i <= after} == {
            i: p for i, p in batch.items() if i <= after
        }
        assert changed[after + 1] != batch[after + 1]


def test_a_window_is_its_bars_vectors_oldest_first() -> None:
    bars = made_bars()
    values = compute_batch(bars, FEATURES)
    vectors = np.stack([values[f.name] for f in FEATURES], axis=1)
    ends, windows = make_windows(vectors, WINDOW.length)
    packed = batch_windows(bars)
    assert list(packed) == ends.tolist()
    assert all(packed[end] == w.tobytes() for end, w in zip(ends.tolist(), windows, strict=True))
    assert np.array_equal(windows[:, -1], vectors[ends])
    assert np.array_equal(
        windows[1:, :-1][np.diff(ends) == 1], windows[:-1, 1:][np.diff(ends) == 1]
    )


def stored_windows(home: Home, window: Window = WINDOW) -> pd.DataFrame:
    folder = home.lake / "features" / window.view_name(H1) / "symbol=EURUSD"
    tables = [pq.read_table(file).to_pandas() for file in sorted(folder.glob("*.parquet"))]
    stored: pd.DataFrame = pd.concat(tables, ignore_index=True)
    return stored


def test_the_stored_windows_are_those_of_the_stored_vectors(tmp_path: Path) -> None:
    home, bars = Home(tmp_path), made_bars()
    feature_steps.compute_offline(home, Panel("EURUSD", H1, bars))
    found = stored_windows(home)
    expected = batch_windows(bars)
    closes = pd.to_datetime(bars.closed_at_ns[list(expected)], utc=True)
    assert found["event_timestamp"].tolist() == closes.tolist()
    assert found[WINDOW.field].tolist() == list(expected.values())
    stored = read_vectors(home.lake / "features", "EURUSD", H1, FEATURES, bars.closed_at_ns)
    values = compute_batch(bars, FEATURES)
    vectors = np.stack([values[f.name] for f in FEATURES], axis=1)
    whole = np.isfinite(stored).all(axis=1)
    assert stored[whole].tobytes() == vectors[whole].tobytes()


def test_windows_are_made_again_only_where_their_vectors_changed(tmp_path: Path) -> None:
    home, bars = Home(tmp_path), made_bars()
    feature_steps.compute_offline(home, Panel("EURUSD", H1, bars))
    assert store_windows(home, Panel("EURUSD", H1, bars)) == 0
    quarters = list(periods(bars.closed_at_ns))
    first, last = quarters[0], quarters[-1]
    root = home.lake / "features"
    view = root / "h1_momentum" / "symbol=EURUSD" / f"{first.label}.parquet"
    table = pq.read_table(view)
    lost_ns = table["event_timestamp"][-10].value * 1000
    keep = [i for i in range(table.num_rows) if i != table.num_rows - 10]
    pq.write_table(table.take(keep), view)
    assert write_windows(root, "EURUSD", H1, WINDOW, bars.closed_at_ns, first)
    assert write_windows(root, "EURUSD", H1, WINDOW, bars.closed_at_ns, quarters[1])
    assert not write_windows(root, "EURUSD", H1, WINDOW, bars.closed_at_ns, last)
    kept = set(stored_windows(home)["event_timestamp"].astype("int64") * 1000)
    lost = int(np.flatnonzero(bars.closed_at_ns == lost_ns)[0])
    missing = {i for i in batch_windows(bars) if int(bars.closed_at_ns[i]) not in kept}
    assert missing == set(range(lost, lost + WINDOW.length))


def test_windows_of_quarters_without_bars_are_removed(tmp_path: Path) -> None:
    home, bars = Home(tmp_path), made_bars()
    feature_steps.compute_offline(home, Panel("EURUSD", H1, bars))
    folder = home.lake / "features" / WINDOW.view_name(H1) / "symbol=EURUSD"
    assert len(list(folder.glob("*.parquet"))) == 3
    cut = next(iter(periods(bars.closed_at_ns))).end
    feature_steps.compute_offline(home, Panel("EURUSD", H1, bars.part(0, cut)))
    assert [file.name for file in folder.iterdir()] == ["2019-Q4.parquet"]


def test_a_window_needs_every_feature_it_names() -> None:
    assert served_windows(FEATURES) == WINDOWS
    assert served_windows(FEATURES[1:]) == ()
    with pytest.raises(NotFound) as caught:
        find_window("default_33")
    assert caught.value.code == "UNKNOWN_WINDOW"
    for wrong in ((("a",), 0, 1), ((), 8, 1), (("a",), 8, 0), (("a",), 2000, 1)):
        with pytest.raises(InvalidInput):
            Window("wrong", *wrong)


def test_a_changed_feature_gives_the_window_another_view(monkeypatch: pytest.MonkeyPatch) -> None:
    assert WINDOW.view_name(H1) == "h1_window_default_32"
    changed = (dataclasses.replace(FEATURES[0], version=2), *FEATURES[1:])
    monkeypatch.setattr("feature_repo.windows.select", lambda *_: changed)
    assert WINDOW.view_name(H1) == "h1_window_default_32_v2"
