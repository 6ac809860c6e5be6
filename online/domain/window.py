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
_EXPONENT, _EXPONENT_UNIT, _SIGN = 0x7F800000, 0x00800000, 0x80000000


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

    @cached_property
    def _last(self) -> struct.Struct:
        return struct.Struct(f"<{len(self.features)}f")

    @cached_property
    def _lanes(self) -> tuple[int, int, int]:
        """Exponent, one unit of it and sign of every value, as masks over all bytes."""
        ones = int.from_bytes(b"\x01\0\0\0" * (self.n_bytes // _FLOAT32_BYTES), "little")
        return ones * _EXPONENT, ones * _EXPONENT_UNIT, ones * _SIGN

    def is_finite(self, packed: bytes) -> bool:
        """Tell whether every value of a window of the right size is finite.

        A float32 is not finite where all bits of its exponent are set: one unit more and each such
        exponent, and no other, reaches its sign's bit. All values are asked at once.
        """
        exponents, units, signs = self._lanes
        return not ((int.from_bytes(packed, "little") & exponents) + units) & signs

    def last(self, packed: bytes) -> tuple[float, ...]:
        """Return the values of the last vector of a window of the right size."""
        return self._last.unpack_from(packed, self.n_bytes - self._last.size)

    def unpack(self, packed: bytes) -> tuple[float, ...]:
        """Return the values of a window of the right size, the oldest vector's first."""
        return self._floats.unpack(packed)


def judge_window(
    packed: bytes | None,
    stamp_ns: int | None,
    contract: WindowContract,
    newest: tuple[float | None, ...],
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
        The vector's own values of the window's features, None for one it lacks: the window's
        last vector must be equal to them.
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
        vetoes += _judge_values(packed, contract, newest)
    return tuple(vetoes)


def _judge_values(
    packed: bytes, contract: WindowContract, newest: tuple[float | None, ...]
) -> list[Veto]:
    """Return a veto for values that are not finite, and for the first that the vector has not."""
    if not contract.is_finite(packed):
        values = contract.unpack(packed)
        n_bad = sum(not math.isfinite(value) for value in values)
        detail = f"{n_bad} of {len(values)} values of {contract.view} are not finite"
        return [Veto(Reason.NON_FINITE_WINDOW, detail)]
    last = contract.last(packed)
    if last == newest:
        return []
    for name, value, held in zip(contract.features, last, newest, strict=True):
        if held is not None and held != value:
            detail = f"{contract.view} ends with {name} = {value!r}, the vector has {held!r}"
            return [Veto(Reason.TORN_WINDOW, detail)]
    return []
