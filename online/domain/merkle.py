"""Merkle tree: one hash for many records, grown a leaf at a time.

Source: RFC 9162, Certificate Transparency Version 2.0, section 2.1.1. Leaves and inner nodes are
hashed under different first bytes, so that neither can pass for the other.
"""

from __future__ import annotations

import hashlib

_LEAF, _NODE = b"\x00", b"\x01"


class MerkleTree:
    """Grows by one leaf at a time and keeps only what the root needs.

    Examples
    --------
    >>> MerkleTree().root[:8]
    'e3b0c442'
    """

    def __init__(self) -> None:
        self._peaks: list[tuple[int, bytes]] = []
        self._size = 0

    @property
    def size(self) -> int:
        """Number of leaves."""
        return self._size

    def add(self, leaf: bytes) -> None:
        """Append a leaf; complete subtrees of the same size become one."""
        size, digest = 1, hashlib.sha256(_LEAF + leaf).digest()
        while self._peaks and self._peaks[-1][0] == size:
            _, left = self._peaks.pop()
            size, digest = size * 2, hashlib.sha256(_NODE + left + digest).digest()
        self._peaks.append((size, digest))
        self._size += 1

    @property
    def root(self) -> str:
        """Hash over every leaf and its place, hexadecimal; of nothing, the hash of no bytes."""
        if not self._peaks:
            return hashlib.sha256().hexdigest()
        digest = self._peaks[-1][1]
        for _, left in reversed(self._peaks[:-1]):
            digest = hashlib.sha256(_NODE + left + digest).digest()
        return digest.hex()
