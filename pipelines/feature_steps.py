"""The steps of `pipelines.featurize`, as plain functions that need no Prefect."""

from __future__ import annotations

import contextlib
import io
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import redis

from feature_repo import vector
from feature_repo.anchors import Period, periods
from feature_repo.catalogue import groups, served, view_name
from feature_repo.engine import Vector
from feature_repo.feature import Feature, Group
from feature_repo.offline_files import (
    is_current,
    period_digest,
    remove_other_periods,
    write_period,
)
from feature_repo.panel import Panel
from feature_repo.store import StorePaths, apply_definitions, open_store
from feature_repo.store_settings import read_store_settings
from feature_repo.vector import needed, split
from feature_repo.windows import served_windows, vectors_before
from online.domain.errors import InvalidInput, NotFound, Unavailable
from online.domain.market import Timeframe
from pipelines.feature_history import load_panel
from pipelines.hole import Reach
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
) -> Panel:
    """Return a symbol's bars that closed before `until_ns`, at least one, and its peers'.

    Raises
    ------
    NotFound
        ``NO_BARS`` if there is none, or the lake's own codes.
    """
    panel = load_panel(Lake(home.lake), symbol, timeframe, until_ns)
    if not len(panel.own):
        raise NotFound(
            f"the lake has no {timeframe} bars of {symbol} before {until_ns}", code="NO_BARS"
        )
    return panel


def compute_offline(
    home: Home, panel: Panel, on_progress: Callable[[float], None] | None = None
) -> tuple[int, int]:
    """Bring the offline store to a panel; return the quarters computed and those found current.

    Quarters already computed from the same bars by the same formulas are left alone; those
    without bars are removed.

    Parameters
    ----------
    home
        Where.
    panel
        All that the store shall hold features of.
    on_progress
        Told the percentage done after each quarter.
    """
    root, features = home.lake / "features", served(panel)
    quarters = list(periods(panel.own.closed_at_ns))
    computed = 0
    for number, period in enumerate(quarters):
        if on_progress is not None:
            on_progress(100.0 * number / len(quarters))
        computed += compute_quarter(home, panel, period, features)
    remove_other_periods(root, panel.symbol, panel.timeframe, features, quarters)
    store_windows(home, panel)
    if on_progress is not None:
        on_progress(100.0)
    return computed, len(quarters) - computed


def compute_quarter(home: Home, panel: Panel, period: Period, features: Sequence[Feature]) -> bool:
    """Bring the offline store's files of one quarter to a panel; tell whether work was needed.

    Own bars, longer ones and peers' are asked about apart: new bars of a peer leave what is made
    of own bars as it is.

    Parameters
    ----------
    home
        Where.
    panel
        At least what the quarter needs (`feature_repo.vector.needed`).
    period
        The quarter within its own bars.
    features
        What the whole series can serve.
    """
    own, higher, across = split(features)
    longer = tuple(feature for members in higher.values() for feature in members)
    parts = [members for members in (own, longer, across) if members]
    done = [_compute_part(home, panel, period, members) for members in parts]
    return any(done)


def _compute_part(home: Home, panel: Panel, period: Period, features: Sequence[Feature]) -> bool:
    root, symbol, timeframe = home.lake / "features", panel.symbol, panel.timeframe
    part, within = needed(panel, features, period)
    digest = period_digest(part, within, features)
    if is_current(root, symbol, timeframe, period, features, digest):
        return False
    values = vector.compute_quarter(part, features, within)
    stamps = part.own.closed_at_ns[within.start : within.end]
    begun = _begun(part, within, features, values)
    write_period(root, symbol, timeframe, within, stamps, features, values, digest, begun)
    _log.info("%s %s %s: %d features", symbol, timeframe, period.label, len(features))
    return True


def _begun(
    part: Panel, within: Period, features: Sequence[Feature], values: Mapping[str, Vector]
) -> set[Group]:
    """Return the views that lack a value at a quarter's first bar and had all at one before."""
    late = {
        group: members
        for group, members in groups(features).items()
        if within.start and not all(np.isfinite(values[f.name][0]) for f in members)
    }
    before = Period(within.quarter, 0, 0, within.start)
    found = {
        group: vector.compute_quarter(part, members, before) for group, members in late.items()
    }
    return {
        group
        for group, columns in found.items()
        if np.isfinite(np.stack(list(columns.values()))).all(axis=0).any()
    }


def serve_newest(home: Home, panel: Panel, project: str) -> int | None:
    """Apply the views, materialize the newest row through Feast, and read it back.

    An online store that is ahead, because live bars were pushed since, is left as it is. So is one
    whose next row would reach over a hole (`pipelines.hole`): a warning tells of it.

    Returns
    -------
    int or None
        The row's stamp, nanoseconds UTC; None if none was offered.

    Raises
    ------
    InvalidInput
        ``SAME_STAMP_CORRECTION`` if it holds other values of this stamp.
    Unavailable
        ``ONLINE_STORE_UNAVAILABLE`` if Redis does not answer.
    """
    symbol, timeframe, bars = panel.symbol, panel.timeframe, panel.own
    paths, features = store_paths(home), served(panel)
    store = open_store(paths, project)
    apply_definitions(store, paths.offline_root, [timeframe])
    try:
        Reach(panel, features).require_whole()
    except Unavailable as error:
        _log.warning("nothing is served online: %s. %s", error, error.remedy)
        return None
    newest_ns = int(bars.closed_at_ns[-1])
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=newest_ns // 1000)
    windows = served_windows(features)
    views = [view_name(timeframe, group) for group in groups(features)]
    views += [window.view_name(timeframe) for window in windows]
    pusher = VectorPusher(store, symbol, timeframe, features, windows)
    pusher.withdraw_transforms()
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # Feast prints its progress
            store.materialize(at - timedelta(microseconds=1), at, feature_views=views)
    except redis.exceptions.RedisError as error:
        raise Unavailable(
            f"the online store did not take the row of {at:%Y-%m-%d %H:%M}: {error}",
            code="ONLINE_STORE_UNAVAILABLE",
        ) from error
    vectors = recent_vectors(panel, features, vectors_before(windows) + 1)
    packed = open_windows(windows, timeframe, features, vectors[:-1]).update(vectors[-1])
    try:
        receipt = pusher.verify(newest_ns, vectors[-1], packed)
        pusher.tell_transforms(receipt.written)
    except InvalidInput as error:
        if error.code != "STALE_PUSH":
            raise
        _log.info("the online store is ahead: %s", error)
    return newest_ns
