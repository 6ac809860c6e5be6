"""Several symbols on one account: order of events, shared limits, the same code as for one."""

from __future__ import annotations

import gc
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from online.domain.errors import InvalidInput, InvalidMarketData
from online.domain.market import Bar, Timeframe
from online.domain.reasons import Reason
from online.domain.record import DecisionRecord, Record, encode_record
from online.instruments import load_instruments
from pipelines.simulation import Backtest, Lane, simulate, simulate_portfolio
from tests import worlds

BARS = {"EURUSD": worlds.random_bars(200, seed=1), "GBPUSD": worlds.random_bars(200, seed=2)}
LIMITS = msgspec.structs.replace(worlds.LIMITS, allowed_symbols=("EURUSD", "GBPUSD"))


def lane_of(symbol: str, bars: tuple[Bar, ...] | None = None, seed: int = 3) -> Lane:
    """Return a lane of seeded bars and features, traded by the tone."""
    chosen = BARS[symbol] if bars is None else bars
    market = replace(worlds.market_of(chosen), instrument=load_instruments()[symbol])
    manifest = msgspec.structs.replace(worlds.manifest_of(), symbol=symbol)
    stamps_ns = np.array([bar.closed_at_ns for bar in chosen])
    return Lane(market, stamps_ns, worlds.columns_of(chosen, seed), worlds.ToneModel(manifest))


def run(*lanes: Lane) -> Backtest:
    return simulate_portfolio(lanes, LIMITS, worlds.TERMS, load_instruments())


def decisions(records: tuple[Record, ...]) -> list[DecisionRecord]:
    return [record for record in records if isinstance(record, DecisionRecord)]


def test_a_portfolio_of_one_is_the_single_backtest_byte_for_byte() -> None:
    lane = lane_of("EURUSD")
    alone = simulate(
        *(lane.market, lane.stamps_ns, lane.columns, lane.model),
        *(LIMITS, worlds.TERMS, load_instruments()),
    )
    assert len(alone.performance.trades) > 20
    assert [encode_record(record) for record in run(lane).records] == [
        encode_record(record) for record in alone.records
    ]


def test_decisions_come_in_order_of_time_and_at_one_instant_of_the_alphabet() -> None:
    taken = decisions(run(lane_of("GBPUSD"), lane_of("EURUSD")).records)
    keys = [(record.at_ns, record.request.symbol) for record in taken]
    assert keys == sorted(keys)
    assert {symbol for _, symbol in keys} == {"EURUSD", "GBPUSD"}
    assert [record.number for record in taken] == list(range(1, len(taken) + 1))


def test_the_order_in_which_lanes_are_given_changes_no_byte() -> None:
    first = run(lane_of("GBPUSD"), lane_of("EURUSD")).records
    second = run(lane_of("EURUSD"), lane_of("GBPUSD")).records
    assert [encode_record(record) for record in first] == [encode_record(r) for r in second]


def test_a_decision_sees_the_prices_and_positions_of_every_symbol_at_its_instant() -> None:
    found = run(lane_of("EURUSD"), lane_of("GBPUSD", seed=4))
    both = [
        record
        for record in decisions(found.records)
        if {position.symbol for position in record.positions or ()} == {"EURUSD", "GBPUSD"}
    ]
    assert both
    assert {trade.symbol for trade in found.performance.trades} == {"EURUSD", "GBPUSD"}


def test_limits_bind_all_symbols_together() -> None:
    gross = msgspec.structs.replace(LIMITS, max_gross_notional=120_000.0, max_volume_lots=1.0)
    lanes = [lane_of("EURUSD"), lane_of("GBPUSD", seed=4)]
    tight = simulate_portfolio(lanes, gross, worlds.TERMS, load_instruments())
    alone = simulate_portfolio(lanes[:1], gross, worlds.TERMS, load_instruments())
    assert tight.performance.vetoes.get(Reason.GROSS_EXPOSURE_ABOVE_LIMIT, 0) > 0
    assert alone.performance.vetoes.get(Reason.GROSS_EXPOSURE_ABOVE_LIMIT, 0) == 0


def test_a_market_with_holes_is_decided_upon_when_its_own_next_bar_opens() -> None:
    holed = tuple(bar for place, bar in enumerate(BARS["GBPUSD"]) if place % 7)
    taken = decisions(run(lane_of("EURUSD"), lane_of("GBPUSD", holed)).records)
    mine = [record for record in taken if record.request.symbol == "GBPUSD"]
    assert len(mine) == len(holed) - 1
    opens = {bar.closed_at_ns - Timeframe.H1.duration_ns for bar in holed}
    assert {record.at_ns for record in mine} <= opens


def test_a_run_leaves_no_garbage_and_the_collector_as_it_was() -> None:
    run(lane_of("EURUSD"))
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        found = run(lane_of("EURUSD"), lane_of("GBPUSD", seed=4))
        assert found.performance.trades
        assert not gc.isenabled()
        gc.collect()
        modules = [type(each).__module__ for each in gc.garbage]
        assert not [name for name in modules if name.startswith(("online.", "pipelines."))]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    with pytest.raises(InvalidInput):
        run()
    assert gc.isenabled()


def test_two_models_of_one_symbol_and_no_model_at_all_are_refused() -> None:
    for lanes in ((), (lane_of("EURUSD"), lane_of("EURUSD"))):
        with pytest.raises(InvalidInput) as caught:
            run(*lanes)
        assert caught.value.code == "ONE_MODEL_A_SYMBOL"


def test_a_bar_that_opens_before_the_last_has_closed_is_refused() -> None:
    market = lane_of("EURUSD").market
    early = msgspec.structs.replace(
        market.quotes[5], opened_at_ns=market.quotes[4].closed_at_ns - 1_000
    )
    torn = replace(market, quotes=(*market.quotes[:5], early, *market.quotes[6:]))
    with pytest.raises(InvalidMarketData):
        run(replace(lane_of("EURUSD"), market=torn))
