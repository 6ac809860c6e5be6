"""Slippage: what is declared, assumed or given, and how each is told."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from online.domain.barriers import Exit
from online.domain.errors import InvalidSettings
from online.domain.market import Instrument, Side, to_tick
from online.domain.slippage import slip, slips
from online.instruments import load_charged, load_instruments
from online.simulator.rules import TradingRules

TABLE = """
[EURUSD]
base_currency = "EUR"
profit_currency = "USD"
digits = 5
contract_size = 100000.0
typical_spread_points = {spread}
{slippage}
"""


def read(folder: Path, slippage: str, spread: float = 9.0) -> Instrument:
    path = folder / "instruments.toml"
    path.write_text(TABLE.format(slippage=slippage, spread=spread))
    load_instruments.cache_clear()
    return load_instruments(path)["EURUSD"]


@given(
    price=st.integers(10_000, 3_000_000),
    points=st.integers(0, 2_000),
    digits=st.sampled_from([2, 3, 5]),
)
def test_an_order_slips_against_itself_on_the_price_step_and_an_array_as_each_element(
    price: int, points: int, digits: int
) -> None:
    scale = 10.0**digits
    seen = price / scale
    for side in Side:
        filled = slip(seen, side, points, scale)
        assert filled == (price + side.sign * points) / scale
        together: float = slip(np.array([seen]), side, points, scale)  # type: ignore[arg-type]
        assert together == filled
    assert to_tick(seen, scale) == seen  # so nothing but the slippage moves a price


def test_a_price_between_two_steps_stays_where_nothing_slips() -> None:
    assert slip(1.1234567, Side.BUY, 0, 100_000.0) == 1.1234567


def test_stops_and_time_outs_slip_and_targets_do_not() -> None:
    assert {ended for ended in Exit if slips(ended)} == {Exit.STOP, Exit.TIMEOUT}


def test_what_is_not_declared_is_half_the_usual_spread_rounded_up(tmp_path: Path) -> None:
    assumed = read(tmp_path, "")
    assert assumed.slipped_points == 5
    assert "5 points on each entry" in assumed.slippage_told
    assert "assumed: half the usual spread" in assumed.slippage_told


def test_what_is_declared_goes_before_and_what_is_given_before_both(tmp_path: Path) -> None:
    own = read(tmp_path, 'slippage_points = 2\nslippage_source = "measured"')
    assert (own.slipped_points, own.slippage_told[-10:]) == (2, "(measured)")
    assert own.slipping(None) is own
    assert own.slipping(0).slippage_told.startswith("0 points")
    assert own.slipping(7).slipped_points == 7
    assert own.slipping(7).slippage_told.endswith("(as given)")


def test_where_no_spread_is_known_slippage_is_not_either_and_that_is_told(tmp_path: Path) -> None:
    unknown = read(tmp_path, "", spread=0.0)
    assert (unknown.slippage_points, unknown.slipped_points) == (None, 0)
    assert unknown.slippage_told.startswith("not known, so none is charged")


@pytest.mark.parametrize(
    ("slippage", "said"),
    [
        ("slippage_points = -1", "whole number of points, 0 or more, got -1"),
        ("slippage_points = 1.5", "slippage_points"),
        ("slippage_points = nan", "slippage_points"),
        ('slippage_points = "4"', "slippage_points"),
        ("slipage_points = 4", "unknown key slipage_points: expected one of base_currency"),
    ],
)
def test_a_declared_slippage_that_cannot_be_is_refused_by_name(
    tmp_path: Path, slippage: str, said: str
) -> None:
    with pytest.raises(InvalidSettings, match=said) as caught:
        read(tmp_path, slippage)
    assert "instrument EURUSD" in str(caught.value)


@pytest.mark.parametrize("wrong", [-1, 1.5, float("nan"), True])
def test_an_instrument_with_a_slippage_that_cannot_be_is_refused(wrong: float) -> None:
    with pytest.raises(InvalidSettings, match="whole number of points"):
        Instrument("EURUSD", "EUR", "USD", 5, 100_000.0, slippage_points=wrong)  # type: ignore[arg-type]


def test_every_known_symbol_slips_by_half_its_usual_spread_until_somebody_knows_better() -> None:
    for each in load_instruments().values():
        assert each.slipped_points == math.ceil(each.typical_spread_points / 2)
        assert "assumed: half the usual spread" in each.slippage_told
        assert TradingRules.of(each).slippage_points == each.slipped_points
    free = load_charged(3.5, 0)
    assert free.keys() == load_instruments().keys()
    assert all(TradingRules.of(each).slippage_points == 0 for each in free.values())
