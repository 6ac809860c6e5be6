"""The steps of `pipelines.featurize`, as plain functions that need no Prefect."""

from __future__ import annotations

import contextlib
import io
import logging
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import redis

from feature_repo.anchors import Period, periods
from feature_repo.bars import BarArrays
from feature_repo.catalogue import available, groups, view_name
from feature_repo.engine import compute_period
from feature_repo.feature import Feature
from feature_repo.offline_files import (
    is_current,
    period_digest,
    remove_other_periods,
    write_period,
)
from feature_repo.store import StorePaths, apply_definitions, open_store
from feature_repo.store_settings import read_store_settings
from feature_repo.windows import served_windows
from online.domain.errors import InvalidInput, NotFound, Unavailable
from online.domain.market import Timeframe
from pipelines.feature_history import load_bars
from pipelines.home import Home
from pipelines.lake import Lake
from pipelines.push import VectorPusher
from pipelines.window_steps import open_windows, recent_vectors, store_windows

_log = logging.getLogger(__name__)


def store_paths(home: Home) -> StorePaths:
    """Return where a home keeps its feature store, and the servers it is told to use instead."""
    return StorePaths(
        home.feast / "registry.db",
        home.lake / "features",
        home.valkey_socket,
        read_store_settings(home.feast / "stores.toml", os.environ),
    )


def read_series(
    home: Home, symbol: str, timeframe: Timeframe, until_ns: int | None = None
) -> BarArrays:
    """Return a series' bars that closed before `until_ns`, at least one.

    Raises
    ------
    NotFound
        ``NO_BARS`` if there is none, or the lake's own codes.
    """
    bars = load_bars(Lake(home.lake), symbol, timeframe, until_ns)
    if not len(bars):
        raise NotFound(
            f"the lake has no {timeframe} bars of {symbol} before {until_ns}", code="NO_BARS"
        )
    return bars


def compute_offline(
    home: Home,
    symbol: str,
    timeframe: Timeframe,
    bars: BarArrays,
    on_progress: Callable[[float], None] | None = None,
) -> tuple[int, int]:
    """Bring the offline store to `bars`; return the quarters computed and those found current.

    Quarters already computed from the same bars by the same formulas are left alone; those
    without bars are removed.

    Parameters
    ----------
    home, symbol, timeframe
        Where and whose.
    bars
        All that the store shall hold features of.
    on_progress
        Told the percentage done after each quarter.
    """
    root, features = home.lake / "features", available(bars.inputs)
    quarters = list(periods(bars.closed_at_ns))
    computed = 0
    for number, period in enumerate(quarters):
        if on_progress is not None:
            on_progress(100.0 * number / len(quarters))
        computed += compute_quarter(home, symbol, timeframe, bars, period, features)
    remove_other_periods(root, symbol, timeframe, features, quarters)
    store_windows(home, symbol, timeframe, bars)
    if on_progress is not None:
        on_progress(100.0)
    return computed, len(quarters) - computed


def compute_quarter(
    home: Home,
    symbol: str,
    timeframe: Timeframe,
    bars: BarArrays,
    period: Period,
    features: Sequence[Feature],
) -> bool:
    """Bring the offline store's files of one quarter to `bars`; tell whether work was needed.

    Parameters
    ----------
    home, symbol, timeframe
        Where and whose.
    bars
        At least those from the quarter's anchor to its end.
    period
        The quarter within them.
    features
        What the whole series can serve.
    """
    root = home.lake / "features"
    digest = period_digest(bars, period, features)
    if is_current(root, symbol, timeframe, period, features, digest):
        return False
    values = compute_period(bars, features, period)
    stamps = bars.closed_at_ns[period.start : period.end]
    write_period(root, symbol, timeframe, period, stamps, features, values, digest)
    _log.info("%s %s %s: %d features", symbol, timeframe, period.label, len(features))
    return True


def serve_newest(
    home: Home, symbol: str, timeframe: Timeframe, bars: BarArrays, project: str
) -> int:
    """Apply the views, materialize the newest row through Feast, and read it back.

    An online store that is ahead, because live bars were pushed since, is left as it is.

    Returns
    -------
    int
        The row's stamp, nanoseconds UTC.

    Raises
    ------
    InvalidInput
        ``SAME_STAMP_CORRECTION`` if it holds other values of this stamp.
    Unavailable
        ``ONLINE_STORE_UNAVAILABLE`` if Redis does not answer.
    """
    paths, features = store_paths(home), available(bars.inputs)
    store = open_store(paths, project)
    apply_definitions(store, paths.offline_root, [timeframe])
    newest_ns = int(bars.closed_at_ns[-1])
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=newest_ns // 1000)
    windows = served_windows(features)
    views = [view_name(timeframe, group) for group in groups(features)]
    views += [window.view_name(timeframe) for window in windows]
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # Feast prints its progress
            store.materialize(at - timedelta(microseconds=1), at, feature_views=views)
    except redis.exceptions.RedisError as error:
        raise Unavailable(
            f"the online store did not take the row of {at:%Y-%m-%d %H:%M}: {error}",
            code="ONLINE_STORE_UNAVAILABLE",
        ) from error
    count = max((window.length for window in windows), default=1)
    vectors = recent_vectors(bars, features, count)
    packed = open_windows(windows, timeframe, features, vectors[:-1]).update(vectors[-1])
    try:
        pusher = VectorPusher(store, symbol, timeframe, features, windows)
        pusher.verify(newest_ns, vectors[-1], packed)
    except InvalidInput as error:
        if error.code != "STALE_PUSH":
            raise
        _log.info("the online store is ahead: %s", error)
    return newest_ns
