"""Judge every quote: fit, or quarantined with its reason."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pandera.pandas as pa

from online.domain.errors import InvalidMarketData
from online.domain.market import Instrument
from pipelines.quality import (
    POINT_TOLERANCE,
    SCALE_FACTOR_MAX,
    longest_non_decreasing,
    quarantine_of,
)
from pipelines.sources.raw import Fault
from pipelines.sources.ticks import TICK_COLUMNS, RawTicks

_PRICE = pa.Column("float64", [pa.Check.gt(0.0), pa.Check(np.isfinite, name="finite")])
CLEAN_TICKS = pa.DataFrameSchema(
    {"at_ns": pa.Column("int64", pa.Check.gt(0)), "bid": _PRICE, "ask": _PRICE},
    checks=[
        pa.Check(lambda f: f["at_ns"].is_monotonic_increasing, name="ascending"),
        pa.Check(lambda f: f["bid"] < f["ask"], name="bid below ask"),
    ],
    strict=True,
    ordered=True,
)
"""What a frame of cleaned quotes is: oldest first, several of one time in their order."""


@dataclass(frozen=True, slots=True)
class CheckedTicks:
    """The verdict on a day of quotes.

    Parameters
    ----------
    ticks
        The fit quotes, as `CLEAN_TICKS` describes.
    quarantine
        The others, with the columns of `pipelines.quality.QUARANTINE_COLUMNS`; ``closed_at_ns`` is
        the quote's time.
    rows_read
        How many rows there were; always ``len(ticks) + len(quarantine)``.
    feed, source_file, file_sha256
        Where they came from.
    """

    ticks: pd.DataFrame
    quarantine: pd.DataFrame
    rows_read: int
    feed: str
    source_file: str
    file_sha256: str

    @property
    def quarantined(self) -> dict[str, int]:
        """Rows in quarantine by reason, most frequent first."""
        return {str(k): int(n) for k, n in self.quarantine["reason"].value_counts().items()}


def check_ticks(raw: RawTicks, instrument: Instrument) -> CheckedTicks:
    """Judge every quote of a day, as `judge_ticks` does.

    Raises
    ------
    InvalidMarketData
        With code ``NOTHING_USABLE`` and the counts if no quote passes.
    """
    checked = judge_ticks(raw, instrument)
    if checked.ticks.empty:
        counts = ", ".join(f"{reason} {count}" for reason, count in checked.quarantined.items())
        raise InvalidMarketData(
            f"no quote of {raw.source_file} is usable: {counts}", code="NOTHING_USABLE"
        )
    return checked


def judge_ticks(raw: RawTicks, instrument: Instrument) -> CheckedTicks:
    """Judge every quote, though none may pass; one that has a fault already keeps it.

    A bid above the ask is ``NEGATIVE_SPREAD``; a bid at the ask, which no dealer means, is
    ``ZERO_SPREAD``. A quote repeated within its millisecond is no fault: it says the same twice.
    """
    rows = raw.rows
    fault = rows["fault"].to_numpy(dtype=object, copy=True)
    prices = rows[["bid", "ask"]].to_numpy()
    spread_points = (prices[:, 1] - prices[:, 0]) * instrument.scale
    with np.errstate(over="ignore", invalid="ignore"):  # absurd prices are marked as such below
        points = prices * instrument.scale
        finer = (np.abs(points - np.rint(points)) > POINT_TOLERANCE).any(axis=1)
    for where, reason in (
        (np.isnan(prices).any(axis=1), Fault.NOT_A_NUMBER),
        (np.isinf(prices).any(axis=1), Fault.NON_FINITE),
        ((prices <= 0.0).any(axis=1), Fault.NON_POSITIVE_PRICE),
        (spread_points < -POINT_TOLERANCE, Fault.NEGATIVE_SPREAD),
        (np.abs(spread_points) <= POINT_TOLERANCE, Fault.ZERO_SPREAD),
        (finer, Fault.WRONG_DIGITS),
    ):
        fault[where & (fault == "")] = reason
    fit = np.flatnonzero(fault == "")
    if len(fit):
        logs = np.log(prices[fit])
        far = np.abs(logs - np.median(logs)) > np.log(SCALE_FACTOR_MAX)
        fault[fit[far.any(axis=1)]] = Fault.WRONG_SCALE
    fit = np.flatnonzero(fault == "")
    stamps = rows["at_ns"].to_numpy()[fit]
    if (np.diff(stamps) < 0).any():
        fault[np.delete(fit, longest_non_decreasing(stamps))] = Fault.OUT_OF_ORDER

    kept = fault == ""
    ticks = rows.loc[kept, list(TICK_COLUMNS)].reset_index(drop=True)
    return CheckedTicks(
        ticks=CLEAN_TICKS.validate(ticks),
        quarantine=quarantine_of(raw, rows["at_ns"], fault),
        rows_read=len(rows),
        feed=raw.feed,
        source_file=raw.source_file,
        file_sha256=raw.file_sha256,
    )
