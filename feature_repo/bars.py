"""Bars of one symbol and timeframe as arrays: what batch features are computed from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from online.domain.errors import InvalidMarketData, NotFound
from online.domain.market import Bar
from online.domain.microstructure import MICROSTRUCTURE, Microstructure

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]
Stamps = npt.NDArray[np.int64]

_PRICES = ("open", "high", "low", "close")


class _Row(Protocol):
    """Anything with a bar's attributes."""

    @property
    def closed_at_ns(self) -> int: ...
    @property
    def open(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def close(self) -> float: ...
    @property
    def volume(self) -> float: ...
    @property
    def microstructure(self) -> Microstructure | None: ...


@dataclass(frozen=True, slots=True, eq=False)
class BarArrays:
    """Bars of one symbol and timeframe, oldest first, every array of shape ``(n_bars,)``.

    Parameters
    ----------
    closed_at_ns
        End of each bar, nanoseconds since 1970-01-01 UTC, strictly increasing.
    open, high, low, close
        Prices of one side of the market, finite and positive.
    volume
        Traded or tick volume (>= 0); NaN throughout where the source has none.
    microstructure
        What quotes tell of each bar, shape ``(n_figures, n_bars)`` in the order of
        `MICROSTRUCTURE`, finite; None unless every bar was made of quotes.

    Raises
    ------
    InvalidMarketData
        If the shapes differ, time does not increase or a number cannot be.
    """

    closed_at_ns: Stamps
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    microstructure: Floats | None = None

    def __post_init__(self) -> None:
        arrays = (self.open, self.high, self.low, self.close, self.volume)
        if any(a.shape != self.closed_at_ns.shape or a.ndim != 1 for a in arrays):
            shapes = [a.shape for a in (self.closed_at_ns, *arrays)]
            raise InvalidMarketData(f"bars need arrays of one length, got shapes {shapes}")
        if not bool(np.all(np.diff(self.closed_at_ns) > 0)):
            at = int(np.flatnonzero(np.diff(self.closed_at_ns) <= 0)[0]) + 1
            raise InvalidMarketData(f"bars need increasing time; bar {at} is not after the last")
        for name, prices in zip(_PRICES, arrays, strict=False):
            if not bool(np.all(np.isfinite(prices) & (prices > 0.0))):
                raise InvalidMarketData(f"bars need finite positive prices; {name} has others")
        known = np.isfinite(self.volume)
        if bool(known.any()) and not bool(np.all(known & (self.volume >= 0.0))):
            raise InvalidMarketData("bar volume must be known for all bars or for none, and >= 0")
        told = self.microstructure
        if told is not None:
            expected = (len(MICROSTRUCTURE), len(self.closed_at_ns))
            if told.shape != expected or not bool(np.isfinite(told).all()):
                raise InvalidMarketData(
                    f"microstructure must be finite, of shape {expected}, got {told.shape}"
                )

    def __len__(self) -> int:
        return len(self.closed_at_ns)

    @property
    def inputs(self) -> frozenset[str]:
        """Names of the inputs the source really has: volume only if some bar has any."""
        has_volume = bool(np.any(self.volume > 0.0))
        told = MICROSTRUCTURE if self.microstructure is not None and len(self) else ()
        return frozenset((*_PRICES, "closed_at_ns", *(("volume",) if has_volume else ()), *told))

    def column(self, name: str) -> npt.NDArray[Any]:
        """Return the array of one input, shape ``(n_bars,)``.

        Raises
        ------
        NotFound
            With code ``FEATURE_INPUT_ABSENT`` if the bars were not made of quotes.
        """
        if name not in MICROSTRUCTURE:
            return np.asarray(getattr(self, name))
        if not len(self):
            return np.empty(0)
        if self.microstructure is None:
            raise NotFound(
                f"the bars have no {name}: they were not all made of quotes",
                code="FEATURE_INPUT_ABSENT",
                remedy="Ask only for features whose inputs the source has.",
            )
        found: Floats = self.microstructure[MICROSTRUCTURE.index(name)]
        return found

    def part(self, start: int, end: int) -> BarArrays:
        """Return bars `start` to `end` (exclusive) as views, without copying."""
        return BarArrays(
            self.closed_at_ns[start:end],
            self.open[start:end],
            self.high[start:end],
            self.low[start:end],
            self.close[start:end],
            self.volume[start:end],
            None if self.microstructure is None else self.microstructure[:, start:end],
        )

    def bar(self, index: int) -> Bar:
        """Return one bar as the live side sees it; an unknown volume is 0.0 there."""
        volume = float(self.volume[index])
        told = self.microstructure
        return Bar(
            int(self.closed_at_ns[index]),
            float(self.open[index]),
            float(self.high[index]),
            float(self.low[index]),
            float(self.close[index]),
            0.0 if volume != volume else volume,  # noqa: PLR0124 - NaN is unequal to itself
            None if told is None else Microstructure(*told[:, index].tolist()),
        )

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> BarArrays:
        """Return the bars of a data frame with the lake's columns.

        Volume and microstructure are taken where they are known for every bar: a series that got
        its bars from several sources has what all of them tell.
        """
        missing = [c for c in ("closed_at_ns", *_PRICES, "volume") if c not in frame.columns]
        if missing:
            raise InvalidMarketData(f"bars need the columns {missing}, got {list(frame.columns)}")
        columns = [
            np.ascontiguousarray(frame[name].to_numpy(dtype=np.float64))
            for name in (*_PRICES, "volume")
        ]
        stamps = np.ascontiguousarray(frame["closed_at_ns"].to_numpy(dtype=np.int64))
        opened, high, low, close, volume = columns
        if np.isnan(volume).any() and not bool((volume < 0.0).any()):
            volume = np.full(len(volume), np.nan)
        return cls(stamps, opened, high, low, close, volume, _told_by(frame))

    @classmethod
    def from_rows(cls, rows: list[_Row]) -> BarArrays:
        """Return bars from objects with a bar's attributes, oldest first."""
        table = np.array(
            [(r.open, r.high, r.low, r.close, r.volume) for r in rows], dtype=np.float64
        ).reshape(-1, 5)
        opened, high, low, close, volume = (np.ascontiguousarray(table[:, i]) for i in range(5))
        stamps = np.array([r.closed_at_ns for r in rows], dtype=np.int64)
        told = [r.microstructure for r in rows if r.microstructure is not None]
        figures = None
        if told and len(told) == len(rows):
            by_bar = np.array([msgspec.structs.astuple(t) for t in told], dtype=np.float64)
            figures = np.ascontiguousarray(by_bar.T)
        return cls(stamps, opened, high, low, close, volume, figures)


def _told_by(frame: pd.DataFrame) -> Floats | None:
    """Return the microstructure of a frame's bars; None unless each was made of quotes."""
    if frame.empty or not set(MICROSTRUCTURE) <= set(frame.columns):
        return None
    told = np.array([frame[name].to_numpy(dtype=np.float64) for name in MICROSTRUCTURE])
    return told if bool(np.isfinite(told).all()) else None
