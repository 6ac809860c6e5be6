"""The live feed of several symbols: features across them, to the bits of the stored history."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from feature_repo.catalogue import CROSS, contract, select
from feature_repo.vector import compute_vectors
from online.adapters.feast_redis import FeastRedisReader
from online.adapters.redis_connection import RedisAddress
from online.domain.errors import InvalidInput, Unavailable
from online.domain.market import Timeframe
from online.domain.vector import VectorReading, judge_reading
from online.instruments import find_instrument
from pipelines.cli import run
from pipelines.feature_history import load_panel
from pipelines.follow import PEER_WAIT_NS, Followed, LiveFeed
from pipelines.home import Home
from pipelines.lake import Lake
from pipelines.live_bars import GRACE_NS
from pipelines.quality_gaps import Calendar
from pipelines.resample import bars_from_ticks
from pipelines.sources.terminal_link import GatewayPlace, TerminalLink, open_link
from tests.integration.feast_homes import served_home
from tests.live_terminal import LiveTerminal, live_terminal

pytestmark = pytest.mark.integration
M1, SECOND, MINUTE = Timeframe.M1, 1_000_000_000, 60_000_000_000
SYMBOLS = ("EURUSD", "GBPUSD", "USDJPY")
GAP_MILLISECONDS = {"EURUSD": 9000.0, "GBPUSD": 50_000.0, "USDJPY": 9000.0}
PRICES = {"EURUSD": 1.39, "GBPUSD": 1.69, "USDJPY": 101.7}
BEGIN = pd.Timestamp("2014-05-07 01:00").value
LIVE = BEGIN + 60 * MINUTE
VECTOR = contract(M1, ["log_return_1", "rsi_14", *(feature.name for feature in CROSS)])


def random_quotes(symbol: str, seed: int) -> pd.DataFrame:
    """Return two hours of quotes, some of them minutes apart."""
    random, count = np.random.default_rng(seed), 1500
    milliseconds = np.maximum(
        1, random.exponential(GAP_MILLISECONDS[symbol], count).astype(np.int64)
    )
    at_ns = BEGIN + 1_000_000 * np.cumsum(milliseconds)
    point = find_instrument(symbol).point
    walk = PRICES[symbol] * np.exp(np.cumsum(random.normal(0.0, 3e-5, count)))
    bid = np.round(walk / point) * point
    quotes = pd.DataFrame({"at_ns": at_ns, "bid": bid, "ask": bid + 12 * point})
    whole: pd.DataFrame = quotes[at_ns < BEGIN + 120 * MINUTE]
    return whole


class Markets:
    """Three markets, each told up to a time of its own."""

    def __init__(self, live: LiveTerminal) -> None:
        self.live = live
        self.quotes = {name: random_quotes(name, seed) for seed, name in enumerate(SYMBOLS, 11)}
        self.told_ns = dict.fromkeys(SYMBOLS, BEGIN)
        self.now_ns = BEGIN

    def tell(self, symbol: str, until_ns: int) -> None:
        """Say a market's quotes up to a time."""
        stamps = self.quotes[symbol]["at_ns"]
        new = self.quotes[symbol][(stamps > self.told_ns[symbol]) & (stamps <= until_ns)]
        self.told_ns[symbol] = until_ns
        if len(new):
            self.live.quote(new, symbol)

    def go_to(self, now_ns: int, **late_ns: int) -> None:
        """Let it be a time, and say all quotes up to it, less those that are late."""
        self.now_ns = now_ns
        for symbol in SYMBOLS:
            self.tell(symbol, now_ns - late_ns.get(symbol, 0))

    def drop(self, symbol: str, start_ns: int, end_ns: int) -> None:
        """Let a market be silent for a while."""
        quotes = self.quotes[symbol]
        self.quotes[symbol] = quotes[(quotes["at_ns"] < start_ns) | (quotes["at_ns"] >= end_ns)]

    def add(self, symbol: str, at_ns: int) -> None:
        """Let a market say its last price again, or for the first time."""
        rows = pd.DataFrame({"at_ns": [at_ns], "bid": [PRICES[symbol]], "ask": [PRICES[symbol]]})
        rows["ask"] += 12 * find_instrument(symbol).point
        joined = pd.concat([self.quotes[symbol], rows])
        self.quotes[symbol] = joined.sort_values("at_ns", ignore_index=True)


class Scorer:
    """A trader that reads the vector as the scorer does."""

    def __init__(self, home: Home) -> None:
        self._reader = FeastRedisReader(RedisAddress(str(home.valkey_socket)), "sextant")
        self._loop = asyncio.new_event_loop()
        self.readings: dict[tuple[str, int], VectorReading] = {}

    def trade(self, symbol: str, timeframe: Timeframe, bar_closed_at_ns: int) -> dict[str, Any]:
        """Decide nothing."""
        assert timeframe is M1
        reading = self._loop.run_until_complete(self._reader.read(symbol, VECTOR))
        self.readings[symbol, bar_closed_at_ns] = reading
        return {"action": "stay"}

    def close(self) -> None:
        """End the connection."""
        self._loop.run_until_complete(self._reader.close())
        self._loop.close()

    def vetoes(self, symbol: str, at_ns: int) -> set[str]:
        """Return why a bar's vector must not be scored; the backtest names it so as well."""
        reading = self.readings[symbol, at_ns]
        return {veto.reason.value for veto in judge_reading(reading, VECTOR, at_ns, at_ns)}

    def scored(self, symbol: str) -> dict[int, bytes]:
        """Return the vectors that may be scored, by bar."""
        return {
            at_ns: np.array(reading.values, np.float32).tobytes()
            for (name, at_ns), reading in self.readings.items()
            if name == symbol and not judge_reading(reading, VECTOR, at_ns, at_ns)
        }


class Cut:
    """A link on which one symbol's ticks can be made to fail."""

    def __init__(self, link: TerminalLink) -> None:
        self._link, self.cut = link, ""

    def ticks(self, symbol: str, since_ns: int) -> Any:  # noqa: ANN401 - pages
        if symbol == self.cut:
            raise Unavailable(f"{symbol} is away")
        return self._link.ticks(symbol, since_ns)


def batch(home: Home, symbol: str) -> dict[int, bytes]:
    """Return the whole vectors of the lake, by bar."""
    panel = load_panel(Lake(home.lake), symbol, M1)
    columns = compute_vectors(panel, select(VECTOR.names, M1))
    table = np.stack([columns[name] for name in VECTOR.names], axis=1)
    stamps = panel.own.closed_at_ns.tolist()
    return {at: row.tobytes() for at, row in zip(stamps, table, strict=True) if _whole(row)}


def _whole(row: Any) -> bool:  # noqa: ANN401 - a vector
    return bool(np.isfinite(row).all())


def stamps(followed: list[Followed], symbol: str) -> list[int]:
    """Return the minutes of the live hour at which a symbol's bars closed."""
    return [(f.bar.closed_at_ns - LIVE) // MINUTE for f in followed if f.symbol == symbol]


@pytest.fixture
def markets(tmp_path: Path) -> Iterator[Markets]:
    with live_terminal(tmp_path / "world", symbols=SYMBOLS) as live:
        found = Markets(live)
        yield found


@dataclass(frozen=True)
class Line:
    """Markets, a home beside their gateway, and who asks it."""

    markets: Markets
    home: Home
    link: Cut
    scorer: Scorer

    def follow(self, symbols: tuple[str, ...] = SYMBOLS) -> LiveFeed:
        """Return a new feed."""
        link = cast("TerminalLink", self.link)
        return LiveFeed(
            *(self.home, link, symbols, M1, lambda: self.markets.now_ns), trader=self.scorer
        )


@pytest.fixture
def line(markets: Markets) -> Iterator[Line]:
    asyncio.run(markets.live.world.ready())
    with served_home() as home, open_link(GatewayPlace(**markets.live.place)) as link:
        scorer = Scorer(home)
        yield Line(markets, home, Cut(link), scorer)
        scorer.close()


def test_vectors_across_symbols_are_the_batchs_bits_whatever_comes_first(
    line: Line,
) -> None:
    markets, home = line.markets, line.home
    markets.drop("USDJPY", LIVE - 20 * MINUTE, LIVE + 11 * MINUTE)
    markets.go_to(LIVE)
    feed, scorer = line.follow(), line.scorer
    followed, random = feed.poll(), np.random.default_rng(5)
    for minute in (1, 2, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15):
        for second in (1, 4):
            late = {s: int(random.integers(0, GRACE_NS - 2 * SECOND)) for s in SYMBOLS}
            markets.go_to(LIVE + minute * MINUTE + second * SECOND, **late)
            line.link.cut = str(random.choice(["", *SYMBOLS])) if second == 1 else ""
            with suppress(Unavailable):
                followed += feed.poll()
    markets.go_to(markets.now_ns + 2 * GRACE_NS)
    followed += feed.poll()
    assert stamps(followed, "EURUSD")[-15:] == list(range(1, 16)), "each once, in order"
    assert not feed.left_out
    lake = Lake(home.lake)
    for symbol in SYMBOLS:
        kept = lake.read_bars(symbol, M1, microstructure=True)
        told = markets.quotes[symbol]
        told = told[told["at_ns"] <= markets.told_ns[symbol]]
        expected = bars_from_ticks(
            *(told, M1, Calendar.CURRENCIES),
            point=find_instrument(symbol).point,
            known_until_ns=markets.now_ns - GRACE_NS,
        )
        expected = expected.iloc[1:].reset_index(drop=True)[list(kept.columns)]
        pd.testing.assert_frame_equal(kept, expected)
        asked = {at for name, at in scorer.readings if name == symbol}
        stored = {at: row for at, row in batch(home, symbol).items() if at in asked}
        assert scorer.scored(symbol) == stored
        assert len(set(stored.values())) > 1
    silent = {at for name, at in scorer.readings if name == "EURUSD"} - set(scorer.scored("EURUSD"))
    assert silent, "nothing is known of a symbol that is silent for long"
    assert max(scorer.scored("EURUSD")) > max(silent), "and it comes back"


def test_a_bar_waits_for_a_peer_that_is_behind_and_no_longer_than_the_clock(
    line: Line,
) -> None:
    markets, home = line.markets, line.home
    markets.drop("GBPUSD", LIVE + 10 * SECOND, LIVE + 230 * SECOND)
    markets.drop("EURUSD", LIVE + 170 * SECOND, LIVE + 240 * SECOND)
    for second in (40, 90, 150):
        markets.add("GBPUSD", LIVE + second * SECOND)
    for second in (170, 181):
        markets.add("EURUSD", LIVE + second * SECOND)
    markets.go_to(LIVE + 130 * SECOND, GBPUSD=80 * SECOND)
    feed, scorer = line.follow(), line.scorer
    feed.poll()
    markets.go_to(LIVE + 182 * SECOND, GBPUSD=120 * SECOND)
    assert stamps(feed.poll(), "EURUSD") == [], "GBPUSD may yet say something of its minute"
    markets.now_ns += GRACE_NS
    assert stamps(feed.poll(), "EURUSD") == [3]
    assert LIVE + 3 * MINUTE in scorer.scored("EURUSD")
    markets.go_to(LIVE + 255 * SECOND)
    assert stamps(feed.poll(), "EURUSD") == [4]
    assert feed.left_out == {"OUT_OF_ORDER": 1}, "of a bar that EURUSD has gone on without"
    kept = Lake(home.lake).read_bars("GBPUSD", M1)["closed_at_ns"].tolist()
    assert LIVE + 2 * MINUTE not in kept
    assert LIVE + 3 * MINUTE in kept
    scored, stored = scorer.scored("EURUSD"), batch(home, "EURUSD")
    assert LIVE + 4 * MINUTE in scored
    assert scored == {at: stored[at] for at in scored}


def test_a_peer_that_is_not_read_in_time_makes_values_missing_and_never_wrong(
    line: Line,
) -> None:
    markets, home, link = line.markets, line.home, line.link
    markets.go_to(LIVE + 5 * SECOND)
    feed, scorer = line.follow(), line.scorer
    feed.poll()
    link.cut = "GBPUSD"
    markets.go_to(LIVE + 125 * SECOND)
    with pytest.raises(Unavailable, match="GBPUSD is away"):
        feed.poll()
    markets.go_to(markets.now_ns + PEER_WAIT_NS)
    answered = [each for each in feed.poll() if each.symbol == "EURUSD"]
    assert stamps(answered, "EURUSD") == [1, 2]
    for each in answered:
        assert each.receipt is not None
        assert "m1_cross" in each.receipt.missing
        assert "m1_momentum" in each.receipt.written
        assert scorer.vetoes("EURUSD", each.bar.closed_at_ns) == {"MISSING_FEATURE"}
    link.cut = ""
    markets.go_to(LIVE + 255 * SECOND)
    assert stamps(feed.poll(), "EURUSD")[-1] == 4
    missing, stored = {LIVE + MINUTE, LIVE + 2 * MINUTE}, batch(home, "EURUSD")
    scored = scorer.scored("EURUSD")
    assert not missing & set(scored)
    assert missing < set(stored)
    assert {LIVE + 3 * MINUTE, LIVE + 4 * MINUTE} < set(scored)
    assert scored == {at: stored[at] for at in scored}


def test_a_symbol_whose_peers_are_not_all_followed_has_no_values_across_symbols(
    line: Line,
) -> None:
    markets = line.markets
    markets.go_to(LIVE + 5 * SECOND)
    line.follow().poll()
    markets.go_to(LIVE + 70 * SECOND)
    line.scorer.readings.clear()
    feed = line.follow(("EURUSD", "GBPUSD", "EURUSD"))
    receipts = [each.receipt for each in feed.poll() if each.receipt is not None]
    assert len(receipts) == 2
    for receipt in receipts:
        assert "m1_cross" not in (*receipt.written, *receipt.warming_up)
        assert "m1_momentum" in receipt.written
    for (_, at_ns), reading in line.scorer.readings.items():
        vetoes = judge_reading(reading, VECTOR, at_ns, at_ns)
        assert "TORN_VECTOR" in {veto.reason for veto in vetoes}


def test_nothing_to_follow_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as refusal:
        LiveFeed(Home(tmp_path), cast("TerminalLink", None), (), M1, lambda: BEGIN)
    assert refusal.value.code == "NOTHING_TO_FOLLOW"


def test_the_command_says_at_the_start_who_is_seen_beside_whom(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    line: Line,
) -> None:
    monkeypatch.setattr("pipelines.commands.following.prepare_environment", lambda _home: None)
    markets, home = line.markets, line.home
    monkeypatch.setattr("time.time_ns", lambda: markets.now_ns)
    markets.go_to(LIVE)
    place = markets.live.place
    there = f"--port {place['port']} --certificates {place['certificates']} --home {home.root}"
    assert run(f"follow --bars 1 --symbol EURUSD --symbol USDJPY {there}".split()) == 0
    said = capsys.readouterr()
    assert "EURUSD has no features across symbols in this run: GBPUSD not followed" in said.err
    every = " ".join(f"--symbol {symbol}" for symbol in SYMBOLS)
    markets.go_to(LIVE + 2 * MINUTE)
    assert run(f"follow --bars 1 {every} {there}".split()) == 0
    said = capsys.readouterr()
    assert "EURUSD is seen beside GBPUSD, USDJPY" in said.err
    assert "02:0" in said.out
