"""Laws of the simulated trade server: money adds up, and looking closely changes nothing."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from online.domain.market import NANOSECONDS_PER_SECOND, Instrument, Quote, Side
from online.simulator import constants as mt5
from online.simulator.rules import AccountRules, TradingRules
from online.simulator.terminal import SimulatedTerminal
from online.simulator.trade_tuples import OrderSendResult, TradeRequest

EURUSD = Instrument("EURUSD", "EUR", "USD", 5, 100_000.0)
USDJPY = Instrument("USDJPY", "USD", "JPY", 3, 100_000.0)
SYMBOLS = ("EURUSD", "USDJPY")
START = {"EURUSD": 110_000, "USDJPY": 150_000}
CENT = 0.011  # one cent, and what binary fractions add

symbols = st.sampled_from(SYMBOLS)
volumes = st.integers(1, 60).map(lambda n: n / 100)
moves = st.integers(-900, 900)
distances = st.integers(0, 600)


class AccountMachine(RuleBasedStateMachine):
    """Random trading on a small account, so that money runs out and stop-outs happen."""

    def __init__(self) -> None:
        super().__init__()
        self.points = dict(START)
        self.now_ns = NANOSECONDS_PER_SECOND
        self.rejected = 0
        self.terminal = SimulatedTerminal([EURUSD, USDJPY])

    @initialize(hedging=st.booleans(), depth=st.sampled_from([math.inf, 0.25]))
    def open_account(self, hedging: bool, depth: float) -> None:  # noqa: FBT001  # drawn by name
        rules = TradingRules(depth_lots=depth, swap_long_points=-3.0, swap_short_points=-1.0)
        self.terminal = SimulatedTerminal(
            [EURUSD, USDJPY],
            balance=2_000.0,
            rules=AccountRules(hedging=hedging, commission_per_lot=6.0),
            trading=dict.fromkeys(SYMBOLS, rules),
        )
        for symbol in SYMBOLS:
            self.quote(symbol, 0, 10)

    @rule(symbol=symbols, move=moves, spread=st.integers(0, 40))
    def quote(self, symbol: str, move: int, spread: int) -> None:
        scale = self.terminal.markets[symbol].instrument.scale
        self.points[symbol] += move
        self.now_ns += 3_600 * NANOSECONDS_PER_SECOND
        bid = self.points[symbol]
        self.terminal.on_quote(Quote(symbol, bid / scale, (bid + spread) / scale, self.now_ns))

    @rule(
        symbol=symbols,
        type_=st.sampled_from([mt5.ORDER_TYPE_BUY, mt5.ORDER_TYPE_SELL]),
        volume=volumes,
        stop_away=distances,
        target_away=distances,
    )
    def trade(
        self, symbol: str, type_: int, volume: float, stop_away: int, target_away: int
    ) -> None:
        market = self.terminal.markets[symbol]
        scale, sign = market.instrument.scale, -1 if type_ else 1
        base = round((market.ask if type_ else market.bid) * scale)
        self.send(
            action=mt5.TRADE_ACTION_DEAL,
            symbol=symbol,
            type=type_,
            volume=volume,
            sl=(base - sign * stop_away) / scale if stop_away else 0.0,
            tp=(base + sign * target_away) / scale if target_away else 0.0,
            type_filling=mt5.ORDER_FILLING_IOC,
        )

    @rule(symbol=symbols, type_=st.integers(2, 7), volume=volumes, away=st.integers(-600, 600))
    def rest(self, symbol: str, type_: int, volume: float, away: int) -> None:
        market = self.terminal.markets[symbol]
        scale = market.instrument.scale
        price = round(market.bid * scale) + away
        limit = price - 50 if type_ == mt5.ORDER_TYPE_BUY_STOP_LIMIT else price + 50
        self.send(
            action=mt5.TRADE_ACTION_PENDING,
            symbol=symbol,
            type=type_,
            volume=volume,
            price=price / scale,
            stoplimit=limit / scale if type_ >= mt5.ORDER_TYPE_BUY_STOP_LIMIT else 0.0,
            type_filling=mt5.ORDER_FILLING_RETURN,
        )

    @precondition(lambda self: self.terminal.positions())
    @rule(data=st.data(), part=st.floats(0.01, 1.5))
    def close(self, data: st.DataObject, part: float) -> None:
        held = data.draw(st.sampled_from(self.terminal.positions()))
        volume = round(max(held.volume_lots * part, 0.01), 2)
        result = self.send(
            action=mt5.TRADE_ACTION_DEAL,
            symbol=held.symbol,
            type=mt5.ORDER_TYPE_SELL if held.side is Side.BUY else mt5.ORDER_TYPE_BUY,
            volume=volume,
            position=held.ticket,
            type_filling=mt5.ORDER_FILLING_IOC,
        )
        too_much = volume > held.volume_lots
        assert (result.retcode == mt5.TRADE_RETCODE_INVALID_CLOSE_VOLUME) is too_much

    @rule(ahead=st.integers(1, 100))
    def wait(self, ahead: int) -> None:
        self.now_ns += ahead * 3_600 * NANOSECONDS_PER_SECOND
        self.terminal.pass_time(self.now_ns)

    def send(self, **fields: object) -> OrderSendResult:
        before = (self.terminal.account(), self.terminal.positions())
        result = self.terminal.execute(TradeRequest(**fields))  # type: ignore[arg-type]  # by name
        if result.retcode not in {mt5.TRADE_RETCODE_DONE, mt5.TRADE_RETCODE_DONE_PARTIAL}:
            assert (self.terminal.account(), self.terminal.positions()) == before
        return result

    @invariant()
    def balance_is_the_sum_of_deals(self) -> None:
        total = math.fsum(deal.money for deal in self.terminal.server.history.deals)
        assert abs(self.terminal.account().balance - total) < 1e-6

    @invariant()
    def equity_is_balance_and_what_is_open(self) -> None:
        ledger = self.terminal.server.ledger
        opened = 0.0
        for held in self.terminal.server.book.open.values():
            market = self.terminal.markets[held.symbol]
            long = held.side is Side.BUY
            now = market.bid if long else market.ask
            move = (now - held.price if long else held.price - now) * held.volume * 100_000.0
            opened += (move / now if held.symbol == "USDJPY" else move) + held.swap
        n_open = len(self.terminal.positions())
        assert abs(ledger.equity - ledger.balance - opened) <= CENT * (n_open + 1)

    @invariant()
    def margin_is_that_of_the_positions(self) -> None:
        expected = 0.0
        for held in self.terminal.positions():
            euro = held.symbol == "EURUSD"
            expected += held.volume_lots * 1_000.0 * (held.opened_price if euro else 1.0)
        n_open = len(self.terminal.positions())
        assert abs(self.terminal.server.ledger.margin - expected) <= CENT * (n_open + 1)

    @invariant()
    def volumes_are_positive_and_add_up(self) -> None:
        signed = dict.fromkeys(SYMBOLS, 0.0)
        for held in self.terminal.positions():
            assert held.volume_lots > 0.0
            signed[held.symbol] += held.side.sign * held.volume_lots
        for deal in self.terminal.deals_after(0):
            signed[deal.symbol] -= deal.side.sign * deal.volume_lots
        assert all(abs(left) < 1e-7 for left in signed.values())

    @invariant()
    def netting_account_has_one_position_a_symbol(self) -> None:
        if not self.terminal.rules.hedging:
            held = [position.symbol for position in self.terminal.positions()]
            assert len(held) == len(set(held))

    @invariant()
    def tickets_are_given_once(self) -> None:
        server = self.terminal.server
        deals = [deal.ticket for deal in server.history.deals]
        assert deals == list(range(1, len(deals) + 1))
        finished = set(server.history.orders)
        still = {t for t, o in server.pending.resting.items() if o.remaining == o.volume}
        assert not finished & still

    @invariant()
    def what_a_quote_reaches_does_not_rest(self) -> None:
        for held in self.terminal.positions():
            market = self.terminal.markets[held.symbol]
            closing = market.bid if held.side is Side.BUY else market.ask
            if held.opened_at_ns < market.at_ns and held.stop:
                assert held.side.sign * (closing - held.stop) > 0.0
            if held.opened_at_ns < market.at_ns and held.target:
                assert held.side.sign * (held.target - closing) > 0.0


def test_account_keeps_its_invariants_whatever_is_traded() -> None:
    run_state_machine_as_test(
        AccountMachine, settings=settings(max_examples=60, stateful_step_count=40, deadline=None)
    )


@st.composite
def tapes(draw: st.DrawFn) -> list[tuple[str, float, float]]:
    """Ticks of two symbols, most of them small moves and some of them jumps."""
    steps = st.one_of(st.integers(-60, 60), st.integers(-60, 60), st.integers(-500, 500))
    points, made = dict(START), []
    for _ in range(draw(st.integers(20, 150))):
        symbol = draw(symbols)
        points[symbol] += draw(steps)
        scale = 1e5 if symbol == "EURUSD" else 1e3
        spread = draw(st.integers(0, 8))
        made.append((symbol, points[symbol] / scale, (points[symbol] + spread) / scale))
    return made


def orders_at(terminal: SimulatedTerminal, seed: int, among: tuple[str, ...] = SYMBOLS) -> None:
    """Send a handful of orders that depend on the prices and a number alone."""
    random = np.random.default_rng(seed)
    for symbol in among:
        market = terminal.markets[symbol]
        scale = market.instrument.scale
        for _ in range(3):
            away = int(random.integers(20, 500)) / scale
            buys = bool(random.integers(2))
            closing = market.bid if buys else market.ask
            sign = 1 if buys else -1
            terminal.execute(
                TradeRequest(
                    mt5.TRADE_ACTION_DEAL,
                    symbol=symbol,
                    volume=int(random.integers(5, 200)) / 100,
                    sl=round(closing - sign * away, market.instrument.digits)
                    if random.integers(3) == 0
                    else 0.0,
                    tp=round(closing + sign * 2 * away, market.instrument.digits)
                    if random.integers(2)
                    else 0.0,
                    type=mt5.ORDER_TYPE_BUY if buys else mt5.ORDER_TYPE_SELL,
                    type_filling=mt5.ORDER_FILLING_IOC,
                )
            )
        for type_ in range(2, 6):
            away = int(random.integers(-400, 400)) / scale
            terminal.execute(
                TradeRequest(
                    mt5.TRADE_ACTION_PENDING,
                    symbol=symbol,
                    volume=0.05,
                    price=round(market.bid + away, market.instrument.digits),
                    type=type_,
                    type_filling=mt5.ORDER_FILLING_RETURN,
                )
            )


Player = Callable[[SimulatedTerminal, list[tuple[str, float, float]], int], None]


def one_by_one(
    terminal: SimulatedTerminal, tape: list[tuple[str, float, float]], start: int
) -> None:
    for place, (symbol, bid, ask) in enumerate(tape, start):
        terminal.on_quote(Quote(symbol, bid, ask, place * NANOSECONDS_PER_SECOND))


def looking_closely(
    terminal: SimulatedTerminal, tape: list[tuple[str, float, float]], start: int
) -> None:
    """Play with every bound emptied before every tick: nothing can be overlooked."""
    for place, (symbol, bid, ask) in enumerate(tape, start):
        for market in terminal.markets.values():
            market.disturb()
        terminal.on_quote(Quote(symbol, bid, ask, place * NANOSECONDS_PER_SECOND))


def in_runs(terminal: SimulatedTerminal, tape: list[tuple[str, float, float]], start: int) -> None:
    place = 0
    while place < len(tape):
        end = place
        while end < len(tape) and tape[end][0] == tape[place][0]:
            end += 1
        run = tape[place:end]
        at_ns = np.arange(start + place, start + end, dtype=np.int64) * NANOSECONDS_PER_SECOND
        bid, ask = np.array([tick[1] for tick in run]), np.array([tick[2] for tick in run])
        terminal.on_ticks(run[0][0], at_ns, bid, ask)
        place = end


def outcome(player: Player, tape: list[tuple[str, float, float]], hedging: bool) -> list[object]:  # noqa: FBT001  # drawn
    terminal = SimulatedTerminal(
        [EURUSD, USDJPY], balance=1_000.0, rules=AccountRules(hedging=hedging, leverage=500.0)
    )
    opening = [
        (symbol, START[symbol] / s, (START[symbol] + 3) / s)
        for symbol, s in (("EURUSD", 1e5), ("USDJPY", 1e3))
    ]
    player(terminal, opening, 0)
    orders_at(terminal, len(tape))
    for part in range(4):
        first, last = len(tape) * part // 4, len(tape) * (part + 1) // 4
        player(terminal, tape[first:last], 10 + first)
        orders_at(terminal, len(tape) + part, SYMBOLS[part % 2 :][:1])
    history = terminal.server.history
    return [history.deals, terminal.positions(), terminal.account(), terminal.now_ns]


@pytest.mark.parametrize("player", [one_by_one, in_runs])
@settings(max_examples=60, deadline=None)
@given(tape=tapes(), hedging=st.booleans())
def test_skipping_quiet_ticks_changes_nothing(
    player: Player,
    tape: list[tuple[str, float, float]],
    hedging: bool,  # noqa: FBT001  # drawn
) -> None:
    assert outcome(player, tape, hedging) == outcome(looking_closely, tape, hedging)


def test_skipping_quiet_ticks_changes_nothing_on_a_day_of_real_ticks(shared_data: Path) -> None:
    archive = zipfile.ZipFile(shared_data / "oanda_ticks" / "eurusd" / "20140508_quote.zip")
    rows = np.loadtxt(archive.open(archive.namelist()[0]), delimiter=",")
    at_ns = rows[:, 0].astype(np.int64) * 1_000_000
    bid, ask = np.round(rows[:, 1], 5), np.round(rows[:, 2], 5)
    ended = []
    for closely in (True, False):
        terminal = SimulatedTerminal([EURUSD], rules=AccountRules(hedging=True))
        terminal.on_quote(Quote("EURUSD", float(bid[0]), float(ask[0]), 0))
        base = round(float(bid[0]) * 1e5)
        for number in range(1, 31):
            for type_, points in (
                (mt5.ORDER_TYPE_BUY_LIMIT, base - 10 * number),
                (mt5.ORDER_TYPE_SELL_LIMIT, base + 20 + 10 * number),
            ):
                sign = 1 if type_ == mt5.ORDER_TYPE_BUY_LIMIT else -1
                request = TradeRequest(
                    mt5.TRADE_ACTION_PENDING,
                    symbol="EURUSD",
                    volume=0.01,
                    price=points / 1e5,
                    sl=(points - sign * 60) / 1e5,
                    tp=(points + sign * 40) / 1e5,
                    type=type_,
                    type_filling=mt5.ORDER_FILLING_RETURN,
                )
                assert terminal.execute(request).retcode == mt5.TRADE_RETCODE_DONE
        if closely:
            market = terminal.markets["EURUSD"]
            for tick in zip(bid.tolist(), ask.tolist(), at_ns.tolist(), strict=True):
                market.disturb()
                terminal.on_quote(Quote("EURUSD", *tick))
        else:
            terminal.on_ticks("EURUSD", at_ns, bid, ask)
        ended.append((terminal.server.history.deals, terminal.positions(), terminal.account()))
    assert ended[0] == ended[1]
    assert len(ended[0][0]) > 60
