"""How many may be at their TLS handshake: whoever is not known yet takes up little.

A handshake is waited for some seconds, whoever calls. One address has a few of the places alone, so
that a host that only opens connections keeps none out that calls from another.
"""

from __future__ import annotations

import logging
from collections import Counter

PLACES, PLACES_OF_AN_ADDRESS = 128, 32
_log = logging.getLogger(__name__)


class HandshakePlaces:
    """The places of one gateway."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()
        self._refused = 0

    def take(self, address: str) -> bool:
        """Take a place for a connection; False if there is none."""
        mine = self._taken[address]
        if mine < PLACES_OF_AN_ADDRESS and self._taken.total() < PLACES:
            self._taken[address] = mine + 1
            return True
        if not mine:
            del self._taken[address]
        if not self._refused:
            _log.warning("%s was refused: too many are at their handshake", address)
        self._refused += 1
        return False

    def give_back(self, address: str) -> None:
        """Give back a place that was taken."""
        self._taken[address] -= 1
        if not self._taken[address]:
            del self._taken[address]
        if self._refused and not self._taken:
            _log.warning("%d connections were refused meanwhile", self._refused)
            self._refused = 0
