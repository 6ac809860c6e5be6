"""Numbering: which of the numbers from 1 on were given, in any order, and which were not."""

from __future__ import annotations

from bisect import bisect_left


class Numbering:
    """Remembers the numbers given; its size is that of the gaps, not of the numbers.

    Decisions are taken concurrently, so their numbers may come out of order; a number that was
    taken by a decision that could not be made durable never comes.

    Examples
    --------
    >>> numbers = Numbering()
    >>> [numbers.claim(n) for n in (1, 5, 3, 5)]
    [True, True, True, False]
    >>> numbers.missing
    ((2, 2), (4, 4))
    """

    def __init__(self) -> None:
        self._highest = 0
        self._gaps: list[tuple[int, int]] = []

    @property
    def missing(self) -> tuple[tuple[int, int], ...]:
        """Closed ranges below the highest number that were never given, lowest first."""
        return tuple(self._gaps)

    def claim(self, number: int) -> bool:
        """Take a number; return False if it was given before or is below 1."""
        if number > self._highest:
            if number > self._highest + 1:
                self._gaps.append((self._highest + 1, number - 1))
            self._highest = number
            return True
        place = bisect_left(self._gaps, number, key=lambda gap: gap[1])
        if place == len(self._gaps) or self._gaps[place][0] > number:
            return False
        first, last = self._gaps[place]
        kept = ((first, number - 1), (number + 1, last))
        self._gaps[place : place + 1] = [gap for gap in kept if gap[0] <= gap[1]]
        return True
