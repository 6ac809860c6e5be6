"""Slippage: how far late orders and stops would slip on real quotes, beside what is assumed.

Positions of both sides are begun every ten minutes on OANDA's quotes of 1-15 May 2014. An order at
the market fills a tenth of a second late, a gain counts as nothing. A stop a usual hour's range
away fills at the quote that met it, or a tenth of a second after; jumps after a minute without a
quote are left out, for bars charge those already.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from online.domain.errors import NotFound
from online.domain.market import NANOSECONDS_PER_SECOND, Instrument
from online.instruments import find_instrument
from tests.benchmarks.report import Target, render
from tests.benchmarks.results import QUOTES, quoted_ticks

RANGES = {"EURUSD": 120.0, "XAUUSD": 3_000.0}
"""Points from entry to stop: what an hour usually spans."""
EVERY_NS = 600 * NANOSECONDS_PER_SECOND
LATE_NS = NANOSECONDS_PER_SECOND // 10
HELD_NS = 36_000 * NANOSECONDS_PER_SECOND
QUIET_NS = 60 * NANOSECONDS_PER_SECOND
MARKET_FILLS, STOP_FILLS = 1.08, 0.47
"""Of a trade: its entry and the time-outs, and the stops, as the walked-forward models had them."""
TARGETS = tuple(Target(f"{symbol.lower()}_late_fill_of_assumed", "<=", 1.0) for symbol in RANGES)
Stamps = npt.NDArray[np.int64]
Points = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Slipped:
    """By how much fills were worse, points.

    Parameters
    ----------
    market
        Mean of orders at the market.
    stop, stop_late
        Means of stops, filled at once and late.
    stop_median
        Of those filled at once.
    """

    market: float
    stop: float
    stop_late: float
    stop_median: float

    def of_a_fill(self, stop: float) -> float:
        """Return the mean of the charged fills of a trade, whose stops slip so far."""
        fills = MARKET_FILLS + STOP_FILLS
        return (MARKET_FILLS * self.market + STOP_FILLS * stop) / fills


def measure(instrument: Instrument, away: float) -> Slipped:
    """Return how far orders would have slipped on an instrument's quotes."""
    ticks = quoted_ticks(instrument.symbol)
    at_ns = ticks["at_ns"].to_numpy(np.int64)
    bid, ask = (ticks[name].to_numpy() * instrument.scale for name in ("bid", "ask"))
    begun = np.unique(np.searchsorted(at_ns, np.unique(at_ns // EVERY_NS) * EVERY_NS))
    begun = begun[begun < len(at_ns) - 1]
    late = _later(at_ns, begun)
    worse = np.concatenate([ask[late] - ask[begun], bid[begun] - bid[late]])
    met = [_stops(at_ns, bid, begun, away), _stops(at_ns, -ask, begun, away)]
    at_once, after = (np.concatenate(parts) for parts in zip(*met, strict=True))
    return Slipped(
        float(np.maximum(worse, 0.0).mean()),
        *(float(at_once.mean()), float(after.mean()), float(np.median(at_once))),
    )


def _stops(at_ns: Stamps, price: Points, begun: Stamps, away: float) -> tuple[Points, Points]:
    """Return by how much stops below a rising price were worse, filled at once and late."""
    at_once, after = [], []
    for first in begun.tolist():
        level = math.floor(price[first] - away + 0.5)
        end = np.searchsorted(at_ns, at_ns[first] + HELD_NS)
        reached = price[first:end] <= level + 1e-6
        place = first + int(reached.argmax())
        if not reached.any() or at_ns[place] - at_ns[place - 1] > QUIET_NS:
            continue
        at_once.append(level - price[place])
        after.append(level - price[_later(at_ns, np.array([place]))[0]])
    return np.array(at_once), np.array(after)


def _later(at_ns: Stamps, places: Stamps) -> Stamps:
    """Return the quotes that stand a tenth of a second after others."""
    return np.searchsorted(at_ns, at_ns[places] + LATE_NS, "right") - 1


def main() -> None:
    """Measure both symbols and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="kept for `sextant bench`")
    parser.add_argument("--full", action="store_true", help="kept for `sextant bench`")
    parser.parse_args()
    if not QUOTES.is_dir():
        raise NotFound(f"the quotes are not at hand: {QUOTES} is absent", code="NO_QUOTES")
    figures: dict[str, float | None] = {}
    for symbol, away in RANGES.items():
        instrument = find_instrument(symbol)
        found, assumed = measure(instrument, away), instrument.slipped_points
        late = found.of_a_fill(found.stop_late)
        figures |= {
            f"{symbol.lower()}_{name}": value
            for name, value in {
                "market_points": found.market,
                "stop_points": found.stop,
                "stop_median_points": found.stop_median,
                "stop_late_points": found.stop_late,
                "fill_points": found.of_a_fill(found.stop),
                "late_fill_points": late,
                "assumed_points": float(assumed),
                "late_fill_of_assumed": late / assumed,
            }.items()
        }
    peer = "none: no broker was found that publishes how far its stops slip"
    sys.stdout.write(render("slippage", figures, TARGETS, peer, ("numpy", "pandas")) + "\n")


if __name__ == "__main__":
    main()
