"""Laws of features across symbols."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from feature_repo.bars import BarArrays
from feature_repo.catalogue import CROSS
from feature_repo.cross import SILENT_BARS, CrossStream, compute_cross
from feature_repo.engine import Vector
from feature_repo.peers import Peers
from online.domain.errors import InvalidMarketData
from tests.laws.feature_data import random_bars, with_another_future
from tests.laws.feature_laws import differing

_OWN, _OTHERS = "EURUSD", ("GBPUSD", "USDJPY")
_PEERS = Peers(_OWN, "GBPUSD", _OTHERS)
Market = dict[str, BarArrays]


@pytest.fixture(scope="module")
def market() -> Market:
    """Three pairs over a quarter's edge; each lacks other bars, one begins late."""
    random = np.random.default_rng(4)
    made = {}
    for seed, symbol in enumerate((_OWN, *_OTHERS)):
        bars = random_bars(1700, seed=seed + 30)
        kept = np.flatnonzero(random.random(1700) > 0.05)
        kept = kept[kept > 40] if symbol == "USDJPY" else kept
        columns = [getattr(bars, n)[kept] for n in ("open", "high", "low", "close", "volume")]
        made[symbol] = BarArrays(bars.closed_at_ns[kept], *columns)
    return made


def up_to(market: Market, stamp_ns: int) -> Market:
    return {
        symbol: bars.part(0, int(np.searchsorted(bars.closed_at_ns, stamp_ns, "right")))
        for symbol, bars in market.items()
    }


def run_live(market: Market, start: int, seed: int) -> dict[str, Vector]:
    """Stream from own bar `start` on, bars of equal stamps and of one interval in any order."""
    random = np.random.default_rng(seed)
    own = market[_OWN]
    histories = {_OWN: own.part(0, start)}
    arriving = []
    for symbol in _OTHERS:
        bars = market[symbol]
        last_ns = own.closed_at_ns[start - 1] if start else -1
        known = int(np.searchsorted(bars.closed_at_ns, last_ns, random.choice(["left", "right"])))
        histories[symbol] = bars.part(0, known)
        arriving += [(symbol, i) for i in range(known, len(bars))]
    arriving.sort(key=lambda item: (market[item[0]].closed_at_ns[item[1]], random.random()))
    stream = CrossStream(_PEERS, histories, CROSS)
    rows = []
    for index in range(start, len(own)):
        bar = own.bar(index)
        seen = (item for item in list(arriving))
        for item in seen:
            at_ns = int(market[item[0]].closed_at_ns[item[1]])
            if at_ns > bar.closed_at_ns or (at_ns == bar.closed_at_ns and random.random() < 0.5):
                break
            stream.take(item[0], market[item[0]].bar(item[1]))
            arriving.pop(0)
        rows.append(stream.update(bar))
    table = np.array(rows, dtype=np.float32)
    return {name: np.ascontiguousarray(table[:, i]) for i, name in enumerate(stream.names)}


@pytest.mark.parametrize("start", [0, 1, 30, 60, 500, 1100])
@pytest.mark.parametrize("seed", [1, 2])
def test_live_equals_batch_in_whatever_order_bars_arrive(
    market: Market, start: int, seed: int
) -> None:
    batch, live = compute_cross(_PEERS, market, CROSS), run_live(market, start, seed)
    assert list(batch) == list(live)
    for name, values in live.items():
        assert not differing(values, batch[name][start:]), name
        assert np.isfinite(values).mean() > 0.4


def test_no_value_depends_on_what_comes_after_or_at_the_same_stamp(market: Market) -> None:
    full = compute_cross(_PEERS, market, CROSS)
    own = market[_OWN]
    for index in (60, 700, 1200):
        stamp_ns = int(own.closed_at_ns[index])
        changed = {}
        for symbol, bars in market.items():
            last_seen = int(np.searchsorted(bars.closed_at_ns, stamp_ns, "left")) - 1
            changed[symbol] = with_another_future(bars, last_seen)
        for other in (changed, up_to(market, stamp_ns)):
            found = compute_cross(_PEERS, other, CROSS)
            for name, values in full.items():
                assert not differing(values[: index + 1], found[name][: index + 1]), name


def test_a_bar_of_the_same_stamp_is_seen_at_the_next_bar(market: Market) -> None:
    own, other = market[_OWN], market["GBPUSD"]
    shared = np.intersect1d(own.closed_at_ns, other.closed_at_ns)
    stamp_ns = int(shared[800])
    at, place = (int(np.searchsorted(b.closed_at_ns, stamp_ns)) for b in (own, other))
    moved = other.close.copy()
    moved[place] *= 1.01
    high = np.maximum(other.high, moved)
    changed = BarArrays(other.closed_at_ns, other.open, high, other.low, moved, other.volume)
    before = compute_cross(_PEERS, market, CROSS)["reference_beta_24"]
    after = compute_cross(_PEERS, {**market, "GBPUSD": changed}, CROSS)["reference_beta_24"]
    assert not differing(before[: at + 1], after[: at + 1])
    assert before[at + 1] != after[at + 1]


def test_values_equal_their_definitions_in_pandas(market: Market) -> None:
    found = compute_cross(_PEERS, market, CROSS)
    own = pd.DataFrame({"at": market[_OWN].closed_at_ns})
    logs = {}
    for symbol, bars in market.items():
        closes = pd.DataFrame({"at": bars.closed_at_ns, "close": bars.close})
        seen = pd.merge_asof(own, closes, on="at", allow_exact_matches=False)["close"]
        logs[symbol] = np.log(seen)
    mine, other = logs[_OWN].diff(), logs["GBPUSD"].diff()
    eur, gbp, jpy = (logs[_OWN].diff(24), logs["GBPUSD"].diff(24), -logs["USDJPY"].diff(24))
    expected = {
        "reference_correlation_24": mine.rolling(24).corr(other),
        "reference_beta_24": mine.rolling(24).cov(other, ddof=0) / other.rolling(24).var(ddof=0),
        "base_strength_24": (3 * eur - gbp - jpy) / 3,
        "quote_strength_24": -(eur + gbp + jpy) / 3,
    }
    for name, values in expected.items():
        known = np.isfinite(values) & np.isfinite(found[name])
        assert known.mean() > 0.9
        busy = other.rolling(24).var(ddof=0) > 1e-10
        at = known & busy & (mine.rolling(24).var(ddof=0) > 1e-10)
        np.testing.assert_allclose(found[name][at], values[at], rtol=1e-4, atol=1e-6)


def test_a_bar_that_comes_too_late_is_refused(market: Market) -> None:
    histories = {symbol: bars.part(0, 100) for symbol, bars in market.items()}
    stream = CrossStream(_PEERS, histories, CROSS)
    stream.update(market[_OWN].bar(900))
    with pytest.raises(InvalidMarketData) as refusal:
        stream.take("GBPUSD", market["GBPUSD"].bar(101))
    assert refusal.value.code == "BAR_TOO_LATE"


def test_nothing_is_known_of_a_symbol_that_has_been_silent_for_long(market: Market) -> None:
    own, other = market[_OWN], market["GBPUSD"]
    left, right = other.part(0, 700), other.part(800, len(other))
    names = ("closed_at_ns", "open", "high", "low", "close", "volume")
    holed = BarArrays(*(np.concatenate([getattr(left, n), getattr(right, n)]) for n in names))
    torn = {**market, "GBPUSD": holed}
    found = compute_cross(_PEERS, torn, CROSS)
    first = int(np.searchsorted(own.closed_at_ns, left.closed_at_ns[-1]))
    again = int(np.searchsorted(own.closed_at_ns, right.closed_at_ns[0], "right"))
    for values in found.values():
        assert np.isfinite(values[first : first + SILENT_BARS]).all()
        assert np.isnan(values[first + SILENT_BARS + 1 : again]).all()
        assert np.isfinite(values[again])
    for start in (0, first, first + 20, first + 40, again, again + 3):
        live = run_live(torn, start, 3)
        for name, values in live.items():
            assert not differing(values, found[name][start:]), (name, start)
