"""The trading state: how much is let through, and the ladder from all to nothing."""

from __future__ import annotations

from enum import StrEnum


class TradingState(StrEnum):
    """What is let through; each state is stricter than the one before it.

    ``active``: everything the rules allow. ``reducing``: closes alone. ``halted``: nothing that is
    not asked for by a person; exits that rest at the broker stay.
    """

    ACTIVE = "active"
    REDUCING = "reducing"
    HALTED = "halted"

    def is_stricter_than(self, other: TradingState) -> bool:
        """Tell whether less is let through than in another state."""
        return _ORDER[self] > _ORDER[other]


_ORDER = {state: place for place, state in enumerate(TradingState)}
