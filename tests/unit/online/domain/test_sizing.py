"""Sizing: what is lost at the stop, all costs counted, buys the volume."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec
import pytest

from online.domain.account import Account
from online.domain.conversion import Rates
from online.domain.errors import InvalidSettings
from online.domain.limits import Limits
from online.domain.market import Instrument
from online.domain.sizing import Sizing, size_entry
from online.instruments import load_charged
from online.simulator.rules import AccountRules
from tests.fakes import CADCHF, EURUSD, USDJPY, make_account, make_limits

pytestmark = pytest.mark.lean
NAN, INF = math.nan, math.inf
WIDE = make_limits(max_volume_lots=9.0)
NO_RATES: Rates = {}


def size(
    entry: float,
    stop: float,
    instrument: Instrument = EURUSD,
    limits: Limits = WIDE,
    account: Account | None = None,
) -> Sizing | None:
    return size_entry(account or make_account(), entry, stop, instrument, limits, NO_RATES)


def volume(
    entry: float, stop: float, instrument: Instrument = EURUSD, limits: Limits = WIDE
) -> float:
    sizing = size(entry, stop, instrument, limits)
    assert sizing is not None
    return sizing.volume_lots


def test_the_volume_loses_the_budget_at_its_stop() -> None:
    assert volume(1.1001, 1.0981) == 0.49  # a hair more than 200 points: never above the budget
    assert volume(1.1001, 1.0981, limits=make_limits(max_volume_lots=0.3)) == 0.3
    assert volume(1.1001, 1.0981, replace(EURUSD, volume_max=0.2)) == 0.2


def test_commission_of_both_sides_and_slippage_of_both_fills_are_part_of_the_loss() -> None:
    charged = replace(EURUSD, commission_per_lot=3.5, slippage_points=4)
    sizing = size(1.1, 1.098, charged)
    assert sizing is not None
    assert sizing.price_per_lot == pytest.approx(200.0)
    assert sizing.slippage_per_lot == pytest.approx(8.0)
    assert sizing.commission_per_lot == 7.0
    assert sizing.afforded_lots == pytest.approx(100.0 / 215.0)
    assert sizing.volume_lots == 0.46
    assert size(1.098, 1.1, charged) == msgspec.structs.replace(  # a sell pays the same
        sizing, price_per_lot=pytest.approx(200.0), slippage_per_lot=pytest.approx(8.0)
    )


def test_costs_that_are_not_known_are_told_from_none_and_not_counted() -> None:
    unknown, free = size(1.1, 1.098), size(1.1, 1.098, EURUSD.slipping(0).charging(0.0))
    assert unknown is not None
    assert free is not None
    assert (unknown.slippage_per_lot, unknown.commission_per_lot) == (None, None)
    assert (free.slippage_per_lot, free.commission_per_lot) == (0.0, 0.0)
    assert unknown.volume_lots == free.volume_lots == 0.49


def test_a_budget_below_the_smallest_volume_buys_nothing() -> None:
    sizing = size(1.1, 1.09, account=make_account(10.0))
    assert sizing is not None
    assert sizing.volume_lots == 0.0


@pytest.mark.parametrize("stop", [1.1, NAN, INF, -INF])
@pytest.mark.parametrize("points", [0, 4])
def test_a_stop_that_is_no_distance_buys_nothing(stop: float, points: int) -> None:
    assert size(1.1, stop, EURUSD.slipping(points)) is None


@pytest.mark.parametrize("equity", [0.0, -5.0, NAN, INF])
def test_an_equity_that_has_nothing_to_lose_buys_nothing(equity: float) -> None:
    assert size(1.1, 1.098, account=make_account(equity)) is None


def test_a_loss_in_the_quote_currency_is_counted_at_the_price_of_the_stops_fill() -> None:
    assert volume(150.0, 149.0, USDJPY) == 0.14  # 100,000 yen are 671 dollars at 149
    sizing = size(150.0, 149.0, USDJPY.slipping(100))
    assert sizing is not None
    assert sizing.price_per_lot == pytest.approx(100_000.0 / 148.9)
    assert sizing.loss_per_lot == pytest.approx(120_000.0 / 148.9)


@pytest.mark.parametrize("stop", [0.0, -1.0, 0.05])
def test_a_conversion_at_no_price_buys_nothing(stop: float) -> None:
    assert size(150.0, stop, USDJPY.slipping(100)) is None


def test_a_loss_that_cannot_be_told_in_the_accounts_currency_buys_nothing() -> None:
    assert size(0.7, 0.69, CADCHF) is None


@pytest.mark.parametrize("wrong", [-0.01, NAN, INF, -INF])
def test_a_commission_that_cannot_be_starts_nothing(wrong: float) -> None:
    with pytest.raises(InvalidSettings, match="commission"):
        load_charged(wrong)
    with pytest.raises(InvalidSettings, match="commission_per_lot"):
        AccountRules(commission_per_lot=wrong)


def test_every_known_symbol_is_charged_its_own_commission_and_else_the_accounts() -> None:
    charged = load_charged(3.5)
    assert charged["EURUSD"].commission_per_lot == 3.5
    assert charged["BTCUSD"].commission_per_lot == 0.0
    assert charged["EURUSD"].charging(9.0) is charged["EURUSD"]
