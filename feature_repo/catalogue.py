"""The catalogue: every feature there is, and what is generated from it."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterable, Sequence

import talib

from feature_repo.anchors import WARM_UP_BARS
from feature_repo.engine import require_inputs
from feature_repo.feature import Feature, Group
from feature_repo.indicators import (
    calendar,
    candle,
    momentum,
    regime,
    returns,
    trend,
    volatility,
    volume,
)
from online.domain.errors import NotFound
from online.domain.market import Timeframe
from online.domain.vector import VectorContract, ViewContract

CATALOGUE: tuple[Feature, ...] = (
    *returns.FEATURES,
    *trend.FEATURES,
    *momentum.FEATURES,
    *volatility.FEATURES,
    *candle.FEATURES,
    *volume.FEATURES,
    *regime.FEATURES,
    *calendar.FEATURES,
)
"""Every feature, group by group; the order within a vector."""

BY_NAME: dict[str, Feature] = {feature.name: feature for feature in CATALOGUE}

DEFAULT_NAMES: tuple[str, ...] = (
    *("log_return_1", "log_return_4", "log_return_24"),
    *("sma_20_ratio", "sma_50_ratio", "ema_12_ratio", "ema_50_ratio"),
    *("macd_line_atr", "macd_signal_atr", "macd_histogram_atr"),
    *("adx_14", "directional_balance_14"),
    *("rsi_14", "stochastic_k_14", "stochastic_d_14"),
    *("atr_14", "atr_14_ratio", "realised_volatility_24"),
    *("bollinger_percent_b_20", "bollinger_bandwidth_20"),
    *("hour_sine", "hour_cosine", "week_sine", "week_cosine"),
    *("london_session", "new_york_session"),
)
"""The vector of a model that asks for nothing else; it needs no volume."""


def select(names: Iterable[str]) -> tuple[Feature, ...]:
    """Return the entries of `names`, in the catalogue's order.

    Raises
    ------
    NotFound
        With code ``UNKNOWN_FEATURE``, naming what is near.
    """
    wanted = set(names)
    for name in sorted(wanted - BY_NAME.keys()):
        near = difflib.get_close_matches(name, BY_NAME, n=3)
        raise NotFound(
            f"unknown feature {name!r}: the catalogue has {', '.join(near or sorted(BY_NAME))}",
            code="UNKNOWN_FEATURE",
        )
    return tuple(feature for feature in CATALOGUE if feature.name in wanted)


def available(inputs: frozenset[str]) -> tuple[Feature, ...]:
    """Return the entries a source with `inputs` (`BarArrays.inputs`) can serve."""
    return tuple(feature for feature in CATALOGUE if feature.inputs <= inputs)


def groups(features: Sequence[Feature] = CATALOGUE) -> dict[Group, tuple[Feature, ...]]:
    """Return `features` by group, in the catalogue's order, without empty groups."""
    found = {group: tuple(f for f in features if f.group is group) for group in Group}
    return {group: members for group, members in found.items() if members}


def view_name(timeframe: Timeframe, group: Group) -> str:
    """Return the Feast view of a group, for example ``h1_momentum``, later ``h1_momentum_v2``.

    The name carries the version, so that a model never reads values of a definition that it was
    not fitted on: the view it asks for is no longer written, and its vector is vetoed.
    """
    version = view_version(group)
    name = f"{timeframe.value.lower()}_{group.value}"
    return name if version == 1 else f"{name}_v{version}"


def view_version(group: Group) -> int:
    """Return the version of a group's view: it rises when any of its entries changes."""
    return 1 + sum(feature.version - 1 for feature in CATALOGUE if feature.group is group)


def maximum_age_seconds(timeframe: Timeframe, group: Group) -> int:
    """Return the age above which a view's values must not be used: its strictest entry's."""
    bars = min(feature.maximum_age_bars for feature in CATALOGUE if feature.group is group)
    return bars * timeframe.seconds


def contract(
    timeframe: Timeframe,
    names: Iterable[str] | None = None,
    inputs: frozenset[str] | None = None,
) -> VectorContract:
    """Return the ordered vector of a model.

    Parameters
    ----------
    timeframe
        The model's bars.
    names
        Features it reads, in any order; None for `DEFAULT_NAMES`.
    inputs
        What its source has (`BarArrays.inputs`); None where that is not known.

    Raises
    ------
    NotFound
        ``UNKNOWN_FEATURE`` if a name is not in the catalogue, ``FEATURE_INPUT_ABSENT`` if the
        source lacks what it is computed from.

    Examples
    --------
    >>> contract(Timeframe.H1, ["rsi_14", "log_return_1"]).names
    ('log_return_1', 'rsi_14')
    """
    features = select(DEFAULT_NAMES if names is None else names)
    if inputs is not None:
        require_inputs(features, inputs)
    return VectorContract(
        tuple(
            ViewContract(
                view_name(timeframe, group),
                view_version(group),
                tuple(feature.name for feature in members),
                maximum_age_seconds(timeframe, group),
            )
            for group, members in groups(features).items()
        )
    )


def transform_fingerprint(names: Iterable[str]) -> str:
    """Return the SHA-256 of everything that decides the bits of `names`.

    It covers each entry's name, version and formula with its parameters, the anchor rule and
    TA-Lib's version; the order of `names` does not matter.
    """
    library: bytes = talib.__ta_version__  # type: ignore[attr-defined] # not in its stubs
    definition = {
        "features": [[f.name, f.version, f.formula] for f in select(names)],
        "talib": [talib.__version__, library.decode().split()[0]],
        "warm_up_bars": WARM_UP_BARS,
        "stored": "float32",
    }
    return hashlib.sha256(json.dumps(definition, sort_keys=True).encode()).hexdigest()


def whole_views(names: Iterable[str] | None = None) -> tuple[Feature, ...]:
    """Return every feature of the views that a vector reads: what is streamed and pushed for it.

    Parameters
    ----------
    names
        Features the vector reads; None for `DEFAULT_NAMES`.
    """
    wanted = {feature.group for feature in select(DEFAULT_NAMES if names is None else names)}
    return tuple(feature for feature in CATALOGUE if feature.group in wanted)
