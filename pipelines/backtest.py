"""Backtest registered models through the scorer's own trading code, and report."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from prefect import flow, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

from online.adapters.onnx_model import OnnxModel, load_bundle
from online.adapters.rule_model import RuleModel
from online.domain.errors import InvalidInput
from online.domain.market import Instrument
from online.instruments import find_instrument, load_instruments
from online.ports import Model
from online.settings import Settings, load_settings
from pipelines.attribution import attribute
from pipelines.backtest_report import Story, write_report
from pipelines.conversion import read_conversion_markets
from pipelines.home import Home
from pipelines.lake import Lake
from pipelines.lanes import make_lane, panel_of, with_model
from pipelines.market import Market, read_market
from pipelines.news import read_calendar
from pipelines.performance import Performance
from pipelines.promote import parse_alias
from pipelines.registries import open_registry
from pipelines.simulation import AccountTerms, Backtest, Lane
from pipelines.stress import World, stress

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BacktestReport:
    """What a backtest found; money in the account's currency.

    Parameters
    ----------
    name, version, alias
        Of the model; of several joined by `` + ``.
    bars, in_sample_bars
        Bars traded, and those of them within the models' training windows: what they earned is
        no evidence.
    figures, baseline_figures
        Of the models and of the rule baseline on the same bars.
    by_symbol
        Net profit of each symbol's closed trades.
    headline
        One plain sentence.
    costs
        Where the spread, the swap and the slippage come from, and the commission.
    bill
        What the closed trades of each symbol paid, each cost apart.
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
    by_symbol: dict[str, float]
    headline: str
    costs: str
    bill: list[dict[str, float | str]]
    page: str


@flow(name="backtest", validate_parameters=True)
def backtest(
    home_root: Path | str,
    names: list[str],
    alias: str = "paper",
    start_ns: int | None = None,
    end_ns: int | None = None,
    mlflow_uri: str | None = None,
    spread_points: float | None = None,
    slippage_points: int | None = None,
    swap_points: tuple[float, float] | None = None,
    quick: bool = False,  # noqa: FBT001, FBT002 - a flow's parameters are given by name
) -> BacktestReport:
    """Trade past bars with registered models, under the replay mode's account and limits.

    Several models trade one account side by side; each needs a symbol of its own.

    Parameters
    ----------
    home_root
        Runtime folder (see `pipelines.home.Home`), with the lake.
    names, alias
        The models: ``<symbol>.<timeframe>.<target>``, and which version.
    start_ns, end_ns
        Bars that close within ``[start_ns, end_ns)``; None for what lies behind every training
        window, and for no end.
    mlflow_uri
        A server's or a ``sqlite:///`` URI; None for the home's own database.
    spread_points
        Assumed where the bars bring no spread; None for the settings', which may leave it to what
        is known of each symbol.
    slippage_points
        By how much each fill at the market is worse; None for the settings', which may leave it to
        what is known or assumed of each symbol.
    swap_points
        What a night pays a long and a short position, points, negative costs; None for what is
        declared for each symbol.
    quick
        Leave out what takes many runs: other choices, coins, redrawn candles.

    Raises
    ------
    NotFound
        If there is no such model, series or bar.
    ModelRefused
        If a bundle does not reproduce its golden vectors.
    InvalidInput
        If no model is named, or two trade one symbol.
    """
    home, settings = Home(Path(home_root)), load_settings("replay")
    spread = settings.broker.assumed_spread_points if spread_points is None else spread_points
    slipped = settings.broker.slippage_points if slippage_points is None else slippage_points
    charged = (spread, slipped, swap_points)
    if not names:
        raise InvalidInput("a backtest needs at least one model", code="NO_MODEL")
    models = [load_model(home, name, alias, mlflow_uri) for name in names]
    learnt_ns = max(model.manifest.training.ended_at_ns for model in models)
    begun_ns = learnt_ns + 1 if start_ns is None else start_ns
    lanes = [prepare(home, model, begun_ns, end_ns, *charged) for model in models]
    world = world_of(home, settings, lanes)
    found = trade(world, lanes)
    rules = [with_model(lane, RuleModel.like(lane.model.manifest)) for lane in lanes]
    baseline = trade(world, rules)
    story = tell(home, lanes, world, found, baseline.performance, quick=quick)
    return report(home, models, story)


@task(name="load the model", cache_policy=NO_CACHE)
def load_model(home: Home, name: str, alias: str, mlflow_uri: str | None) -> OnnxModel:
    """Fetch the bundle under an alias and verify it on its golden vectors."""
    registry = open_registry(home, mlflow_uri)
    version = registry.resolve(name, parse_alias(alias))
    folder = home.promoted / version.name / version.version
    bundle = registry.download_bundle(version, folder)
    return load_bundle(bundle.folder, alias, version.version)


@task(name="read market and features", cache_policy=NO_CACHE)
def prepare(
    home: Home,
    model: OnnxModel,
    start_ns: int,
    end_ns: int | None,
    spread_points: float | None,
    slippage_points: int | None,
    swap_points: tuple[float, float] | None,
) -> Lane:
    """Return the bars to trade, and features computed in batch from the lake alone."""
    manifest = model.manifest
    market = read_market(
        Lake(home.lake),
        find_instrument(manifest.symbol).slipping(slippage_points).swapping(swap_points),
        manifest.timeframe,
        start_ns,
        time.time_ns() if end_ns is None else end_ns,
        spread_points,
    )
    return make_lane(Lake(home.lake), market, model)


@task(name="trade", cache_policy=NO_CACHE)
def trade(world: World, lanes: list[Lane]) -> Backtest:
    """Trade the markets in process."""
    return world.run(lanes)


def run_backtest(
    home: Home,
    market: Market,
    model: Model,
    settings: Settings,
    progress: Any = None,  # noqa: ANN401 - see `pipelines.simulation.simulate`
) -> Backtest:
    """Trade one market with one model under the settings as they are, without Prefect.

    Raises
    ------
    ModelRefused
        With code ``FEATURES_CHANGED`` if the catalogue gives other bits than the model learnt from.
    """
    lake = Lake(home.lake)
    lane = make_lane(lake, market, model)
    world = World(
        settings.limits,
        account_terms(settings),
        instruments_of([lane]),
        conversion_of(lake, settings, [lane]),
        read_calendar(settings.news),
    )
    return world.run([lane], progress)


def world_of(home: Home, settings: Settings, lanes: list[Lane]) -> World:
    """Return account and limits of the settings; the symbols named in a backtest are allowed."""
    symbols = {lane.market.instrument.symbol for lane in lanes}
    allowed = tuple(sorted(symbols | set(settings.limits.allowed_symbols)))
    limits = msgspec.structs.replace(settings.limits, allowed_symbols=allowed)
    return World(
        limits,
        account_terms(settings),
        instruments_of(lanes),
        conversion_of(Lake(home.lake), settings, lanes),
        read_calendar(settings.news),
    )


def instruments_of(lanes: list[Lane]) -> Mapping[str, Instrument]:
    """Return every known instrument, those that are traded as their markets have them."""
    return {**load_instruments(), **{(own := lane.market.instrument).symbol: own for lane in lanes}}


def conversion_of(lake: Lake, settings: Settings, lanes: list[Lane]) -> tuple[Market, ...]:
    """Return the markets that convert what the lanes earn into the account's currency."""
    bars = [bar for lane in lanes for bar in (lane.market.bars[0], lane.market.bars[-1])]
    stamps_ns = [bar.closed_at_ns for bar in bars]
    return read_conversion_markets(
        lake,
        [lane.market.instrument for lane in lanes],
        settings.broker.currency,
        min((lane.market.timeframe for lane in lanes), key=lambda each: each.seconds),
        (min(stamps_ns), max(stamps_ns) + 1),
        settings.broker.assumed_spread_points,
    )


def account_terms(settings: Settings) -> AccountTerms:
    """Return the simulated account the settings tell of."""
    broker = settings.broker
    return AccountTerms(broker.currency, broker.balance, broker.commission_per_lot, broker.leverage)


@task(name="ask what if", cache_policy=NO_CACHE)
def tell(
    home: Home,
    lanes: list[Lane],
    world: World,
    found: Backtest,
    baseline: Performance,
    *,
    quick: bool,
) -> Story:
    """Attribute what was earned and, unless it shall be quick, run everything again otherwise."""
    manifests = {lane.market.instrument.symbol: lane.model.manifest for lane in lanes}
    panels = [panel_of(Lake(home.lake), lane.model.manifest) for lane in lanes]
    return Story(
        markets=tuple(lane.market for lane in lanes),
        in_sample_bars=sum(_in_sample(lane) for lane in lanes),
        found=found.performance,
        baseline=baseline,
        shares=attribute(found.performance, found.records, manifests),
        stress=None if quick else stress(lanes, panels, world, found.performance),
        terms=world.terms,
    )


def _in_sample(lane: Lane) -> int:
    ended_at_ns = lane.model.manifest.training.ended_at_ns
    return sum(bar.closed_at_ns <= ended_at_ns for bar in lane.market.bars)


@task(name="report the backtest", cache_policy=NO_CACHE)
def report(home: Home, models: list[OnnxModel], story: Story) -> BacktestReport:
    """Write the page and show the figures in Prefect."""
    name = " + ".join(model.manifest.name for model in models)
    digests = "-".join(model.sha256[:12] for model in models[:3])
    page = home.lake / "reports" / f"backtest-{name.replace(' + ', '-')[:100]}-{digests}.html"
    told = BacktestReport(
        name=name,
        version=" + ".join(model.version for model in models),
        alias=models[0].alias,
        bars=story.bars,
        in_sample_bars=story.in_sample_bars,
        figures=story.found.figures(),
        baseline_figures=story.baseline.figures(),
        by_symbol={share.name: round(share.pnl_net, 2) for share in story.shares["symbol"]},
        headline=story.headline,
        costs=story.costs,
        bill=[each.row() for each in story.bills],
        page=str(page),
    )
    write_report(page, story)
    key = f"backtest-{models[0].manifest.name}".replace(".", "-").replace("_", "-").lower()
    create_markdown_artifact(
        f"# {name} version {told.version}\n\n{told.headline}\n\n{told.costs}\n\n"
        f"{told.bars} bars. Page: `{page}`.",
        key=key,
        description=told.headline,
    )
    rows = [{"run": "model", **told.figures}, {"run": "rules", **told.baseline_figures}]
    create_table_artifact(rows, key=f"{key}-figures", description="After all costs")
    _log.info(told.headline)
    return told
