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
    return Observation(
        seen.quote,
        seen.account,
        None
        if seen.positions is None
        else tuple(
            held if held.magic else replace(held, magic=magic_of(held.ticket)) for held in positions
        ),
        tuple(
            deal if deal.magic else replace(deal, magic=magic_of(deal.position)) for deal in deals
        ),
    )
