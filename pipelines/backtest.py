"""Backtest a registered model through the scorer's own trading code, and report."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

from feature_repo.catalogue import select
from feature_repo.transform import transform_fingerprint
from feature_repo.vector import compute_vectors
from online.adapters.onnx_model import OnnxModel, load_bundle
from online.domain.errors import ModelRefused
from online.instruments import find_instrument, load_instruments
from online.ports import Model
from online.settings import Settings, load_settings
from pipelines.backtest_report import write_report
from pipelines.feature_history import load_panel
from pipelines.home import Home
from pipelines.lake import Lake
from pipelines.market import Market, read_market
from pipelines.performance import Performance
from pipelines.promote import parse_alias
from pipelines.rule_model import RuleModel
from pipelines.simulation import AccountTerms, Backtest, simulate
from pipelines.training import open_registry

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BacktestReport:
    """What a backtest found; money in the account's currency.

    Parameters
    ----------
    name, version, alias
        Of the model.
    bars, in_sample_bars
        Bars traded, and those of them within the model's training window: what they earned is
        no evidence.
    figures, baseline_figures
        Of the model and of the rule baseline on the same bars.
    headline
        One plain sentence.
    costs
        Where the spread comes from, and the commission.
    page
        The HTML report.
    """

    name: str
    version: str
    alias: str
    bars: int
    in_sample_bars: int
    figures: dict[str, float]
    baseline_figures: dict[str, float]
    headline: str
    costs: str
    page: str


@flow(name="backtest", validate_parameters=True)
def backtest(
    home_root: Path | str,
    name: str,
    alias: str = "paper",
    start_ns: int | None = None,
    end_ns: int | None = None,
    mlflow_uri: str | None = None,
    spread_points: float | None = None,
) -> BacktestReport:
    """Trade past bars with a registered model, under the replay mode's account and limits.

    Parameters
    ----------
    home_root
        Runtime folder (see `pipelines.home.Home`), with the lake.
    name, alias
        The model: ``<symbol>.<timeframe>.<target>``, and which version.
    start_ns, end_ns
        Bars that close within ``[start_ns, end_ns)``; None for what lies behind the training
        window, and for no end.
    mlflow_uri
        A server's or a ``sqlite:///`` URI; None for the home's own database.
    spread_points
        Assumed where the bars bring no spread; None for the settings'.

    Raises
    ------
    NotFound
        If there is no such model, series or bar.
    ModelRefused
        If the bundle does not reproduce its golden vectors.
    """
    home, settings = Home(Path(home_root)), load_settings("replay")
    spread = settings.broker.assumed_spread_points if spread_points is None else spread_points
    model = load_model(home, name, alias, mlflow_uri)
    market = load_market(home, model, start_ns, end_ns, spread)
    found = trade(home, market, model, settings)
    baseline = trade(home, market, RuleModel.like(model.manifest), settings)
    return report(home, market, model, found.performance, baseline.performance)


@task(name="load the model", cache_policy=NO_CACHE)
def load_model(home: Home, name: str, alias: str, mlflow_uri: str | None) -> OnnxModel:
    """Fetch the bundle under an alias and verify it on its golden vectors."""
    registry = open_registry(home, mlflow_uri)
    version = registry.resolve(name, parse_alias(alias))
    folder = home.bundles / "promoted" / version.name / version.version
    bundle = registry.download_bundle(version, folder)
    return load_bundle(bundle.folder, alias, version.version)


@task(name="read the market", cache_policy=NO_CACHE)
def load_market(
    home: Home, model: OnnxModel, start_ns: int | None, end_ns: int | None, spread_points: float
) -> Market:
    """Return the bars to trade with both sides of the price."""
    manifest = model.manifest
    return read_market(
        Lake(home.lake),
        find_instrument(manifest.symbol),
        manifest.timeframe,
        manifest.training.ended_at_ns + 1 if start_ns is None else start_ns,
        time.time_ns() if end_ns is None else end_ns,
        spread_points,
    )


@task(name="trade", cache_policy=NO_CACHE)
def trade(home: Home, market: Market, model: Model, settings: Settings) -> Backtest:
    """Trade the market in process, on features computed in batch from the lake alone."""
    return run_backtest(home, market, model, settings)


def run_backtest(
    home: Home,
    market: Market,
    model: Model,
    settings: Settings,
    progress: Any = None,  # noqa: ANN401 - see `pipelines.simulation.simulate`
) -> Backtest:
    """Do what the task does, without Prefect.

    Raises
    ------
    ModelRefused
        With code ``FEATURES_CHANGED`` if the catalogue gives other bits than the model learnt from.
    """
    manifest = model.manifest
    symbol, timeframe, names = manifest.symbol, manifest.timeframe, manifest.vector.all_names
    fingerprint = transform_fingerprint(names, timeframe, symbol)
    if fingerprint != manifest.transform_fingerprint:
        raise ModelRefused(
            f"{manifest.name} was fitted on features of fingerprint "
            f"{manifest.transform_fingerprint[:12]}, the catalogue's is {fingerprint[:12]}",
            code="FEATURES_CHANGED",
            remedy="Train the model again on the catalogue as it is now.",
        )
    features = select(names, timeframe)
    panel = load_panel(Lake(home.lake), symbol, timeframe, features=features)
    columns = compute_vectors(panel, features)
    return simulate(
        market,
        panel.own.closed_at_ns,
        columns,
        model,
        settings.limits,
        account_terms(settings),
        load_instruments(),
        progress,
    )


def account_terms(settings: Settings) -> AccountTerms:
    """Return the simulated account the settings tell of."""
    broker = settings.broker
    return AccountTerms(broker.currency, broker.balance, broker.commission_per_lot, broker.leverage)


@task(name="report the backtest", cache_policy=NO_CACHE)
def report(
    home: Home, market: Market, model: OnnxModel, found: Performance, baseline: Performance
) -> BacktestReport:
    """Write the page and show the figures in Prefect."""
    manifest = model.manifest
    ended_at_ns = manifest.training.ended_at_ns
    in_sample = sum(bar.closed_at_ns <= ended_at_ns for bar in market.bars)
    page = home.lake / "reports" / f"backtest-{manifest.name}-{model.sha256[:12]}.html"
    told = BacktestReport(
        name=manifest.name,
        version=model.version,
        alias=model.alias,
        bars=len(market.bars),
        in_sample_bars=in_sample,
        figures=found.figures(),
        baseline_figures=baseline.figures(),
        headline=_headline(found, baseline, in_sample),
        costs=market.costs_note,
        page=str(page),
    )
    write_report(page, market, told.headline, found, baseline)
    key = f"backtest-{manifest.name}".replace(".", "-").replace("_", "-").lower()
    create_markdown_artifact(
        f"# {manifest.name} version {told.version}\n\n{told.headline}\n\n{told.costs}\n\n"
        f"{told.bars} bars. Page: `{page}`.",
        key=key,
        description=told.headline,
    )
    rows = [{"run": "model", **told.figures}, {"run": "rules", **told.baseline_figures}]
    create_table_artifact(rows, key=f"{key}-figures", description="After all costs")
    _log.info(told.headline)
    return told


def _headline(found: Performance, baseline: Performance, in_sample: int) -> str:
    text = (
        f"Net {found.pnl_net:+,.2f} over {len(found.trades)} trades; "
        f"the rule baseline {baseline.pnl_net:+,.2f} over {len(baseline.trades)}."
    )
    if in_sample:
        text += f" {in_sample} bars lie in the training window: that part is no evidence."
    return text
