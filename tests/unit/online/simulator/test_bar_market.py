"""The terminal driven by bars: what happens inside a bar, where the order is not known."""

from __future__ import annotations

import msgspec
import pytest

from online.domain.errors import InvalidMarketData
from online.domain.market import Bar, Instrument, PriceSide, Timeframe
from online.simulator import constants as mt5
from online.simulator.bars import BidAskBar, two_sided
from online.simulator.client import ClientTerminal
from online.simulator.metatrader5 import SimulatedMetaTrader5
from online.simulator.rules import AccountRules
from online.simulator.server_time import NEW_YORK_CLOSE
from online.simulator.terminal import SimulatedTerminal
from online.simulator.trade_tuples import TradeRequest
from tests.unit.online.simulator.world import EURUSD

HOUR_NS = 3_600 * 10**9


def bar(number: int, opened: float, high: float, low: float, close: float) -> BidAskBar:
    made = Bar(number * HOUR_NS, opened, high, low, close)
    return two_sided(made, Timeframe.H1, PriceSide.BID, 20.0, EURUSD.scale)


@pytest.fixture
def terminal() -> SimulatedTerminal:
    made = SimulatedTerminal([EURUSD])
    made.begin_bar("EURUSD", bar(1, 1.1, 1.1, 1.1, 1.1))
    return made


def rest(terminal: SimulatedTerminal, type_: int, price: float, **levels: float) -> None:
    request = TradeRequest(
        mt5.TRADE_ACTION_PENDING, symbol="EURUSD", volume=0.1, type=type_, price=price
    )
    result = terminal.execute(request._replace(type_filling=mt5.ORDER_FILLING_RETURN, **levels))  # type: ignore[arg-type]  # levels are floats
    assert result.retcode == mt5.TRADE_RETCODE_DONE


def reasons_and_prices(terminal: SimulatedTerminal) -> list[tuple[str, float]]:
    return [(deal.reason, deal.price) for deal in terminal.deals_after(0)]


def test_order_reached_within_a_bar_fills_at_its_price(terminal: SimulatedTerminal) -> None:
    rest(terminal, mt5.ORDER_TYPE_BUY_STOP, 1.105)
    terminal.finish_bar("EURUSD", bar(1, 1.1, 1.12, 1.1, 1.11))
    assert reasons_and_prices(terminal) == [("expert", 1.105)]


def test_order_gapped_over_at_the_open_fills_at_the_open(terminal: SimulatedTerminal) -> None:
    rest(terminal, mt5.ORDER_TYPE_BUY_STOP, 1.105)
    terminal.finish_bar("EURUSD", bar(1, 1.1, 1.1, 1.1, 1.1))
    terminal.begin_bar("EURUSD", bar(2, 1.11, 1.12, 1.11, 1.11))
    assert reasons_and_prices(terminal) == [("expert", 1.1102)]


def test_stop_of_an_order_filled_within_the_bar_is_assumed_hit(terminal: SimulatedTerminal) -> None:
    rest(terminal, mt5.ORDER_TYPE_BUY_LIMIT, 1.09, sl=1.08, tp=1.1)
    terminal.finish_bar("EURUSD", bar(1, 1.1, 1.11, 1.07, 1.1))
    assert reasons_and_prices(terminal) == [("expert", 1.09), ("stop", 1.08)]


def test_target_of_an_order_filled_within_the_bar_waits_for_the_next(
    terminal: SimulatedTerminal,
) -> None:
    rest(terminal, mt5.ORDER_TYPE_BUY_LIMIT, 1.09, sl=1.05, tp=1.1)
    terminal.finish_bar("EURUSD", bar(1, 1.1, 1.11, 1.07, 1.08))
    assert len(terminal.positions()) == 1
    terminal.begin_bar("EURUSD", bar(2, 1.11, 1.11, 1.11, 1.11))
    assert reasons_and_prices(terminal)[-1] == ("target", 1.1)


def test_stop_limit_passes_both_stages_within_a_bar(terminal: SimulatedTerminal) -> None:
    rest(terminal, mt5.ORDER_TYPE_BUY_STOP_LIMIT, 1.105, stoplimit=1.103)
    terminal.finish_bar("EURUSD", bar(1, 1.1, 1.12, 1.1, 1.11))
    assert reasons_and_prices(terminal) == [("expert", 1.103)]


@pytest.mark.parametrize("type_", [mt5.ORDER_TYPE_BUY, mt5.ORDER_TYPE_SELL])
def test_stop_out_happens_at_the_extreme_of_a_bar(type_: int) -> None:
    terminal = SimulatedTerminal([EURUSD], balance=1_000.0)
    terminal.begin_bar("EURUSD", bar(1, 1.1, 1.1, 1.1, 1.1))
    request = TradeRequest(mt5.TRADE_ACTION_DEAL, symbol="EURUSD", volume=0.5, type=type_)
    assert terminal.execute(request).retcode == mt5.TRADE_RETCODE_DONE
    terminal.finish_bar("EURUSD", bar(1, 1.1, 1.12, 1.08, 1.1))
    (_, ended) = terminal.deals_after(0)
    assert ended.reason == "stop_out"
    assert ended.price == (1.08 if type_ == mt5.ORDER_TYPE_BUY else 1.1202)


@pytest.mark.parametrize(
    "wrong",
    [
        {"bid_low": 0.0},
        {"bid_low": float("nan")},
        {"ask_high": float("inf")},
        {"bid_high": 1.0},
        {"ask_low": 1.3},
        {"bid_close": 1.2},
        {"closed_at_ns": 0},
        {"opened_at_ns": -1},
        {"closed_at_ns": 2**63},
    ],
)
def test_a_bar_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    sound = msgspec.structs.asdict(bar(2, 1.1, 1.2, 1.0, 1.15))
    assert BidAskBar(**sound) == bar(2, 1.1, 1.2, 1.0, 1.15)
    with pytest.raises(InvalidMarketData):
        BidAskBar(**{**sound, **wrong})


def test_a_bar_of_the_past_ends_no_position(terminal: SimulatedTerminal) -> None:
    terminal.finish_bar("EURUSD", bar(2, 1.1, 1.1, 1.1, 1.1))
    buy = TradeRequest(mt5.TRADE_ACTION_DEAL, symbol="EURUSD", volume=0.1, sl=1.05)
    assert terminal.execute(buy).retcode == mt5.TRADE_RETCODE_DONE
    with pytest.raises(InvalidMarketData):
        terminal.finish_bar("EURUSD", bar(1, 1.1, 1.1, 1.0, 1.1))
    assert len(terminal.positions()) == 1


def test_bars_leave_ticks_for_the_price_history() -> None:
    terminal = SimulatedTerminal([EURUSD])
    package = SimulatedMetaTrader5(ClientTerminal(terminal))
    assert package.initialize()
    made = [bar(1, 1.1, 1.13, 1.07, 1.08), bar(2, 1.09, 1.2, 1.05, 1.11)]
    for each in made:
        terminal.begin_bar("EURUSD", each)
        terminal.finish_bar("EURUSD", each)
    rates = package.copy_rates_range("EURUSD", mt5.TIMEFRAME_H1, 0, 3_600)
    assert rates is not None
    assert [row.tolist()[:5] for row in rates] == [
        (0, 1.1, 1.13, 1.07, 1.08),
        (3_600, 1.09, 1.2, 1.05, 1.11),
    ]


@pytest.mark.parametrize(("opens", "closes", "nights"), [(17, 20, 0), (18, 21, 0), (20, 24, 1)])
def test_a_night_within_the_bar_is_charged_before_what_the_bar_ends(
    opens: int, closes: int, nights: int
) -> None:
    dear = Instrument(
        "EURUSD", "EUR", "USD", 5, 100_000.0, swap_long_points=-50.0, swap_short_points=0.0
    )
    terminal = SimulatedTerminal([dear], rules=AccountRules(zone=NEW_YORK_CLOSE))
    monday_ns, prices = 1_507_507_200_000_000_000, (1.1, 1.1, 1.05, 1.1)  # of October, in summer
    stamps_ns = (monday_ns + opens * HOUR_NS, monday_ns + closes * HOUR_NS)
    long = BidAskBar(*stamps_ns, *prices, *prices)
    terminal.begin_bar("EURUSD", long)
    buy = TradeRequest(mt5.TRADE_ACTION_DEAL, symbol="EURUSD", volume=1.0, sl=1.06)
    assert terminal.execute(buy).retcode == mt5.TRADE_RETCODE_DONE
    terminal.finish_bar("EURUSD", long)
    last = terminal.deals_after(0)[-1]
    assert (last.reason, last.swap) == ("stop", -50.0 * nights)
