"""The dataset: point-in-time features, the bars behind them and their labels, row by row."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.bars import Bars, Floats, Stamps, quote_both_sides
from models.costs import Costs
from models.labels import Labels, Outcome, Rows, label_bars
from models.targets import Target
from models.windows import Inputs, Windows
from online.domain.barriers import BarrierRule
from online.domain.errors import InvalidInput, InvalidMarketData, NotFound
from online.domain.manifest import Reads
from online.domain.market import PriceSide

Features = npt.NDArray[np.float32]
MIN_ROWS = 200
"""Fewest labelled rows that are trained on at all."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a model learns from, one row a decision, oldest first.

    Parameters
    ----------
    names
        Feature names, in the order of the columns.
    features
        Finite values as the store holds them, float32, shape ``(n_rows, n_features)``.
    bars
        The decision bars, ``n_rows`` of them.
    labels
        Their labels, ``n_rows`` of them.
    left_out
        Number of bars that are no row, by reason.
    digest
        SHA-256 of all bars, spreads, features and windows given, hexadecimal.
    windows
        Of each row; None where no family reads them.
    """

    names: tuple[str, ...]
    features: Features
    bars: Bars
    labels: Labels
    left_out: dict[str, int]
    digest: str
    windows: Windows | None = None

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.labels)

    def take(self, rows: Rows) -> Dataset:
        """Return the dataset of `rows` alone."""
        return Dataset(
            self.names,
            self.features[rows],
            self.bars.take(rows),
            self.labels.take(rows),
            self.left_out,
            self.digest,
            None if self.windows is None else self.windows.take(rows),
        )

    def inputs(self, reads: Reads) -> Inputs:
        """Return what a member that `reads` so scores, one item a row.

        Raises
        ------
        InvalidInput
            With code ``NO_WINDOWS`` if the dataset has none.
        """
        if reads == "vector":
            return self.features
        if self.windows is None:
            raise InvalidInput("the dataset has no windows", code="NO_WINDOWS")
        return self.windows

    def input_names(self, reads: Reads) -> tuple[str, ...]:
        """Return the feature names of the last axis of `inputs`."""
        windows = self.windows if reads == "window" else None
        return self.names if windows is None else windows.names


def build_dataset(
    frame: pd.DataFrame,
    bars: Bars,
    *,
    names: Sequence[str],
    rule: BarrierRule,
    costs: Costs,
    price_side: PriceSide,
    spread_points: Floats | float,
    scale: float,
    windows: tuple[Rows, Windows] | None = None,
    target: Target = Target.BARRIER,
) -> Dataset:
    """Join features with bars and label them.

    Parameters
    ----------
    frame
        As Feast's ``get_historical_features`` returns it: ``event_timestamp`` (UTC), the entity
        and one column a feature. A stamp of the frame that is no bar's close is an error.
    bars
        All bars of the window; no label looks beyond the last.
    names
        Features in the model's order.
    rule, costs, price_side, spread_points, scale, target
        The label: see `models.labels.label_bars` and `models.bars.quote_both_sides`.
    windows
        The bars that have a window, and theirs (`models.windows.join_windows`); None where no
        family reads them.

    Raises
    ------
    NotFound
        With code ``UNKNOWN_FEATURE`` if the frame lacks a feature.
    InvalidMarketData
        If stamps of the frame repeat or match no bar.
    InvalidInput
        With code ``TOO_FEW_ROWS``, ``ONE_CLASS``, ``EMPTY_FEATURE`` or ``CONSTANT_FEATURE``.
    """
    absent = [name for name in (*names, rule.unit_feature) if name not in frame.columns]
    if absent:
        raise NotFound(
            f"unknown features {', '.join(absent)}: the store gave {', '.join(frame.columns)}",
            code="UNKNOWN_FEATURE",
        )
    table = _align(frame, bars, names)
    unit = _align(frame, bars, (rule.unit_feature,))[:, 0].astype(np.float64)
    labelled = label_bars(
        quote_both_sides(bars, price_side, spread_points, scale), unit, rule, costs, scale, target
    )
    values = table[labelled.rows]
    whole = np.isfinite(values).all(axis=1)
    left_out = labelled.left_out | {"missing_feature": int(np.sum(~whole))}
    if windows is not None:
        windowed = np.isin(labelled.rows, windows[0])
        left_out["missing_window"] = int(np.sum(whole & ~windowed))
        whole &= windowed
    _check_count(len(values))
    _check_columns(values, names)
    rows, labels = labelled.rows[whole], labelled.labels.take(np.flatnonzero(whole))
    _check_rows(labels)
    digest, kept = _digest(bars, spread_points, table), None
    if windows is not None:
        digest = hashlib.sha256(f"{digest} {windows[1].digest}".encode()).hexdigest()
        kept = windows[1].take(np.searchsorted(windows[0], rows))
    return Dataset(tuple(names), values[whole], bars.take(rows), labels, left_out, digest, kept)


def stamps_ns(frame: pd.DataFrame) -> Stamps:
    """Return the frame's event times in nanoseconds UTC.

    Raises
    ------
    InvalidMarketData
        If the column is no time in UTC.
    """
    column = frame["event_timestamp"]
    if not isinstance(column.dtype, pd.DatetimeTZDtype):
        raise InvalidMarketData(f"event_timestamp must be UTC times, got {column.dtype}")
    in_utc = column.dt.tz_convert("UTC").dt.as_unit("ns")
    return np.asarray(in_utc.astype("int64"), dtype=np.int64)


def _align(frame: pd.DataFrame, bars: Bars, names: Sequence[str]) -> Features:
    """Return the frame's columns on the bars' rows; NaN where the frame has no row."""
    stamps = stamps_ns(frame)
    place = np.searchsorted(bars.closed_at_ns, stamps)
    known = place < len(bars)
    known[known] = bars.closed_at_ns[place[known]] == stamps[known]
    if not known.all():
        raise InvalidMarketData(
            f"{int(np.sum(~known))} feature rows carry a stamp that is no bar's close"
        )
    if len(np.unique(stamps)) != len(stamps):
        raise InvalidMarketData("feature rows repeat a stamp; one row a bar is expected")
    table = np.full((len(bars), len(names)), np.nan, dtype=np.float32)
    table[place] = frame[list(names)].to_numpy(dtype=np.float32)
    return table


def _check_columns(values: Features, names: Sequence[str]) -> None:
    """Refuse features that say nothing."""
    finite = np.isfinite(values)
    for position, name in enumerate(names):
        column = values[finite[:, position], position]
        if len(column) == 0:
            raise InvalidInput(
                f"feature {name} has no finite value in the window", code="EMPTY_FEATURE"
            )
        if len(values) > 1 and column.min() == column.max():
            raise InvalidInput(
                f"feature {name} is constant in the window: {column[0]}", code="CONSTANT_FEATURE"
            )


def _check_count(n_rows: int) -> None:
    """Refuse a handful of rows."""
    if n_rows < MIN_ROWS:
        raise InvalidInput(
            f"too few rows: {n_rows} labelled bars, at least {MIN_ROWS} are needed",
            code="TOO_FEW_ROWS",
            remedy="Ingest a longer history or widen the training window.",
        )


def _check_rows(labels: Labels) -> None:
    """Refuse what nothing can be learnt from."""
    _check_count(len(labels))
    counts = np.bincount(labels.classes, minlength=len(Outcome))
    if np.count_nonzero(counts) < 2:  # noqa: PLR2004 - one class cannot be told from another
        only = Outcome(int(counts.argmax())).name.lower()
        raise InvalidInput(f"one class only: every label is {only}", code="ONE_CLASS")


def _digest(bars: Bars, spread_points: Floats | float, table: Features) -> str:
    """Return the SHA-256 of what rows and labels are made of; a missing value is one NaN."""
    digest = hashlib.sha256()
    spread = np.broadcast_to(np.asarray(spread_points, dtype=np.float64), bars.open.shape)
    for column in (bars.closed_at_ns, bars.open, bars.high, bars.low, bars.close, spread):
        digest.update(np.ascontiguousarray(column).tobytes())
    clean = np.where(np.isnan(table), np.float32(np.nan), table)
    digest.update(np.ascontiguousarray(clean).tobytes())
    return digest.hexdigest()
