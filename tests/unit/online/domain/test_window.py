"""A window that is missing, torn, stale, of the wrong size or not finite is never scored."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from online.domain.errors import InvalidManifest
from online.domain.reasons import Reason, Veto
from online.domain.vector import VectorReading, drop_non_finite, judge_reading
from tests.fakes import (
    BAR_NS,
    HOUR_NS,
    SECOND_NS,
    WINDOW,
    make_windowed_contract,
    make_windowed_reading,
)

pytestmark = pytest.mark.lean
CONTRACT = make_windowed_contract()
SOUND = make_windowed_reading()


def judge(reading: VectorReading, now_ns: int = BAR_NS) -> tuple[Veto, ...]:
    return judge_reading(reading, CONTRACT, BAR_NS, now_ns)


def floats() -> list[float]:
    assert SOUND.window is not None
    return list(WINDOW.unpack(SOUND.window))


def pack(values: list[float]) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


def with_value(place: int, value: float) -> bytes:
    values = floats()
    values[place] = value
    return pack(values)


def test_a_whole_fresh_window_of_the_bar_is_let_through() -> None:
    assert judge(SOUND) == ()


@pytest.mark.parametrize(
    ("change", "reason", "said"),
    [
        (lambda: {"window": None, "window_stamp_ns": None}, "MISSING_WINDOW", "never written"),
        (lambda: {"window": None}, "MISSING_WINDOW", "has no window"),
        (lambda: {"window_stamp_ns": None}, "TORN_WINDOW", "holds nothing"),
        (lambda: {"window_stamp_ns": BAR_NS - HOUR_NS}, "TORN_WINDOW", "was asked for"),
        (lambda: {"window": pack(floats()[:-1])}, "WINDOW_SIZE", "has 20 bytes"),
        (lambda: {"window": pack([*floats(), 1.0])}, "WINDOW_SIZE", "have 24"),
        (lambda: {"window": b""}, "WINDOW_SIZE", "has 0 bytes"),
        (lambda: {"window": with_value(1, math.nan)}, "NON_FINITE_WINDOW", "1 of 6 values"),
        (lambda: {"window": with_value(0, -math.inf)}, "NON_FINITE_WINDOW", "1 of 6 values"),
        (lambda: {"window": with_value(4, 55.5)}, "TORN_WINDOW", "ends with rsi_14 = 55.5"),
        (lambda: {"window": with_value(5, -0.5)}, "TORN_WINDOW", "ends with hour_sin"),
    ],
)
def test_a_window_that_may_not_be_scored_is_vetoed_by_its_own_code(
    change: Callable[[], dict[str, object]], reason: str, said: str
) -> None:
    (veto,) = judge(msgspec.structs.replace(SOUND, **change()))
    assert veto.reason is Reason(reason)
    assert said in veto.detail


def test_infinities_that_cancel_are_not_finite() -> None:
    values = floats()
    values[0], values[1] = math.inf, -math.inf
    (veto,) = judge(msgspec.structs.replace(SOUND, window=pack(values)))
    assert veto.reason is Reason.NON_FINITE_WINDOW


def test_the_greatest_float32_values_are_finite_together() -> None:
    largest = struct.unpack("<f", bytes.fromhex("ffff7f7f"))[0]
    values = [largest] * 4 + floats()[4:]
    assert judge(msgspec.structs.replace(SOUND, window=pack(values))) == ()


def test_a_window_older_than_its_maximum_age_is_stale() -> None:
    contract = msgspec.structs.replace(
        CONTRACT, window=msgspec.structs.replace(WINDOW, max_age_seconds=60)
    )
    assert judge_reading(SOUND, contract, BAR_NS, BAR_NS + 60 * SECOND_NS) == ()
    (veto,) = judge_reading(SOUND, contract, BAR_NS, BAR_NS + 61 * SECOND_NS)
    assert veto.reason is Reason.STALE_WINDOW
    assert {v.reason for v in judge(SOUND, BAR_NS - 1)} == {
        Reason.STALE_FEATURES,
        Reason.STALE_WINDOW,
    }


def test_a_value_that_the_vector_lacks_is_not_held_against_the_window() -> None:
    reading = msgspec.structs.replace(SOUND, values=(None, *SOUND.values[1:]))
    assert {veto.reason for veto in judge(reading)} == {Reason.MISSING_FEATURE}


def test_dropping_what_is_not_finite_keeps_the_window() -> None:
    reading = msgspec.structs.replace(SOUND, values=(math.inf, *SOUND.values[1:]))
    assert {veto.reason for veto in judge(reading)} == {Reason.NON_FINITE_FEATURE}
    kept = drop_non_finite(reading)
    assert (kept.window, kept.window_stamp_ns) == (SOUND.window, SOUND.window_stamp_ns)


@given(st.integers(0, 23), st.integers(1, 255))
def test_any_changed_byte_of_the_last_vector_is_noticed(place: int, change: int) -> None:
    assert SOUND.window is not None
    bent = bytearray(SOUND.window)
    bent[place] ^= change
    vetoes = judge(msgspec.structs.replace(SOUND, window=bytes(bent)))
    finite = all(map(math.isfinite, WINDOW.unpack(bytes(bent))))
    assert bool(vetoes) == (place >= 16 or not finite)


@pytest.mark.parametrize(
    "change",
    [{"features": ()}, {"features": ("a", "a")}, {"length": 0}, {"max_age_seconds": 0}],
)
def test_a_window_contract_that_cannot_be_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(InvalidManifest, match="window"):
        msgspec.structs.replace(WINDOW, **change)


def test_all_names_are_the_vectors_then_those_of_the_window_alone() -> None:
    wider = msgspec.structs.replace(WINDOW, features=("rsi_14", "slope"))
    contract = msgspec.structs.replace(CONTRACT, window=wider)
    assert contract.all_names == ("rsi_14", "return_1", "atr_14", "hour_sin", "slope")


@given(st.lists(st.integers(0, 2**32 - 1), min_size=6, max_size=6))
def test_whether_all_values_are_finite_is_told_for_any_bits(bits: list[int]) -> None:
    packed = struct.pack("<6I", *bits)
    assert WINDOW.is_finite(packed) == all(map(math.isfinite, WINDOW.unpack(packed)))


@pytest.mark.parametrize("place", range(6))
@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_one_bad_value_anywhere_is_noticed(place: int, value: float) -> None:
    assert not WINDOW.is_finite(with_value(place, value))
