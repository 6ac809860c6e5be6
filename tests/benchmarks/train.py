"""Training speed: our walk-forward beside scikit-learn's boosting and a loop that refits raw bars.

All three fit the same folds of the same random walk with the same trees, leaves, bins and rate,
without early stopping, on one thread each; times are of the processor, so that neighbours on the
machine do not count. Ours includes the export to ONNX, its parity check and the row-by-row scores
of every test row; the peers predict in one batch.

The loop does as FreqAI does live (`tests.benchmarks.peers.refit_loop` says in what): it makes its
features, targets and scaling of every fold from the raw frames, then fits, with the very library,
trees, leaves, bins and rate of ours. What boosting alone takes is measured, so that it is seen how
far any other saving could reach: ``ratio_refit_loop_at_most`` is the loop's time over that.

The aim of three times the loop's speed is out of reach. On 39,465 rows two runs gave 0.96 and 0.98,
and boosting alone, 13.4 of our 17.0 s in the second, allows 1.24 at most; on 368,700 rows it was
82.6 of 93.4 s. The loop's indicators are TA-Lib's and take a third of a second a fold; ours are
made once, but the export and its parity check cost what that saves. One library growing the same
trees of the same bins on one thread leaves little to save: quantised input (``QuantileDMatrix``)
gave the same bytes and took a tenth longer, and four fifths of the time are histograms of the
rounds.
"""

from __future__ import annotations

import argparse
import logging
import resource
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped] # no types published

from feature_repo.catalogue import CATALOGUE
from models.bars import Bars
from models.dataset import Dataset
from models.families.build import build_family
from models.families.family import Exportable, Family, TrainingSet
from models.families.xgboost import XgboostConfig
from models.fit import fit_folds
from models.labels import Rows, horizon_ns
from models.splits import Fold, walk_forward
from online.domain.market import Timeframe
from tests.benchmarks.honest_markets import LABEL, catalogue_features, label_market, make_walk
from tests.benchmarks.peers.refit_loop import raw_frames, refit
from tests.benchmarks.report import Target, render

ROWS, FULL_ROWS = 40_000, 372_000
N_FEATURES, N_FOLDS = 80, 8
ROUNDS, DEPTH, RATE, BINS = 100, 3, 0.05, 255
KIBIBYTES_PER_GIBIBYTE = 1 << 20
NO_VOLUME = frozenset({"open", "high", "low", "close", "closed_at_ns"})
CONFIG = XgboostConfig(
    max_depth=DEPTH,
    learning_rate=RATE,
    min_rounds=ROUNDS,
    max_rounds=ROUNDS,
    min_child_weight=1.0,
    subsample=1.0,
    colsample=1.0,
    reg_lambda=1.0,
)
PEER = {
    "n_estimators": ROUNDS,
    "max_depth": DEPTH,
    "learning_rate": RATE,
    "max_bin": BINS,
    "tree_method": "hist",
    "n_jobs": 1,
    "verbosity": 0,
}
TARGETS = (
    Target("ratio_sklearn", ">=", 0.9),
    Target("ratio_refit_loop", ">=", 3),
    Target("peak_memory_gb", "<=", 6),
)


def load(bars: Bars) -> Dataset:
    """Compute every feature once and label every bar once."""
    names = tuple(f.name for f in CATALOGUE if f.inputs <= NO_VOLUME)
    usable = catalogue_features(bars, names)
    known = [name for name in names if np.ptp(usable[name].dropna()) > 0.0][: N_FEATURES - 1]
    wanted = (*(name for name in known if name != "atr_14"), "atr_14")
    return label_market(bars, usable, wanted, LABEL)


def cut(dataset: Dataset) -> tuple[Fold, ...]:
    """Return the purged walk-forward."""
    horizon = horizon_ns(LABEL.rule(Timeframe.H1))
    return walk_forward(
        dataset.labels.decided_at_ns,
        dataset.labels.ended_at_ns,
        n_folds=N_FOLDS,
        embargo_ns=horizon,
        horizon_ns=horizon,
    )


def fit_ours(dataset: Dataset, folds: Sequence[Fold]) -> float:
    """Fit, export, check and score every fold; return the processor seconds of boosting alone."""
    horizon = horizon_ns(LABEL.rule(Timeframe.H1))
    family = _Timed(build_family(CONFIG))
    fit_folds(dataset, folds, family, embargo_ns=horizon, seed=7)
    return family.seconds


class _Timed:
    """A family that keeps the processor time of its fits."""

    def __init__(self, family: Family) -> None:
        self.name, self.reads, self.seconds = family.name, family.reads, 0.0
        self._family = family

    def fit(self, training: TrainingSet, seed: int) -> Exportable:
        began = time.process_time()
        fitted = self._family.fit(training, seed)
        self.seconds += time.process_time() - began
        return fitted


def fit_sklearn(dataset: Dataset, folds: Sequence[Fold]) -> None:
    """Fit every fold with scikit-learn's boosting and predict its test rows."""
    for fold in folds:
        model = HistGradientBoostingClassifier(
            learning_rate=RATE,
            max_iter=ROUNDS,
            max_leaf_nodes=2**DEPTH,
            max_depth=DEPTH,
            max_bins=BINS,
            min_samples_leaf=1,
            l2_regularization=1.0,
            early_stopping=False,
            random_state=7,
        )
        model.fit(dataset.features[fold.train], dataset.labels.classes[fold.train])
        model.predict_proba(dataset.features[fold.test])


def processor_seconds(work: Callable[[], None]) -> float:
    """Return the processor time of `work`, all threads of this process."""
    began = time.process_time()
    with threadpool_limits(limits=1):
        work()
    return time.process_time() - began


def main() -> None:
    """Fit three ways and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="kept for `sextant bench`")
    parser.add_argument("--full", action="store_true", help=f"{FULL_ROWS} bars, not {ROWS}")
    full = parser.parse_args().full
    logging.disable(logging.INFO)
    bars = make_walk(FULL_ROWS if full else ROWS, 1)
    fit_warm_up()
    began = time.process_time()
    dataset = load(bars)
    folds = cut(dataset)
    preparing = time.process_time() - began
    boosting: list[float] = []
    ours = processor_seconds(lambda: boosting.append(fit_ours(dataset, folds)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIBIBYTES_PER_GIBIBYTE
    sys.stderr.write(f"ours {preparing:.1f} + {ours:.1f} s\n")
    sklearn = processor_seconds(lambda: fit_sklearn(dataset, folds))
    sys.stderr.write(f"scikit-learn {sklearn:.1f} s\n")
    frames, columns = raw_frames(bars), list[int]()
    decided_at_ns = dataset.labels.decided_at_ns
    refitting = processor_seconds(lambda: columns.append(refit(frames, folds, decided_at_ns, PEER)))
    figures = {
        "rows": float(len(dataset)),
        "features": float(len(dataset.names)),
        "folds": float(len(folds)),
        "prepare_processor_seconds": preparing,
        "fit_processor_seconds": ours,
        "boosting_processor_seconds": boosting[0],
        "sklearn_processor_seconds": sklearn,
        "refit_loop_processor_seconds": refitting,
        "refit_loop_features": float(columns[0]),
        "ratio_sklearn": sklearn / ours,
        "ratio_refit_loop": refitting / (preparing + ours),
        "ratio_refit_loop_at_most": refitting / boosting[0],
        "peak_memory_gb": peak,
    }
    peer = (
        "HistGradientBoosting with the same trees, leaves, bins and rate; a loop after FreqAI's "
        "manner (own code) that makes indicators, labels and scaling anew for every fold"
    )
    packages = ("xgboost-cpu", "scikit-learn", "onnxruntime", "pandas")
    sys.stdout.write(render("train", figures, TARGETS, peer, packages) + "\n")


def fit_warm_up() -> None:
    """Load every library once, so that no import is timed."""
    dataset = load(make_walk(2_000, 2))
    rows: Rows = np.arange(1_000, dtype=np.int64)
    fold = Fold(0, rows, np.arange(1_100, 1_200, dtype=np.int64))
    fit_ours(dataset, [fold])
    fit_sklearn(dataset, [fold])


if __name__ == "__main__":
    main()
