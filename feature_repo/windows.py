"""The windows there are: each names its features and how many of the last vectors it holds.

A window is a feature of its own view, whose only field is the packed array (`feature_repo.window`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from feature_repo.anchors import WARM_UP_BARS
from feature_repo.catalogue import DEFAULT_NAMES, select
from feature_repo.feature import Feature
from online.domain.errors import InvalidInput, NotFound
from online.domain.market import Timeframe
from online.domain.window import WindowContract

_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Window:
    """The last vectors of some features.

    Parameters
    ----------
    name
        Lower case, unique together with `length`.
    names
        Features of a vector, in any order; the window has them in the catalogue's.
    length
        Vectors (> 0).
    version
        Raised by one when `names` change (>= 1).
    maximum_age_bars
        Age, in bars, above which it must not be used (>= 1).
    """

    name: str
    names: tuple[str, ...]
    length: int
    version: int = 1
    maximum_age_bars: int = 1

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or not self.names:
            raise InvalidInput(f"a window has a name like default and features, got {self}")
        if not 0 < self.length <= WARM_UP_BARS or min(self.version, self.maximum_age_bars) < 1:
            raise InvalidInput(
                f"window {self.name} needs 1 to {WARM_UP_BARS} vectors, version and age of at "
                f"least 1, got {self.length}, {self.version} and {self.maximum_age_bars}"
            )

    @property
    def key(self) -> str:
        """What a recipe calls it, for example ``default_32``."""
        return f"{self.name}_{self.length}"

    @property
    def field(self) -> str:
        """Name of the packed bytes in the view, for example ``window_default_32``."""
        return f"window_{self.key}"

    def entries(self, timeframe: Timeframe) -> tuple[Feature, ...]:
        """Return its features, in order."""
        return select(self.names, timeframe)

    def view_version(self, timeframe: Timeframe) -> int:
        """Return its view's version: it rises when the window or one of its features changes."""
        return self.version + sum(feature.version - 1 for feature in self.entries(timeframe))

    def view_name(self, timeframe: Timeframe) -> str:
        """Return its Feast view, for example ``h1_window_default_32``; a later version says so."""
        name, version = f"{timeframe.value.lower()}_{self.field}", self.view_version(timeframe)
        return name if version == 1 else f"{name}_v{version}"

    def contract(self, timeframe: Timeframe) -> WindowContract:
        """Return what a model asks of it on one timeframe."""
        return WindowContract(
            view=self.view_name(timeframe),
            version=self.view_version(timeframe),
            field=self.field,
            length=self.length,
            features=tuple(feature.name for feature in self.entries(timeframe)),
            max_age_seconds=self.maximum_age_bars * timeframe.seconds,
        )


WINDOWS: tuple[Window, ...] = (Window("default", DEFAULT_NAMES, 32),)
"""Every window that is stored and served."""


def find_window(key: str) -> Window:
    """Return the window of a key.

    Raises
    ------
    NotFound
        With code ``UNKNOWN_WINDOW`` and those there are.

    Examples
    --------
    >>> find_window("default_32").view_name(Timeframe.H1)
    'h1_window_default_32'
    """
    for window in WINDOWS:
        if window.key == key:
            return window
    raise NotFound(
        f"unknown window {key!r}: there are {', '.join(window.key for window in WINDOWS)}",
        code="UNKNOWN_WINDOW",
        remedy="Add it to WINDOWS (feature_repo/windows.py) and featurize.",
    )


def served_windows(features: Iterable[Feature]) -> tuple[Window, ...]:
    """Return the windows that can be made of vectors of `features`."""
    known = {feature.name for feature in features}
    return tuple(window for window in WINDOWS if known.issuperset(window.names))


def vectors_before(windows: Iterable[Window]) -> int:
    """Return how many vectors before a bar its windows hold, at most."""
    return max((window.length - 1 for window in windows), default=0)
