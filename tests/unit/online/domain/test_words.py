"""The domain's words: what they hold, what they refuse, how they are told apart."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from online.domain.barriers import (
    BarrierRule,
    Exit,
    barrier_prices,
    deadline_ns,
    exit_at_open,
    exit_within_bar,
    other_side,
)
from online.domain.bundle import bundle_digest
from online.domain.decision import Action, decide
from online.domain.errors import (
    InvalidInput,
    InvalidManifest,
    InvalidMarketData,
    JournalCorrupt,
    NotFound,
    SextantError,
)
from online.domain.manifest import Member, decode_manifest, encode_manifest
from online.domain.market import Bar, Side, Timeframe, to_tick
from online.domain.order import make_magic
from online.domain.reasons import Reason
from online.domain.record import GENESIS, HaltRecord, chain, decode_record, encode_record
from online.domain.signal import Calibration, MemberOutput, Signal, combine, is_distribution
from online.domain.vector import (
    VectorContract,
    ViewContract,
    drop_non_finite,
    judge_reading,
    vector_bits,
)
from tests.fakes import (
    BAR_NS,
    EURUSD,
    HOUR_NS,
    SECOND_NS,
    make_contract,
    make_manifest,
    make_position,
    make_reading,
)

pytestmark = pytest.mark.lean
NAN, INF = math.nan, math.inf
RULE = BarrierRule(1.0, 2.0, 6, Timeframe.H1)


# Vectors


@pytest.mark.parametrize(
    ("values", "stamps", "expected"),
    [
        ((1.0,) * 4, (BAR_NS, BAR_NS), []),
        ((1.0, None, 1.0, 1.0), (BAR_NS, BAR_NS), [Reason.MISSING_FEATURE]),
        ((1.0,) * 4, (BAR_NS, None), [Reason.TORN_VECTOR]),
        ((1.0,) * 4, (BAR_NS, BAR_NS - HOUR_NS), [Reason.TORN_VECTOR]),
        ((1.0, 1.0, None, None), (BAR_NS, None), [Reason.MISSING_FEATURE] * 2),
        ((1.0, 1.0, None, 1.0), (BAR_NS, None), [Reason.TORN_VECTOR, Reason.MISSING_FEATURE]),
        ((None,) * 4, (None, None), [Reason.MISSING_FEATURE] * 4),
    ],
)
def test_a_reading_is_judged_view_by_view(
    values: tuple[float | None, ...], stamps: tuple[int | None, ...], expected: list[Reason]
) -> None:
    found = judge_reading(make_reading(values, stamps), make_contract(), BAR_NS, BAR_NS)
    assert [veto.reason for veto in found] == expected


@pytest.mark.parametrize(
    ("age_seconds", "expected"),
    [(-1, {Reason.STALE_FEATURES}), (0, set()), (7_200, set()), (7_201, {Reason.STALE_FEATURES})],
)
def test_a_view_is_stale_beyond_its_age_and_from_the_future(
    age_seconds: int, expected: set[Reason]
) -> None:
    now_ns = BAR_NS + age_seconds * SECOND_NS
    found = judge_reading(make_reading(), make_contract(), BAR_NS, now_ns)
    assert {veto.reason for veto in found} == expected


def test_each_view_has_an_age_of_its_own_and_may_be_just_that_old() -> None:
    first, second = make_contract().views
    contract = VectorContract((first, msgspec.structs.replace(second, max_age_seconds=60)))
    oldest_ns = BAR_NS + first.max_age_seconds * 1_000_000_000
    (only,) = judge_reading(make_reading(), contract, BAR_NS, oldest_ns)
    assert (only.reason, only.detail.split()[0]) == (Reason.STALE_FEATURES, second.name)
    assert len(judge_reading(make_reading(), contract, BAR_NS, oldest_ns + 1)) == 2


def test_what_is_not_finite_is_told_once_by_name_and_dropped() -> None:
    reading, contract = make_reading((1.0, INF, NAN, None)), make_contract()
    vetoes = judge_reading(reading, contract, BAR_NS, BAR_NS)
    assert [(veto.reason, veto.detail) for veto in vetoes] == [
        (Reason.NON_FINITE_FEATURE, "return_1 is inf"),
        (Reason.NON_FINITE_FEATURE, "atr_14 is nan"),
        (Reason.MISSING_FEATURE, f"{contract.names[3]} has no value"),
    ]
    kept = drop_non_finite(reading)
    assert kept == make_reading((1.0, None, None, None))
    assert drop_non_finite(kept) is kept
    whole = make_reading()
    assert drop_non_finite(whole) is whole


def test_the_bits_of_a_vector_show_one_unit_in_the_last_place() -> None:
    assert vector_bits((0.1, None)) != vector_bits((0.10000000894069672, None))
    assert vector_bits((1.0, None, -0.0)) == "0000803f--------00000080"


@pytest.mark.parametrize(
    "make",
    [
        lambda: ViewContract("v", 1, (), 60),
        lambda: ViewContract("v", 1, ("a", "a"), 60),
        lambda: ViewContract("v", 1, ("a",), 0),
        lambda: VectorContract(()),
        lambda: VectorContract(
            (ViewContract("v", 1, ("a",), 60), ViewContract("w", 1, ("a",), 60))
        ),
        lambda: make_contract().index("nothing"),
    ],
)
def test_a_contract_that_contradicts_itself_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(InvalidManifest):
        make()


# Manifests and bundles


def member(**changes: Any) -> Member:  # noqa: ANN401 - any field of a member
    """Return a member with some fields changed."""
    sound = Member("only", "xgboost", "only.onnx", "0" * 64, 1.0, Calibration())
    return msgspec.structs.replace(sound, **changes)


@pytest.mark.parametrize(
    "make",
    [
        lambda: member(weight=0.0),
        lambda: member(weight=NAN),
        lambda: member(file="../only.onnx"),
        lambda: member(file=".hidden"),
        lambda: Calibration(weights=(1.0, NAN, 1.0)),
        lambda: make_manifest(schema=2),
        lambda: msgspec.structs.replace(make_manifest(), members=()),
        lambda: make_manifest((member(), member())),
        lambda: make_manifest(min_edge=1.5),
        lambda: make_manifest(min_edge=NAN),
        lambda: make_manifest(timeframe=Timeframe.M1),
        lambda: make_manifest(
            barriers=msgspec.structs.replace(RULE, unit_feature="not_in_the_vector")
        ),
        lambda: BarrierRule(2.0, 1.0, 6, Timeframe.H1),
        lambda: BarrierRule(0.0, 1.0, 6, Timeframe.H1),
        lambda: BarrierRule(NAN, 1.0, 6, Timeframe.H1),
        lambda: BarrierRule(1.0, 1.0, 0, Timeframe.H1),
        lambda: decode_manifest(b"{"),
        lambda: decode_manifest(b"{}"),
        lambda: bundle_digest({}),
        lambda: bundle_digest({"a:b": "0"}),
    ],
)
def test_a_manifest_or_bundle_that_contradicts_itself_is_refused(
    make: Callable[[], object],
) -> None:
    with pytest.raises(InvalidManifest):
        make()


def test_a_manifest_survives_its_own_json() -> None:
    manifest = make_manifest()
    assert decode_manifest(encode_manifest(manifest)) == manifest
    assert manifest.name == "EURUSD.H1.barrier"


def test_a_bundles_digest_sees_every_name_and_hash() -> None:
    base = bundle_digest({"a": "00", "b": "11"})
    for other in ({"a": "00"}, {"a": "11", "b": "00"}, {"a": "00", "c": "11"}):
        assert bundle_digest(other) != base


# Market


@pytest.mark.parametrize(
    "prices",
    [
        (1.0, 0.9, 0.8, 1.0),
        (1.0, 1.1, 1.05, 1.0),
        (NAN, 1.1, 0.9, 1.0),
        (1.0, INF, 0.9, 1.0),
        (0.0, 1.1, 0.0, 1.0),
        (-1.0, 1.1, -1.0, 1.0),
    ],
)
def test_a_bar_that_cannot_be_is_refused(prices: tuple[float, float, float, float]) -> None:
    with pytest.raises(InvalidMarketData):
        Bar(BAR_NS, *prices)


@pytest.mark.parametrize("volume", [-1.0, NAN, INF])
def test_a_bars_volume_is_finite_and_not_negative(volume: float) -> None:
    with pytest.raises(InvalidMarketData, match="volume"):
        Bar(BAR_NS, 1.0, 1.0, 1.0, 1.0, volume)


def test_an_unknown_timeframe_is_told_what_exists() -> None:
    with pytest.raises(NotFound, match="M1, M5") as caught:
        Timeframe.parse("H7")
    assert caught.value.code == "UNKNOWN_TIMEFRAME"
    assert Timeframe.parse("H4").duration_ns == 4 * HOUR_NS


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_a_floored_volume_is_tradable_and_never_above_what_was_wanted(wanted: float) -> None:
    floored = EURUSD.floor_volume(wanted)
    assert floored == 0.0 or EURUSD.volume_min <= floored <= min(wanted, EURUSD.volume_max)
    assert abs(floored * 100 - round(floored * 100)) < 1e-6


@given(st.floats(0.1, 3.0))
def test_a_price_on_the_grid_is_less_than_a_step_away(price: float) -> None:
    assert abs(to_tick(price, EURUSD.scale) - price) <= EURUSD.point * 0.500001


# Exits


@given(st.sampled_from(Side), st.floats(0.9, 1.3), st.floats(0.0001, 0.01))
def test_within_a_bar_the_stop_comes_before_the_target(
    side: Side, entry: float, unit: float
) -> None:
    stop, target = barrier_prices(side, entry, unit, RULE, EURUSD.scale)
    both = exit_within_bar(side, stop, target, entry, max(stop, target), min(stop, target))
    assert both == (Exit.STOP, stop)
    favourable = exit_within_bar(side, stop, target, entry, max(entry, target), min(entry, target))
    assert favourable == (Exit.TARGET, target)
    assert exit_within_bar(side, stop, target, entry, entry, entry) is None


@pytest.mark.parametrize(
    ("opened", "expected"),
    [(1.05, (Exit.STOP, 1.05)), (1.2, (Exit.TARGET, 1.12)), (1.1, None)],
)
def test_a_gap_fills_a_stop_at_the_open_and_a_target_at_its_price(
    opened: float, expected: tuple[Exit, float] | None
) -> None:
    assert exit_at_open(Side.BUY, 1.09, 1.12, opened) == expected


def test_a_position_lives_for_the_labels_bars() -> None:
    assert deadline_ns(BAR_NS, RULE) == BAR_NS + 6 * HOUR_NS


def test_the_other_side_of_a_price_is_a_spread_away() -> None:
    assert other_side(1.1, 10.0, -1, EURUSD.scale) == 1.0999
    assert other_side(1.1, 10.0, +1, EURUSD.scale) == 1.1001


# Signals and decisions


@given(
    st.tuples(*[st.floats(0.001, 1.0)] * 3),
    st.tuples(*[st.floats(-3.0, 3.0)] * 3),
    st.tuples(*[st.floats(-3.0, 3.0)] * 3),
)
def test_a_calibrated_output_is_a_distribution(
    raw: tuple[float, float, float],
    weights: tuple[float, float, float],
    biases: tuple[float, float, float],
) -> None:
    assert is_distribution(Calibration(weights, biases).apply(raw))
    assert is_distribution(Calibration(weights, biases).apply((0.0, 0.0, 1.0)))


def test_members_are_combined_by_weight() -> None:
    outputs = (MemberOutput("a", (0.2, 0.2, 0.6)), MemberOutput("b", (0.6, 0.2, 0.2)))
    signal = combine(outputs, (Calibration(), Calibration()), (3.0, 1.0))
    assert signal.probabilities == pytest.approx((0.3, 0.2, 0.5))
    assert signal.confidence == pytest.approx(0.2)


def test_a_decision_follows_the_edge_and_an_open_position_holds() -> None:
    def signal(short: float, long: float) -> Signal:
        return Signal((), (short, 1.0 - short - long, long))

    assert decide(signal(0.1, 0.6), 0.2, None).action is Action.BUY
    assert decide(signal(0.6, 0.1), 0.2, None).action is Action.SELL
    assert decide(signal(0.4, 0.4), 0.0, None).action is Action.HOLD
    assert decide(None, 0.0, None).action is Action.HOLD
    held = decide(signal(0.1, 0.6), 0.2, make_position())
    assert [veto.reason for veto in held.reasons] == [Reason.POSITION_OPEN]
    assert Action.CLOSE.side is None


# Orders, records, errors


@given(st.integers(0, 65_535), st.integers(1, 2**47 - 1))
def test_a_magic_number_holds_strategy_and_sequence(strategy: int, sequence: int) -> None:
    magic = make_magic(strategy, sequence)
    assert divmod(magic, 2**47) == (strategy, sequence)
    assert 0 < magic < 2**63


@pytest.mark.parametrize(("strategy", "sequence"), [(-1, 1), (65_536, 1), (1, 0), (1, 2**47)])
def test_a_magic_number_out_of_range_is_refused(strategy: int, sequence: int) -> None:
    with pytest.raises(InvalidInput):
        make_magic(strategy, sequence)


def test_the_chain_sees_every_byte_and_every_predecessor() -> None:
    body = encode_record(HaltRecord(1, "news", "test"))
    assert decode_record(body) == HaltRecord(1, "news", "test")
    assert chain(GENESIS, body) != chain(GENESIS, body.replace(b"news", b"mews"))
    assert chain(GENESIS, body) != chain(chain(GENESIS, body), body)
    with pytest.raises(JournalCorrupt):
        decode_record(b'{"type":"nothing"}')


def test_every_error_has_a_code_a_remedy_and_an_exit_status() -> None:
    kinds, seen = [SextantError], set()
    while kinds:
        kind = kinds.pop()
        if kind.__module__ == "online.domain.errors":
            assert kind.code.isupper()
            assert kind.remedy.endswith(".")
            assert kind.exit_status in {1, 2}
            seen.add(kind.code)
        kinds += kind.__subclasses__()
    assert len(seen) > 8


def test_a_member_that_was_stored_and_read_again_has_the_same_bytes() -> None:
    made = Member("only", "xgboost", "only.onnx", "0" * 64, 1.0, Calibration())
    raw = msgspec.json.encode(made)
    assert msgspec.json.encode(msgspec.json.decode(raw, type=Member)) == raw
    told = b"vector".decode()  # equal to the default, and another object
    assert msgspec.json.encode(msgspec.structs.replace(made, reads=told)) == raw
