"""Windows of a series: stored offline from stored vectors, opened live on the last vectors."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from feature_repo.anchors import periods
from feature_repo.catalogue import served
from feature_repo.feature import Feature
from feature_repo.panel import Panel
from feature_repo.vector import compute_vectors
from feature_repo.window import WindowStreams
from feature_repo.window_files import remove_other_windows, write_windows
from feature_repo.windows import Window, served_windows
from online.domain.market import Timeframe
from pipelines.home import Home

_log = logging.getLogger(__name__)


def store_windows(home: Home, panel: Panel) -> int:
    """Bring the offline store's windows to its vectors; return how many files were written.

    Parameters
    ----------
    home
        Where.
    panel
        What the store holds vectors of.
    """
    symbol, timeframe, stamps_ns = panel.symbol, panel.timeframe, panel.own.closed_at_ns
    root, written = home.lake / "features", 0
    quarters = list(periods(stamps_ns))
    for window in served_windows(served(panel)):
        for period in quarters:
            place = (window, stamps_ns, period)
            written += write_windows(root, symbol, timeframe, *place)
        remove_other_windows(root, symbol, timeframe, window, quarters)
    _log.info("%s %s: %d files of windows written", symbol, timeframe, written)
    return written


def recent_vectors(
    panel: Panel, features: Sequence[Feature], count: int
) -> npt.NDArray[np.float32]:
    """Return the vectors of the last `count` bars, or fewer, of shape ``(count, n_features)``.

    Parameters
    ----------
    panel
        Back to the anchors of the first of those bars, or all there are.
    features
        In the order of the vector.
    count
        How many (>= 0).
    """
    if not len(panel.own):
        return np.empty((0, len(features)), dtype=np.float32)
    start = max(0, len(panel.own) - count)
    values = compute_vectors(panel, features, start)
    return np.stack([values[feature.name] for feature in features], axis=1)


def open_windows(
    windows: Sequence[Window],
    timeframe: Timeframe,
    features: Sequence[Feature],
    history: npt.NDArray[np.float32],
) -> WindowStreams:
    """Return the windows of a vector, live, by their field.

    Parameters
    ----------
    windows, timeframe
        Which.
    features
        Of the vectors, in order.
    history
        The vectors before the first update (`recent_vectors`).
    """
    asked = {w.field: w.contract(timeframe) for w in windows}
    return WindowStreams(
        {field: (each.length, each.features) for field, each in asked.items()},
        [feature.name for feature in features],
        history,
    )
