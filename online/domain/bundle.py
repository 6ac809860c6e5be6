"""The bundle: the files of a model, bound together by one digest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from online.domain.errors import InvalidManifest

MANIFEST_FILE = "manifest.json"
GOLDEN_FILE = "golden.npz"
"""Float32 arrays ``inputs`` ``(n, n_features)`` and ``outputs`` ``(n_members, n, 3)``; where the
vector has a window, ``windows`` ``(n, length, n_window_features)`` too."""

GOLDEN_TOLERANCE = 1e-6
"""Greatest difference of a golden output that is accepted when a bundle is loaded."""


def bundle_digest(hashes: Mapping[str, str]) -> str:
    """Return the digest of a bundle: SHA-256 over its files' sorted ``name:sha256`` lines.

    Parameters
    ----------
    hashes
        SHA-256 of each file, hexadecimal, by file name.

    Returns
    -------
    str
        Hexadecimal digest; any changed, missing or added file changes it.

    Raises
    ------
    InvalidManifest
        If there is no file, or a name could be read as something else.

    Examples
    --------
    >>> bundle_digest({"a": "00", "b": "11"}) == bundle_digest({"b": "11", "a": "00"})
    True
    """
    if not hashes:
        raise InvalidManifest("a bundle needs at least one file")
    for name in hashes:
        if ":" in name or "\n" in name:
            raise InvalidManifest(f"a bundle's file needs a plain name, got {name!r}")
    lines = "".join(f"{name}:{hashes[name]}\n" for name in sorted(hashes))
    return hashlib.sha256(lines.encode()).hexdigest()
