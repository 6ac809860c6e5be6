"""The live feed, from the terminal's ticks to Redis: to the bits of the stored history."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from feature_repo.catalogue import served
from feature_repo.feature import Group
from feature_repo.panel import Panel
from feature_repo.store import open_store
from feature_repo.vector import compute_vectors
from feature_repo.window import pack_last
from feature_repo.windows import find_window
from online.domain.errors import SextantError, Unavailable
from online.domain.market import Bar, PriceSide, Timeframe
from online.instruments import find_instrument
from pipelines.cli import run
from pipelines.feature_history import load_bars
from pipelines.feature_steps import store_paths
from pipelines.follow import Followed, LiveFeed
from pipelines.home import Home
from pipelines.lake import Lake
from pipelines.lake_overview import count_faults
from pipelines.push import VectorPusher
from pipelines.quality_gaps import Calendar
from pipelines.quality_ticks import check_ticks
from pipelines.resample import bars_from_ticks
from pipelines.sources.terminal_link import GatewayPlace, TerminalLink, open_link
from pipelines.sources.text import read_text
from pipelines.sources.ticks import LeanTicksConfig, read_day
from pipelines.window_steps import recent_vectors
from tests.integration.feast_homes import served_home
from tests.live_terminal import LiveTerminal, live_terminal

pytestmark = pytest.mark.integration
EURUSD, M1, MINUTE = find_instrument("EURUSD"), Timeframe.M1, 60_000_000_000
CURRENCIES = Calendar.CURRENCIES


class Market:
    """Real quotes of a morning, told up to a time that the test chooses."""

    def __init__(self, live: LiveTerminal, quotes: pd.DataFrame) -> None:
        self.live, self.quotes = live, quotes
        self.now_ns = int(quotes["at_ns"].iloc[0]) - 1

    def go_to(self, at: str) -> None:
        """Say all quotes up to a time."""
        until_ns = pd.Timestamp(at).value
        stamps = self.quotes["at_ns"]
        self.live.quote(self.quotes[(stamps > self.now_ns) & (stamps <= until_ns)])
        self.now_ns = until_ns

    def bars(self) -> pd.DataFrame:
        """Return the batch's bars of everything said, those that are over by now."""
        told = self.quotes[self.quotes["at_ns"] <= self.now_ns]
        return bars_from_ticks(
            told, M1, CURRENCIES, point=EURUSD.point, known_until_ns=self.now_ns - 5_000_000_000
        )


class Recorder:
    """A trader that is away for the first bar and refuses the second."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def trade(self, symbol: str, timeframe: Timeframe, bar_closed_at_ns: int) -> dict[str, Any]:
        """Write down what is asked, and decide nothing."""
        assert (symbol, timeframe) == ("EURUSD", M1)
        self.asked.append(bar_closed_at_ns)
        if len(self.asked) == 1:
            raise Unavailable("the scorer is away")
        if len(self.asked) == 2:
            raise SextantError("the bar was traded on already", code="ALREADY_DECIDED")
        return {"action": "stay"}


@pytest.fixture(scope="module")
def quotes(shared_data: Path) -> pd.DataFrame:
    folder = shared_data / "oanda_ticks" / "eurusd"
    config = LeanTicksConfig(folder=folder, feed="oanda", clock="UTC")
    day = check_ticks(read_day(read_text(folder / "20140507_quote.zip"), config), EURUSD).ticks
    return day.drop_duplicates(ignore_index=True)


@pytest.fixture
def market(tmp_path: Path, quotes: pd.DataFrame) -> Iterator[Market]:
    with live_terminal(tmp_path / "world") as live:
        market = Market(live, quotes)
        market.go_to("2014-05-07 03:00:20")
        asyncio.run(live.world.ready())
        yield market


def follow(home: Home, link: TerminalLink, market: Market, trader: Recorder | None) -> LiveFeed:
    return LiveFeed(home, link, ["EURUSD"], M1, lambda: market.now_ns, trader=trader)


def test_ticks_become_bars_vectors_and_decisions_to_the_batchs_bits(market: Market) -> None:
    place, trader = GatewayPlace(**market.live.place), Recorder()
    with served_home() as home, open_link(place) as link:
        feed = follow(home, link, market, trader)
        caught_up = feed.poll()
        assert [each.receipt is not None for each in caught_up].count(True) == 1
        assert caught_up[-1].decision is None, "the scorer was away, and the feed goes on"
        answered: list[dict[str, Any] | None] = []
        for at in ("03:00:50", "03:02:30", "03:04:06"):
            market.go_to(f"2014-05-07 {at}")
            followed = feed.poll()
            answered += [each.decision for each in followed]
        assert answered == [None, *[{"action": "stay"}] * (len(answered) - 1)], "and when refused"
        assert not feed.left_out
        lake = Lake(home.lake)
        kept = lake.read_bars("EURUSD", "M1", microstructure=True)
        expected = market.bars().iloc[1:].reset_index(drop=True)
        pd.testing.assert_frame_equal(kept, expected[list(kept.columns)])
        assert trader.asked == kept["closed_at_ns"].tolist()[-len(trader.asked) :]

        bars = load_bars(lake, "EURUSD", M1)
        panel = Panel("EURUSD", M1, bars)
        features = served(panel)
        assert Group.MICROSTRUCTURE in {feature.group for feature in features}
        pusher = VectorPusher(open_store(store_paths(home), "sextant"), "EURUSD", M1, features)
        receipt = pusher.verify(trader.asked[-1], newest(panel))
        assert "m1_microstructure" in receipt.written
        window = find_window("default_32")
        pusher = VectorPusher(
            open_store(store_paths(home), "sextant"), "EURUSD", M1, features, [window]
        )
        vectors = recent_vectors(panel, window.entries(M1), window.length)
        packed = {window.field: pack_last(vectors, window.length)}
        receipt = pusher.verify(trader.asked[-1], newest(panel), packed)
        assert window.view_name(M1) in receipt.written


def newest(panel: Panel) -> Any:  # noqa: ANN401 - a vector
    values = compute_vectors(panel, served(panel))
    return np.array([column[-1] for column in values.values()], np.float32)


def test_a_start_goes_on_where_the_lake_ends_and_pushes_the_same_bar_again(market: Market) -> None:
    place = GatewayPlace(**market.live.place)
    with served_home() as home, open_link(place) as link:
        first = follow(home, link, market, None).poll()
        again = follow(home, link, market, None)
        assert again.poll() == [], "the lake has everything"
        market.go_to("2014-05-07 03:01:30")
        (bar,) = again.poll()
        assert bar.bar.closed_at_ns == first[-1].bar.closed_at_ns + MINUTE
        kept = Lake(home.lake).read_bars("EURUSD", "M1", microstructure=True)
        assert len(kept) == len(first) + 1
        assert bar.receipt is not None


def test_a_gateway_that_is_away_for_a_while_loses_nothing(market: Market) -> None:
    place = GatewayPlace(**market.live.place, answer_seconds=2.0)
    with served_home() as home, open_link(place) as link:
        feed = follow(home, link, market, None)
        feed.poll()
        market.live.world.stop()
        market.go_to("2014-05-07 03:01:30")
        with pytest.raises(Unavailable):
            feed.poll()
        market.live.world.start()
        asyncio.run(market.live.world.ready())
        market.go_to("2014-05-07 03:02:30")
        closed = [pd.Timestamp(each.bar.closed_at_ns) for each in poll_again(feed)]
        assert closed == [pd.Timestamp(f"2014-05-07 03:0{minute}") for minute in (1, 2)]
        kept = Lake(home.lake).read_bars("EURUSD", "M1", microstructure=True)
        expected = market.bars().iloc[1:].reset_index(drop=True)
        pd.testing.assert_frame_equal(kept, expected[list(kept.columns)])


def poll_again(feed: LiveFeed) -> list[Followed]:
    """Poll until the link has connected anew."""
    for _ in range(40):
        try:
            return feed.poll()
        except Unavailable:
            continue
    raise AssertionError("the gateway is back and is not found")


def test_a_series_that_began_without_quotes_is_followed_without_their_features(
    market: Market,
) -> None:
    place = GatewayPlace(**market.live.place)
    with served_home() as home, open_link(place) as link:
        plain = market.bars().iloc[:60]
        columns = ["closed_at_ns", "open", "high", "low", "close", "volume", "spread_points"]
        Lake(home.lake).write_bars("EURUSD", M1, PriceSide.BID, plain[columns], "histdata")
        followed = follow(home, link, market, None).poll()
        receipt = followed[-1].receipt
        assert receipt is not None
        assert "m1_microstructure" not in (*receipt.written, *receipt.warming_up)
        assert "m1_momentum" in receipt.written


def test_what_reaches_over_a_hole_is_not_served_until_the_bars_between_are_there(
    market: Market, caplog: pytest.LogCaptureFixture
) -> None:
    place, trader = GatewayPlace(**market.live.place), Recorder()
    with served_home() as home, open_link(place) as link:
        lake, whole = Lake(home.lake), market.bars()
        columns = ["closed_at_ns", "open", "high", "low", "close", "volume", "spread_points"]
        early = whole[columns].iloc[:100].copy()
        early["closed_at_ns"] -= 7 * 1440 * MINUTE
        lake.write_bars("EURUSD", M1, PriceSide.BID, early, "histdata")
        feed = follow(home, link, market, trader)
        followed = feed.poll()
        assert len(followed) > 100
        assert not any(each.receipt for each in followed)
        assert not trader.asked
        assert "HOLE_IN_HISTORY" in caplog.text
        assert "sextant ingest --source terminal" in caplog.text
        first_ns = int(lake.read_bars("EURUSD", M1)["closed_at_ns"].iloc[100])
        missing = np.arange(early["closed_at_ns"].iloc[-1] + MINUTE, first_ns, MINUTE)
        between = pd.concat([early.iloc[-1:]] * len(missing), ignore_index=True)
        between = between.assign(closed_at_ns=missing)
        lake.write_bars("EURUSD", M1, PriceSide.BID, between, "histdata")
        market.go_to("2014-05-07 03:01:30")
        (served_now,) = feed.poll()
        assert served_now.receipt is not None
        assert trader.asked == [served_now.bar.closed_at_ns]


def test_the_command_follows_a_terminal_of_now(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.commands.following.prepare_environment", lambda _home: None)
    minute = pd.Timestamp.now("UTC").value // MINUTE * MINUTE
    at_ns = minute + np.arange(-60, 0) * 10_000_000_000
    ticks = pd.DataFrame({"at_ns": at_ns, "bid": 1.1, "ask": 1.1002})
    with live_terminal(tmp_path / "world") as live, served_home() as home:
        live.quote(ticks)
        asyncio.run(live.world.ready())
        place = live.place
        words = f"follow --bars 5 --port {place['port']} --certificates {place['certificates']}"
        assert run([*words.split(), "--home", str(home.root)]) == 0, capsys.readouterr().err
        kept = Lake(home.lake).read_bars("EURUSD", "M1")
    assert set(kept["volume"]) == {6.0}
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == len(kept) >= 8
    assert shown[-1].endswith("1.1 of 6 ticks, spread 20.0 points; 1 views served")
    assert "kept" in shown[0]


def test_ticks_that_cannot_be_are_left_out_and_counted(market: Market) -> None:
    place = GatewayPlace(**market.live.place)
    with served_home() as home, open_link(place) as link:
        feed = follow(home, link, market, None)
        feed.poll()
        at_ns = market.now_ns
        odd = [(1.39, 1.3899), (1.39, 1.39), (139.0, 139.1), (1.39, 1.3901)]
        rows = [(at_ns + (i + 1) * 1_000_000, *prices) for i, prices in enumerate(odd)]
        market.live.quote(pd.DataFrame(rows, columns=["at_ns", "bid", "ask"]))
        market.now_ns = at_ns + 45_000_000_000
        (only,) = feed.poll()
        assert feed.left_out == {"NEGATIVE_SPREAD": 1, "ZERO_SPREAD": 1, "WRONG_SCALE": 1}
        assert isinstance(only.bar, Bar)
        assert only.bar.high < 1.5


def test_a_correction_in_the_lake_is_in_the_next_bars_vector(market: Market) -> None:
    place = GatewayPlace(**market.live.place)
    with served_home() as home, open_link(place) as link:
        feed = follow(home, link, market, None)
        feed.poll()
        lake = Lake(home.lake)
        last = lake.read_bars("EURUSD", "M1").iloc[[-1]].reset_index(drop=True)
        last[["high", "close"]] += 0.0020
        lake.write_bars("EURUSD", M1, PriceSide.BID, last, "corrected", priority=9)
        market.go_to("2014-05-07 03:01:30")
        (bar,) = feed.poll()
        panel = Panel("EURUSD", M1, load_bars(lake, "EURUSD", M1))
        pusher = VectorPusher(open_store(store_paths(home), "sextant"), "EURUSD", M1, served(panel))
        receipt = pusher.verify(bar.bar.closed_at_ns, newest(panel))
        assert "m1_momentum" in receipt.written


def test_a_bar_that_differs_from_the_lakes_is_in_quarantine_as_after_an_ingestion(
    market: Market,
) -> None:
    place = GatewayPlace(**market.live.place)
    with served_home() as home, open_link(place) as link:
        feed = follow(home, link, market, None)
        feed.poll()
        lake = Lake(home.lake)
        other = lake.read_bars("EURUSD", "M1").iloc[[-1]].reset_index(drop=True)
        other["closed_at_ns"] += MINUTE
        lake.write_bars("EURUSD", M1, PriceSide.BID, other, "another feed", priority=9)
        market.go_to("2014-05-07 03:01:30")
        (bar,) = feed.poll()
        assert bar.bar.closed_at_ns == int(other["closed_at_ns"].iloc[0])
        (file,) = (home.lake / "quarantine").rglob("*.parquet")
        (row,) = pd.read_parquet(file).to_dict("records")
        assert (row["source_file"], row["reason"]) == ("ticks:terminal", "CONFLICTS_WITH_LAKE")
        assert row["closed_at_ns"] == bar.bar.closed_at_ns
        assert repr(bar.bar.close) in row["raw_text"]
        assert count_faults(home.lake, "EURUSD", "M1") == {"CONFLICTS_WITH_LAKE": 1}


def test_a_store_that_is_ahead_refuses_a_bar_and_the_feed_goes_on(market: Market) -> None:
    place = GatewayPlace(**market.live.place)
    with served_home() as home, open_link(place) as link:
        feed = follow(home, link, market, None)
        feed.poll()
        panel = Panel("EURUSD", M1, load_bars(Lake(home.lake), "EURUSD", M1))
        ahead_ns = int(panel.own.closed_at_ns[-1]) + MINUTE
        store = open_store(store_paths(home), "sextant")
        VectorPusher(store, "EURUSD", M1, served(panel)).push(ahead_ns, newest(panel))
        market.go_to("2014-05-07 03:02:30")
        followed = feed.poll()
        assert [each.receipt is None for each in followed] == [True, False]
        assert len(Lake(home.lake).read_bars("EURUSD", "M1")) == len(panel.own) + 2
