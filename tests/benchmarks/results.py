"""What every family achieved out of sample on real years, after costs: writes models/RESULTS.md.

Hourly bars of HistData's minutes. EURUSD 2014-2017 is walked forward in purged folds; 2018 is then
traded once, by the trading code, with the models fitted before it. Other symbols are walked forward
within 2018. Nothing is tuned: the default settings, the default features. ``--full`` adds the
families that read windows. Each answer is kept in ``var/results``; a second run goes on there.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.dataset import Dataset
from models.evaluate import COVERAGES
from models.families.build import FAMILIES, build_family
from models.families.sequence import SequenceConfig
from models.fit import fit_folds
from models.labels import Outcome, Rows
from models.learn import Study, cut_folds, learn
from models.recipe import Recipe
from models.splits import Fold
from online.adapters.onnx_model import load_bundle
from online.adapters.rule_model import RuleModel
from online.domain.errors import SextantError
from online.domain.market import Timeframe
from online.instruments import find_instrument
from online.settings import load_settings
from pipelines.backtest import world_of
from pipelines.feature_steps import compute_offline, read_series
from pipelines.home import Home
from pipelines.lake import Lake
from pipelines.lanes import make_lane, with_model
from pipelines.market import read_market
from pipelines.performance import Performance
from pipelines.quality_gaps import calendar_of
from pipelines.resample import resample_bars
from pipelines.stress import hold, toss
from pipelines.training import bind
from pipelines.training_data import TrainingData, TrainPlan, load_training_data
from tests.benchmarks.minutes import FOLDER
from tests.benchmarks.results_page import Row, render
from tests.real_years import checked_year

ROOT = Path(__file__).resolve().parents[2]
PAGE, KEPT = ROOT / "models" / "RESULTS.md", ROOT / "var" / "results"
MAIN, YEARS, OTHERS = "EURUSD", (2014, 2015, 2016, 2017, 2018), ("AUDUSD", "GBPUSD", "NSXUSD")
OTHERS_TOO = ("USDJPY", "XAUUSD")
HOLDOUT_NS = int(datetime(2018, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000_000
AHEAD, QUIET = 10, 240
N_COINS = 5


def main() -> None:
    """Measure what is not kept yet, write the page, print where it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the rows")
    parser.add_argument("--full", action="store_true", help="the families that read windows too")
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    if not FOLDER.is_dir():
        raise SystemExit(f"the years of minutes are not at hand: {FOLDER} is absent")
    home = make_home()
    kinds = [k for k, c in FAMILIES.items() if given.full or not isinstance(c, SequenceConfig)]
    main_rows = [once(f"main-{kind}", lambda k=kind: walk_main(home, k)) for kind in kinds]  # type: ignore[misc] # bound now
    other_rows = [
        once(f"{symbol}-{kind}", lambda s=symbol, k=kind: walk_year(home, s, k))  # type: ignore[misc] # bound now
        for symbol in (*OTHERS, *OTHERS_TOO)
        for kind in kinds
        if not isinstance(FAMILIES[kind], SequenceConfig)
    ]
    targets = once("targets", lambda: other_targets(home))
    PAGE.write_text(render(main_rows, other_rows, targets))
    if given.json:
        rows = {"main": main_rows, "others": other_rows, "targets": targets}
        sys.stdout.write(json.dumps(rows, indent=1) + "\n")
    else:
        sys.stdout.write(f"{PAGE}\n")


def once(name: str, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - rows as JSON holds them
    """Return what is kept under a name, else do the work and keep it."""
    path = KEPT / f"{name}.json"
    if path.exists():
        return json.loads(path.read_text())
    began = time.process_time()
    try:
        found = work()
    except SextantError as error:
        found = {"name": name, "failed": str(error)}
    if isinstance(found, dict):
        found["processor_seconds"] = round(time.process_time() - began)
    sys.stderr.write(f"{name}: {time.process_time() - began:.0f} s of the processor\n")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found))
    return found


def make_home() -> Home:
    """Return a home with hourly bars and features of all symbols; made once."""
    home, done = Home(KEPT / "home"), KEPT / "home" / "complete"
    if done.exists():
        return home
    shutil.rmtree(home.root, ignore_errors=True)
    files = [(MAIN, year) for year in YEARS]
    files += [(symbol, YEARS[-1]) for symbol in (*OTHERS, *OTHERS_TOO)]
    lake = Lake(home.lake)
    for symbol, year in files:
        checked = checked_year(FOLDER / f"{symbol}_{year}.zip")
        calendar = calendar_of(find_instrument(symbol))
        hours = resample_bars(checked.bars, Timeframe.M1, Timeframe.H1, calendar)
        lake.write_bars(symbol, Timeframe.H1, checked.side, hours, f"histdata {year}")
    for symbol in (MAIN, *OTHERS, *OTHERS_TOO):
        compute_offline(home, read_series(home, symbol, Timeframe.H1))
    done.touch()
    return home


def study(
    home: Home, symbol: str, kind: str, end_ns: int | None
) -> tuple[TrainPlan, TrainingData, Study]:
    """Run a family's study with its default settings."""
    recipe = Recipe(families=(FAMILIES[kind],))
    plan = TrainPlan(home.root, symbol, Timeframe.H1, None, end_ns, recipe, "results")
    data = load_training_data(plan)
    found = learn(data.dataset, recipe, plan.vector, plan.rule, data.costs, 1)
    return plan, data, found


def walk_main(home: Home, kind: str) -> Row:
    """Walk EURUSD forward before 2018, then trade 2018 once."""
    plan, data, found = study(home, MAIN, kind, HOLDOUT_NS)
    bundle = bind(plan, data, found, found.comparison.n_trials)
    settings = load_settings("replay", environment={})
    model = load_bundle(bundle.folder, "paper", "0")
    spread = settings.broker.assumed_spread_points
    lake, far_ns = Lake(home.lake), 2**62
    market = read_market(lake, find_instrument(MAIN), Timeframe.H1, HOLDOUT_NS, far_ns, spread)
    lane = make_lane(lake, market, model)
    world = world_of(home, settings, [lane])
    traded = world.run([lane]).performance
    rules = world.run([with_model(lane, RuleModel.like(model.manifest))]).performance
    coins = toss([lane], world, traded, N_COINS)
    return {
        **summary(kind, found),
        "holdout": brief(traded),
        "holdout_rules": brief(rules),
        "holdout_hold": brief(hold([lane], world.terms)),
        "holdout_coin": brief(coins.middle),
    }


def walk_year(home: Home, symbol: str, kind: str) -> Row:
    """Walk a symbol forward within 2018."""
    _, _, found = study(home, symbol, kind, None)
    return {"symbol": symbol, **summary(kind, found)}


def summary(kind: str, found: Study) -> Row:
    """Return the out-of-fold figures that a table shows."""
    told = found.comparison
    pooled, rules = told.model.pooled, told.baseline.pooled
    return {
        "name": kind,
        "trades": pooled.performance.n_trades,
        "units": pooled.performance.total_units,
        "sharpe": pooled.performance.sharpe_annual,
        "hit_rate": pooled.hit_rate,
        "coverage": pooled.coverage,
        "log_loss": pooled.reliability.log_loss,
        "log_loss_gain": list(told.intervals["log_loss_gain"]),
        "information": pooled.information,
        "rules_trades": rules.performance.n_trades,
        "rules_units": rules.performance.total_units,
        "hold_units": told.hold_units,
        "coin_units": told.coin_units,
        "coins_beaten": told.coins_beaten,
        "deflated_sharpe": told.deflated_sharpe,
        "curve": list(told.model.curve),
    }


def brief(run: Performance) -> Row:
    """Return a run's figures."""
    return {
        "trades": len(run.trades),
        "pnl": run.pnl_net,
        "won": run.win_rate if run.trades else None,
        "fall": run.max_drawdown,
        "sharpe": run.sharpe,
    }


def other_targets(home: Home) -> list[Row]:
    """Return the accuracy of two other targets on EURUSD before 2018, beside what is trivial."""
    recipe = Recipe()
    plan = TrainPlan(home.root, MAIN, Timeframe.H1, None, HOLDOUT_NS, recipe, "results")
    dataset = load_training_data(plan).dataset
    table = Lake(home.lake).read_bars(MAIN, Timeframe.H1, None, HOLDOUT_NS)
    stamps_ns = table["closed_at_ns"].to_numpy(dtype=np.int64)
    close = table["close"].to_numpy(dtype=np.float64)
    span = (table["high"] - table["low"]).to_numpy(dtype=np.float64)
    place = np.searchsorted(stamps_ns, dataset.labels.decided_at_ns)
    place = place[place + AHEAD < len(close)]
    ahead = np.array([span[p + 1 : p + 1 + AHEAD].mean() for p in place])
    usual = np.array([np.median(span[max(p - QUIET, 0) : p + 1]) for p in place])
    now = np.array([span[max(p - AHEAD + 1, 0) : p + 1].mean() for p in place])
    rows: Rows = np.arange(len(place), dtype=np.int64)
    kept = dataset.take(rows)
    ended_ns = stamps_ns[place + AHEAD]  # folds are purged by it
    up = close[place + AHEAD] > close[place]
    wild, was_wild = ahead > usual, now > usual
    found = []
    for name, said, trivial in (
        (f"close higher in {AHEAD} bars", up, np.ones(len(up), dtype=np.bool_)),
        (f"next {AHEAD} bars' mean range above the usual of {QUIET}", wild, was_wild),
    ):
        classes = np.where(said, int(Outcome.LONG), int(Outcome.SHORT)).astype(np.int64)
        labels = dataclasses.replace(kept.labels, classes=classes, ended_at_ns=ended_ns)
        asked = dataclasses.replace(kept, labels=labels)
        found.append(judge_target(name, asked, cut_folds(asked, recipe, plan.rule), trivial))
    return found


def judge_target(
    name: str, dataset: Dataset, folds: Sequence[Fold], trivial: npt.NDArray[np.bool_]
) -> Row:
    """Return the accuracy of the surest shares of the bars, and of what needs no model."""
    recipe = Recipe()
    family = build_family(FAMILIES["xgboost"])
    embargo = recipe.embargo_ns(recipe.label.rule(Timeframe.H1))
    fits = fit_folds(dataset, folds, family, embargo_ns=embargo, seed=recipe.seed)
    tested = np.concatenate([fit.fold.test for fit in fits])
    raw = np.concatenate([fit.raw for fit in fits])
    edge = raw[:, Outcome.LONG] - raw[:, Outcome.SHORT]
    truth = dataset.labels.classes[tested] == Outcome.LONG
    right = (edge > 0.0) == truth
    order = np.argsort(-np.abs(edge), kind="stable")
    shares = [max(1, round(share * len(order))) for share in COVERAGES]
    return {
        "name": name,
        "rows": len(tested),
        "folds": len(fits),
        "base_rate": float(max(truth.mean(), 1.0 - truth.mean())),
        "trivial": float((trivial[tested] == truth).mean()),
        "curve": [float(right[order[:count]].mean()) for count in shares],
    }


if __name__ == "__main__":
    main()
