"""The decision: what to do about one bar, with reasons."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache

import msgspec

from online.domain.account import Position
from online.domain.market import BUY, SELL, Side
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
        if self is _GO_LONG:
            return BUY
        return SELL if self is _GO_SHORT else None


HOLD, _GO_LONG, _GO_SHORT = Action.HOLD, Action.BUY, Action.SELL


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


_NO_EDGE = Reason.NO_EDGE
_NO_SIGNAL, _LONG, _SHORT = Decision(HOLD), Decision(_GO_LONG), Decision(_GO_SHORT)


@lru_cache(maxsize=64, typed=True)
def _keep(ticket: int, side: Side, volume_lots: float) -> Decision:
    held = f"position {ticket}, {side} {volume_lots} lots"
    return Decision(HOLD, (Veto(Reason.POSITION_OPEN, held),))


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
        return _NO_SIGNAL
    if position is not None:
        return _keep(position.ticket, position.side, position.volume_lots)
    edge = signal.edge
    side = candidate(edge, min_edge)
    if side is None:
        detail = f"edge {edge:+.6f}, at least {min_edge:.6f} either way is traded"
        return Decision(HOLD, (Veto(_NO_EDGE, detail),))
    return _LONG if side is BUY else _SHORT
