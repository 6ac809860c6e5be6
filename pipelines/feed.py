"""The replaying feed: the last quarter of the lake, bar after bar, into a running scorer.

Run as ``python -m pipelines.feed HOME SCORER_URL --bar-seconds 5``. It tells how it is in
``<home>/run/feed.json``, which ``sextant status`` reads.
"""

from __future__ import annotations

import argparse
import logging
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from feature_repo.anchors import quarter_end_ns, quarter_of
from feature_repo.catalogue import whole_views
from feature_repo.store import apply_definitions, open_store
from feature_repo.windows import served_windows, vectors_before
from online.domain.errors import NotFound, SextantError
from online.domain.market import NANOSECONDS_PER_SECOND, Timeframe
from online.instruments import find_instrument
from online.settings import load_settings
from pipelines.feature_history import load_arriving, load_history
from pipelines.feature_steps import store_paths
from pipelines.home import Home
from pipelines.lake import Lake
from pipelines.market import read_market
from pipelines.platform.embedded import REPLAY_PROJECT
from pipelines.platform.probes import Health, write_report
from pipelines.platform.services import feed_report
from pipelines.replay import Replay, Step
from pipelines.scorer_client import ScorerClient

_log = logging.getLogger(__name__)


def find_replay_start_ns(home: Home, symbol: str, timeframe: Timeframe) -> int:
    """Return where the series' last quarter begins, nanoseconds UTC; training ends before it.

    Raises
    ------
    NotFound
        With code ``EMPTY_LAKE`` if the lake has no such series.
    """
    for entry in Lake(home.lake).describe():
        if entry.symbol == symbol and entry.timeframe is timeframe:
            return quarter_end_ns(quarter_of(entry.last_ns) - 1)
    raise NotFound(
        f"the lake below {home.root} has no {timeframe} bars of {symbol}",
        code="EMPTY_LAKE",
        remedy="Fill it with `sextant ingest`.",
    )


def open_replay(
    home: Home, symbol: str, timeframe: Timeframe, scorer: ScorerClient, spread_points: float | None
) -> Replay:
    """Return the replay of a series' last quarter, on a Feast project of its own.

    Parameters
    ----------
    scorer
        Runs in replay mode.
    spread_points
        Assumed on bars that the source gave no spread; None for what is known of the symbol.
    """
    lake, start_ns = Lake(home.lake), find_replay_start_ns(home, symbol, timeframe)
    paths = store_paths(home)
    apply_definitions(open_store(paths, REPLAY_PROJECT), paths.offline_root, [timeframe])
    market = read_market(
        lake,
        find_instrument(symbol),
        timeframe,
        start_ns + 1,
        time.time_ns(),
        spread_points,
    )
    names = read_model_features(scorer)
    first_ns = market.bars[0].closed_at_ns
    features = whole_views(names, timeframe)
    before = vectors_before(served_windows(features))
    history = load_history(lake, symbol, timeframe, first_ns, features, before)
    arriving = load_arriving(lake, history)
    return Replay(home, market, history, scorer, REPLAY_PROJECT, names, arriving)


def read_model_features(scorer: ScorerClient) -> tuple[str, ...] | None:
    """Return what the scorer's model reads; None while it has none."""
    try:
        return tuple(scorer.get("/v1/model")["features"])
    except SextantError as error:
        if error.code != "NO_MODEL":
            raise
        return None


def pace(steps: Iterator[Step], seconds: float, stop: threading.Event) -> Iterator[Step]:
    """Yield steps no faster than one every `seconds`, until `stop` is set."""
    due = time.monotonic()
    for step in steps:
        yield step
        due = max(due + seconds, time.monotonic())
        if stop.wait(due - time.monotonic()):
            return


def run_feed(home: Home, url: str, symbol: str, timeframe: Timeframe, bar_seconds: float) -> None:
    """Replay to the end of the data, then stay, so that the platform stays ready.

    Parameters
    ----------
    url
        Of the scorer, which runs in replay mode.
    bar_seconds
        Between two bars (> 0).
    """
    stop, report = threading.Event(), feed_report(home)
    with ScorerClient(url, home.token) as scorer:
        spread_points = load_settings("replay").broker.assumed_spread_points
        replay = open_replay(home, symbol, timeframe, scorer, spread_points)
        for number, step in enumerate(pace(replay.steps(), bar_seconds, stop), start=1):
            closed_at = datetime.fromtimestamp(
                step.bar_closed_at_ns // NANOSECONDS_PER_SECOND, tz=UTC
            )
            done = f"bar {number} of {len(replay)}, closed {closed_at:%Y-%m-%d %H:%M} UTC"
            write_report(report, Health(ready=True, detail=done))
            _log.info("%s: %s", done, step.decision.get("action"))
    write_report(report, Health(ready=True, detail="the replay is finished"))
    stop.wait()


def main() -> None:
    """Run the feed as its own process."""
    parser = argparse.ArgumentParser(description="Replay bars into a running scorer.")
    parser.add_argument("home", type=Path)
    parser.add_argument("url")
    parser.add_argument("--symbol", default="EURUSD")
    parser.add_argument("--timeframe", default="H1", type=Timeframe.parse)
    parser.add_argument("--bar-seconds", default=5.0, type=float)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    run_feed(Home(given.home), given.url, given.symbol, given.timeframe, given.bar_seconds)


if __name__ == "__main__":
    main()
