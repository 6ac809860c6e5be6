"""Markets whose truth is known: random walks, and walks that follow a hint as far as is asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from feature_repo.bars import BarArrays
from feature_repo.catalogue import contract, select
from feature_repo.engine import compute_batch
from models.bars import Bars, Floats
from models.costs import Costs
from models.dataset import Dataset, build_dataset
from models.export import OnnxScorer
from models.gates import Evidence, judge
from models.learn import Study, learn
from models.recipe import LabelChoice, Recipe
from models.trading import perform, span_seconds, trade
from online.domain.certificate import Policy
from online.domain.market import PriceSide, Timeframe
from online.domain.rules import RULE_FEATURES
from online.domain.vector import VectorContract, ViewContract

SCALE = 100_000.0
FIRST_CLOSE_NS = 1_388_959_200_000_000_000
"""Sunday 2014-01-05 22:00 UTC, when a week of the market begins."""
HOURS_PER_WEEK = 120
STEP_POINTS = 60.0
HINTED = ("hint", "noise_a", "noise_b", "atr_14", *RULE_FEATURES)
HINTED_CONTRACT = VectorContract((ViewContract("h1_all", 1, HINTED, 3600),))
SPREAD_POINTS = 8.0
SLIPPAGE_POINTS = 4
"""Half the spread, as it is assumed of every symbol."""
LABEL = LabelChoice(assumed_spread_points=SPREAD_POINTS, slippage_points=SLIPPAGE_POINTS)
FREE = LabelChoice(assumed_spread_points=0.0, commission_per_lot_side=0.0, slippage_points=0)


@dataclass(frozen=True, slots=True)
class Market:
    """Rows to learn from, and what is known of them.

    Parameters
    ----------
    dataset, vector, costs
        As a training run has them.
    hint
        Edge that the best rule trades on; None where there is nothing to know.
    """

    dataset: Dataset
    vector: VectorContract
    costs: Costs
    hint: Floats | None = None


def make_walk(n_bars: int, seed: int, push: Floats | None = None) -> Bars:
    """Return hourly bars on the price step, five days a week.

    Parameters
    ----------
    n_bars
        Number of bars.
    seed
        Of the steps.
    push
        Points added to each bar's step, shape ``(n_bars,)``.
    """
    random = np.random.default_rng(seed)
    steps = np.rint(random.normal(0.0, STEP_POINTS, n_bars) + (0.0 if push is None else push))
    close = 500_000.0 + np.cumsum(steps)
    opened = np.concatenate([[500_000.0], close[:-1]])
    high = np.maximum(close, opened) + random.integers(0, 40, n_bars)
    low = np.minimum(close, opened) - random.integers(0, 40, n_bars)
    hours = np.arange(n_bars, dtype=np.int64)
    hours = hours // HOURS_PER_WEEK * 168 + hours % HOURS_PER_WEEK
    closed = FIRST_CLOSE_NS + (1 + hours) * Timeframe.H1.duration_ns
    return Bars(closed, *(np.floor(x) / SCALE for x in (opened, high, low, close)))


def noise_market(n_bars: int, seed: int, label: LabelChoice) -> Market:
    """Return a random walk under the default vector of the catalogue."""
    bars, vector = make_walk(n_bars, seed), contract(Timeframe.H1)
    return Market(
        label_market(bars, catalogue_features(bars, vector.names), vector.names, label),
        *(vector, label.costs(SCALE, 1.0)),
    )


def hinted_market(n_bars: int, seed: int, drift_points: float) -> Market:
    """Return a walk that moves `drift_points` a bar the way a feature says, beside three others.

    Parameters
    ----------
    n_bars
        Number of bars.
    seed
        Of everything.
    drift_points
        How far the market follows the hint, points a bar (>= 0).
    """
    random = np.random.default_rng(seed + 1_000_003)
    hint = np.convolve(random.standard_normal(n_bars + 19), np.ones(20) / np.sqrt(20), "valid")
    push = np.concatenate([[0.0], drift_points * np.sign(hint[:-1])])
    bars, columns = make_walk(n_bars, seed, push), {"hint": hint}
    columns |= {name: random.standard_normal(n_bars) for name in HINTED[1:]}
    columns["atr_14"] = 0.0012 + 0.0002 * random.random(n_bars)
    columns["rsi_14"] = 50.0 + 15.0 * columns["rsi_14"]
    frame = pd.DataFrame({name: values.astype(np.float32) for name, values in columns.items()})
    dataset = label_market(bars, frame, HINTED, LABEL)
    return Market(
        *(dataset, HINTED_CONTRACT, LABEL.costs(SCALE, 1.0)),
        dataset.features[:, 0].astype(np.float64),
    )


def catalogue_features(bars: Bars, names: tuple[str, ...]) -> pd.DataFrame:
    """Return features of the catalogue over the bars."""
    unknown = np.full(len(bars), np.nan)
    arrays = BarArrays(bars.closed_at_ns, bars.open, bars.high, bars.low, bars.close, unknown)
    return pd.DataFrame(compute_batch(arrays, select(names)))


def label_market(
    bars: Bars, frame: pd.DataFrame, names: tuple[str, ...], label: LabelChoice
) -> Dataset:
    """Return the dataset of bars and features."""
    frame["event_timestamp"] = pd.to_datetime(bars.closed_at_ns, utc=True)
    return build_dataset(
        frame,
        bars,
        names=names,
        rule=label.rule(Timeframe.H1),
        costs=label.costs(SCALE, 1.0),
        price_side=PriceSide.ASK,
        spread_points=label.assumed_spread_points or 0.0,
        scale=SCALE,
    )


def passes_live(market: Market, recipe: Recipe) -> tuple[bool, int]:
    """Run the whole study; tell whether all gates of ``live`` pass and how many trials counted."""
    rule = recipe.label.rule(Timeframe.H1)
    found = learn(market.dataset, recipe, market.vector, rule, market.costs, 1)
    evidence = Evidence(
        comparison=found.comparison,
        refit_differs=found.refit_differs,
        purge_violations=found.purge_violations,
        labels_beyond_window=0,
        embargo_horizons=1.0,
        is_tradable=True,
        golden_difference=_replay(found),
        parity=max(member.exported.parity for member in found.members),
    )
    return judge(evidence).passes(Policy.LIVE), found.comparison.n_trials


def best_rule_sharpe(market: Market, first_share: float) -> float:
    """Return the annual net Sharpe ratio of the best of ten thresholds on the hint, after a share.

    Parameters
    ----------
    market
        With a hint.
    first_share
        Share of the rows before the out-of-sample years.
    """
    if market.hint is None:
        return 0.0
    start = int(len(market.dataset) * first_share)
    labels = market.dataset.labels.take(np.arange(start, len(market.dataset)))
    hint = market.hint[start:]
    everything = np.quantile(np.abs(hint), np.linspace(0.0, 0.9, 10))
    seconds = span_seconds(labels.decided_at_ns)
    sharpes = []
    for threshold in everything:
        trades = trade(hint, labels, float(threshold))
        chosen = np.ones(len(trades), dtype=np.bool_)
        sharpes.append(perform(trades, chosen, seconds, market.costs).sharpe_annual)
    return max(sharpes)


def _replay(found: Study) -> float:
    inputs, outputs = found.golden.inputs, found.golden.outputs
    return max(
        float(np.abs(OnnxScorer(member.exported.onnx).score(inputs) - expected).max())
        for member, expected in zip(found.members, outputs, strict=True)
    )
