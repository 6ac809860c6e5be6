"""Risk: what the whole pre-trade check of an entry takes, in a typical state and a crowded one.

The check is `online.domain.risk.judge_order`, all of it: circumstances, price, exits, exposure,
margin and repetition. Beside the time that passes stands the processor's own (`cpu`): on a busy
machine the 99th percentile of the former is that of whoever else runs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import perf_counter_ns, thread_time_ns

import msgspec
import numpy as np

from online.domain.account import Position
from online.domain.exposure import OrderUnderWay
from online.domain.market import Quote, Side
from online.domain.risk import judge_order
from online.domain.risk_facts import RiskFacts, SentEntry
from online.domain.sizing import size_entry
from online.instruments import load_charged, load_instruments
from tests.benchmarks.report import Target, render
from tests.fakes import (
    BAR_NS,
    SECOND_NS,
    make_account,
    make_facts,
    make_intent,
    make_limits,
    make_position,
    make_quote,
    make_state,
)

CALLS, FULL_CALLS = 20_000, 200_000
LIMITS = make_limits(
    allowed_symbols=("EURUSD", "GBPUSD", "USDJPY", "GBPJPY"),
    max_notional=1e6,
    max_symbol_notional=1e6,
    max_currency_notional=1e6,
    max_gross_notional=1e7,
)
TARGETS = (Target("risk_p99_us", "<=", 20.0),)


def main() -> None:
    """Measure and print one JSON object."""
    figures = measure_risk(FULL_CALLS if "--full" in sys.argv else CALLS)
    peer = "none: it is a part of every decision; the requirement is 12 ms"
    print(render("risk", figures, TARGETS, peer, ("msgspec",)))


def measure_risk(calls: int = CALLS) -> dict[str, float]:
    """Return the times of a check of an entry that passes, microseconds.

    Parameters
    ----------
    calls
        Of each kind (>= 100).
    """
    typical, crowded = _times_us(typical_facts(), calls), _times_us(crowded_facts(), calls)
    own = _times_us(typical_facts(), calls, thread_time_ns)
    sizing, charged = np.empty(calls), load_charged(3.5)["EURUSD"]
    for place in range(calls):
        began = perf_counter_ns()
        size_entry(make_account(), 1.1001, 1.0981, charged, LIMITS, {})
        sizing[place] = (perf_counter_ns() - began) / 1e3
    return {
        "risk_p50_us": float(np.percentile(typical, 50)),
        "risk_p99_us": float(np.percentile(typical, 99)),
        "risk_cpu_p99_us": float(np.percentile(own, 99)),
        "crowded_p50_us": float(np.percentile(crowded, 50)),
        "crowded_p99_us": float(np.percentile(crowded, 99)),
        "sizing_p50_us": float(np.percentile(sizing, 50)),
    }


def typical_facts() -> RiskFacts:
    """Return facts with one position elsewhere and one earlier entry, as an hour of trading has."""
    held = make_position(symbol="GBPUSD", opened_price=1.3)
    earlier = SentEntry(BAR_NS - 600 * SECOND_NS, Side.BUY, 0.2)
    state = make_state(entries_in_window=2, buys_in_window=1, recent=(earlier,))
    return make_facts(positions=(held,), state=state)


def crowded_facts() -> RiskFacts:
    """Return facts with ten positions, two orders under way and a cross that needs a rate."""
    rate = Quote("USDJPY", 150.0, 150.02, BAR_NS)
    held: list[Position] = [
        make_position(symbol="GBPUSD", opened_price=1.3, ticket=n, magic=n) for n in range(8)
    ]
    held += [make_position(symbol="GBPJPY", opened_price=190.0, ticket=n, magic=n) for n in (8, 9)]
    under_way = (
        OrderUnderWay(77, "USDJPY", Side.SELL, 0.1, 150.0),
        OrderUnderWay(78, "EURUSD", Side.BUY, 0.1, 1.1),
    )
    state = make_state(entries_in_window=4, buys_in_window=1, under_way=under_way)
    return make_facts(positions=tuple(held), rates=(rate,), state=state)


def _times_us(
    facts: RiskFacts, calls: int, clock_ns: Callable[[], int] = perf_counter_ns
) -> list[float]:
    """Return the times of checks of facts that pass, each with a quote of its own."""
    instruments, intent = load_instruments(), make_intent()
    quotes = [make_quote(at_ns=BAR_NS - n * 1_000) for n in range(100)]
    fresh = [msgspec.structs.replace(facts, quote=quote) for quote in quotes]
    for each in fresh:  # warm, and sound: a check that refuses early would be quick for nothing
        vetoes = judge_order(intent, each, instruments, LIMITS)
        if vetoes:
            raise RuntimeError(f"the entry is refused: {vetoes}")
    took = []
    for place in range(calls):
        asked = fresh[place % len(fresh)]
        began = clock_ns()
        judge_order(intent, asked, instruments, LIMITS)
        took.append((clock_ns() - began) / 1e3)
    return took


if __name__ == "__main__":
    main()
