"""Conversion in the past: a cross is traded and labelled in the account's currency."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest

from online.domain.errors import InvalidInput, NotFound
from online.domain.market import Bar, PriceSide, Timeframe
from online.domain.news import NO_NEWS, Impact, NewsCalendar, NewsEvent
from online.domain.reasons import Reason
from online.domain.record import DecisionRecord
from online.instruments import find_instrument, load_instruments
from pipelines.conversion import account_per_profit, read_conversion_markets
from pipelines.lake import Lake
from pipelines.market import Market
from pipelines.simulation import Backtest, Lane, simulate_portfolio
from tests import worlds

CROSS = worlds.random_bars(120, seed=5)
POUND = worlds.random_bars(120, seed=6)
LIMITS = msgspec.structs.replace(worlds.LIMITS, allowed_symbols=("EURGBP",))
H1 = Timeframe.H1


def market_of(symbol: str, bars: tuple[Bar, ...]) -> Market:
    """Return a market of a symbol whose prices are the walk's."""
    return replace(worlds.market_of(bars), instrument=load_instruments()[symbol])


def run(*quoted: Market, news: NewsCalendar = NO_NEWS) -> Backtest:
    """Trade EURGBP on an account in dollars."""
    manifest = msgspec.structs.replace(worlds.manifest_of(), symbol="EURGBP")
    columns, model = worlds.columns_of(CROSS, 3), worlds.ToneModel(manifest)
    stamps_ns = np.array([bar.closed_at_ns for bar in CROSS])
    lane = Lane(market_of("EURGBP", CROSS), stamps_ns, columns, model)
    return simulate_portfolio(
        [lane], LIMITS, worlds.TERMS, load_instruments(), quoted=quoted, news=news
    )


def reasons(found: Backtest) -> set[Reason]:
    """Return every reason code of the vetoes of a backtest."""
    records = (r for r in found.records if isinstance(r, DecisionRecord))
    return {veto.reason for record in records for veto in record.vetoes}


def test_a_cross_is_traded_by_the_rates_of_its_conversion_pair() -> None:
    found = run(market_of("GBPUSD", POUND))
    assert len(found.performance.trades) > 10
    assert Reason.NO_CONVERSION_RATE not in reasons(found)
    entry = next(r for r in found.records if isinstance(r, DecisionRecord) and r.intent is not None)
    assert [rate.symbol for rate in entry.rates] == ["GBPUSD"]
    assert entry.intent is not None
    assert entry.account is not None
    rate = entry.rates[0].ask
    loss = abs(entry.intent.quoted - entry.intent.stop) * entry.intent.volume_lots * 100_000 * rate
    assert loss <= entry.account.equity * LIMITS.risk_per_trade_fraction
    assert loss > 0.5 * entry.account.equity * LIMITS.risk_per_trade_fraction


def test_without_the_pair_nothing_of_a_cross_is_traded() -> None:
    found = run()
    assert found.performance.trades == ()
    assert Reason.NO_CONVERSION_RATE in reasons(found)


def test_the_news_calendar_binds_a_backtest_as_it_binds_the_scorer() -> None:
    start_ns, end_ns = CROSS[0].closed_at_ns, CROSS[-1].closed_at_ns
    event = NewsEvent(start_ns, end_ns, "GBP", Impact.HIGH, "A long strike")
    found = run(market_of("GBPUSD", POUND), news=NewsCalendar([event]))
    assert len(found.performance.trades) <= 1
    assert Reason.NEWS_BLACKOUT in reasons(found)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Return a lake that holds GBPUSD alone, at some 1.17."""
    made = Lake(tmp_path / "lake")
    rows = {
        name: [getattr(bar, name) for bar in POUND]
        for name in ("closed_at_ns", "open", "high", "low", "close", "volume")
    }
    frame = pd.DataFrame({**rows, "spread_points": 8.0})
    made.write_bars("GBPUSD", "H1", PriceSide.BID, frame, "test")
    return made


def test_costs_of_a_label_are_converted_by_the_pairs_median(lake: Lake) -> None:
    middle = float(np.median([bar.close for bar in POUND]))
    cross, own = find_instrument("EURGBP"), find_instrument("GBPUSD")
    assert account_per_profit(lake, cross, "USD", H1, (None, None)) == pytest.approx(middle)
    assert account_per_profit(lake, own, "USD", H1, (None, None)) == 1.0
    assert account_per_profit(lake, own, "GBP", H1, (None, None)) == pytest.approx(1.0 / middle)


def test_a_label_whose_costs_cannot_be_converted_is_refused(lake: Lake) -> None:
    with pytest.raises(NotFound, match="USDJPY"):
        account_per_profit(lake, find_instrument("GBPJPY"), "USD", H1, (None, None))
    late = (POUND[-1].closed_at_ns + 1, None)
    with pytest.raises(InvalidInput) as caught:
        account_per_profit(lake, find_instrument("EURGBP"), "USD", H1, late)
    assert caught.value.code == "NO_CONVERSION_RATE"


def test_a_backtest_reads_the_pairs_it_does_not_trade(lake: Lake) -> None:
    interval = (POUND[0].closed_at_ns, POUND[-1].closed_at_ns + 1)
    cross, own = find_instrument("EURGBP"), find_instrument("GBPUSD")
    (found,) = read_conversion_markets(lake, [cross], "USD", H1, interval, 8.0)
    assert (found.instrument.symbol, len(found.bars)) == ("GBPUSD", 120)
    assert read_conversion_markets(lake, [cross, own], "USD", H1, interval, 8.0) == ()
