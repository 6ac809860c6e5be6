"""Parity of a run with itself, and of runs that differ in one bit."""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from feature_repo.window import make_windows
from online.domain.market import Bar
from online.domain.reasons import Reason
from online.domain.record import DecisionRecord
from online.domain.window import WindowContract
from pipelines.parity import KINDS, compare
from pipelines.simulation import Backtest, simulate
from tests import worlds

BARS = worlds.random_bars(300, seed=5)


WINDOW = WindowContract("h1_window_tone_8", 1, "packed", 8, ("tone", "rsi_14"), 7_200)


def _run(
    columns: dict[str, npt.NDArray[np.float32]],
    bars: tuple[Bar, ...] = BARS,
    window: WindowContract | None = None,
) -> Backtest:
    manifest = worlds.manifest_of()
    vector = msgspec.structs.replace(manifest.vector, window=window)
    return simulate(
        worlds.market_of(bars),
        np.array([bar.closed_at_ns for bar in BARS]),
        columns,
        worlds.ToneModel(msgspec.structs.replace(manifest, vector=vector)),
        worlds.LIMITS,
        worlds.TERMS,
        {"EURUSD": worlds.EURUSD},
    )


@pytest.fixture(scope="module")
def run() -> Backtest:
    return _run(worlds.columns_of(BARS, seed=6))


def test_the_same_run_twice_has_no_difference_in_any_kind(run: Backtest) -> None:
    parity = compare(run.records, _run(worlds.columns_of(BARS, seed=6)).records)
    assert parity.total_different == 0
    assert parity.first == []
    assert all(parity.compared[kind] > 0 for kind in KINDS if kind != "account")
    assert parity.compared["vector"] == len(BARS) - 1


def test_the_columns_serve_the_windows_that_the_batch_makes() -> None:
    columns = worlds.columns_of(BARS, seed=6)
    columns["tone"][100] = np.nan
    decisions = [r for r in _run(columns, window=WINDOW).records if isinstance(r, DecisionRecord)]
    ends, windows = make_windows(np.stack([columns["tone"], columns["rsi_14"]], axis=1), 8)
    expected = {BARS[end].closed_at_ns: w.tobytes() for end, w in zip(ends, windows, strict=True)}
    assert len(expected) == len(BARS) - 7 - 8
    for record in decisions:
        bar_ns = record.request.bar_closed_at_ns
        assert record.window == expected.get(bar_ns)
        assert record.window_stamp_ns == (bar_ns if bar_ns in expected else None)
        missing = Reason.MISSING_WINDOW in {veto.reason for veto in record.vetoes}
        assert missing == (bar_ns not in expected)


def test_a_value_that_a_silent_peer_leaves_out_is_vetoed_as_missing_and_by_no_other_name() -> None:
    columns = worlds.columns_of(BARS, seed=6)
    columns["tone"][100] = np.nan
    (record,) = (
        record
        for record in _run(columns).records
        if isinstance(record, DecisionRecord)
        and record.request.bar_closed_at_ns == BARS[100].closed_at_ns
    )
    about_features = {
        Reason.MISSING_FEATURE,
        Reason.TORN_VECTOR,
        Reason.STALE_FEATURES,
        Reason.NON_FINITE_FEATURE,
    }
    told = {veto.reason for veto in record.vetoes} & about_features
    assert told == {Reason.MISSING_FEATURE}


def test_one_bit_of_a_window_that_no_vector_shows_is_seen() -> None:
    columns = worlds.columns_of(BARS, seed=6)
    run = _run(columns, window=WINDOW)
    assert compare(run.records, _run(columns, window=WINDOW).records).total_different == 0
    bent = list(run.records)
    place, record = next(
        (i, r) for i, r in enumerate(bent) if isinstance(r, DecisionRecord) and r.window
    )
    changed = bytes([record.window[0] ^ 1]) + record.window[1:] if record.window else b""
    bent[place] = msgspec.structs.replace(record, window=changed)
    parity = compare(run.records, bent)
    assert (parity.different["vector"], parity.different["decision"]) == (1, 1)


@pytest.mark.parametrize("name", ["atr_14", "rsi_14", "tone"])
def test_one_feature_moved_by_one_unit_in_the_last_place_is_seen(run: Backtest, name: str) -> None:
    columns = worlds.columns_of(BARS, seed=6)
    columns[name][100] = np.nextafter(columns[name][100], np.float32(np.inf))
    parity = compare(run.records, _run(columns).records)
    assert parity.different["vector"] == 1
    assert parity.total_different >= 2  # the decision's record carries the vector
    assert parity.first[0].kind == "vector"


def test_one_price_moved_by_one_point_is_seen_in_fills(run: Backtest) -> None:
    ordered = next(r for r in run.records if getattr(r, "intent", None) is not None)
    place = next(
        i
        for i, b in enumerate(BARS)
        if b.closed_at_ns == ordered.request.bar_closed_at_ns  # type: ignore[union-attr]
    )
    bar = BARS[place + 1]
    moved = Bar(
        bar.closed_at_ns,
        bar.open + 1e-5,
        max(bar.high, bar.open + 1e-5),
        bar.low,
        bar.close,
        bar.volume,
    )
    bars = (*BARS[: place + 1], moved, *BARS[place + 2 :])
    parity = compare(run.records, _run(worlds.columns_of(BARS, seed=6), bars).records)
    assert parity.different["fill"] > 0
    assert parity.different["vector"] == 0


def test_a_missing_decision_counts_as_different(run: Backtest) -> None:
    parity = compare(run.records[:-1], run.records)
    assert parity.total_different > 0
