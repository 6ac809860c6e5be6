"""Messages about risk: the kill ladder, the limits in force and what is measured against them."""

from __future__ import annotations

from typing import Annotated

import msgspec

from online.api.order_messages import ClientId
from online.domain.limits import Limits
from online.domain.trading_state import TradingState
from online.operate import Carried

Why = Annotated[str, msgspec.Meta(min_length=1, max_length=500, description="Why; journaled.")]
Who = Annotated[str, msgspec.Meta(max_length=100, description="Who wants it; journaled.")]


class LadderRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rung of the ladder: why, and who wants it."""

    reason: Why
    by: Who = ""


class FlattenRequest(LadderRequest, frozen=True, forbid_unknown_fields=True):
    """Halt and close everything; asked for again with the same id, it goes on and tells of all."""

    client_id: ClientId | None = None


class ResumeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Let everything through again: who wants it."""

    by: Who = ""


class RiskAnswer(msgspec.Struct, frozen=True):
    """How trading stands.

    Parameters
    ----------
    state, reason
        What is let through, and why not everything.
    limits
        In force.
    limits_refused
        Why the limits that are stated now are not in force; empty if they are.
    day_start_equity, peak_equity, equity
        Account currency; 0.0 before the first decision.
    losses_in_a_row
        Closed trades that lost since the last that did not.
    entries_in_window, closes_in_window
        Orders sent within the limits' window.
    unresolved
        Symbols with an order of unknown fate.
    """

    state: TradingState
    reason: str
    limits: Limits
    limits_refused: str
    day_start_equity: float
    peak_equity: float
    equity: float
    losses_in_a_row: int
    entries_in_window: int
    closes_in_window: int
    unresolved: tuple[str, ...]


class FlattenAnswer(msgspec.Struct, frozen=True):
    """How trading stands, what became of all that was open, and what is not this journal's."""

    risk: RiskAnswer
    carried: tuple[Carried, ...]
    left_alone: tuple[int, ...]


class LimitChange(msgspec.Struct, frozen=True):
    """A limit before and after, as text."""

    name: str
    before: str
    after: str


class ReloadAnswer(msgspec.Struct, frozen=True):
    """What a reload of the limits changed; empty if nothing."""

    changes: tuple[LimitChange, ...]
