"""Magic numbers that the server lost: put back where the inbox knows whose a position is."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from online.ports import Observation


def restore_magic(seen: Observation, magic_of: Callable[[int], int]) -> Observation:
    """Return an observation in which every position and deal of ours has its magic number.

    Parameters
    ----------
    magic_of
        Returns the magic number of the order that opened a position, by ticket; 0 if unknown.
    """
    positions, deals = seen.positions or (), seen.deals
    if all(position.magic for position in positions) and all(deal.magic for deal in deals):
        return seen
    replace = msgspec.structs.replace
    held = tuple(p if p.magic else replace(p, magic=magic_of(p.ticket)) for p in positions)
    told = tuple(d if d.magic else replace(d, magic=magic_of(d.position)) for d in deals)
    return replace(seen, positions=None if seen.positions is None else held, deals=told)
