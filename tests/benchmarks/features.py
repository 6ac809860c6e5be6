"""Features: the whole catalogue over a year of minutes, against the same features in pandas.

Both run on one thread and are timed by the processor, so that other programs do not count. The
values must be equal, as far as float32 and the other start of recursive averages allow.
"""

from __future__ import annotations

import resource
import time

import numpy as np
import pandas as pd

from feature_repo.bars import BarArrays
from feature_repo.catalogue import CATALOGUE
from feature_repo.engine import Vector, compute_batch
from tests.benchmarks.minutes import year_of_minutes
from tests.benchmarks.peers.pandas_features import PANDAS
from tests.benchmarks.report import Target, render
from tests.laws.feature_data import frame_of

ROUNDS = 3
SETTLED = 1400
"""Bars after which the start of a recursive average no longer shows."""

UNEQUAL = 0.002
"""Share of values that may differ by more than rounding: a comparison of two equal averages."""

TARGETS = (Target("ratio", ">=", 8.0), Target("peak_memory_gb", "<=", 2.0))


def main() -> None:
    """Measure and print one JSON object."""
    bars, origin = year_of_minutes()
    seconds = []
    values: dict[str, Vector] = {}
    for _ in range(ROUNDS):
        values.clear()
        began = time.process_time()
        values.update(compute_batch(bars, CATALOGUE))
        seconds.append(time.process_time() - began)
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    peer_seconds, shares = compare(bars, values)
    figures = {
        "bars": float(len(bars)),
        "features": float(len(CATALOGUE)),
        "seconds": min(seconds),
        "first_seconds": seconds[0],
        "peer_seconds": peer_seconds,
        "ratio": peer_seconds / min(seconds),
        "peak_memory_gb": peak_gb,
        "unequal_share": max(shares.values()),
    }
    peer = f"pandas, an expression a feature, none shared, without apply; on {origin}"
    print(render("features", figures, TARGETS, peer, ("pandas", "numpy", "TA-Lib")))


def compare(bars: BarArrays, values: dict[str, Vector]) -> tuple[float, dict[str, float]]:
    """Return pandas' processor time, the best of some rounds, and each feature's unequal share.

    Raises
    ------
    RuntimeError
        If a feature is another than pandas'.
    """
    frame = frame_of(bars)
    spent, shares = 0.0, {}
    for feature in CATALOGUE:
        rounds = []
        expected = pd.Series(dtype=float)
        for _ in range(ROUNDS):
            began = time.process_time()
            expected = PANDAS[feature.name](frame)
            rounds.append(time.process_time() - began)
        spent += min(rounds)
        shares[feature.name] = unequal_share(values[feature.name], expected)
        if shares[feature.name] > UNEQUAL:
            raise RuntimeError(
                f"{feature.name} differs from pandas' at {shares[feature.name]:.2%} of the bars"
            )
    return spent, shares


def unequal_share(found: Vector, expected: pd.Series[float]) -> float:
    """Return the share of settled bars whose values differ by more than rounding."""
    ours, theirs = found[SETTLED:].astype(np.float64), expected.to_numpy()[SETTLED:]
    known = np.isfinite(theirs)
    if known.mean() < 0.9:
        raise RuntimeError(f"pandas has {known.mean():.0%} of the values of {expected.name}")
    ours, theirs = ours[known], theirs[known]
    allowed = 2e-5 * np.abs(theirs) + 2e-6 * float(np.abs(theirs).max())
    return float((np.abs(ours - theirs) > allowed).mean())


if __name__ == "__main__":
    main()
