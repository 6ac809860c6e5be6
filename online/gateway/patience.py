"""When what was refused is asked for again: soon at first, then ever more seldom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

FIRST_SECONDS: Final = 1.0
LONGEST_SECONDS: Final = 30.0


class Patience:
    """Remembers what was refused, and until when nobody asks for it again.

    The pause doubles with every refusal, up to half a minute: a market that is closed over a
    weekend is asked some thousand times a day, not a hundred thousand.

    Parameters
    ----------
    now_s
        A clock that is never set back, seconds.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._pauses: dict[str, tuple[float, float]] = {}

    def may_ask(self, what: str) -> bool:
        """Tell whether the pause after the last refusal is over."""
        _, until_s = self._pauses.get(what, (0.0, 0.0))
        return self._now_s() >= until_s

    def refused(self, what: str) -> None:
        """Begin a pause, twice as long as the last one."""
        last_s, _ = self._pauses.get(what, (FIRST_SECONDS / 2.0, 0.0))
        pause_s = min(2.0 * last_s, LONGEST_SECONDS)
        self._pauses[what] = (pause_s, self._now_s() + pause_s)

    def not_sent(self, what: str) -> None:
        """Begin the shortest pause again: nobody was asked."""
        self._pauses[what] = (FIRST_SECONDS / 2.0, self._now_s() + FIRST_SECONDS)

    def granted(self, what: str) -> None:
        """Forget what was refused of this."""
        self._pauses.pop(what, None)

    def begin_anew(self) -> None:
        """Forget all: somebody wants it now."""
        self._pauses.clear()
