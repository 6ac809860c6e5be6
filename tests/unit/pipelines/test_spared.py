"""What a recipe spares trades of what is known of their symbol."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest

from models.recipe import LabelChoice
from online.instruments import find_instrument
from pipelines.lake import Lake
from pipelines.spared import spared_points

EURUSD = dataclasses.replace(
    find_instrument("EURUSD"),
    typical_spread_points=8.0,
    slippage_points=4,
    swap_long_points=-3.8,
    swap_short_points=0.0,
)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {}),
        ({"assumed_spread_points": 8.0, "slippage_points": 4, "swap_points": (-3.8, 0.0)}, {}),
        ({"assumed_spread_points": 9.0, "slippage_points": 5, "swap_points": (-4.0, -1.0)}, {}),
        ({"assumed_spread_points": 0.0, "slippage_points": 0}, {"spread": 8.0, "slippage": 4.0}),
        ({"slippage_points": 9, "assumed_spread_points": 7.5}, {"spread": 0.5}),
        ({"swap_points": (0.0, 1.5)}, {"a night's swap long": 3.8, "a night's swap short": 1.5}),
    ],
)
def test_what_is_given_below_what_is_known_is_told_each_by_itself(
    tmp_path: Path, given: dict[str, object], expected: dict[str, float]
) -> None:
    label = LabelChoice(**given)  # type: ignore[arg-type] # the fields' names
    found = spared_points(Lake(tmp_path), EURUSD, label, None)
    assert found == pytest.approx(expected)
    assert not any(math.isnan(points) for points in found.values())


def test_what_nobody_knows_spares_nothing(tmp_path: Path) -> None:
    unknown = dataclasses.replace(
        EURUSD,
        typical_spread_points=0.0,
        slippage_points=None,
        swap_long_points=None,
        swap_short_points=None,
    )
    label = LabelChoice(assumed_spread_points=0.0, slippage_points=0, swap_points=(9.0, 9.0))
    assert spared_points(Lake(tmp_path), unknown, label, None) == {}
