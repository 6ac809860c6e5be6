"""The simulated terminal driven by bars and quotes."""

from __future__ import annotations

import pytest

from online.domain.errors import InvalidMarketData, InvalidSettings, NotFound
from online.domain.market import Bar, Instrument, PriceSide, Quote, Side, Timeframe
from online.simulator import constants as mt5
from online.simulator.bars import two_sided
from online.simulator.rules import TradingRules
from online.simulator.terminal import SimulatedTerminal
from online.simulator.trade_tuples import OrderSendResult, TradeRequest

EURUSD = Instrument("EURUSD", "EUR", "USD", 5, 100_000.0, stops_level_points=10)
USDJPY = Instrument("USDJPY", "USD", "JPY", 3, 100_000.0)
EURGBP = Instrument("EURGBP", "EUR", "GBP", 5, 100_000.0)
GBPUSD = Instrument("GBPUSD", "GBP", "USD", 5, 100_000.0)


@pytest.fixture
def terminal() -> SimulatedTerminal:
    made = SimulatedTerminal(
        [EURUSD, USDJPY, EURGBP, GBPUSD], balance=10_000.0, commission_per_lot=7.0
    )
    made.on_quote(Quote("EURUSD", 1.1, 1.1002, 1))
    return made


def deal(
    terminal: SimulatedTerminal, type_: int = mt5.ORDER_TYPE_BUY, **fields: object
) -> OrderSendResult:
    request = TradeRequest(mt5.TRADE_ACTION_DEAL, symbol="EURUSD", volume=0.1, type=type_)
    return terminal.execute(request._replace(**fields))  # type: ignore[arg-type]  # test fields


def test_two_sided_bar_keeps_the_given_side_and_shifts_the_other_by_the_spread() -> None:
    bar = Bar(3_600_000_000_000, 1.1, 1.2, 1.0, 1.15)
    asked = two_sided(bar, Timeframe.H1, PriceSide.ASK, 15.0, EURUSD.scale)
    assert (asked.ask_open, asked.ask_high, asked.ask_low, asked.ask_close) == (1.1, 1.2, 1.0, 1.15)
    assert (asked.bid_open, asked.bid_high) == (1.09985, 1.19985)
    assert asked.opened_at_ns == 0


def test_negative_spread_is_refused() -> None:
    with pytest.raises(InvalidMarketData, match="spread_points"):
        two_sided(Bar(1, 1.1, 1.1, 1.1, 1.1), Timeframe.H1, PriceSide.BID, -1.0, EURUSD.scale)


def test_buy_fills_at_the_ask_and_closes_at_the_bid(terminal: SimulatedTerminal) -> None:
    """Fidelity case 14."""
    opened = deal(terminal, magic=5)
    assert (opened.retcode, opened.price) == (mt5.TRADE_RETCODE_DONE, 1.1002)
    closed = deal(terminal, mt5.ORDER_TYPE_SELL, position=opened.order)
    assert closed.price == 1.1
    first, second = terminal.deals_after(0)
    assert (first.entry, first.profit, first.commission) == (True, 0.0, -0.7)
    assert (second.entry, second.profit, second.position) == (False, -2.0, opened.order)
    assert terminal.account().balance == 10_000.0 - 2.0 - 1.4
    assert terminal.positions() == ()


@pytest.mark.parametrize("volume", [0.0, 0.005, 0.015, 600.0, -0.1, float("nan"), float("inf")])
def test_untradable_volume_is_refused(terminal: SimulatedTerminal, volume: float) -> None:
    """Fidelity case 21."""
    assert deal(terminal, volume=volume).retcode == mt5.TRADE_RETCODE_INVALID_VOLUME
    assert terminal.positions() == ()


@pytest.mark.parametrize(
    ("side", "stop", "target"),
    [
        (mt5.ORDER_TYPE_BUY, 1.09995, 0.0),
        (mt5.ORDER_TYPE_BUY, 0.0, 1.10005),
        (mt5.ORDER_TYPE_BUY, 1.2, 0.0),
        (mt5.ORDER_TYPE_SELL, 1.10025, 0.0),
        (mt5.ORDER_TYPE_SELL, 0.0, 1.1002),
        (mt5.ORDER_TYPE_BUY, 1.0900001, 0.0),
        (mt5.ORDER_TYPE_BUY, float("nan"), 0.0),
    ],
)
def test_stops_too_close_or_off_the_grid_are_refused(
    terminal: SimulatedTerminal, side: int, stop: float, target: float
) -> None:
    """Fidelity case 24."""
    assert deal(terminal, side, sl=stop, tp=target).retcode == mt5.TRADE_RETCODE_INVALID_STOPS


def test_stops_at_the_least_distance_pass(terminal: SimulatedTerminal) -> None:
    assert deal(terminal, sl=1.0999, tp=1.1001).retcode == mt5.TRADE_RETCODE_DONE


def test_order_beyond_the_free_margin_is_refused(terminal: SimulatedTerminal) -> None:
    """Fidelity case 38."""
    assert deal(terminal, volume=9.1).retcode == mt5.TRADE_RETCODE_NO_MONEY
    assert deal(terminal, volume=9.0).retcode == mt5.TRADE_RETCODE_DONE


def test_unknown_symbol_and_unquoted_symbol_are_refused(terminal: SimulatedTerminal) -> None:
    assert deal(terminal, symbol="EURCHF").retcode == mt5.TRADE_RETCODE_INVALID
    assert deal(terminal, symbol="USDJPY").retcode == mt5.TRADE_RETCODE_PRICE_OFF


def test_close_names_an_open_position_of_the_other_side(terminal: SimulatedTerminal) -> None:
    opened = deal(terminal)
    sell = mt5.ORDER_TYPE_SELL
    assert deal(terminal, position=opened.order).retcode == mt5.TRADE_RETCODE_INVALID
    over = deal(terminal, sell, position=opened.order, volume=0.2)
    assert over.retcode == mt5.TRADE_RETCODE_INVALID_CLOSE_VOLUME
    assert deal(terminal, sell, position=99).retcode == mt5.TRADE_RETCODE_POSITION_CLOSED
    assert len(terminal.positions()) == 1


def test_position_without_exits_is_not_ended_by_the_market(terminal: SimulatedTerminal) -> None:
    deal(terminal, mt5.ORDER_TYPE_SELL)
    terminal.on_quote(Quote("EURUSD", 1.2, 1.2002, 2))
    terminal.on_quote(Quote("EURUSD", 1.05, 1.0502, 3))
    assert len(terminal.positions()) == 1


def test_long_exits_on_the_bid_and_short_on_the_ask(terminal: SimulatedTerminal) -> None:
    """Fidelity case 29."""
    deal(terminal, sl=1.098, tp=1.105, magic=1)
    terminal.on_quote(Quote("EURUSD", 1.0981, 1.0990, 2))
    assert len(terminal.positions()) == 1
    terminal.on_quote(Quote("EURUSD", 1.0979, 1.0990, 3))
    ended = terminal.deals_after(0)[-1]
    assert (ended.reason, ended.price, ended.magic) == ("stop", 1.0979, 1)
    deal(terminal, mt5.ORDER_TYPE_SELL, sl=1.1, tp=1.09, magic=2)
    terminal.on_quote(Quote("EURUSD", 1.0890, 1.0901, 4))
    assert len(terminal.positions()) == 1
    terminal.on_quote(Quote("EURUSD", 1.0890, 1.0899, 5))
    ended = terminal.deals_after(0)[-1]
    assert (ended.reason, ended.price, ended.magic) == ("target", 1.09, 2)


def test_profit_is_converted_to_the_currency_of_the_account(terminal: SimulatedTerminal) -> None:
    terminal.on_quote(Quote("USDJPY", 150.0, 150.01, 2))
    terminal.on_quote(Quote("GBPUSD", 1.25, 1.2501, 2))
    terminal.on_quote(Quote("EURGBP", 0.88, 0.8801, 2))
    deal(terminal, symbol="USDJPY")
    deal(terminal, symbol="EURGBP")
    terminal.on_quote(Quote("USDJPY", 151.0, 151.01, 3))
    terminal.on_quote(Quote("EURGBP", 0.8901, 0.8902, 3))
    yen = (151.0 - 150.01) * 10_000 / 151.0
    pound = (0.8901 - 0.8801) * 10_000 * 1.25
    assert terminal.account().equity == pytest.approx(10_000 - 1.4 + yen + pound, abs=0.02)


def test_symbol_whose_profit_cannot_be_valued_is_not_opened(terminal: SimulatedTerminal) -> None:
    terminal.on_quote(Quote("EURGBP", 0.88, 0.8801, 2))
    assert deal(terminal, symbol="EURGBP").retcode == mt5.TRADE_RETCODE_PRICE_OFF


def test_time_that_runs_backwards_and_crossed_prices_are_refused(
    terminal: SimulatedTerminal,
) -> None:
    with pytest.raises(InvalidMarketData):
        terminal.on_quote(Quote("EURUSD", 1.1, 1.1, 0))
    with pytest.raises(InvalidMarketData):
        terminal.on_quote(Quote("EURUSD", 1.2, 1.1, 2))
    with pytest.raises(InvalidMarketData):
        terminal.on_quote(Quote("EURUSD", float("nan"), 1.1, 2))
    with pytest.raises(NotFound, match="EURCHF"):
        terminal.on_quote(Quote("EURCHF", 1.1, 1.1, 2))


def test_account_without_money_is_refused() -> None:
    with pytest.raises(InvalidSettings):
        SimulatedTerminal([EURUSD], balance=0.0)


def test_position_remembers_side_and_exits(terminal: SimulatedTerminal) -> None:
    deal(terminal, sl=1.09, tp=1.12, magic=77)
    (held,) = terminal.positions()
    assert (held.side, held.stop, held.target, held.magic) == (Side.BUY, 1.09, 1.12, 77)
    assert (held.opened_price, held.opened_at_ns, held.volume_lots) == (1.1002, 1, 0.1)


def test_a_symbol_with_a_commission_of_its_own_does_not_pay_the_accounts() -> None:
    index = Instrument("NSXUSD", "NSX", "USD", 3, 1.0, commission_per_lot=0.25)
    terminal = SimulatedTerminal([index], commission_per_lot=3.5)
    terminal.on_quote(Quote("NSXUSD", 7_000.0, 7_001.5, 0))
    terminal.execute(TradeRequest(mt5.TRADE_ACTION_DEAL, symbol="NSXUSD", volume=2.0))
    assert [deal.commission for deal in terminal.deals_after(0)] == [-0.5]
    with pytest.raises(InvalidSettings, match="commission of NSXUSD"):
        Instrument("NSXUSD", "NSX", "USD", 3, 1.0, commission_per_lot=-1.0)


def test_the_rest_of_an_order_changes_the_symbols_one_position_on_a_netting_account() -> None:
    thin = {"EURUSD": TradingRules(depth_lots=0.25)}
    terminal = SimulatedTerminal([EURUSD], balance=10_000.0, trading=thin)
    terminal.on_quote(Quote("EURUSD", 1.1, 1.1, 1))
    rest = TradeRequest(
        mt5.TRADE_ACTION_PENDING,
        symbol="EURUSD",
        volume=0.3,
        type=mt5.ORDER_TYPE_SELL_STOP,
        price=1.099,
        type_filling=mt5.ORDER_FILLING_RETURN,
    )
    assert terminal.execute(rest).retcode == mt5.TRADE_RETCODE_DONE
    terminal.on_quote(Quote("EURUSD", 1.098, 1.098, 2))
    assert [held.volume_lots for held in terminal.positions()] == [0.25]
    assert deal(terminal, volume=0.25).retcode == mt5.TRADE_RETCODE_DONE  # ends it
    terminal.on_quote(Quote("EURUSD", 1.1, 1.1, 3))
    assert deal(terminal, volume=0.1).retcode == mt5.TRADE_RETCODE_DONE
    terminal.on_quote(Quote("EURUSD", 1.098, 1.098, 4))
    ((side, lots),) = [(held.side, held.volume_lots) for held in terminal.positions()]
    assert (side, lots) == (Side.BUY, 0.05)
