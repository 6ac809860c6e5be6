"""What `sextant gateway` tells its user."""

from __future__ import annotations

import pytest

from pipelines.commands.gateway import tell_age


@pytest.mark.parametrize("seconds", [7201.1, 12_595.0, 1_800.0, -7_199.0, -900.0])
def test_a_tick_as_old_as_a_wrong_clock_makes_it_is_told_as_that(seconds: float) -> None:
    told = tell_age(seconds)
    assert told.startswith(f"{seconds:.1f} s old: ")
    assert "server_time is wrong" in told


@pytest.mark.parametrize("seconds", [0.2, 59.0, -0.4, 400.0, 9_000.0 + 300.0])
def test_a_tick_of_a_quiet_or_closed_market_is_just_old(seconds: float) -> None:
    assert tell_age(seconds) == f"{seconds:.1f} s old"
