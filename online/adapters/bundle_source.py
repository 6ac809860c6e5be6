"""Where model bundles come from: one small protocol for every source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class FetchedBundle:
    """A bundle on this host, not verified yet.

    Parameters
    ----------
    folder
        Holds the bundle's files and nothing else.
    version
        As the source calls it.
    origin
        In words, for `/readyz`: where it came from.
    digest
        As the source registered it; empty where it registers none.
    """

    folder: Path
    version: str
    origin: str
    digest: str = ""


class BundleSource(Protocol):
    """Finds the bundle an alias points at."""

    async def fetch(self, name: str, alias: str) -> FetchedBundle:
        """Return the bundle of a registered name under an alias.

        Raises
        ------
        NotFound
            With code ``NO_MODEL`` if the alias points at nothing.
        Unavailable
            If the source does not answer and nothing was kept from before.
        """

    async def look(self, name: str, alias: str) -> str:
        """Return the version an alias points at now, as the source calls it.

        Raises
        ------
        NotFound, Unavailable
            As `fetch`, but nothing kept is returned.
        """

    def kept(self, name: str, alias: str) -> FetchedBundle | None:
        """Return the bundle that was verified last under an alias; None if there is none."""

    def keep(self, name: str, alias: str, bundle: FetchedBundle) -> None:
        """Remember a bundle that passed its verification."""
