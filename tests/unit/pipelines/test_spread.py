"""The spread of a run is recorded, quoted elsewhere in the lake, or declared, and says which."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from online.domain.errors import InvalidInput
from online.domain.market import PriceSide, Timeframe
from online.instruments import find_instrument, load_instruments
from pipelines.lake import Lake
from pipelines.market import read_market
from pipelines.sources.raw import BAR_COLUMNS, MICROSTRUCTURE
from pipelines.spread import LEAST_QUOTED_BARS, SpreadUsed, assume_spread, choose_spread

EURUSD = find_instrument("EURUSD")
START_NS = int(pd.Timestamp("2014-05-01").value)
UNKNOWN, KNOWN = np.array([np.nan, np.nan]), np.array([9.0, 11.0])


def bars(
    timeframe: Timeframe, spreads: np.ndarray[tuple[int], np.dtype[np.float64]], *, quoted: bool
) -> pd.DataFrame:
    """Return bars of one price with these spreads, made of quotes or not."""
    count = len(spreads)
    frame = pd.DataFrame({"closed_at_ns": START_NS + timeframe.duration_ns * np.arange(count)})
    for name in ("open", "high", "low", "close"):
        frame[name] = 1.1
    frame["volume"], frame["spread_points"] = 1.0, spreads
    frame = frame[list(BAR_COLUMNS)]
    if not quoted:
        return frame
    return frame.assign(**dict.fromkeys(MICROSTRUCTURE, 0.0)).assign(quotes=5.0)


def write(lake: Lake, timeframe: Timeframe, frame: pd.DataFrame, symbol: str = "EURUSD") -> None:
    lake.write_bars(symbol, timeframe, PriceSide.BID, frame, "test")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = Lake(tmp_path)
    write(made, Timeframe.H1, bars(Timeframe.H1, np.full(200, np.nan), quoted=False))
    return made


def test_what_is_declared_is_assumed_where_the_lake_knows_nothing_and_its_source_is_told(
    lake: Lake,
) -> None:
    used, points = choose_spread(UNKNOWN, lake, EURUSD, None)
    assert used == SpreadUsed(EURUSD.typical_spread_points, EURUSD.spread_source)
    assert points.tolist() == [EURUSD.typical_spread_points] * 2
    assert "declared" in used.note


def test_every_known_instrument_declares_a_spread_of_its_own_and_where_it_comes_from() -> None:
    for instrument in load_instruments().values():
        assert instrument.typical_spread_points > 0.0
        assert instrument.spread_source.startswith("declared; "), instrument.symbol
    assert find_instrument("NSXUSD").typical_spread_points > 1_000.0
    assert find_instrument("XAUUSD").typical_spread_points > 100.0


def test_the_median_of_bars_made_of_quotes_goes_before_what_is_declared(lake: Lake) -> None:
    spreads = np.concatenate([np.full(80, 10.0), np.full(40, 20.0)])
    write(lake, Timeframe.M1, bars(Timeframe.M1, spreads, quoted=True))
    used, points = choose_spread(UNKNOWN, lake, EURUSD, None)
    assert used.points == 10.0
    assert used.source == "median of 120 M1 bars made of quotes, 90% within 20"
    assert points.tolist() == [10.0, 10.0]
    assert assume_spread(lake, find_instrument("GBPUSD"), None).points == 13.0


def test_a_terminals_least_spreads_say_nothing_of_other_bars(lake: Lake) -> None:
    write(lake, Timeframe.M15, bars(Timeframe.M15, np.zeros(500), quoted=False))
    assert assume_spread(lake, EURUSD, None).points == EURUSD.typical_spread_points


def test_few_quoted_bars_say_nothing_nor_do_those_after_the_window(lake: Lake) -> None:
    write(lake, Timeframe.M1, bars(Timeframe.M1, np.full(LEAST_QUOTED_BARS, 5.0), quoted=True))
    until_ns = START_NS + (LEAST_QUOTED_BARS - 1) * Timeframe.M1.duration_ns
    assert assume_spread(lake, EURUSD, None, until_ns).points == EURUSD.typical_spread_points
    assert assume_spread(lake, EURUSD, None, until_ns + 1).points == 5.0


def test_what_was_given_goes_before_all_but_what_each_bar_brought(lake: Lake) -> None:
    write(lake, Timeframe.M1, bars(Timeframe.M1, np.full(200, 5.0), quoted=True))
    assert choose_spread(UNKNOWN, lake, EURUSD, 0.0)[0] == SpreadUsed(0.0, "as given")
    used, points = choose_spread(KNOWN, lake, EURUSD, 3.0)
    assert used == SpreadUsed(None, "recorded with each bar, median 10 points, 90% within 10.8")
    assert points.tolist() == [9.0, 11.0]
    mixed = choose_spread(np.array([9.0, np.nan]), lake, EURUSD, 3.0)
    assert (mixed[0].points, mixed[1].tolist()) == (3.0, [9.0, 3.0])


def test_a_market_says_which_spread_it_has_and_where_it_comes_from(lake: Lake) -> None:
    market = read_market(lake, EURUSD, Timeframe.H1, START_NS, 2**62)
    assert market.costs_note.startswith(
        "The bars of EURUSD are bid prices without a spread: 8 points are assumed (declared; "
    )
    assert market.quotes[0].ask_open == pytest.approx(1.10008)
    write(lake, Timeframe.M1, bars(Timeframe.M1, np.full(200, 5.0), quoted=True))
    recorded = read_market(lake, EURUSD, Timeframe.M1, START_NS, 2**62)
    assert recorded.costs_note == (
        "The spread of EURUSD was recorded with each bar, median 5 points, 90% within 5. "
        f"A night's swap of EURUSD: {EURUSD.swap_told}. "
        f"Slippage of EURUSD: {EURUSD.slippage_told}."
    )


def test_no_trade_is_free_for_want_of_a_spread(lake: Lake) -> None:
    unknown = replace(EURUSD, typical_spread_points=0.0)
    with pytest.raises(InvalidInput, match="nothing tells the spread of EURUSD") as caught:
        choose_spread(UNKNOWN, lake, unknown, None)
    assert caught.value.code == "NO_SPREAD"
    assert choose_spread(KNOWN, lake, unknown, None)[0].points is None


@pytest.mark.parametrize("given", [-1.0, float("nan"), float("inf")])
def test_a_spread_that_cannot_be_is_refused_even_where_it_is_not_needed(
    lake: Lake, given: float
) -> None:
    with pytest.raises(InvalidInput, match="must be 0 or more"):
        choose_spread(KNOWN, lake, EURUSD, given)
