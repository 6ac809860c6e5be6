from __future__ import annotations

import math

import msgspec
import pytest

from online.domain.errors import InvalidMarketData
from online.domain.market import Bar
from online.domain.microstructure import MICROSTRUCTURE, Microstructure

TOLD = Microstructure(
    quotes=10.0,
    rising_quotes=4.0,
    falling_quotes=3.0,
    spread_points=8.0,
    spread_max_points=12.0,
    tick_imbalance=-0.2,
    realised_variance=1e-8,
    bipower_variation=9e-9,
    quote_autocovariance=-1e-9,
)


@pytest.mark.parametrize("name", MICROSTRUCTURE)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_every_figure_is_finite(name: str, value: float) -> None:
    with pytest.raises(InvalidMarketData):
        msgspec.structs.replace(TOLD, **{name: value})


@pytest.mark.parametrize("name", sorted({*MICROSTRUCTURE} - {"tick_imbalance", "quotes"}))
def test_only_imbalance_and_covariance_may_be_negative(name: str) -> None:
    if name == "quote_autocovariance":
        assert msgspec.structs.replace(TOLD, **{name: -1.0}).quote_autocovariance == -1.0
        return
    with pytest.raises(InvalidMarketData):
        msgspec.structs.replace(TOLD, **{name: -1.0})


@pytest.mark.parametrize(
    ("name", "value"), [("quotes", 0.0), ("tick_imbalance", 1.5), ("tick_imbalance", -1.5)]
)
def test_a_bar_of_quotes_has_one_and_an_imbalance_within_one(name: str, value: float) -> None:
    with pytest.raises(InvalidMarketData):
        msgspec.structs.replace(TOLD, **{name: value})


def test_a_bar_carries_it_through_the_wire() -> None:
    bar = Bar(60, 1.1, 1.2, 1.0, 1.15, 10.0, TOLD)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(bar), type=Bar) == bar
    plain = Bar(60, 1.1, 1.2, 1.0, 1.15)
    assert plain.microstructure is None
