"""Magic numbers that the server lost: put back where the inbox knows whose a position is."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from online.domain.account import Deal, Position
from online.domain.reconciliation import Statement
from online.ports import Observation


def restore_magic(seen: Observation, magic_of: Callable[[int], int]) -> Observation:
    """Return an observation in which every position and deal of ours has its magic number.

    Parameters
    ----------
    magic_of
        Returns the magic number of the order that opened a position, by ticket; 0 if unknown.
    """
    positions, deals = seen.positions, seen.deals
    if _are_whole(positions or ()) and _are_whole(deals):
        return seen
    restored = None if positions is None else _positions(positions, magic_of)
    return msgspec.structs.replace(seen, positions=restored, deals=_deals(deals, magic_of))


def restore_magic_in(told: Statement, magic_of: Callable[[int], int]) -> Statement:
    """Return a statement in which every position and deal of ours has its magic number.

    Parameters
    ----------
    magic_of
        As `restore_magic`.
    """
    if _are_whole(told.positions) and _are_whole(told.deals):
        return told
    positions, deals = _positions(told.positions, magic_of), _deals(told.deals, magic_of)
    return msgspec.structs.replace(told, positions=positions, deals=deals)


def _are_whole(rows: tuple[Position, ...] | tuple[Deal, ...]) -> bool:
    return all(row.magic for row in rows)


def _positions(rows: tuple[Position, ...], magic_of: Callable[[int], int]) -> tuple[Position, ...]:
    replace = msgspec.structs.replace
    return tuple(row if row.magic else replace(row, magic=magic_of(row.ticket)) for row in rows)


def _deals(rows: tuple[Deal, ...], magic_of: Callable[[int], int]) -> tuple[Deal, ...]:
    replace = msgspec.structs.replace
    return tuple(row if row.magic else replace(row, magic=magic_of(row.position)) for row in rows)
