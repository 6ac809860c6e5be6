"""The demonstration: the whole of Sextant on a year of real prices, in one process tree.

1. Valkey, MLflow and Prefect start (`pipelines.platform`).
2. Ingest the bars, compute and serve their features, train on all but the last quarter, promote.
3. The scorer starts on the promoted model, on a virtual clock and a simulated terminal.
4. The last quarter is replayed bar by bar through the real chain (`pipelines.replay`).
5. The same quarter is backtested in process on batch features (`pipelines.simulation`).
6. Both journals are compared bit for bit (`pipelines.parity`); a difference fails the run.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from prefect.logging.handlers import APILogHandler
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    temporary_settings,
)

from online.adapters.onnx_model import load_bundle
from online.adapters.rule_model import RuleModel
from online.adapters.sqlite_journal import iterate
from online.domain.errors import InvalidInput, SextantError
from online.instruments import find_instrument
from online.settings import Settings, load_settings
from pipelines.backtest import run_backtest
from pipelines.bootstrap import SYMBOL, TIMEFRAME, Learned, Stopwatch, bootstrap
from pipelines.feed import find_replay_start_ns, open_replay
from pipelines.home import Home
from pipelines.lake import Lake
from pipelines.market import Market, read_market
from pipelines.parity import Parity, compare
from pipelines.performance import Performance, measure
from pipelines.platform import services
from pipelines.platform.embedded import choose_ports, replay_clock, scorer_settings
from pipelines.platform.ports import choose_port
from pipelines.platform.secrets import ensure_token
from pipelines.platform.supervisor import Platform
from pipelines.replay import Step
from pipelines.scorer_client import ScorerClient

_MADE_HERE = (
    *("lake", "feast", "run", "mlflow", "prefect", "journal", "bundles"),
    *("secrets", "keys", "trusted"),
)
REPORTS = ("report.json", "report.html")
MARK = "demonstration"
"""File that says: what lies here was made by a demonstration and may be emptied."""
LEAST_ORDERS = 100
"""Fewest compared orders that prove that live and backtest are one."""
_IRREPLACEABLE = ("lake", "journal", "mlflow", "bundles")


class View(Protocol):
    """Where the demonstration tells what it does."""

    def stage(self, text: str) -> None:
        """Say what begins."""

    def count(self, text: str, total: int) -> Callable[[int], None]:
        """Begin a counted part; return what is called with the number of items done."""


@dataclass(frozen=True, slots=True)
class Result:
    """Everything the report tells.

    Attributes
    ----------
    learned
        Ingestion, training and promotion.
    market
        The replayed quarter.
    live, batch, baseline
        Figures of the live replay, of its backtest and of the rule baseline's.
    parity
        Live against batch.
    steps
        Every replayed bar with its times.
    settings
        Of the scorer: limits, account, costs.
    seconds
        Of each stage.
    """

    learned: Learned
    market: Market
    live: Performance
    batch: Performance
    baseline: Performance
    parity: Parity
    steps: tuple[Step, ...]
    settings: Settings
    seconds: Mapping[str, float]


def run_demo(home: Home, view: View) -> Result:
    """Run the demonstration in `home`, from nothing.

    Raises
    ------
    SextantError
        With code ``PARITY_BROKEN`` if live and backtest differ anywhere; else what failed.
    """
    prepare_home(home)
    watch = Stopwatch(view.stage)
    ports = choose_ports()
    ensure_token(home.token)
    client = services.client_environment(home, ports.prefect, ports.mlflow)
    mlflow_uri = client["MLFLOW_TRACKING_URI"]
    settings = load_settings(environment=scorer_settings(home, mlflow_uri, ports.scorer))
    with Platform(home, ("valkey", "mlflow", "prefect", "scorer")) as platform:
        with watch.stage("platform", "Starting Valkey, MLflow and Prefect"):
            platform.start(
                services.valkey(home),
                services.mlflow(home, ports.mlflow),
                services.prefect(home, ports.prefect),
            )
        with temporary_settings(
            {
                PREFECT_API_URL: client["PREFECT_API_URL"],
                PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,  # a thread joined for a second a flow
            }
        ):
            try:
                learned = bootstrap(home, settings, mlflow_uri, watch)
            finally:
                APILogHandler().flush()  # while the server is there: later it waits a minute
        with watch.stage("scorer", "Starting the scorer"):
            port = choose_port(ports.scorer)  # it may have been taken since
            environment = {**scorer_settings(home, mlflow_uri, port), **replay_clock(home)}
            platform.start(services.scorer(port, environment))
        url = f"http://127.0.0.1:{port}"
        with watch.stage("replay", "Replaying the last quarter through the live chain"):
            steps, equity = replay(home, url, settings, view)
    market = read_quarter(home, settings)
    with watch.stage("backtest", "Backtesting the same quarter on batch features"):
        model = load_bundle(Path(learned.promoted.bundle), settings.model.alias)
        advance = view.count("backtest", len(market.bars) - 1)
        batch = run_backtest(home, market, model, settings, advance)
        rules = RuleModel.like(model.manifest)
        advance = view.count("rule baseline", len(market.bars) - 1)
        baseline = run_backtest(home, market, rules, settings, advance)
    records = tuple(iterate(home.journal))
    parity = compare(records, batch.records)
    ended_at_ns, batch_equity = batch.performance.equity[-1]
    parity.add("account", "equity after the last bar", repr(equity), repr(batch_equity))
    return Result(
        learned=learned,
        market=market,
        live=measure(records, settings.broker.balance, last=(ended_at_ns, equity)),
        batch=batch.performance,
        baseline=baseline.performance,
        parity=parity,
        steps=steps,
        settings=settings,
        seconds=watch.seconds,
    )


def prepare_home(home: Home) -> None:
    """Empty the demonstration's own folder; refuse one that holds anything else.

    Raises
    ------
    InvalidInput
        With code ``NOT_A_DEMO_HOME`` if the folder holds what no demonstration makes, or a lake,
        models or a journal that none has made.
    """
    root = home.root
    root.mkdir(parents=True, exist_ok=True)
    foreign = sorted({path.name for path in root.iterdir()} - {*_MADE_HERE, *REPORTS, MARK})
    marked = any((root / name).exists() for name in (MARK, *REPORTS))
    if not marked:
        foreign += [name for name in _IRREPLACEABLE if (root / name).exists()]
    if foreign:
        raise InvalidInput(
            f"{root} holds what no demonstration made: {', '.join(foreign[:5])}",
            code="NOT_A_DEMO_HOME",
            remedy="Give another --home; the demonstration empties its own folder.",
        )
    with Platform(home):  # refuses if one runs here, and ends what a killed one left behind
        pass
    (root / MARK).touch()
    for name in _MADE_HERE:
        shutil.rmtree(root / name, ignore_errors=True)
    for name in REPORTS:
        (root / name).unlink(missing_ok=True)


def replay(home: Home, url: str, settings: Settings, view: View) -> tuple[tuple[Step, ...], float]:
    """Replay the last quarter into the scorer at `url`; return the steps and the last equity."""
    spread = settings.broker.assumed_spread_points
    with ScorerClient(url, home.token) as scorer:
        live = open_replay(home, SYMBOL, TIMEFRAME, scorer, spread)
        advance = view.count("live", len(live))
        steps = []
        for step in live.steps():
            steps.append(step)
            advance(1)
        account = scorer.get("/v1/positions")["account"]
    return tuple(steps), float(account["equity"])


def read_quarter(home: Home, settings: Settings) -> Market:
    """Return the replayed quarter as the lake has it."""
    return read_market(
        Lake(home.lake),
        find_instrument(SYMBOL).slipping(settings.broker.slippage_points),
        TIMEFRAME,
        find_replay_start_ns(home, SYMBOL, TIMEFRAME) + 1,
        time.time_ns(),
        settings.broker.assumed_spread_points,
    )


def check_parity(result: Result) -> None:
    """Fail if live and backtest differ, or if too little took part to say that they do not.

    Raises
    ------
    SextantError
        With code ``PARITY_BROKEN``, naming the first difference, or ``PARITY_UNPROVEN``.
    """
    if result.parity.total_different:
        first = result.parity.first[0]
        raise SextantError(
            f"{result.parity.total_different} of {result.parity.total_compared} compared items "
            f"differ between live and backtest, first the {first.kind} of {first.where}: "
            f"live {first.live}, backtest {first.batch}",
            code="PARITY_BROKEN",
            remedy="The report lists the first differences: served and tested must be the same.",
        )
    orders, vetoed = result.parity.compared["order"], result.live.vetoed
    if orders < LEAST_ORDERS or not vetoed:
        raise SextantError(
            f"{orders} orders and {vetoed} vetoed decisions were compared: at least "
            f"{LEAST_ORDERS} and one must take part",
            code="PARITY_UNPROVEN",
            remedy="The report shows which bars were decided, and why nothing was ordered.",
        )
