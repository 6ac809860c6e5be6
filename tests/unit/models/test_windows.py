"""Windows of a dataset: what is taken in is given out, byte for byte, and takes little room."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.dataset import Dataset
from models.leaks import measure_told, replace_after
from models.windows import Windows, join_windows
from online.domain.errors import InvalidInput, InvalidMarketData
from tests.unit.models.markets import (
    LENGTH,
    NAMES,
    make_bars,
    make_dataset,
    make_frame,
    pack_windows,
)

PAIR = ("a", "b")


def packed(vectors: np.ndarray, ends: list[int], length: int) -> list[bytes | None]:
    return [vectors[end - length + 1 : end + 1].tobytes() for end in ends]


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=30),
    st.integers(1, 5),
    st.lists(st.integers(1, 7), min_size=1, max_size=5),
)
@settings(max_examples=60, deadline=None)
def test_windows_come_out_as_they_went_in_whatever_is_missing_and_however_they_are_cut(
    kinds: list[int], length: int, cuts: list[int]
) -> None:
    vectors = np.random.default_rng(1).normal(size=(70, 2)).astype(np.float32)
    vectors[3] = vectors[4] = np.nan
    ends = [length + (2 * place if kind == 1 else place) for place, kind in enumerate(kinds)]
    cells = [
        cell if kind else None
        for kind, cell in zip(kinds, packed(vectors, ends, length), strict=True)
    ]
    places = np.cumsum([0, *cuts])
    chunks = [cells[a:b] for a, b in zip(places, [*places[1:], len(cells)], strict=True)]
    known = [place for place, cell in enumerate(cells) if cell is not None]
    if not known:
        with pytest.raises(InvalidInput) as caught:
            join_windows(chunks, PAIR, length)
        assert caught.value.code == "NO_WINDOWS"
        return
    rows, windows = join_windows(chunks, PAIR, length)
    assert rows.tolist() == known
    given_out = windows[np.arange(len(windows))]
    assert [one.tobytes() for one in given_out] == [cells[place] for place in known]


def test_windows_that_follow_each_other_share_their_vectors() -> None:
    vectors = np.random.default_rng(2).normal(size=(1000, 2)).astype(np.float32)
    cells = packed(vectors, list(range(31, 1000)), 32)
    _, windows = join_windows([cells[:100], cells[100:]], PAIR, 32)
    assert windows.vectors.tobytes() == vectors.tobytes()
    assert windows.last().tobytes() == vectors[31:].tobytes()
    assert len(windows.take(np.array([5, 9]))) == 2
    assert windows.take(np.array([5, 9]))[np.array([1])].tobytes() == cells[9]


@pytest.mark.parametrize("cell", [b"", bytes(60), bytes(68)])
def test_a_window_of_another_size_is_refused(cell: bytes) -> None:
    with pytest.raises(InvalidMarketData) as caught:
        join_windows([[bytes(64), cell]], PAIR, 8)
    assert caught.value.code == "WINDOW_SIZE"


def test_rows_without_a_window_are_left_out_and_counted() -> None:
    dataset = make_dataset(windowed=True)
    whole = make_dataset()
    assert dataset.left_out["missing_window"] == LENGTH - 1
    assert len(whole) - len(dataset) == LENGTH - 1
    assert whole.digest != dataset.digest
    assert dataset.windows is not None
    assert dataset.windows.last().tobytes() == dataset.features.tobytes()


def test_every_row_has_its_own_bars_window_also_after_rows_are_taken() -> None:
    bars, hint = make_bars(2000, 3)
    cells = pack_windows(make_frame(bars, hint, 3))
    dataset = make_dataset(windowed=True).take(np.arange(40, 1000, 7))
    assert dataset.windows is not None
    for row, closed_at_ns in enumerate(dataset.bars.closed_at_ns.tolist()):
        place = int(np.searchsorted(bars.closed_at_ns, closed_at_ns))
        assert dataset.windows[np.array([row])].tobytes() == cells[place]


def test_a_dataset_without_windows_says_so() -> None:
    with pytest.raises(InvalidInput) as caught:
        make_dataset().inputs("window")
    assert caught.value.code == "NO_WINDOWS"


def with_windows(dataset: Dataset, windows: Windows) -> Dataset:
    return dataclasses.replace(dataset, windows=windows)


def test_what_only_the_window_tells_of_the_outcome_is_found() -> None:
    dataset = make_dataset(windowed=True)
    windows = dataset.windows
    assert windows is not None
    vectors = windows.vectors.copy()
    vectors[windows.ends, 1] = dataset.labels.classes
    told = with_windows(
        dataset, Windows(("x", "secret", *NAMES[2:]), windows.length, vectors, windows.ends)
    )
    worst = max(measure_told(told, 7), key=lambda one: one.beyond)
    assert worst.feature == "secret"
    assert worst.beyond > 0.9


def test_replacing_what_comes_later_leaves_earlier_windows_and_no_later_one() -> None:
    dataset = make_dataset(windowed=True)
    replaced = replace_after(dataset, 500, 7)
    assert dataset.windows is not None
    assert replaced.windows is not None
    rows = np.arange(501)
    assert replaced.windows[rows].tobytes() == dataset.windows[rows].tobytes()
    later = np.arange(501, len(dataset))
    assert not np.isclose(replaced.windows[later][:, -1], dataset.windows[later][:, -1]).any()
