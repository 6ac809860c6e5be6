"""The decision: what to do about one bar, with reasons."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache

import msgspec

from online.domain.account import Position
from online.domain.market import Side
from online.domain.reasons import Reason, Veto
from online.domain.rules import candidate
from online.domain.signal import Signal


class Action(StrEnum):
    """What to do."""

    BUY = "buy"
    SELL = "sell"
    CLOSE = "close"
    HOLD = "hold"

    @property
    def side(self) -> Side | None:
        """Direction of an entry; None for the rest."""
        if self is Action.BUY:
            return Side.BUY
        return Side.SELL if self is Action.SELL else None


class Decision(msgspec.Struct, frozen=True, gc=False):
    """What to do about one bar.

    Parameters
    ----------
    action
        What to do.
    reasons
        Why nothing is entered; empty for BUY, SELL and CLOSE.
    """

    action: Action
    reasons: tuple[Veto, ...] = ()


@lru_cache(maxsize=64, typed=True)
def _keep(ticket: int, side: Side, volume_lots: float) -> Decision:
    held = f"position {ticket}, {side} {volume_lots} lots"
    return Decision(Action.HOLD, (Veto(Reason.POSITION_OPEN, held),))


def decide(signal: Signal | None, min_edge: float, position: Position | None) -> Decision:
    """Decide on an entry.

    Parameters
    ----------
    signal
        The model's signal; None where there was nothing to score.
    min_edge
        Least edge that is traded (the manifest's).
    position
        The symbol's open position, if any.
    """
    if signal is None:
        return Decision(Action.HOLD)
    if position is not None:
        return _keep(position.ticket, position.side, position.volume_lots)
    edge = signal.edge
    side = candidate(edge, min_edge)
    if side is None:
        detail = f"edge {edge:+.6f}, at least {min_edge:.6f} either way is traded"
        return Decision(Action.HOLD, (Veto(Reason.NO_EDGE, detail),))
    return Decision(Action.BUY if side is Side.BUY else Action.SELL)
