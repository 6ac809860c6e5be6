"""Laws of the pace: what is kept of the windows is what looking anew would find."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from online.domain.market import NANOSECONDS_PER_SECOND, Side
from online.domain.order import Purpose
from online.domain.pace import Pace
from tests.fakes import make_intent, make_limits

pytestmark = pytest.mark.lean
LIMITS = (
    make_limits(order_window_seconds=9, repeat_window_seconds=5, duplicate_window_seconds=2),
    make_limits(order_window_seconds=3, repeat_window_seconds=7, duplicate_window_seconds=4),
)
SYMBOLS = ("EURUSD", "GBPUSD")
STEP = st.tuples(
    st.integers(-2, 3),
    st.sampled_from(("look", "look", "buy", "sell", "close", "unfilled")),
    st.sampled_from(SYMBOLS),
)


@given(st.lists(STEP, max_size=40))
def test_the_kept_look_at_the_windows_is_what_counting_every_order_gives(
    steps: list[tuple[int, str, str]],
) -> None:
    pace, now_ns = Pace(), 100 * NANOSECONDS_PER_SECOND
    entries: list[tuple[int, str, Side, str]] = []
    filled: list[tuple[int, str, Side, str]] = []
    closes: list[int] = []
    for number, (seconds, what, symbol) in enumerate(steps):
        now_ns += seconds * NANOSECONDS_PER_SECOND
        if what in {"buy", "sell"}:
            side, name = Side(what), f"order-{number}"
            pace.send(make_intent(intent_id=name, symbol=symbol, side=side), now_ns)
            entries.append((now_ns, symbol, side, name))
            filled.append(entries[-1])
        elif what == "close":
            close = make_intent(intent_id=f"order-{number}", purpose=Purpose.CLOSE, position=7)
            pace.send(close, now_ns)
            closes.append(now_ns)
        elif what == "unfilled" and filled:
            pace.settle(filled.pop()[3], filled=False)
        limits = LIMITS[number % 5 > 3]
        seen = pace.lately(symbol, now_ns, limits)
        rate_ns = now_ns - limits.order_window_seconds * NANOSECONDS_PER_SECOND
        repeats_ns = now_ns - limits.repeat_window_seconds * NANOSECONDS_PER_SECOND
        twins_ns = now_ns - limits.duplicate_window_seconds * NANOSECONDS_PER_SECOND
        own = [(at_ns, side) for at_ns, of, side, _ in filled if of == symbol]
        assert seen.entries == sum(at_ns >= rate_ns for at_ns, *_ in entries)
        assert seen.closes == sum(at_ns >= rate_ns for at_ns in closes)
        assert seen.buys == sum(a >= repeats_ns and side is Side.BUY for a, side in own)
        assert seen.sells == sum(a >= repeats_ns and side is Side.SELL for a, side in own)
        recent = sorted((side is Side.SELL, a) for a, side in own if a >= twins_ns)
        assert [(e.side is Side.SELL, e.at_ns) for e in seen.recent] == recent
