"""The catalogue: every feature there is, and what is generated from it.

There are three scopes. Entries of own bars serve every series; those of longer bars belong to the
timeframe that sees them; those across symbols need the peers' bars. A Feast view holds one group
of one timeframe, for example ``h1_momentum``, ``h1_higher`` and ``h1_cross``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from feature_repo.engine import require_inputs
from feature_repo.feature import CrossFeature, Feature, Group, HigherFeature
from feature_repo.indicators import (
    across,
    calendar,
    candle,
    longer,
    microstructure,
    momentum,
    regime,
    returns,
    trend,
    volatility,
    volume,
)
from feature_repo.panel import Panel
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
    *microstructure.FEATURES,
    *regime.FEATURES,
    *calendar.FEATURES,
)
"""Every feature of own bars, group by group; the order within a vector."""

HIGHER: dict[Timeframe, tuple[HigherFeature, ...]] = longer.FEATURES
"""Features of longer bars, by the timeframe of the bars that see them."""

CROSS: tuple[CrossFeature, ...] = across.FEATURES
"""Features across symbols, of every timeframe."""

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


def entries(timeframe: Timeframe) -> tuple[Feature, ...]:
    """Return every feature that bars of a timeframe can have, in the order within a vector."""
    return (*CATALOGUE, *HIGHER[timeframe], *CROSS)


def select(names: Iterable[str], timeframe: Timeframe | None = None) -> tuple[Feature, ...]:
    """Return the entries of `names`, in the catalogue's order.

    Parameters
    ----------
    names
        Any of the catalogue's.
    timeframe
        Of the bars that the vector is about; None for entries of own bars alone.

    Raises
    ------
    NotFound
        With code ``UNKNOWN_FEATURE``, naming what is near.
    """
    wanted = set(names)
    members = CATALOGUE if timeframe is None else entries(timeframe)
    known = {feature.name for feature in members}
    for name in sorted(wanted - known):
        words = sorted({*known, *Group, "default"})
        near = difflib.get_close_matches(name, words, n=3) or ["default", *Group]
        of = "" if timeframe is None else f" for {timeframe} bars"
        raise NotFound(
            f"unknown feature {name!r}{of}: the catalogue has {', '.join(near)}",
            code="UNKNOWN_FEATURE",
            remedy="`sextant features list` names every feature and its group.",
        )
    return tuple(feature for feature in members if feature.name in wanted)


def expand(words: Iterable[str], timeframe: Timeframe) -> tuple[str, ...]:
    """Return the names that words stand for: ``default``, a group such as ``higher``, or a name.

    Parameters
    ----------
    words
        In any order.
    timeframe
        Of the bars that the vector is about.

    Raises
    ------
    NotFound
        With code ``UNKNOWN_FEATURE``, naming what is near.

    Examples
    --------
    >>> expand(["cross", "rsi_14"], Timeframe.H1)[:3]
    ('rsi_14', 'base_strength_24', 'quote_strength_24')
    """
    names: set[str] = set()
    for word in words:
        if word == "default":
            names |= set(DEFAULT_NAMES)
        elif word in set(Group):
            names |= {feature.name for feature in _members(Group(word), timeframe)}
        else:
            names.add(word)
    return tuple(feature.name for feature in select(names, timeframe))


def available(inputs: frozenset[str]) -> tuple[Feature, ...]:
    """Return the entries of own bars that a source with `inputs` (`BarArrays.inputs`) can serve."""
    return tuple(feature for feature in CATALOGUE if feature.inputs <= inputs)


def served(panel: Panel) -> tuple[Feature, ...]:
    """Return every entry that a panel's bars can serve, of all scopes, in the catalogue's order."""
    return (
        *available(panel.own.inputs),
        *HIGHER[panel.timeframe],
        *(CROSS if panel.others else ()),
    )


def groups(features: Sequence[Feature] = CATALOGUE) -> dict[Group, tuple[Feature, ...]]:
    """Return `features` by group, in the catalogue's order, without empty groups."""
    found = {group: tuple(f for f in features if f.group is group) for group in Group}
    return {group: members for group, members in found.items() if members}


def view_name(timeframe: Timeframe, group: Group) -> str:
    """Return the Feast view of a group, for example ``h1_momentum``, later ``h1_momentum_v2``.

    The name carries the version, so that a model never reads values of a definition that it was
    not fitted on: the view it asks for is no longer written, and its vector is vetoed.
    """
    version = view_version(group, timeframe)
    name = f"{timeframe.value.lower()}_{group.value}"
    return name if version == 1 else f"{name}_v{version}"


def view_version(group: Group, timeframe: Timeframe | None = None) -> int:
    """Return the version of a group's view: it rises when any of its entries changes.

    Parameters
    ----------
    group
        What the view is about.
    timeframe
        Of its bars; None is enough for a group of own bars.
    """
    return 1 + sum(feature.version - 1 for feature in _members(group, timeframe))


def maximum_age_seconds(timeframe: Timeframe, group: Group) -> int:
    """Return the age above which a view's values must not be used: its strictest entry's."""
    bars = min(feature.maximum_age_bars for feature in _members(group, timeframe))
    return bars * timeframe.seconds


def _members(group: Group, timeframe: Timeframe | None) -> tuple[Feature, ...]:
    features = CATALOGUE if timeframe is None else entries(timeframe)
    return tuple(feature for feature in features if feature.group is group)


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
        ``UNKNOWN_FEATURE`` if a name is not in the timeframe's catalogue, ``FEATURE_INPUT_ABSENT``
        if the source lacks what it is computed from.

    Examples
    --------
    >>> contract(Timeframe.H1, ["rsi_14", "log_return_1"]).names
    ('log_return_1', 'rsi_14')
    """
    features = select(DEFAULT_NAMES if names is None else names, timeframe)
    if inputs is not None:
        require_inputs(features, inputs)
    return VectorContract(
        tuple(
            ViewContract(
                view_name(timeframe, group),
                view_version(group, timeframe),
                tuple(feature.name for feature in members),
                maximum_age_seconds(timeframe, group),
            )
            for group, members in groups(features).items()
        )
    )


def whole_views(
    names: Iterable[str] | None = None, timeframe: Timeframe | None = None
) -> tuple[Feature, ...]:
    """Return every feature of the views that a vector reads: what is streamed and pushed for it.

    Parameters
    ----------
    names
        Features the vector reads; None for `DEFAULT_NAMES`.
    timeframe
        As for `select`.
    """
    asked = select(DEFAULT_NAMES if names is None else names, timeframe)
    wanted = {feature.group for feature in asked}
    members = CATALOGUE if timeframe is None else entries(timeframe)
    return tuple(feature for feature in members if feature.group in wanted)
