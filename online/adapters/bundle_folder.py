"""Bundles in a plain folder: ``<root>/<name>/<alias>/`` holds manifest, ONNX files, golden vectors.

The alias may be a symbolic link to the folder of a version beside it: moving the link is the
promotion, and the link's target names the version::

    EURUSD.H1.barrier/
        3/          manifest.json  xgboost.onnx  golden.npz
        champion -> 3
"""

from __future__ import annotations

from pathlib import Path

from online.adapters.bundle_source import FetchedBundle
from online.domain.errors import NotFound


class BundleFolder:
    """Source of bundles in a local folder.

    Parameters
    ----------
    root
        Holds one folder a registered name.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    async def fetch(self, name: str, alias: str) -> FetchedBundle:
        """Return the folder an alias points at.

        Raises
        ------
        NotFound
            With code ``NO_MODEL`` if there is no such folder.
        """
        folder = self._find(name, alias)
        return FetchedBundle(folder, folder.name, f"folder {self._root}")

    async def look(self, name: str, alias: str) -> str:
        """Return the name of the folder an alias points at; errors as of `fetch`."""
        return self._find(name, alias).name

    def kept(self, name: str, alias: str) -> FetchedBundle | None:  # noqa: ARG002 - nothing is kept apart
        """Return None: what was verified before is known to the folder alone."""
        return None

    def keep(self, name: str, alias: str, bundle: FetchedBundle) -> None:
        """Do nothing: the folder is kept already."""

    def _find(self, name: str, alias: str) -> Path:
        folder = (self._root / name / alias).resolve()
        inside = self._root.resolve()
        if not folder.is_dir() or inside not in folder.parents:
            raise NotFound(
                f"no model under {name}/{alias} in {self._root}",
                code="NO_MODEL",
                remedy="Train and promote a model, then POST /v1/model/reload.",
            )
        return folder
