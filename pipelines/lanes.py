"""Lanes of a backtest: a model, its bars, and the features computed in batch from them."""

from __future__ import annotations

import msgspec
import numpy as np

from feature_repo.catalogue import select
from feature_repo.panel import Panel
from feature_repo.transform import transform_fingerprint
from feature_repo.vector import compute_vectors
from online.domain.barriers import other_side
from online.domain.errors import ModelRefused
from online.domain.manifest import Manifest
from online.domain.market import PriceSide
from online.ports import Model
from online.simulator.bars import BidAskBar
from pipelines.feature_history import load_panel
from pipelines.lake import Lake
from pipelines.market import Market
from pipelines.simulation import Lane


def make_lane(lake: Lake, market: Market, model: Model) -> Lane:
    """Return a model's lane over the lake's whole series, of which the market is a part.

    Raises
    ------
    ModelRefused
        With code ``FEATURES_CHANGED`` if the catalogue gives other bits than the model learnt from.
    """
    check_fingerprint(model.manifest)
    return lane_of(panel_of(lake, model.manifest), market, model)


def panel_of(lake: Lake, manifest: Manifest) -> Panel:
    """Return the bars that a model's features are made of, its peers' where they are needed."""
    features = select(manifest.vector.all_names, manifest.timeframe)
    return load_panel(lake, manifest.symbol, manifest.timeframe, features=features)


def lane_of(panel: Panel, market: Market, model: Model) -> Lane:
    """Return a model's lane with features of bars that reach back far enough to warm up."""
    manifest = model.manifest
    columns = compute_vectors(panel, select(manifest.vector.all_names, manifest.timeframe))
    return Lane(market, panel.own.closed_at_ns, columns, model)


def check_fingerprint(manifest: Manifest) -> None:
    """Refuse a model whose features the catalogue computes otherwise than when it learnt.

    Raises
    ------
    ModelRefused
        With code ``FEATURES_CHANGED``.
    """
    names = manifest.vector.all_names
    fingerprint = transform_fingerprint(names, manifest.timeframe, manifest.symbol)
    if fingerprint != manifest.transform_fingerprint:
        raise ModelRefused(
            f"{manifest.name} was fitted on features of fingerprint "
            f"{manifest.transform_fingerprint[:12]}, the catalogue's is {fingerprint[:12]}",
            code="FEATURES_CHANGED",
            remedy="Train the model again on the catalogue as it is now.",
        )


def with_model(lane: Lane, model: Model) -> Lane:
    """Return a lane traded by another model of the same vector."""
    return Lane(lane.market, lane.stamps_ns, lane.columns, model)


def with_wider_spread(lane: Lane, factor: float) -> Lane:
    """Return a lane whose spread is `factor` times as wide; the stored side stays where it is."""
    market = lane.market
    quotes = tuple(_widen(bar, market, factor) for bar in market.quotes)
    wider = Market(
        *(market.instrument, market.timeframe, market.side),
        *(market.bars, quotes, market.spread),
    )
    return Lane(wider, lane.stamps_ns, lane.columns, lane.model)


def _widen(bar: BidAskBar, market: Market, factor: float) -> BidAskBar:
    scale = market.instrument.scale
    extra = (factor - 1.0) * (bar.ask_open - bar.bid_open) * scale
    if market.side is PriceSide.BID:
        names, sign = ("ask_open", "ask_high", "ask_low", "ask_close"), 1
    else:
        names, sign = ("bid_open", "bid_high", "bid_low", "bid_close"), -1
    moved = {name: other_side(getattr(bar, name), extra, sign, scale) for name in names}
    return msgspec.structs.replace(bar, **moved)


def n_decisions(lanes: list[Lane]) -> int:
    """Return how many decisions a run over the lanes takes."""
    return int(np.sum([len(lane.market.quotes) - 1 for lane in lanes]))
