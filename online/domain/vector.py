"""The feature vector: what a model asks for, what the store held, and whether it may be used."""

from __future__ import annotations

import math
import struct
from functools import cached_property

import msgspec

from online.domain.errors import InvalidManifest
from online.domain.market import NANOSECONDS_PER_SECOND
from online.domain.reasons import Reason, Veto
from online.domain.window import WindowContract, judge_window


class ViewContract(msgspec.Struct, frozen=True):
    """The part of a vector that one Feast view serves.

    Parameters
    ----------
    name
        Feast view, for example ``h1_momentum``.
    version
        Version of the view's definition in the catalogue.
    features
        Feature names in the order the model reads them.
    max_age_seconds
        Age above which the view's values must not be used (> 0).
    """

    name: str
    version: int
    features: tuple[str, ...]
    max_age_seconds: int

    def __post_init__(self) -> None:
        if not self.features or len(set(self.features)) != len(self.features):
            raise InvalidManifest(
                f"view {self.name!r} needs distinct features, got {self.features}"
            )
        if self.max_age_seconds <= 0:
            raise InvalidManifest(
                f"view {self.name!r} needs max_age_seconds > 0, got {self.max_age_seconds}"
            )


class VectorContract(msgspec.Struct, frozen=True, dict=True, omit_defaults=True):
    """The ordered features a model reads: the views' features, one view after the other.

    Parameters
    ----------
    views
        At least one.
    window
        The window that its sequence members read; None where there are none.
    """

    views: tuple[ViewContract, ...]
    window: WindowContract | None = None

    def __post_init__(self) -> None:
        if not self.views or len(set(self.names)) != len(self.names):
            raise InvalidManifest(f"a vector needs views with distinct features, got {self.names}")

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Feature names in the model's order, shape ``(n_features,)``."""
        return tuple(name for view in self.views for name in view.features)

    @cached_property
    def measures(self) -> tuple[int, int, int]:
        """Numbers of features and views, and the least of the views' greatest ages, nanoseconds."""
        least_age_s = min(view.max_age_seconds for view in self.views)
        return len(self.names), len(self.views), least_age_s * NANOSECONDS_PER_SECOND

    @cached_property
    def all_names(self) -> tuple[str, ...]:
        """`names`, then those that only the window has."""
        others = () if self.window is None else self.window.features
        return tuple(dict.fromkeys((*self.names, *others)))

    @cached_property
    def window_places(self) -> tuple[int, ...]:
        """Place in the vector of each of the window's features, -1 for one it lacks."""
        features = () if self.window is None else self.window.features
        return tuple(self.names.index(n) if n in self.names else -1 for n in features)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.names)}

    def index(self, name: str) -> int:
        """Return the place of `name` in the vector.

        Raises
        ------
        InvalidManifest
            If the vector has no such feature.
        """
        try:
            return self._places[name]
        except KeyError:
            raise InvalidManifest(
                f"the vector has no feature {name!r}; it has {', '.join(self.names)}"
            ) from None


class VectorReading(msgspec.Struct, frozen=True, gc=False):
    """What the online store held when it was asked.

    Parameters
    ----------
    values
        Stored float32 values in the contract's order; None where the store holds nothing.
    stamps_ns
        Event time of each view, nanoseconds UTC; None where the view was never written.
    window, window_stamp_ns
        The packed window and its view's event time; None where nothing is held or asked for.
    """

    values: tuple[float | None, ...]
    stamps_ns: tuple[int | None, ...]
    window: bytes | None = None
    window_stamp_ns: int | None = None

    def finite(self, place: int) -> float | None:
        """Return the value at a place; None where it is missing or not finite."""
        value = self.values[place]
        return value if value is not None and math.isfinite(value) else None


def drop_non_finite(reading: VectorReading) -> VectorReading:
    """Return the reading with None for what is not finite: the journal holds numbers and null."""
    if _is_whole(reading.values):
        return reading
    kept = tuple(v if v is not None and math.isfinite(v) else None for v in reading.values)
    return reading if kept == reading.values else msgspec.structs.replace(reading, values=kept)


def _is_whole(values: tuple[float | None, ...]) -> bool:
    """Tell whether every value is there and finite: float32s never add up to beyond a double."""
    return None not in values and math.isfinite(sum(values))  # type: ignore[arg-type] # no None in it


def judge_reading(
    reading: VectorReading, contract: VectorContract, bar_closed_at_ns: int, now_ns: int
) -> tuple[Veto, ...]:
    """Return why a reading must not be scored; an empty tuple lets it through.

    Every view must carry exactly the requested bar's stamp, be young enough and hold a value for
    every feature; of one that was never written, only what is missing is told. So must the window,
    if one is asked for. A value that is not finite is told as that, and not as missing too.

    Parameters
    ----------
    reading
        What the store held, before `drop_non_finite`.
    contract
        What the model asks for.
    bar_closed_at_ns
        The bar the decision is about, nanoseconds UTC.
    now_ns
        The clock, nanoseconds UTC.
    """
    stamps_ns, values = reading.stamps_ns, reading.values
    n_values, n_views, least_age_ns = contract.measures
    is_whole = _is_whole(values)
    if (
        contract.window is None
        and len(values) == n_values
        and stamps_ns.count(bar_closed_at_ns) == len(stamps_ns) == n_views
        and 0 <= now_ns - bar_closed_at_ns <= least_age_ns
        and is_whole
    ):
        return ()  # the usual case, told apart at once
    vetoes: list[Veto] = []
    place = 0
    for view, stamp_ns in zip(contract.views, reading.stamps_ns, strict=True):
        mine = values[place : place + len(view.features)]
        place += len(mine)
        if stamp_ns is None and all(value is None for value in mine):
            continue  # never written: its features are missing, each by its name
        if stamp_ns != bar_closed_at_ns:
            held = "nothing" if stamp_ns is None else f"bar {stamp_ns}"
            vetoes.append(
                Veto(
                    Reason.TORN_VECTOR,
                    f"{view.name} holds {held}, bar {bar_closed_at_ns} was asked for",
                )
            )
        if stamp_ns is not None:
            age_ns = now_ns - stamp_ns
            if age_ns > view.max_age_seconds * NANOSECONDS_PER_SECOND or age_ns < 0:
                vetoes.append(
                    Veto(
                        Reason.STALE_FEATURES,
                        f"{view.name} is {age_ns / NANOSECONDS_PER_SECOND:.3f} s old, "
                        f"0 to {view.max_age_seconds} s are allowed",
                    )
                )
    if not is_whole or len(values) != n_values:
        vetoes += [
            Veto(Reason.MISSING_FEATURE, f"{name} has no value")
            if value is None
            else Veto(Reason.NON_FINITE_FEATURE, f"{name} is {value}")
            for name, value in zip(contract.names, values, strict=True)
            if value is None or not math.isfinite(value)
        ]
    if contract.window is not None:
        kept = values if is_whole else drop_non_finite(reading).values
        newest = _newest(kept, contract.window_places)
        vetoes += judge_window(
            *(reading.window, reading.window_stamp_ns, contract.window, newest),
            *(bar_closed_at_ns, now_ns),
        )
    return tuple(vetoes)


def _newest(values: tuple[float | None, ...], places: tuple[int, ...]) -> tuple[float | None, ...]:
    return tuple([values[place] if place >= 0 else None for place in places])


def vector_bits(values: tuple[float | None, ...]) -> str:
    """Return the vector's exact float32 bits in hexadecimal; a missing value is ``--------``.

    Examples
    --------
    >>> vector_bits((1.0, None))
    '0000803f--------'
    """
    return "".join("--------" if v is None else struct.pack("<f", v).hex() for v in values)
