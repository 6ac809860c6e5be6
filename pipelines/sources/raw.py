"""What a source hands over: rows as they were read, each with its place of origin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from online.domain import microstructure
from online.domain.market import PriceSide, Timeframe

PRICES = ("open", "high", "low", "close")
MEASURES = (*PRICES, "volume", "spread_points")
BAR_COLUMNS = ("closed_at_ns", *MEASURES)
MICROSTRUCTURE = tuple(name for name in microstructure.MICROSTRUCTURE if name not in BAR_COLUMNS)
"""What quotes tell of a bar beyond its other columns; see `pipelines.resample.measure_bars`."""


class Fault(StrEnum):
    """Why a row is not fit for the lake; a row carries the first that applies, in this order."""

    MALFORMED_ROW = "MALFORMED_ROW"
    BAD_STAMP = "BAD_STAMP"
    NONEXISTENT_LOCAL_TIME = "NONEXISTENT_LOCAL_TIME"
    AMBIGUOUS_LOCAL_TIME = "AMBIGUOUS_LOCAL_TIME"
    MISALIGNED_STAMP = "MISALIGNED_STAMP"
    FUTURE_STAMP = "FUTURE_STAMP"
    NOT_A_NUMBER = "NOT_A_NUMBER"
    NON_FINITE = "NON_FINITE"
    NON_POSITIVE_PRICE = "NON_POSITIVE_PRICE"
    HIGH_BELOW_LOW = "HIGH_BELOW_LOW"
    OHLC_INCONSISTENT = "OHLC_INCONSISTENT"
    NEGATIVE_VOLUME = "NEGATIVE_VOLUME"
    NEGATIVE_SPREAD = "NEGATIVE_SPREAD"
    ZERO_SPREAD = "ZERO_SPREAD"
    WRONG_DIGITS = "WRONG_DIGITS"
    WRONG_SCALE = "WRONG_SCALE"
    DUPLICATE_ROW = "DUPLICATE_ROW"
    CONFLICTING_DUPLICATE = "CONFLICTING_DUPLICATE"
    OUT_OF_ORDER = "OUT_OF_ORDER"
    SPIKE = "SPIKE"
    FROZEN_PRICE = "FROZEN_PRICE"
    CONFLICTS_WITH_LAKE = "CONFLICTS_WITH_LAKE"


@dataclass(frozen=True, slots=True)
class RawBars:
    """Bars as a source read them, nothing dropped, nothing repaired.

    Parameters
    ----------
    source
        Kind and preset, such as ``csv:histdata``; the lake keeps it as each row's provenance.
    source_file
        Name of the file, without its folder.
    file_sha256
        Digest of the file's bytes, hexadecimal.
    side
        Which side of the market the prices are.
    timeframe
        Length of the bars.
    clock
        Name of the clock its stamps are of.
    clock_evidence
        Why that clock, in words, the next best ones after it; empty where it was given.
    descending
        True where the file is newest first by declaration.
    rows
        Frame (n_rows, 9): ``row_number`` (1-based line of the file), ``closed_at_ns`` (int64, 0
        where there is a fault of the stamp), ``open high low close volume spread_points``
        (float64, NaN where not a number or absent) and ``fault`` (a `Fault` or the empty string).
    raw_text
        Gives the text of the rows at these positions of `rows`, as the file has it.
    """

    source: str
    source_file: str
    file_sha256: str
    side: PriceSide
    timeframe: Timeframe
    clock: str
    clock_evidence: tuple[str, ...]
    descending: bool
    rows: pd.DataFrame
    raw_text: Callable[[NDArray[np.int64]], list[str]]
