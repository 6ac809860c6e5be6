"""The one shape every benchmark prints: figures beside their targets, judged by the reader."""

from __future__ import annotations

import json
import operator
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Final

import numpy as np

_OPERATORS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    ">=": operator.ge,
    "<=": operator.le,
}


@dataclass(frozen=True, slots=True)
class Target:
    """A figure's stated target: ``figure op target``, for example ``ratio >= 10``."""

    figure: str
    op: str
    target: float


def render(
    name: str,
    figures: Mapping[str, float | None],
    targets: Sequence[Target],
    peer: str,
    packages: Sequence[str],
) -> str:
    """Return the benchmark's result as one JSON object.

    Parameters
    ----------
    name
        Of the benchmark.
    figures
        What was measured, the unit in each name; None where the peer could not be.
    targets
        What was aimed at; `met` is false where the figure is missing.
    peer
        What it was compared with, or why the peer could not be measured.
    packages
        Distributions whose versions matter.
    """
    judged = [
        {
            "figure": t.figure,
            "op": t.op,
            "target": t.target,
            "met": _is_met(t, figures.get(t.figure)),
        }
        for t in targets
    ]
    return json.dumps(
        {
            "name": name,
            "figures": dict(figures),
            "targets": judged,
            "peer": peer,
            "versions": {package: _version(package) for package in packages},
            "machine": {
                "cores": os.cpu_count(),
                "platform": platform.platform(),
                "python": platform.python_version(),
            },
        },
        indent=1,
    )


def _is_met(target: Target, figure: float | None) -> bool:
    return figure is not None and _OPERATORS[target.op](figure, target.target)


def percentile_milliseconds(seconds: Sequence[float], percent: float) -> float:
    """Return a percentile of durations in milliseconds."""
    return float(np.percentile(np.asarray(seconds), percent) * 1e3)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
