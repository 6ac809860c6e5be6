"""Honesty: how often noise is promoted, how often a true signal is, and which leaks get through.

Random walks and walks with a planted signal go through the whole study and the gates of policy
``live``, with the default recipe but for its family, which is the fastest. By default fewer
markets than 100 are made; the binomial interval of each share is reported beside it.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pandas as pd
from scipy.stats import binomtest

from models.bars import Bars
from models.families.logistic import LogisticConfig
from models.recipe import Recipe
from models.registry import Registry
from online.domain.errors import ModelRefused
from online.domain.market import PriceSide, Timeframe
from pipelines.home import Home
from pipelines.lake import Lake
from pipelines.spread import SpreadUsed
from pipelines.training import conduct
from pipelines.training_data import TrainingData, TrainPlan
from tests.benchmarks.honest_markets import (
    FREE,
    LABEL,
    SCALE,
    SPREAD_POINTS,
    best_rule_sharpe,
    catalogue_features,
    hinted_market,
    label_market,
    make_walk,
    noise_market,
    passes_live,
)
from tests.benchmarks.report import Target, render
from tests.planted_leaks import LEAKS, Load

NOISE_BARS = 3_000
POWER_BARS = 41_600
"""Four years of H1 out of sample after a first training share of two fifths."""
DRIFTS = {1: 6.2, 2: 7.4, 3: 8.6}
"""Points a bar that the market follows the hint, by the Sharpe ratio the best rule then has."""
RECIPE = Recipe(families=(LogisticConfig(),))
FREE_RECIPE = Recipe(families=(LogisticConfig(),), label=FREE)
TARGETS = (
    Target("noise_promoted", "<=", 5),
    Target("noise_promoted_no_costs", "<=", 5),
    Target("power_promoted", ">=", 80),
    Target("trials_counted", ">=", 10),
    Target("leaks_refused_share", ">=", 1),
    Target("clean_refused", "<=", 0),
)


def noise_with_costs(seed: int) -> tuple[bool, int]:
    """Tell whether a random walk is promoted, and the trials counted."""
    return passes_live(noise_market(NOISE_BARS, seed, LABEL), RECIPE)


def noise_without_costs(seed: int) -> tuple[bool, int]:
    """Tell whether a random walk is promoted where trading is free, and the trials counted."""
    return passes_live(noise_market(NOISE_BARS, seed, FREE), FREE_RECIPE)


def signal(job: tuple[int, int]) -> tuple[bool, int, float]:
    """Tell of a planted signal the same, and the best rule's annual net Sharpe ratio."""
    sharpe, seed = job
    market = hinted_market(POWER_BARS, 10_000 * sharpe + seed, DRIFTS[sharpe])
    return *passes_live(market, RECIPE), best_rule_sharpe(market, RECIPE.first_train_share)


def share_figures(name: str, promoted: Sequence[bool]) -> dict[str, float]:
    """Return a share per 100 with its 95 % interval (Clopper and Pearson)."""
    found, asked = sum(promoted), len(promoted)
    interval = binomtest(found, asked).proportion_ci(0.95)
    return {
        name: 100.0 * found / asked,
        f"{name}_low": 100.0 * interval.low,
        f"{name}_high": 100.0 * interval.high,
        f"{name}_markets": float(asked),
    }


def measure_leaks(folder: Path) -> dict[str, float]:
    """Plant every leak into a training run on a random walk and count the refusals."""
    walk = make_walk(NOISE_BARS, 1)
    home, recipe = Home(folder), RECIPE
    fill_lake(home, walk)
    plan = TrainPlan(folder, "EURUSD", Timeframe.H1, None, None, recipe, "sextant")

    def load(plan: TrainPlan) -> TrainingData:
        frame = catalogue_features(walk, plan.vector.names)
        dataset = label_market(walk, frame, plan.vector.names, LABEL)
        spread = SpreadUsed(SPREAD_POINTS, "as given")
        return TrainingData(dataset, LABEL.costs(SCALE, 1.0), PriceSide.ASK, spread)

    registry = Registry(f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts")
    refused = [
        refuses(plan, registry, leak.load(load), leak.code, leak.learn_from) for leak in LEAKS
    ]
    clean = 0.0
    try:
        conduct(plan, registry, load)
    except ModelRefused:
        clean = 1.0
    return {
        "leaks_planted": float(len(LEAKS)),
        "leaks_refused_share": sum(refused) / len(refused),
        "clean_refused": clean,
    }


def refuses(
    plan: TrainPlan,
    registry: Registry,
    load: Load,
    code: str,
    learn_from: Callable[..., object],
) -> bool:
    """Tell whether the run is refused with `code` and registers nothing."""
    before = len(registry.versions(plan.name))
    try:
        conduct(plan, registry, load, learn_from)  # type: ignore[arg-type] # a planted study
    except ModelRefused as error:
        return error.code == code and len(registry.versions(plan.name)) == before
    return False


def fill_lake(home: Home, walk: Bars) -> None:
    """Write the walk to the lake as hourly EURUSD."""
    names = ("closed_at_ns", "open", "high", "low", "close")
    frame = pd.DataFrame({name: getattr(walk, name) for name in names})
    frame["volume"] = float("nan")
    frame["spread_points"] = float("nan")
    Lake(home.lake).write_bars("EURUSD", Timeframe.H1, PriceSide.ASK, frame, "walk")


def main() -> None:
    """Promote, refuse, count and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="kept for `sextant bench`")
    parser.add_argument("--full", action="store_true", help="100 markets of each kind")
    full = parser.parse_args().full
    logging.disable(logging.INFO)
    n_noise, n_power, n_curve = (100, 100, 100) if full else (40, 20, 6)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure_leaks(Path(folder))
    with ProcessPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        for name, play in (
            ("noise_promoted", noise_with_costs),
            ("noise_promoted_no_costs", noise_without_costs),
        ):
            noise = list(pool.map(play, range(n_noise)))
            figures |= share_figures(name, [promoted for promoted, _ in noise])
            sys.stderr.write(f"{name} {figures[name]:g} of 100\n")
        for sharpe in sorted(DRIFTS, reverse=True):
            wanted = n_power if sharpe == max(DRIFTS) else n_curve
            found = list(pool.map(signal, [(sharpe, seed) for seed in range(wanted)]))
            name = "power_promoted" if sharpe == max(DRIFTS) else f"power_promoted_sharpe_{sharpe}"
            figures |= share_figures(name, [promoted for promoted, _, _ in found])
            figures["trials_counted"] = float(min(trials for _, trials, _ in found))
            figures[f"best_rule_sharpe_{sharpe}"] = sum(best for _, _, best in found) / len(found)
            sys.stderr.write(f"{name} {figures[name]:g} of 100\n")
    figures["seconds"] = time.perf_counter() - started
    peer = (
        "none: no peer states how often noise passes it. Trials are taken as independent (their "
        "number is the effective number's upper bound), the variance of their Sharpe ratios as "
        "the greater of the one seen and one estimate's"
    )
    packages = ("scikit-learn", "onnxruntime", "numpy")
    sys.stdout.write(render("honesty", figures, TARGETS, peer, packages) + "\n")


if __name__ == "__main__":
    main()
