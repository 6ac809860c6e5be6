"""Transforms: what decides the bits of features, as digests that a model and a store compare.

Who writes values tells beside them how each feature is made; a model knows how those it was
fitted on were made. Only where both say the same may the one read what the other wrote.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping


def combine_digests(digests: Mapping[str, str]) -> str:
    """Return the SHA-256 of some features' digests, whatever their order.

    Parameters
    ----------
    digests
        How each feature is made, by its name.

    Examples
    --------
    >>> combine_digests({"a": "1", "b": "2"}) == combine_digests({"b": "2", "a": "1"})
    True
    """
    text = "\n".join(f"{name} {digests[name]}" for name in sorted(digests))
    return hashlib.sha256(text.encode()).hexdigest()
