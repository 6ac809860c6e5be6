"""What a following relay tells of itself: a file that `sextant status` and health checks read."""

from __future__ import annotations

from pathlib import Path

from online.domain.breaker import Breaker
from pipelines.platform.probes import Health, write_report


class RelayReport:
    """Keeps the file as the relay is.

    Parameters
    ----------
    path
        The file.
    breaker
        Of PostgreSQL.
    """

    def __init__(self, path: Path, breaker: Breaker) -> None:
        self._path = path
        self._breaker = breaker
        self._told: Health | None = None
        self.sequence = 0

    def write(self) -> None:
        """Write how the relay is, if that has changed."""
        breaker = self._breaker
        if breaker.trouble:
            detail = f"PostgreSQL does not answer, circuit {breaker.state}: {breaker.trouble}"
            health = Health(ready=False, detail=detail)
        else:
            health = Health(ready=True, detail=f"copied up to record {self.sequence:,}")
        if health != self._told:
            self._told = health
            write_report(self._path, health)
