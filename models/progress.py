"""Progress: a study says each step it has done to whoever listens, and to nobody otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a study is.

    Parameters
    ----------
    done, total
        Steps; a step is one fit.
    what
        The step that was done last.
    """

    done: int
    total: int
    what: str


Listener = Callable[[Progress], None]
_LISTENER: ContextVar[Listener | None] = ContextVar("progress", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Tell `listener` of every step done within the block."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


class Steps:
    """Counts the steps of one study.

    Parameters
    ----------
    total
        Steps there will be.
    """

    def __init__(self, total: int) -> None:
        self._total, self._done = total, 0

    def advance(self, what: str, n_steps: int = 1) -> None:
        """Say that one step more is done, or several at once."""
        self._done += n_steps
        listener = _LISTENER.get()
        if listener is not None:
            listener(Progress(self._done, self._total, what))
