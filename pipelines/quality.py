"""Judge every row that a source read: fit for the lake, or quarantined with its reason.

Nothing is dropped without a trace and nothing is repaired: the rows that pass plus the rows in
quarantine are the rows that were read.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pandera.pandas as pa
from numpy.typing import NDArray

from online.domain.errors import InvalidMarketData
from online.domain.market import Instrument, PriceSide, Timeframe
from pipelines.quality_prices import find_frozen, find_spikes
from pipelines.sources.raw import BAR_COLUMNS, MICROSTRUCTURE, PRICES, Fault, RawBars
from pipelines.sources.ticks import RawTicks

SCALE_FACTOR_MAX = 5.0
"""A price this many times its neighbours' median, or as small a part of it, is misscaled."""
_NEIGHBOURS = 101
POINT_TOLERANCE = 1e-3  # of a point: far above the error of a float64, far below one digit more

_PRICE = pa.Column(
    "float64", [pa.Check.gt(0.0), pa.Check(np.isfinite, name="finite")], nullable=False
)
_AMOUNT = pa.Column("float64", pa.Check.ge(0.0), nullable=True)
CLEAN_BARS = pa.DataFrameSchema(
    {
        "closed_at_ns": pa.Column("int64", pa.Check.gt(0), unique=True),
        **dict.fromkeys(PRICES, _PRICE),
        "volume": _AMOUNT,
        "spread_points": _AMOUNT,
    },
    checks=[
        pa.Check(lambda f: f["closed_at_ns"].is_monotonic_increasing, name="ascending"),
        pa.Check(lambda f: f["low"] <= f[["open", "close"]].min(axis=1), name="low is lowest"),
        pa.Check(lambda f: f["high"] >= f[["open", "close"]].max(axis=1), name="high is highest"),
    ],
    strict=True,
    ordered=True,
)
"""What a frame of cleaned bars is; the lake takes no other."""

CLEAN_MICROSTRUCTURE = pa.DataFrameSchema(
    {
        **dict.fromkeys(MICROSTRUCTURE, _AMOUNT),
        "quotes": pa.Column("float64", pa.Check.ge(1.0), nullable=True),
        "tick_imbalance": pa.Column("float64", pa.Check.in_range(-1.0, 1.0), nullable=True),
        "quote_autocovariance": pa.Column("float64", nullable=True),
    },
    strict=True,
    ordered=True,
)
"""What quotes may tell of a bar; NaN where it was not made of quotes."""

QUARANTINE_COLUMNS = ("source_file", "row_number", "closed_at_ns", "reason", "raw_text")


@dataclass(frozen=True, slots=True)
class CheckedBars:
    """The verdict on a source's rows.

    Parameters
    ----------
    bars
        The fit rows, oldest first, as `CLEAN_BARS` describes.
    quarantine
        The others: ``source_file, row_number, closed_at_ns`` (0 where unknown), ``reason`` (a
        `Fault`) and ``raw_text``, in the file's order.
    rows_read
        How many rows there were; always ``len(bars) + len(quarantine)``.
    source, source_file, file_sha256
        Where they came from (see `RawBars`).
    side, timeframe, clock, clock_evidence
        What they are, the clock their stamps were of, and why (see `RawBars`).
    row_numbers
        Line of the file that each fit row came from, (n_bars,).
    decimals_seen
        Most decimals of any fit price; fewer than the instrument's digits means coarser data.
    """

    bars: pd.DataFrame
    quarantine: pd.DataFrame
    rows_read: int
    source: str
    source_file: str
    file_sha256: str
    side: PriceSide
    timeframe: Timeframe
    clock: str
    clock_evidence: tuple[str, ...]
    row_numbers: NDArray[np.int64]
    decimals_seen: int

    @property
    def quarantined(self) -> dict[str, int]:
        """Rows in quarantine by reason, most frequent first."""
        return {str(k): int(n) for k, n in self.quarantine["reason"].value_counts().items()}


def check(raw: RawBars, instrument: Instrument, *, now_ns: int | None = None) -> CheckedBars:
    """Judge every row of `raw`.

    Rows of equal stamp and content count once; the later ones are ``DUPLICATE_ROW``. Rows of equal
    stamp and different content are all ``CONFLICTING_DUPLICATE``: which is right is not known.
    Rows that break the declared order are ``OUT_OF_ORDER``: the fewest whose absence leaves the
    rest in order. Then prices that are possible and not credible are ``SPIKE`` or ``FROZEN_PRICE``
    (see `pipelines.quality_prices`).

    Parameters
    ----------
    raw
        Rows as read.
    instrument
        Whose bars they are; its digits are the finest a price may have.
    now_ns
        The present, UTC nanoseconds; bars that close later are ``FUTURE_STAMP``. None: not checked.

    Raises
    ------
    InvalidMarketData
        ``NOTHING_USABLE`` if no row passes, ``WRONG_ORDER`` if the file runs the other way,
        ``WRONG_TIMEFRAME`` if most bars are not `raw.timeframe` apart.
    """
    _require_timeframe(raw)
    rows = raw.rows
    fault = rows["fault"].to_numpy(dtype=object, copy=True)

    def mark(where: NDArray[np.bool_], reason: Fault) -> None:
        fault[where & (fault == "")] = reason

    if now_ns is not None:
        mark(rows["closed_at_ns"].to_numpy() > now_ns, Fault.FUTURE_STAMP)
    _mark_numbers(rows, mark)
    _mark_digits(rows, fault, instrument)
    _mark_scale(rows, fault)
    _mark_duplicates(rows, fault)
    _mark_order(raw, fault)
    _mark_incredible(raw, fault, instrument)

    fit = fault == ""
    if not fit.any():
        counts = pd.Series(fault).value_counts().to_dict()
        raise InvalidMarketData(
            f"no row of {raw.source_file} is usable: "
            + ", ".join(f"{reason} {count}" for reason, count in counts.items()),
            code="NOTHING_USABLE",
        )
    ordered = rows.loc[fit].sort_values("closed_at_ns", ignore_index=True)
    bars = ordered[list(BAR_COLUMNS)]
    return CheckedBars(
        bars=CLEAN_BARS.validate(bars),
        quarantine=quarantine_of(raw, rows["closed_at_ns"], fault),
        rows_read=len(rows),
        source=raw.source,
        source_file=raw.source_file,
        file_sha256=raw.file_sha256,
        side=raw.side,
        timeframe=raw.timeframe,
        clock=raw.clock,
        clock_evidence=raw.clock_evidence,
        row_numbers=ordered["row_number"].to_numpy(),
        decimals_seen=count_decimals(bars, instrument.digits),
    )


def quarantine_of(
    raw: RawBars | RawTicks, stamps_ns: pd.Series[int], fault: NDArray[np.object_]
) -> pd.DataFrame:
    """Return the rows that have a fault, each with its reason and its text, in the file's order.

    Parameters
    ----------
    raw
        As read.
    stamps_ns
        Time of each row, UTC nanoseconds, (n_rows,).
    fault
        A `Fault` or the empty string, (n_rows,).
    """
    unfit = np.flatnonzero(fault != "")
    return pd.DataFrame(
        {
            "source_file": raw.source_file,
            "row_number": raw.rows["row_number"].to_numpy()[unfit],
            "closed_at_ns": stamps_ns.to_numpy()[unfit],
            "reason": [str(reason) for reason in fault[unfit]],
            "raw_text": raw.raw_text(unfit),
        },
        columns=list(QUARANTINE_COLUMNS),
    )


def _mark_numbers(rows: pd.DataFrame, mark: Callable[[NDArray[np.bool_], Fault], None]) -> None:
    prices = rows[list(PRICES)].to_numpy()
    amounts = rows[["volume", "spread_points"]].to_numpy()
    open_, high, low, close = prices.T
    mark(np.isnan(prices).any(axis=1), Fault.NOT_A_NUMBER)
    mark(np.isinf(prices).any(axis=1) | np.isinf(amounts).any(axis=1), Fault.NON_FINITE)
    mark(np.any(prices <= 0.0, axis=1), Fault.NON_POSITIVE_PRICE)
    mark(high < low, Fault.HIGH_BELOW_LOW)
    inside = np.asarray((low <= np.minimum(open_, close)) & (high >= np.maximum(open_, close)))
    mark(~inside, Fault.OHLC_INCONSISTENT)
    mark(amounts[:, 0] < 0.0, Fault.NEGATIVE_VOLUME)
    mark(amounts[:, 1] < 0.0, Fault.NEGATIVE_SPREAD)


def _mark_digits(rows: pd.DataFrame, fault: NDArray[np.object_], instrument: Instrument) -> None:
    """Mark prices finer than the instrument's smallest step."""
    fit = np.flatnonzero(fault == "")
    with np.errstate(over="ignore", invalid="ignore"):  # a price of 1e305 fails by its scale
        points = rows[list(PRICES)].to_numpy()[fit] * instrument.scale
        finer = (np.abs(points - np.rint(points)) > POINT_TOLERANCE).any(axis=1)
    fault[fit[finer]] = Fault.WRONG_DIGITS


def _mark_scale(rows: pd.DataFrame, fault: NDArray[np.object_]) -> None:
    """Mark prices many times their neighbours', such as 105155 among 1.05155."""
    fit = np.flatnonzero(fault == "")
    logs = np.log(rows[list(PRICES)].to_numpy()[fit])
    middle = pd.Series(logs[:, 3]).rolling(_NEIGHBOURS, center=True, min_periods=1).median()
    far = np.abs(logs - middle.to_numpy()[:, None]) > np.log(SCALE_FACTOR_MAX)
    fault[fit[far.any(axis=1)]] = Fault.WRONG_SCALE


def _mark_duplicates(rows: pd.DataFrame, fault: NDArray[np.object_]) -> None:
    fit = np.flatnonzero(fault == "")
    judged = rows.iloc[fit]
    repeated = judged.duplicated("closed_at_ns", keep=False).to_numpy()
    if not repeated.any():
        return
    again = judged[repeated]
    contents = again.drop_duplicates(list(BAR_COLUMNS))
    disputed = contents.loc[contents.duplicated("closed_at_ns", keep=False), "closed_at_ns"]
    conflicting = judged["closed_at_ns"].isin(disputed).to_numpy()
    fault[fit[judged.duplicated("closed_at_ns").to_numpy()]] = Fault.DUPLICATE_ROW
    fault[fit[conflicting]] = Fault.CONFLICTING_DUPLICATE


def _mark_order(raw: RawBars, fault: NDArray[np.object_]) -> None:
    fit = np.flatnonzero(fault == "")
    stamps = raw.rows["closed_at_ns"].to_numpy()[fit]
    forward = -stamps if raw.descending else stamps
    steps = np.diff(forward)
    if (steps > 0).all():
        return
    if (steps < 0).sum() > len(steps) / 2:
        declared, found = ("newest", "oldest") if raw.descending else ("oldest", "newest")
        raise InvalidMarketData(
            f"{raw.source_file} is read as {declared} first, its rows are {found} first",
            code="WRONG_ORDER",
            remedy="Declare the other order in the file's layout.",
        )
    ordered = longest_increasing(forward)
    fault[np.delete(fit, ordered)] = Fault.OUT_OF_ORDER


def _mark_incredible(raw: RawBars, fault: NDArray[np.object_], instrument: Instrument) -> None:
    """Mark spikes and frozen prices among the rows that are fit otherwise."""
    fit = np.flatnonzero(fault == "")
    fit = fit[np.argsort(raw.rows["closed_at_ns"].to_numpy()[fit])]
    if len(fit):
        bars = raw.rows.iloc[fit]
        fault[fit[find_frozen(bars, raw.timeframe)]] = Fault.FROZEN_PRICE
        fault[fit[find_spikes(bars, instrument)]] = Fault.SPIKE


def longest_increasing(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the positions of a longest strictly increasing subsequence.

    Parameters
    ----------
    values
        Any integers, (n,).

    Examples
    --------
    >>> longest_increasing(np.array([1, 2, 99, 3, 4])).tolist()
    [0, 1, 3, 4]
    """
    return _longest_chain(values.tolist(), bisect_left)


def longest_non_decreasing(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the positions of a longest subsequence that never falls.

    Examples
    --------
    >>> longest_non_decreasing(np.array([1, 2, 99, 3, 3, 4])).tolist()
    [0, 1, 3, 4, 5]
    """
    return _longest_chain(values.tolist(), bisect_right)


def _longest_chain(
    values: list[int], pile_of: Callable[[list[int], int], int]
) -> NDArray[np.int64]:
    """Deal values onto piles as in patience sorting, O(n log n).

    Fredman, *Discrete Mathematics* 11 (1975) 29-35.
    """
    tops: list[int] = []
    top_positions: list[int] = []
    previous = np.full(len(values), -1, dtype=np.int64)
    for position, value in enumerate(values):
        pile = pile_of(tops, value)
        if pile:
            previous[position] = top_positions[pile - 1]
        if pile == len(tops):
            tops.append(value)
            top_positions.append(position)
        else:
            tops[pile] = value
            top_positions[pile] = position
    chain = np.empty(len(tops), dtype=np.int64)
    position = top_positions[-1] if top_positions else -1
    for place in range(len(chain) - 1, -1, -1):
        chain[place] = position
        position = int(previous[position])
    return chain


def _require_timeframe(raw: RawBars) -> None:
    """Compare the usual distance of stamps, misaligned ones included, with the bars' length."""
    stamps = np.sort(raw.rows["closed_at_ns"].to_numpy())
    apart = np.diff(stamps[stamps != 0])
    steps, counts = np.unique(apart[apart > 0], return_counts=True)
    if not len(steps):
        return
    usual_ns = int(steps[np.argmax(counts)])
    if usual_ns != raw.timeframe.duration_ns:
        raise InvalidMarketData(
            f"{raw.source_file} is read as {raw.timeframe}, bars "
            f"{raw.timeframe.seconds} s apart; most of its bars are {usual_ns / 1e9:g} s apart",
            code="WRONG_TIMEFRAME",
            remedy="Give the timeframe of the file.",
        )


def count_decimals(bars: pd.DataFrame, digits: int) -> int:
    """Return the most decimals that any price has, at most `digits`.

    Examples
    --------
    >>> count_decimals(pd.DataFrame({name: [1.25, 1.5] for name in PRICES}), 5)
    2
    """
    prices = bars[list(PRICES)].to_numpy()
    for decimals in range(digits):
        points = prices * 10.0**decimals
        if (
            np.abs(points - np.rint(points)) <= POINT_TOLERANCE * 10.0 ** (decimals - digits)
        ).all():
            return decimals
    return digits
