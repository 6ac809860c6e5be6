"""The loss streak: how many trades in a row lost, as a fold of the journal's deals."""

from __future__ import annotations

from collections.abc import Sequence

from online.domain.account import Deal

_FLAT = 1e-9  # lots


class LossStreak:
    """Closed trades that lost, since the last that did not; part of the book.

    A trade is a position from its first fill to the fill that closes the last of it, its
    commissions and swaps included.
    """

    def __init__(self) -> None:
        self.length = 0
        self._open: dict[int, tuple[float, float]] = {}

    def apply(self, deal: Deal) -> None:
        """Count a fill."""
        self.length = _count(self.length, deal, self._open)

    def after(self, deals: Sequence[Deal], recorded: int) -> int:
        """Return the length once the fills above a ticket, not on record yet, are counted."""
        if not deals:
            return self.length
        length = self.length
        seen: dict[int, tuple[float, float]] = {}
        for deal in deals:
            if deal.ticket <= recorded:
                continue
            if deal.position not in seen and deal.position in self._open:
                seen[deal.position] = self._open[deal.position]
            length = _count(length, deal, seen)
        return length

    def reset(self) -> None:
        """Begin anew: whoever resumes accepts the losses so far."""
        self.length = 0


def _count(length: int, deal: Deal, held: dict[int, tuple[float, float]]) -> int:
    """Add a fill to its position; return the streak, changed where that ended a trade."""
    volume, money = held.get(deal.position, (0.0, 0.0))
    volume += deal.volume_lots if deal.entry else -deal.volume_lots
    money += deal.money
    if deal.entry or volume > _FLAT:
        held[deal.position] = (volume, money)
        return length
    held.pop(deal.position, None)
    return length + 1 if money < 0.0 else 0
