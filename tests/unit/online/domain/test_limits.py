"""Limits: stated whole, each within its bounds, and the same after any journey."""

from __future__ import annotations

import math
import tomllib

import msgspec
import pytest

from online.domain.errors import InvalidSettings
from online.domain.limits import Limits
from online.domain.record import LimitsRecord, decode_record, encode_record
from online.instruments import CONFIG_FOLDER
from online.settings import load_settings
from tests.fakes import make_limits

pytestmark = pytest.mark.lean
NAN, INF = math.nan, math.inf
REQUIRED = [name for name in Limits.__struct_fields__ if name != "symbols"]
WEEKEND = {"no_entry_before_weekend_hours", "flatten_before_weekend_hours"}
NUMBERS = [
    name
    for name, kind in Limits.__annotations__.items()
    if kind in {"int", "float"} and name not in WEEKEND
]


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [0, -1, NAN, INF, 1e18])
def test_a_limit_that_limits_nothing_is_refused(name: str, value: float) -> None:
    with pytest.raises(InvalidSettings, match=name):
        make_limits(**{name: value})


@pytest.mark.parametrize("name", sorted(WEEKEND))
@pytest.mark.parametrize("value", [-1.0, 168.0, NAN, INF])
def test_a_weekend_policy_beyond_the_week_is_refused(name: str, value: float) -> None:
    with pytest.raises(InvalidSettings, match=name):
        make_limits(**{name: value})


@pytest.mark.parametrize("name", ["allowed_symbols", "allowed_models"])
@pytest.mark.parametrize("value", [(), ("EURUSD", "")])
def test_limits_without_a_symbol_or_a_model_are_refused(name: str, value: tuple[str, ...]) -> None:
    with pytest.raises(InvalidSettings, match=name):
        make_limits(**{name: value})


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_limit_is_refused(name: str) -> None:
    told = msgspec.to_builtins(make_limits())
    del told[name]
    with pytest.raises(msgspec.ValidationError, match=name):
        msgspec.convert(told, Limits)


@pytest.mark.parametrize("name", Limits.__struct_fields__)
def test_a_misspelt_limit_is_refused(name: str) -> None:
    told = {**msgspec.to_builtins(make_limits()), f"{name}s": 1.0}
    with pytest.raises(msgspec.ValidationError, match=f"{name}s"):
        msgspec.convert(told, Limits)


def test_every_limit_is_checked_by_some_bound() -> None:
    checked = {*NUMBERS, *WEEKEND, "allowed_symbols", "allowed_models", "news_impact"}
    assert checked == set(REQUIRED)


def test_limits_come_back_from_the_journal_with_what_they_replaced() -> None:
    before, after = make_limits(), make_limits(max_volume_lots=0.5)
    record = LimitsRecord(1, after, "file", before)
    again = decode_record(encode_record(record))
    assert again == record
    assert record.changes == {"max_volume_lots": (1.0, 0.5)}
    assert LimitsRecord(1, after).changes == {}


@pytest.mark.parametrize("mode", ["replay", "paper", "live"])
def test_the_limits_of_every_mode_load_and_leave_none_out(mode: str) -> None:
    table = tomllib.loads((CONFIG_FOLDER / f"{mode}.toml").read_text())["limits"]
    assert set(table) == set(Limits.__struct_fields__)
    del table["symbols"]
    loaded = load_settings(mode, environment={}).limits
    told = msgspec.to_builtins(loaded)
    assert {name: told[name] for name in REQUIRED} == {
        name: tuple(value) if isinstance(value, list) else value for name, value in table.items()
    }


@pytest.mark.parametrize(
    ("listed", "allowed"),
    [
        (("*",), True),
        (("EURUSD.H1.barrier",), True),
        (("EURUSD.H1.barrier@aaaa",), True),
        (("*@aaaa",), True),
        (("EURUSD.H1.barrier@bbbb",), False),
        (("EURUSD.H1",), False),
        (("GBPUSD.H1.barrier", "EURUSD.H1.barrier"), True),
    ],
)
def test_a_model_is_allowed_by_its_name_and_if_asked_its_digest(
    listed: tuple[str, ...],
    allowed: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    limits = make_limits(allowed_models=listed)
    assert limits.allows_model("EURUSD.H1.barrier", "a" * 64) is allowed
