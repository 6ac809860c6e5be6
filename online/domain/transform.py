"""Transforms: what decides the bits of features, as digests that a model and a store compare.

Who writes values tells beside them how each feature is made; a model knows how those it was
fitted on were made. Only where both say the same may the one read what the other wrote.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from online.domain.vector import VectorContract

_SHOWN = 12
Held = Mapping[str, Mapping[str, str] | None]
"""What a store tells: by view, the digest of each of its features; None where it tells nothing."""


class Disagreement(msgspec.Struct, frozen=True):
    """Why a model must not read what a store holds.

    Parameters
    ----------
    detail
        What was expected and what is held.
    untold
        Views of which the store tells nothing yet; empty where it tells something else than was
        expected.
    """

    detail: str
    untold: tuple[str, ...] = ()


def transform_field(view: str) -> bytes:
    """Return the online store's field that tells how a view's values are made, beside them."""
    return b"_transforms:" + view.encode()


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


def judge_transforms(held: Held, contract: VectorContract, fingerprint: str) -> Disagreement | None:
    """Return why a store's values are not those that a model was fitted on; None if they are.

    Parameters
    ----------
    held
        By view, the digest of each of its features; None where the store tells nothing.
    contract
        What the model reads.
    fingerprint
        `combine_digests` of what it was fitted on.
    """
    asked = [(view.name, view.features) for view in contract.views]
    if contract.window is not None:
        asked.append((contract.window.view, contract.window.features))
    untold, digests = [], dict[str, str]()
    for view, features in asked:
        told = held.get(view)
        if told is None:
            untold.append(view)
            continue
        for name in features:
            digest = told.get(name, "")
            if not digest or digests.setdefault(name, digest) != digest:
                return Disagreement(f"{view} has no {name} as the model reads it")
    if untold:
        return Disagreement(f"{untold[0]} does not tell how it is made", tuple(untold))
    found = combine_digests(digests)
    if found != fingerprint:
        return Disagreement(
            f"the model was fitted on features of fingerprint {fingerprint[:_SHOWN]}, the store "
            f"holds {found[:_SHOWN]}"
        )
    return None
