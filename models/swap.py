"""Swap: what the nights that a position is held cost it, in price."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from models.bars import Floats, Stamps
from online.domain.errors import InvalidInput
from online.domain.market import Instrument, Side
from online.domain.rollover import rollovers


@dataclass(frozen=True, slots=True)
class Swap:
    """What a night costs a position.

    Parameters
    ----------
    long_price, short_price
        Paid to a position of each side for a night, in price; negative costs.
    triple_day
        Weekday whose night counts three times, as ``Wed``.
    """

    long_price: float = 0.0
    short_price: float = 0.0
    triple_day: str = "Wed"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.long_price) and math.isfinite(self.short_price)):
            raise InvalidInput(f"swaps must be finite, got {self}")

    @classmethod
    def of(cls, instrument: Instrument) -> Swap:
        """Return an instrument's swap; none where it is not known, as its `swap_told` tells."""
        return cls(
            (instrument.swap_long_points or 0.0) / instrument.scale,
            (instrument.swap_short_points or 0.0) / instrument.scale,
            instrument.triple_swap_day,
        )

    def paid(self, side: Side, opened_at_ns: Stamps, until_ns: Stamps) -> Floats:
        """Return what positions are paid for their nights, in price.

        Parameters
        ----------
        side
            Of all of them.
        opened_at_ns
            When each began; a rollover at this instant is not its, shape ``(n,)``.
        until_ns
            Last instant at which each was held; a rollover at this instant is its, shape ``(n,)``.
        """
        a_night = self.long_price if side is Side.BUY else self.short_price
        if a_night == 0.0 or len(opened_at_ns) == 0:
            return np.zeros(len(opened_at_ns))
        known = rollovers(int(opened_at_ns.min()), int(until_ns.max()), self.triple_day)
        stamps = np.array([at_ns for at_ns, _ in known], dtype=np.int64)
        running = np.concatenate([[0], np.cumsum([nights for _, nights in known])])
        before = running[np.searchsorted(stamps, opened_at_ns, "right")]
        nights = running[np.searchsorted(stamps, until_ns, "right")] - before
        return np.asarray(nights * a_night, dtype=np.float64)


NO_SWAP = Swap()
