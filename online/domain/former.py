"""Records that an earlier version wrote: what they state is read, what they do not is named.

A journal is kept for years and never rewritten, so today's code reads yesterday's shapes. Nothing
is made up that anybody trades by: limits of an earlier shape are shown, and never in force again.
"""

from __future__ import annotations

from typing import Any, get_type_hints

import msgspec

from online.domain.limits import Limits
from online.domain.risk_facts import RiskState
from online.domain.trading_state import TradingState


class FormerLimitsRecord(msgspec.Struct, frozen=True, tag="limits"):
    """Limits of an earlier version came into force: other names or bounds than today's.

    Parameters
    ----------
    limits, previous
        By the names of then; previous null where that journal knew of none.
    by
        Who or what put them in force.
    """

    at_ns: int
    limits: dict[str, Any]
    by: str = ""
    previous: dict[str, Any] | None = None

    @property
    def changes(self) -> dict[str, tuple[object, object]]:
        """The limits that differ, each with its value before and after; null where not stated."""
        if self.previous is None:
            return {}
        names = {**self.previous, **self.limits}
        pairs = {name: (self.previous.get(name), self.limits.get(name)) for name in names}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}

    @property
    def untold(self) -> tuple[str, ...]:
        """Today's limits that it does not state."""
        return tuple(name for name in _REQUIRED_LIMITS if name not in self.limits)

    @property
    def forgotten(self) -> tuple[str, ...]:
        """Limits that it states and today's version has no more."""
        return tuple(name for name in self.limits if name not in Limits.__struct_fields__)


_ADDED_STATE: dict[str, object] = {
    "trading": None,
    "losses_in_a_row": 0,
    "closes_in_window": 0,
    "buys_in_window": 0,
    "sells_in_window": 0,
    "recent": [],
    "under_way": [],
    "reference_price": 0.0,
}
"""Fields of the risk state that the first version did not have, with what stands in for them."""


def read_former_limits(told: dict[str, Any]) -> FormerLimitsRecord | None:
    """Return a record of limits that today's rules do not allow; None if that is not what it is.

    Values under today's names must be of today's types; those under other names may be anything.
    """
    try:
        record = msgspec.convert(told, FormerLimitsRecord)
        stated = [each for each in (record.limits, record.previous) if each is not None]
        for each in stated:
            for name in each.keys() & _KINDS.keys():
                msgspec.convert(each[name], _KINDS[name])
    except msgspec.ValidationError:
        return None
    return record


def complete_state(told: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]] | None:
    """Return a decision's risk state in today's shape, and the names it does not tell.

    None if it lacks what every version told.
    """
    added = {name: value for name, value in _ADDED_STATE.items() if name not in told}
    if not added or _NEEDED_STATE - told.keys() - added.keys():
        return None
    untold = tuple(name for name in RiskState.__struct_fields__ if name not in told)
    if "trading" in added:
        added["trading"] = TradingState.HALTED if told.get("halted") else TradingState.ACTIVE
    return {**told, **added}, untold


_KINDS = {**get_type_hints(Limits), "symbols": dict[str, dict[str, float | None]]}
_REQUIRED_LIMITS = [f.encode_name for f in msgspec.structs.fields(Limits) if f.required]
_NEEDED_STATE = {field.encode_name for field in msgspec.structs.fields(RiskState) if field.required}
