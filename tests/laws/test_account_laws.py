"""Laws of the simulated account: the exit is the label, and money adds up."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from online.adapters.simulated_broker import SimulatedBroker
from online.domain.barriers import BarrierRule, barrier_prices, deadline_ns
from online.domain.market import (
    NANOSECONDS_PER_SECOND,
    Bar,
    Instrument,
    PriceSide,
    Side,
    Timeframe,
)
from online.domain.order import Intent, OrderStatus, Purpose, make_magic
from online.simulator.account import Ledger
from online.simulator.bars import BidAskBar, two_sided
from online.simulator.rules import AccountRules
from online.simulator.terminal import SimulatedTerminal
from online.trade import run_to_completion

EURUSD = Instrument("EURUSD", "EUR", "USD", 5, 100_000.0)
HOUR_NS = 3_600 * NANOSECONDS_PER_SECOND
RULE = BarrierRule(1.0, 1.5, 4, Timeframe.H1)
UNIT = 0.001


@st.composite
def bid_ask_bars(draw: st.DrawFn) -> list[BidAskBar]:
    """Bars that gap and swing within a few units of the barriers."""
    points = st.integers(-150, 150)
    reach = st.integers(0, 150)
    spread = draw(st.integers(0, 30))
    made, last = [], 110_000
    for number in range(draw(st.integers(2, 12))):
        opened = last + draw(points)
        closed = opened + draw(points)
        high = max(opened, closed) + draw(reach)
        low = min(opened, closed) - draw(reach)
        closed_at_ns = (number + 1) * HOUR_NS
        bar = Bar(closed_at_ns, opened / 1e5, high / 1e5, low / 1e5, closed / 1e5)
        made.append(two_sided(bar, Timeframe.H1, PriceSide.BID, float(spread), EURUSD.scale))
        last = closed
    return made


@dataclass(frozen=True)
class End:
    """How a position ended: why, where, and in which bar."""

    reason: str
    price: float
    bar: int


def reference_end(side: Side, bars: list[BidAskBar], first: int) -> End | None:
    """Say in plain words how a position opened at a bar's open ends: the label's meaning."""
    long = side is Side.BUY
    entry = bars[first].ask_open if long else bars[first].bid_open
    stop = round(entry - (UNIT if long else -UNIT), 5)
    target = round(entry + (1.5 * UNIT if long else -1.5 * UNIT), 5)
    for number in range(first, len(bars)):
        bar = bars[number]
        opened = bar.bid_open if long else bar.ask_open
        if opened <= stop if long else opened >= stop:
            return End("stop", opened, number)
        if opened >= target if long else opened <= target:
            return End("target", target, number)
        if number - first >= RULE.timeout_bars:
            return End("expert", opened, number)
        worst = bar.bid_low if long else bar.ask_high
        best = bar.bid_high if long else bar.ask_low
        if worst <= stop if long else worst >= stop:
            return End("stop", stop, number)
        if best >= target if long else best <= target:
            return End("target", target, number)
    return None


def intent(
    number: int,
    side: Side,
    purpose: Purpose,
    stop: float = 0.0,
    target: float = 0.0,
    ticket: int = 0,
) -> Intent:
    return Intent(
        intent_id=f"{purpose}-{number}",
        magic=make_magic(1, number),
        comment=f"sx-{number}",
        purpose=purpose,
        symbol="EURUSD",
        side=side,
        volume_lots=0.1,
        stop=stop,
        target=target,
        position=ticket,
        expires_at_ns=0,
        quoted=0.0,
    )


@settings(max_examples=200, deadline=None)
@given(
    bars=bid_ask_bars(), wishes=st.lists(st.sampled_from([Side.BUY, Side.SELL, None]), min_size=12)
)
def test_every_position_ends_as_its_label_says(
    bars: list[BidAskBar], wishes: list[Side | None]
) -> None:
    terminal = SimulatedTerminal([EURUSD], commission_per_lot=7.0)
    broker = SimulatedBroker(terminal)
    expected: dict[int, End | None] = {}
    deadline, number, last_deal = 0, 0, 0
    found: dict[int, End] = {}

    def collect(bar_number: int) -> None:
        nonlocal last_deal
        for deal in run_to_completion(broker.observe("EURUSD", last_deal)).deals:
            last_deal = deal.ticket
            if not deal.entry:
                found[deal.magic] = End(deal.reason, deal.price, bar_number)

    for index, bar in enumerate(bars):
        terminal.begin_bar("EURUSD", bar)
        seen = run_to_completion(broker.observe("EURUSD", last_deal))
        assert seen.quote is not None
        assert seen.positions is not None
        if seen.positions and seen.quote.at_ns >= deadline:
            held = seen.positions[0]
            order = intent(number, held.side.opposite, Purpose.CLOSE, ticket=held.ticket)
            assert run_to_completion(broker.send(order)).status is OrderStatus.FILLED
        elif not seen.positions and (side := wishes[index]) is not None:
            number += 1
            entry = seen.quote.price_to_open(side)
            stop, target = barrier_prices(side, entry, UNIT, RULE, EURUSD.scale)
            reply = run_to_completion(
                broker.send(intent(number, side, Purpose.ENTRY, stop, target))
            )
            assert (reply.status, reply.price) == (OrderStatus.FILLED, entry)
            deadline = deadline_ns(seen.quote.at_ns, RULE)
            expected[make_magic(1, number)] = reference_end(side, bars, index)
        collect(index)
        terminal.finish_bar("EURUSD", bar)
        collect(index)

    ended = {magic: end for magic, end in expected.items() if end is not None}
    assert found == ended
    deals = terminal.deals_after(0)
    booked = sum(deal.profit + deal.commission for deal in deals)
    assert round(terminal.account().balance - 10_000.0 - booked, 6) == 0.0


@given(
    st.one_of(st.floats(), st.integers(-(10**9), 10**9).map(lambda halves: halves * 0.005)),
    st.sampled_from([0, 2, 3]),
)
def test_money_is_rounded_to_the_bits_that_round_gives(amount: float, digits: int) -> None:
    ledger = Ledger(AccountRules(currency_digits=digits), {})
    try:
        expected = round(amount, digits)
    except OverflowError:
        return
    assert struct.pack("<d", ledger.round(amount)) == struct.pack("<d", expected)
