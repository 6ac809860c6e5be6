"""Transforms: the digest of everything that decides a feature's bits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import cache
from typing import Any

import talib

from feature_repo.anchors import WARM_UP_BARS
from feature_repo.catalogue import select
from feature_repo.cross import SILENT_BARS
from feature_repo.feature import CrossFeature, Feature, HigherFeature
from feature_repo.peers import peers_of
from online.domain.errors import InvalidInput
from online.domain.market import Timeframe
from online.domain.transform import combine_digests


def feature_digest(
    feature: Feature, timeframe: Timeframe | None = None, symbol: str | None = None
) -> str:
    """Return the SHA-256 of everything that decides the bits of one feature.

    It covers name, version and formula with its parameters, the anchor rule and TA-Lib's version;
    of longer bars also which bars they are made of, across symbols also the peers.

    Parameters
    ----------
    feature
        An entry of the catalogue.
    timeframe, symbol
        Whose; of own bars it does not matter.

    Raises
    ------
    InvalidInput
        If they matter and are not given.
    """
    definition = {
        "feature": [feature.name, feature.version, feature.formula],
        "talib": _library(),
        "warm_up_bars": WARM_UP_BARS,
        "stored": "float32",
        **_beyond_own_bars(feature, timeframe, symbol),
    }
    return hashlib.sha256(json.dumps(definition, sort_keys=True).encode()).hexdigest()


def transform_fingerprint(
    names: Iterable[str], timeframe: Timeframe | None = None, symbol: str | None = None
) -> str:
    """Return the SHA-256 of everything that decides the bits of `names`, whatever their order.

    Parameters
    ----------
    names
        Entries of the catalogue.
    timeframe, symbol
        As for `feature_digest`.
    """
    features = select(names, timeframe)
    return combine_digests({f.name: feature_digest(f, timeframe, symbol) for f in features})


def _beyond_own_bars(
    feature: Feature, timeframe: Timeframe | None, symbol: str | None
) -> dict[str, Any]:
    if isinstance(feature, HigherFeature):
        if timeframe is None:
            raise InvalidInput(f"{feature.name} is made of shorter bars: their timeframe is needed")
        return {"made_of": timeframe.value}
    if isinstance(feature, CrossFeature):
        peers = None if symbol is None else peers_of(symbol)
        if peers is None:
            raise InvalidInput(f"{feature.name} is made of peers' bars: {symbol} has none")
        return {
            "symbol": peers.symbol,
            "reference": peers.reference,
            "pairs": sorted(peers.pairs),
            "silent_bars": SILENT_BARS,
        }
    return {}


@cache
def _library() -> list[str]:
    library: bytes = talib.__ta_version__  # type: ignore[attr-defined] # not in its stubs
    return [str(talib.__version__), library.decode().split()[0]]
