"""The bundle: the files of a model, bound together by one digest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from online.domain.certificate import APPROVAL_FILE, CERTIFICATE_FILE
from online.domain.errors import InvalidManifest

MANIFEST_FILE = "manifest.json"
GOLDEN_FILE = "golden.npz"
"""Float32 arrays ``inputs`` ``(n, n_features)`` and ``outputs`` ``(n_members, n, 3)``; where the
vector has a window, ``windows`` ``(n, length, n_window_features)`` too."""

PROOFS = frozenset({CERTIFICATE_FILE, APPROVAL_FILE})
"""Files beside the bundle's own: they name its digest, so they are no part of it."""

GOLDEN_TOLERANCE = 1e-6
"""Greatest difference of a golden output that is accepted when a bundle is loaded."""


def bundle_digest(hashes: Mapping[str, str]) -> str:
    """Return the digest of a bundle: SHA-256 over its files' sorted ``name:sha256`` lines.

    Parameters
    ----------
    hashes
        SHA-256 of each file, hexadecimal, by file name; certificates do not count.

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
    own = {name: found for name, found in hashes.items() if name not in PROOFS}
    if not own:
        raise InvalidManifest("a bundle needs at least one file")
    for name in own:
        if ":" in name or "\n" in name:
            raise InvalidManifest(f"a bundle's file needs a plain name, got {name!r}")
    lines = "".join(f"{name}:{own[name]}\n" for name in sorted(own))
    return hashlib.sha256(lines.encode()).hexdigest()
