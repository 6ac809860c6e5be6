"""How the parts of a scorer are, each in the same few words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from online.api.messages import PartState
from online.domain.breaker import Breaker, BreakerState, CircuitOpen
from online.domain.errors import JournalUnavailable, Unavailable


async def asked_state(ask: Callable[[], Awaitable[object]], fine: str) -> PartState:
    """Return how a part is that can be asked; `fine` is what is said of one that answers."""
    try:
        await ask()
    except Unavailable as error:
        return PartState(ready=False, code=error.code, detail=str(error))
    return PartState(ready=True, code="", detail=fine)


def journal_state(trouble: str) -> PartState:
    """Return how the journal is, by the error of its last write."""
    return PartState(not trouble, JournalUnavailable.code if trouble else "", trouble)


def circuit_state(breakers: Sequence[Breaker]) -> PartState:
    """Return how the breakers stand; an essential one that is not closed is a part not ready."""
    words = ", ".join(f"{each.name} {each.state}" for each in breakers)
    troubles = [f"{each.name}: {each.trouble}" for each in breakers if each.trouble]
    ready = all(each.state is BreakerState.CLOSED for each in breakers if each.essential)
    code = "" if ready else CircuitOpen.code
    return PartState(ready=ready, code=code, detail="; ".join([words, *troubles]))
