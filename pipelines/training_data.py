"""The data of a training run: features at each bar's close from Feast, bars from the lake."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pandas as pd

from feature_repo.catalogue import contract, select
from feature_repo.objects import (
    EVENT_TIMESTAMP,
    JOIN_KEY,
    references,
    service_name,
)
from feature_repo.services import define_model_service
from feature_repo.store import apply_definitions, open_store
from feature_repo.vector import require_served
from feature_repo.windows import find_window
from models.bars import Bars
from models.costs import Costs
from models.dataset import Dataset, build_dataset, stamps_ns
from models.labels import Rows
from models.recipe import Recipe
from models.swap import Swap
from models.windows import Windows
from online.domain.barriers import BarrierRule
from online.domain.errors import InvalidInput, NotFound
from online.domain.manifest import Manifest
from online.domain.market import Instrument, PriceSide, Timeframe
from online.domain.vector import VectorContract
from online.instruments import find_instrument
from pipelines.conversion import account_per_profit
from pipelines.feature_history import load_panel
from pipelines.feature_steps import store_paths
from pipelines.home import Home
from pipelines.lake import Lake
from pipelines.spared import spared_points
from pipelines.spread import SpreadUsed, choose_spread
from pipelines.window_history import read_windows

if TYPE_CHECKING:
    from feast import FeatureStore

ACCOUNT_CURRENCY = "USD"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrainPlan:
    """What is trained, on what.

    Parameters
    ----------
    home_root
        Runtime folder.
    symbol, timeframe
        The series.
    start_ns, end_ns
        Bars that close within ``[start_ns, end_ns)`` are used, labels included; None is no bound.
    recipe
        Every choice.
    project
        Feast's name space.
    window
        What tells the choice of the bars from another; empty for their bounds.
    """

    home_root: Path
    symbol: str
    timeframe: Timeframe
    start_ns: int | None
    end_ns: int | None
    recipe: Recipe
    project: str
    window: str = ""

    @property
    def home(self) -> Home:
        """Its paths."""
        return Home(self.home_root)

    @property
    def name(self) -> str:
        """Registered name, ``<symbol>.<timeframe>.<target>``."""
        return f"{self.symbol}.{self.timeframe}.{self.recipe.target}"

    @property
    def experiment(self) -> str:
        """MLflow experiment, ``<symbol>.<timeframe>``."""
        return f"{self.symbol}.{self.timeframe}"

    @property
    def run_name(self) -> str:
        """Name of its run in MLflow: families and target."""
        return f"{self.recipe.kinds} {self.recipe.target}"

    @property
    def vector(self) -> VectorContract:
        """The ordered features, and the window where a family reads one."""
        vector = contract(self.timeframe, self.recipe.features)
        if not self.recipe.reads_windows:
            return vector
        window = find_window(self.recipe.window).contract(self.timeframe)
        return msgspec.structs.replace(vector, window=window)

    def trial(self, names: tuple[str, ...], recipe: Recipe | None = None) -> str:
        """Return what tells this trial from every other: all choices, features, window and costs.

        Whoever declares other costs and trains again has tried again.

        Parameters
        ----------
        names
            Of the features.
        recipe
            Of the choices; None for the plan's.
        """
        bounds = self.window or f"{self.start_ns} to {self.end_ns}"
        costs = _declared_costs(find_instrument(self.symbol))
        return (self.recipe if recipe is None else recipe).trial(names, bounds, costs)

    @property
    def rule(self) -> BarrierRule:
        """The label's barriers."""
        return self.recipe.label.rule(self.timeframe)


def _declared_costs(instrument: Instrument) -> str:
    figures = (
        instrument.typical_spread_points,
        instrument.commission_per_lot,
        instrument.slippage_points,
        instrument.swap_long_points,
        instrument.swap_short_points,
        instrument.triple_swap_day,
    )
    return " ".join(map(str, figures))


@dataclass(frozen=True, slots=True)
class TrainingData:
    """The dataset and what it says of the market.

    Parameters
    ----------
    dataset
        Rows to learn from.
    costs
        Of each label.
    price_side
        Side of the bars.
    spread
        Which spread the bars were given, and where it comes from.
    swap_told
        What a night costs and where that comes from, or that it is not known.
    slippage_told
        What slippage costs and where that comes from.
    spared
        By how many points each cost is less than what is known of the symbol; none for nothing.
    """

    dataset: Dataset
    costs: Costs
    price_side: PriceSide
    spread: SpreadUsed
    swap_told: str = ""
    slippage_told: str = ""
    spared: Mapping[str, float] = field(default_factory=dict)

    @property
    def costs_told(self) -> str:
        """Say what every trade was charged."""
        return (
            f"Costs: spread {self.spread.note}; commission "
            f"{self.costs.commission_per_lot_side:g} {ACCOUNT_CURRENCY} a lot and side; a night's "
            f"swap {self.swap_told or 'not charged'}; slippage "
            f"{self.slippage_told or 'not charged'}."
        )


def load_training_data(plan: TrainPlan) -> TrainingData:
    """Read bars and features of the plan's window and label them.

    Raises
    ------
    NotFound
        If the lake has no such series, if none of its features are stored within the window
        (``NO_FEATURES``), or a feature is unknown or made of what the lake lacks.
    InvalidInput
        If there is too little to learn from.
    """
    vector, lake, label = plan.vector, Lake(plan.home.lake), plan.recipe.label
    known = find_instrument(plan.symbol)
    instrument = known.slipping(label.slippage_points).swapping(label.swap_points)
    features = select(vector.all_names, plan.timeframe)
    panel = load_panel(lake, plan.symbol, plan.timeframe, plan.end_ns, features)
    require_served(panel, features)
    table = lake.read_bars(plan.symbol, plan.timeframe, plan.start_ns, plan.end_ns)
    bars = Bars(
        table["closed_at_ns"].to_numpy(dtype=np.int64),
        *(table[name].to_numpy(dtype=np.float64) for name in ("open", "high", "low", "close")),
    )
    if not len(bars):
        raise InvalidInput(
            f"too few rows: no {plan.timeframe} bar of {plan.symbol} closes within the window",
            code="TOO_FEW_ROWS",
            remedy="Ingest a longer history or widen the training window.",
        )
    recorded = table["spread_points"].to_numpy(dtype=np.float64)
    spread, points = choose_spread(
        recorded, lake, instrument, label.assumed_spread_points, plan.end_ns
    )
    side = lake.price_side(plan.symbol, plan.timeframe)
    rate = account_per_profit(
        lake, instrument, ACCOUNT_CURRENCY, plan.timeframe, (plan.start_ns, plan.end_ns)
    )
    costs = label.costs(
        *(instrument.contract_size, rate, instrument.commission_per_lot),
        swap=Swap.of(instrument),
        slippage_points=instrument.slipped_points,
    )
    dataset = build_dataset(
        read_features(plan, bars),
        bars,
        names=vector.names,
        rule=plan.rule,
        costs=costs,
        price_side=side,
        spread_points=points,
        scale=instrument.scale,
        windows=_read_windows(plan, bars),
        target=label.target,
    )
    return TrainingData(
        *(dataset, costs, side, spread, instrument.swap_told, instrument.slippage_told),
        spared=spared_points(lake, known, label, plan.end_ns),
    )


def read_features(plan: TrainPlan, bars: Bars) -> pd.DataFrame:
    """Return Feast's point-in-time features at every bar's close."""
    paths = store_paths(plan.home)
    store = open_store(paths, plan.project)
    apply_definitions(store, paths.offline_root, [plan.timeframe])
    wanted = (
        store.get_feature_service(service_name(plan.timeframe))
        if plan.recipe.features is None
        else references(plan.vector)
    )
    entities = pd.DataFrame(
        {JOIN_KEY: plan.symbol, EVENT_TIMESTAMP: pd.to_datetime(bars.closed_at_ns, utc=True)}
    )
    frame: pd.DataFrame = store.get_historical_features(entities, wanted).to_df()
    _require_stored(plan, frame, bars)
    return frame


def _require_stored(plan: TrainPlan, frame: pd.DataFrame, bars: Bars) -> None:
    """Refuse a store that has nothing of the window; say so if it ends before the bars do."""
    remedy = f"Run `sextant features --symbol {plan.symbol} --timeframe {plan.timeframe}` first."
    stored = stamps_ns(frame)[frame[list(plan.vector.names)].notna().any(axis=1)]
    if not len(stored):
        raise NotFound(
            f"no features of {plan.symbol} {plan.timeframe} are stored within the window, which"
            f" has {len(bars):,} bars",
            code="NO_FEATURES",
            remedy=remedy,
        )
    behind = int(np.sum(bars.closed_at_ns > stored.max()))
    if behind:
        _log.warning("the newest %s bars have no features and are left out. %s", behind, remedy)


def _read_windows(plan: TrainPlan, bars: Bars) -> tuple[Rows, Windows] | None:
    """Return the windows at the bars' closes; None where no family reads them."""
    window = plan.vector.window
    if window is None:
        return None
    return read_windows(open_training_store(plan), plan.symbol, bars.closed_at_ns, window)


def open_training_store(plan: TrainPlan) -> FeatureStore:
    """Return the store that the plan's features come from."""
    return open_store(store_paths(plan.home), plan.project)


def define_service(plan: TrainPlan, manifest: Manifest) -> str:
    """Write the model's feature service into Feast's registry; return its name.

    The views are there since the features were read (`read_features`), unless the registry was
    lost since, and what was read kept.
    """
    store = open_training_store(plan)
    asked = {view.name for view in manifest.vector.views}
    if manifest.vector.window is not None:
        asked.add(manifest.vector.window.view)
    if not asked <= {view.name for view in store.list_feature_views()}:
        apply_definitions(store, store_paths(plan.home).offline_root, [plan.timeframe])
    return define_model_service(store, plan.name, manifest.vector, manifest.transform_fingerprint)
