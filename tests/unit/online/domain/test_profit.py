"""Profit and exposure as a fold of deals, and the broker's word beside it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from online.domain.account import Account, Deal
from online.domain.market import Quote, Side
from online.domain.profit import Profits, ProfitStatement, state_profit
from online.simulator import constants as mt5
from online.simulator.rules import AccountRules
from online.simulator.terminal import SimulatedTerminal
from online.simulator.trade_tuples import TradeRequest
from tests.fakes import EURUSD, INSTRUMENTS, make_position

pytestmark = pytest.mark.lean
NOW_NS = 1_700_000_000_000_000_000


def state(profits: Profits, terminal: SimulatedTerminal) -> ProfitStatement:
    quote = terminal.quote("EURUSD")
    assert quote is not None
    told = terminal.account(), terminal.positions()
    return state_profit(profits, *told, {"EURUSD": quote}, INSTRUMENTS, {}, "USD")


VOLUMES = st.integers(1, 30).map(lambda steps: steps / 100)


@given(
    orders=st.lists(st.tuples(st.sampled_from(Side), VOLUMES, st.integers(-80, 80)), max_size=12),
    hedging=st.booleans(),
)
def test_fold_says_of_money_and_volume_what_the_terminal_says(
    orders: list[tuple[Side, float, int]], *, hedging: bool
) -> None:
    rules = AccountRules(hedging=hedging, commission_per_lot=3.5, leverage=10_000.0)
    terminal = SimulatedTerminal([EURUSD], balance=1e6, rules=rules)
    profits = Profits()
    profits.observe(terminal.account().balance)
    points = 110_000
    for place, (side, lots, move) in enumerate(orders):
        points += move
        bid = points / EURUSD.scale
        terminal.on_quote(Quote("EURUSD", bid, round(bid + 0.0001, 5), NOW_NS + place))
        kind = mt5.ORDER_TYPE_BUY if side is Side.BUY else mt5.ORDER_TYPE_SELL
        held = terminal.positions()
        if hedging and len(held) > 2:  # close a part of the oldest
            first = held[0]
            kind = mt5.ORDER_TYPE_SELL if first.side is Side.BUY else mt5.ORDER_TYPE_BUY
            volume, position = min(lots, first.volume_lots), first.ticket
        else:
            volume, position = lots, 0
        request = TradeRequest(
            mt5.TRADE_ACTION_DEAL, 1, symbol="EURUSD", volume=volume, type=kind,
            type_filling=mt5.ORDER_FILLING_IOC, position=position,
        )  # fmt: skip
        assert terminal.execute(request).retcode == mt5.TRADE_RETCODE_DONE
    for deal in terminal.deals_after(0):
        profits.add(deal)
    if not orders:
        return
    told = state(profits, terminal)
    assert told.differences == ()
    assert told.balance == pytest.approx(told.told_balance, abs=0.01)
    assert told.unrealised == pytest.approx(told.told_unrealised, abs=0.02)
    assert told.realised + told.commission == pytest.approx(terminal.account().balance - 1e6)


def test_position_and_money_that_the_journal_does_not_know_are_seen() -> None:
    profits = Profits()
    profits.observe(10_000.0)
    quote = Quote("EURUSD", 1.1, 1.1001, 1)
    told = state_profit(
        profits, Account("USD", 10_500.0, 10_500.0), (make_position(),), {"EURUSD": quote},
        INSTRUMENTS, {}, "USD",
    )  # fmt: skip
    assert told.differences is not None
    assert [(d.position, d.journal_lots, d.broker_lots) for d in told.differences] == [
        (9, 0.0, 0.1)
    ]
    assert (told.balance, told.told_balance) == (10_000.0, 10_500.0)


def make_deal(symbol: str, lots: float, price: float, **money: float) -> Deal:
    fields = {"profit": 0.0, "commission": 0.0, **money}
    return Deal(
        ticket=1, order=1, position=1, magic=1, symbol=symbol, side=Side.BUY, entry=True,
        reason="expert", volume_lots=lots, price=price, at_ns=1, **fields,
    )  # fmt: skip


def test_profit_in_another_currency_is_valued_by_rates_and_not_at_all_without_them() -> None:
    profits = Profits()
    profits.add(make_deal("CADCHF", 1.0, 0.65, swap=-1.5))
    quotes = {"CADCHF": Quote("CADCHF", 0.66, 0.661, 1)}
    rest = (None, None, quotes, INSTRUMENTS)
    blind = state_profit(profits, *rest, {}, "USD")
    assert (blind.unrealised, blind.symbols[0].notional, blind.differences) == (None, None, None)
    assert blind.swap == -1.5
    seeing = state_profit(profits, *rest, {("USD", "CHF"): (0.9, 0.9)}, "USD")
    assert seeing.unrealised == pytest.approx(0.01 * 100_000 / 0.9)


def test_pair_based_on_the_accounts_currency_needs_no_rate() -> None:
    profits = Profits()
    profits.add(make_deal("USDJPY", 0.1, 150.0))
    quotes = {"USDJPY": Quote("USDJPY", 151.0, 151.01, 1)}
    told = state_profit(profits, None, None, quotes, INSTRUMENTS, {}, "USD")
    assert told.unrealised == pytest.approx(10_000 / 151.0)
    assert told.symbols[0].notional == pytest.approx(10_000)
    assert (told.symbols[0].net_lots, told.symbols[0].gross_lots) == (0.1, 0.1)
