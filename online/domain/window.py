"""The window: a model's last vectors as one packed array, and whether it may be used.

Packed, a window is its float32 values, little-endian, oldest vector first, in a Feast view of its
own. Its last vector is the bar's, so vector and window can be held against each other.
"""

from __future__ import annotations

import math
import struct
from functools import cached_property

import msgspec

from online.domain.errors import InvalidManifest
from online.domain.market import NANOSECONDS_PER_SECOND
from online.domain.reasons import Reason, Veto

_FLOAT32_BYTES = 4


class WindowContract(msgspec.Struct, frozen=True, dict=True):
    """What a model asks of a window.

    Parameters
    ----------
    view
        Feast view, for example ``h1_window_default_32``.
    version
        Version of the view's definition in the catalogue.
    field
        Name of the packed bytes in the view.
    length
        Vectors in the window (> 0), the bar's own being the last.
    features
        Feature names of a vector, in order.
    max_age_seconds
        Age above which the window must not be used (> 0).
    """

    view: str
    version: int
    field: str
    length: int
    features: tuple[str, ...]
    max_age_seconds: int

    def __post_init__(self) -> None:
        if not self.features or len(set(self.features)) != len(self.features):
            raise InvalidManifest(
                f"window {self.view!r} needs distinct features, got {self.features}"
            )
        if self.length <= 0 or self.max_age_seconds <= 0:
            raise InvalidManifest(
                f"window {self.view!r} needs length > 0 and max_age_seconds > 0, got "
                f"{self.length} and {self.max_age_seconds}"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Vectors and features, ``(length, n_features)``."""
        return self.length, len(self.features)

    @property
    def n_bytes(self) -> int:
        """Size of the packed window."""
        return _FLOAT32_BYTES * self.length * len(self.features)

    @cached_property
    def _floats(self) -> struct.Struct:
        return struct.Struct(f"<{self.length * len(self.features)}f")

    def unpack(self, packed: bytes) -> tuple[float, ...]:
        """Return the values of a window of the right size, the oldest vector's first."""
        return self._floats.unpack(packed)


def judge_window(
    packed: bytes | None,
    stamp_ns: int | None,
    contract: WindowContract,
    newest: dict[str, float | None],
    bar_closed_at_ns: int,
    now_ns: int,
) -> tuple[Veto, ...]:
    """Return why a window must not be scored; an empty tuple lets it through.

    Parameters
    ----------
    packed, stamp_ns
        What the store held, None where it held nothing; the stamp in nanoseconds UTC.
    contract
        What the model asks for.
    newest
        The vector's own values by name: the window's last vector must be equal to them.
    bar_closed_at_ns
        The bar the decision is about, nanoseconds UTC.
    now_ns
        The clock, nanoseconds UTC.
    """
    if packed is None and stamp_ns is None:
        return (Veto(Reason.MISSING_WINDOW, f"{contract.view} was never written"),)
    vetoes: list[Veto] = []
    if stamp_ns != bar_closed_at_ns:
        held = "nothing" if stamp_ns is None else f"bar {stamp_ns}"
        detail = f"{contract.view} holds {held}, bar {bar_closed_at_ns} was asked for"
        vetoes.append(Veto(Reason.TORN_WINDOW, detail))
    if stamp_ns is not None:
        age_ns = now_ns - stamp_ns
        if age_ns > contract.max_age_seconds * NANOSECONDS_PER_SECOND or age_ns < 0:
            detail = (
                f"{contract.view} is {age_ns / NANOSECONDS_PER_SECOND:.3f} s old, "
                f"0 to {contract.max_age_seconds} s are allowed"
            )
            vetoes.append(Veto(Reason.STALE_WINDOW, detail))
    if packed is None:
        vetoes.append(Veto(Reason.MISSING_WINDOW, f"{contract.view} has no window"))
    elif len(packed) != contract.n_bytes:
        detail = (
            f"{contract.view} has {len(packed)} bytes, {contract.length} vectors of "
            f"{len(contract.features)} features have {contract.n_bytes}"
        )
        vetoes.append(Veto(Reason.WINDOW_SIZE, detail))
    else:
        vetoes += _judge_values(contract.unpack(packed), contract, newest)
    return tuple(vetoes)


def _judge_values(
    values: tuple[float, ...], contract: WindowContract, newest: dict[str, float | None]
) -> list[Veto]:
    """Return a veto for values that are not finite, and for the first that the vector has not."""
    if not math.isfinite(sum(values)):  # no sum of float32 overflows, so one bad value shows
        n_bad = sum(not math.isfinite(value) for value in values)
        detail = f"{n_bad} of {len(values)} values of {contract.view} are not finite"
        return [Veto(Reason.NON_FINITE_WINDOW, detail)]
    last = values[-len(contract.features) :]
    for name, value in zip(contract.features, last, strict=True):
        held = newest.get(name)
        if held is not None and held != value:
            detail = f"{contract.view} ends with {name} = {value!r}, the vector has {held!r}"
            return [Veto(Reason.TORN_WINDOW, detail)]
    return []
