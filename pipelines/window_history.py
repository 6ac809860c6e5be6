"""Windows of the past from Feast, point in time, for rows to learn from or to be compared on."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pandas as pd

from feature_repo.bars import Stamps
from feature_repo.objects import EVENT_TIMESTAMP, JOIN_KEY, window_reference
from models.dataset import Dataset
from models.labels import Rows
from models.windows import Windows, join_windows
from online.domain.window import WindowContract

if TYPE_CHECKING:
    from feast import FeatureStore

_AT_ONCE = 16_384


def read_windows(
    store: FeatureStore, symbol: str, closed_at_ns: Stamps, window: WindowContract
) -> tuple[Rows, Windows]:
    """Return the bars that have a window, and theirs.

    They are asked for some thousand bars at a time, and each is kept as what the one before it
    lacks: the packed windows of a year of minutes would take gigabytes at once.

    Parameters
    ----------
    store
        With the window's view.
    symbol
        Whose.
    closed_at_ns
        The bars' closes, nanoseconds UTC, increasing.
    window
        What is asked for.

    Raises
    ------
    InvalidInput
        With code ``NO_WINDOWS`` if none is stored.
    """
    stamps = pd.to_datetime(closed_at_ns, utc=True)

    def cells() -> Iterator[list[bytes | None]]:
        for start in range(0, len(stamps), _AT_ONCE):
            asked = pd.DataFrame(
                {JOIN_KEY: symbol, EVENT_TIMESTAMP: stamps[start : start + _AT_ONCE]}
            )
            answer = store.get_historical_features(asked, [window_reference(window)]).to_df()
            column = answer.sort_values(EVENT_TIMESTAMP)[window.field]
            yield [cell if isinstance(cell, bytes) else None for cell in column]

    return join_windows(cells(), window.features, window.length)


def lend_windows(
    dataset: Dataset, store: FeatureStore, symbol: str, window: WindowContract
) -> Dataset:
    """Return the dataset with the windows that another model reads, to compare both on its rows.

    It is returned as it is where it has them, or where one of its rows has none.

    Parameters
    ----------
    dataset
        Rows of one model.
    store, symbol, window
        As for `read_windows`; what the other model asks for.

    Raises
    ------
    InvalidInput
        With code ``NO_WINDOWS`` if none is stored.
    """
    held = dataset.windows
    if held is not None and (held.names, held.length) == (window.features, window.length):
        return dataset
    rows, windows = read_windows(store, symbol, dataset.bars.closed_at_ns, window)
    return dataclasses.replace(dataset, windows=windows) if len(rows) == len(dataset) else dataset
