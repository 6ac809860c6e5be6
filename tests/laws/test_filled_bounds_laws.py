"""Laws of the bounds that a fill leaves: whoever looks at every price closely sees no more."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from online.domain.market import Bar, Instrument, PriceSide, Quote, Timeframe
from online.simulator import constants as mt5
from online.simulator.bars import BidAskBar, two_sided
from online.simulator.rules import AccountRules
from online.simulator.terminal import SimulatedTerminal
from online.simulator.trade_tuples import TradeRequest

EURUSD = Instrument("EURUSD", "EUR", "USD", 5, 100_000.0)
MINUTE_NS = 60 * 10**9
DEAL, BUY, SELL = mt5.TRADE_ACTION_DEAL, mt5.ORDER_TYPE_BUY, mt5.ORDER_TYPE_SELL

moves = st.integers(-40, 40)
"""Of an open, a close and an order's exits, points."""
steps = st.tuples(moves, st.integers(0, 60), st.integers(0, 60), moves, st.integers(-4, 4))
"""Gap to the open, how far the bar reaches up and down, the close's move, and an order's size."""
accounts = st.builds(
    AccountRules,
    leverage=st.just(500.0),
    hedging=st.booleans(),
    commission_per_lot=st.sampled_from([0.0, 30.0]),
    stop_out_percent=st.sampled_from([50.0, 100.0]),
)


def bars_of(path: list[tuple[int, int, int, int, int]]) -> list[BidAskBar]:
    made, points = [], 110_000
    for number, (gap, up, down, move, _) in enumerate(path, 1):
        opened = points + gap
        points = opened + move
        high, low = max(opened, points) + up, min(opened, points) - down
        bar = Bar(number * MINUTE_NS, opened / 1e5, high / 1e5, low / 1e5, points / 1e5)
        made.append(two_sided(bar, Timeframe.M1, PriceSide.BID, 3.0, EURUSD.scale))
    return made


def send(terminal: SimulatedTerminal, size: int, away: int) -> None:
    """Send a market order of as many tenths of a lot, with exits at `away` points or without."""
    market, sign = terminal.markets["EURUSD"], 1 if size > 0 else -1
    closing, distance = (market.bid if size > 0 else market.ask), sign * away / 1e5
    exits = (round(closing - distance, 5), round(closing + 2 * distance, 5)) if away > 0 else (0, 0)
    terminal.execute(
        TradeRequest(
            DEAL,
            symbol="EURUSD",
            volume=abs(size) / 10,
            sl=exits[0],
            tp=exits[1],
            type=BUY if size > 0 else SELL,
            type_filling=mt5.ORDER_FILLING_IOC,
        )
    )


def play(
    path: list[tuple[int, int, int, int, int]], rules: AccountRules, *, closely: bool
) -> list[object]:
    terminal = SimulatedTerminal([EURUSD], balance=150.0, rules=rules)
    market = terminal.markets["EURUSD"]
    for bar, (gap, _, _, _, size) in zip(bars_of(path), path, strict=True):
        terminal.begin_bar("EURUSD", bar)
        if size:
            send(terminal, size, gap)
        if closely:
            market.disturb()
        terminal.finish_bar("EURUSD", bar)
        if closely:
            market.disturb()
    return [terminal.server.history.deals, terminal.positions(), terminal.account()]


@settings(max_examples=100, deadline=None)
@given(path=st.lists(steps, min_size=2, max_size=40), rules=accounts)
def test_bounds_after_a_fill_overlook_nothing(
    path: list[tuple[int, int, int, int, int]], rules: AccountRules
) -> None:
    assert play(path, rules, closely=False) == play(path, rules, closely=True)


def test_fill_whose_costs_reach_the_stop_out_is_ended_by_the_next_quote_though_a_better() -> None:
    rules = AccountRules(leverage=500.0, commission_per_lot=30.0, stop_out_percent=100.0)
    terminal = SimulatedTerminal([EURUSD], balance=100.0, rules=rules)
    terminal.on_quote(Quote("EURUSD", 1.1, 1.10003, 0))
    send(terminal, 4, 0)
    account = terminal.account()
    assert account.margin is not None
    assert account.equity < account.margin
    terminal.on_quote(Quote("EURUSD", 1.10001, 1.10004, MINUTE_NS))
    assert [deal.reason for deal in terminal.deals_after(0)] == ["expert", "stop_out"]
