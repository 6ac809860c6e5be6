"""What every family achieved out of sample on real years, after costs: writes models/RESULTS.md.

Bars of HistData's minutes. EURUSD 2014-2017 is walked forward in purged folds, hour by hour and on
other timeframes; 2018 is then traded once, by the trading code, with the models fitted before it.
Other symbols are walked forward within 2018. Nothing is tuned: the default settings, the default
features. Spreads are those of OANDA's quotes where there are any, else the declared ones.
``--full`` adds the families that read windows, and a year of minutes. Each answer is kept in
``var/results``; a second run goes on there.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from models.bars import Floats
from models.card import attribute_study
from models.costs import Costs
from models.dataset import Dataset
from models.evaluate import COVERAGES
from models.families.build import FAMILIES, build_family
from models.families.sequence import SequenceConfig
from models.fit import fit_folds
from models.labels import REACHED, Outcome
from models.learn import Study, cut_folds, learn
from models.recipe import LabelChoice, Recipe
from models.splits import Fold
from models.targets import Target
from online.adapters.onnx_model import load_bundle
from online.adapters.rule_model import RuleModel
from online.domain.errors import SextantError
from online.domain.market import PriceSide, Timeframe
from online.instruments import find_instrument
from online.settings import load_settings
from pipelines.attribution import attribute
from pipelines.backtest import world_of
from pipelines.feature_steps import compute_offline, read_series
from pipelines.home import Home
from pipelines.lake import Lake
from pipelines.lanes import make_lane, with_model
from pipelines.market import read_market
from pipelines.performance import Performance
from pipelines.quality_gaps import calendar_of
from pipelines.quality_ticks import check_ticks
from pipelines.resample import bars_from_ticks, resample_bars
from pipelines.sources.text import read_text
from pipelines.sources.ticks import LeanTicksConfig, read_day
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
N_COINS = 5
OTHER_TIMEFRAMES = (Timeframe.M5, Timeframe.M15, Timeframe.M30, Timeframe.H4)
OTHER_KINDS = ("xgboost", "logistic")
MINUTES_YEAR = 2017
QUOTED = ("EURUSD", "XAUUSD")
"""Symbols of which OANDA's quotes are at hand, some days of May 2014."""
QUOTES = FOLDER.parent / "oanda_ticks"


def main() -> None:
    """Measure what is not kept yet, write the page, print where it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the rows")
    more = "the families that read windows, and a year of minutes, too"
    parser.add_argument("--full", action="store_true", help=more)
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    if not FOLDER.is_dir():
        raise SystemExit(f"the years of minutes are not at hand: {FOLDER} is absent")
    home = make_home()
    learners = {k: c for k, c in FAMILIES.items() if k != "rules"}  # each study shows the rules
    kinds = [k for k, c in learners.items() if given.full or not isinstance(c, SequenceConfig)]
    main_rows = [once(f"main-{kind}", lambda k=kind: walk_main(home, k)) for kind in kinds]  # type: ignore[misc] # bound now
    other_rows = [
        once(f"{symbol}-{kind}", lambda s=symbol, k=kind: walk_year(home, s, k))  # type: ignore[misc] # bound now
        for symbol in (*OTHERS, *OTHERS_TOO)
        for kind in kinds
        if not isinstance(FAMILIES[kind], SequenceConfig)
    ]
    length_rows = [
        once(f"{timeframe}-{kind}", lambda t=timeframe, k=kind: walk_timeframe(home, t, k))  # type: ignore[misc] # bound now
        for timeframe in OTHER_TIMEFRAMES
        for kind in OTHER_KINDS
    ]
    targets = other_targets(home)
    if given.full:
        length_rows.insert(0, once("M1-xgboost", lambda: walk_minutes(home, "xgboost")))
    PAGE.write_text(render(main_rows, length_rows, other_rows, targets))
    if given.json:
        rows = {
            "main": main_rows,
            "timeframes": length_rows,
            "others": other_rows,
            "targets": targets,
        }
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
    """Return a home with bars and features of all symbols; made once."""
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
        lengths = (Timeframe.H1, *(OTHER_TIMEFRAMES if symbol == MAIN else ()))
        for timeframe in lengths:
            bars = resample_bars(checked.bars, Timeframe.M1, timeframe, calendar)
            lake.write_bars(symbol, timeframe, checked.side, bars, f"histdata {year}")
    for symbol in QUOTED:
        lake.write_bars(symbol, Timeframe.M1, PriceSide.BID, quoted_minutes(symbol), "oanda")
    for symbol in (MAIN, *OTHERS, *OTHERS_TOO):
        compute_offline(home, read_series(home, symbol, Timeframe.H1))
    for timeframe in OTHER_TIMEFRAMES:
        compute_offline(home, read_series(home, MAIN, timeframe))
    done.touch()
    return home


def quoted_minutes(symbol: str) -> pd.DataFrame:
    """Return the minutes that were made of OANDA's quotes: they tell the spread."""
    instrument = find_instrument(symbol)
    calendar = calendar_of(instrument)
    return bars_from_ticks(quoted_ticks(symbol), Timeframe.M1, calendar, point=instrument.point)


def quoted_ticks(symbol: str) -> pd.DataFrame:
    """Return OANDA's quotes of a symbol, those that are sound."""
    instrument, folder = find_instrument(symbol), QUOTES / symbol.lower()
    source = LeanTicksConfig(folder=folder, feed="oanda", clock="UTC")
    days = [
        check_ticks(read_day(read_text(path), source), instrument).ticks
        for path in sorted(folder.glob("*.zip"))
    ]
    return pd.concat(days, ignore_index=True)


def study(
    home: Home,
    symbol: str,
    kind: str,
    end_ns: int | None,
    timeframe: Timeframe = Timeframe.H1,
    start_ns: int | None = None,
) -> tuple[TrainPlan, TrainingData, Study]:
    """Run a family's study with its default settings."""
    recipe = Recipe(families=(FAMILIES[kind],))
    plan = TrainPlan(home.root, symbol, timeframe, start_ns, end_ns, recipe, "results")
    data = load_training_data(plan)
    found = learn(data.dataset, recipe, plan.vector, plan.rule, data.costs, 1)
    return plan, data, found


def walk_main(home: Home, kind: str) -> Row:
    """Walk EURUSD forward before 2018, then trade 2018 once."""
    plan, data, found = study(home, MAIN, kind, HOLDOUT_NS)
    bundle = bind(plan, data, found, found.comparison.n_trials)
    settings = load_settings("replay", environment={})
    model = load_bundle(bundle.folder, "paper", "0")
    lake, far_ns = Lake(home.lake), 2**62
    market = read_market(lake, find_instrument(MAIN), Timeframe.H1, HOLDOUT_NS, far_ns)
    lane = make_lane(lake, market, model)
    world = world_of(home, settings, [lane])
    run = world.run([lane])
    traded = run.performance
    shares = attribute(traded, run.records, {MAIN: model.manifest})
    rules = world.run([with_model(lane, RuleModel.like(model.manifest))]).performance
    coins = toss([lane], world, traded, N_COINS)
    return {
        **summary(kind, data, found),
        "attribution": attribute_study(found, MAIN),
        "holdout_attribution": {by: [asdict(share) for share in of] for by, of in shares.items()},
        "holdout": brief(traded),
        "holdout_rules": brief(rules),
        "holdout_hold": brief(hold([lane], world.terms)),
        "holdout_coin": brief(coins.middle),
    }


def walk_year(home: Home, symbol: str, kind: str) -> Row:
    """Walk a symbol forward within 2018."""
    _, data, found = study(home, symbol, kind, None)
    return {"symbol": symbol, **summary(kind, data, found, symbol)}


def walk_timeframe(home: Home, timeframe: Timeframe, kind: str) -> Row:
    """Walk EURUSD forward before 2018 on bars of another length."""
    _, data, found = study(home, MAIN, kind, HOLDOUT_NS, timeframe)
    return {"timeframe": str(timeframe), **summary(kind, data, found)}


def walk_minutes(home: Home, kind: str) -> Row:
    """Walk the minutes of the last year before 2018 forward; their features are made first."""
    checked = checked_year(FOLDER / f"{MAIN}_{MINUTES_YEAR}.zip")
    lake = Lake(home.lake)
    lake.write_bars(MAIN, Timeframe.M1, checked.side, checked.bars, f"histdata {MINUTES_YEAR}")
    compute_offline(home, read_series(home, MAIN, Timeframe.M1))
    begun_ns = int(datetime(MINUTES_YEAR, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000_000
    _, data, found = study(home, MAIN, kind, HOLDOUT_NS, Timeframe.M1, begun_ns)
    return {"timeframe": str(Timeframe.M1), **summary(kind, data, found)}


def summary(kind: str, data: TrainingData, found: Study, symbol: str = MAIN) -> Row:
    """Return the out-of-fold figures that a table shows."""
    told = found.comparison
    trades, labels = told.model.trades, found.signals.labels
    risk = np.where(trades.is_long, labels.long.risk[trades.rows], labels.short.risk[trades.rows])
    pooled, rules = told.model.pooled, told.baseline.pooled
    return {
        "name": kind,
        "rows": len(data.dataset),
        "spread": data.spread.note,
        "commission": data.costs.commission_per_lot_side,
        "swap": data.swap_told,
        "slippage": data.slippage_told,
        "commission_units": float((data.costs.commission_price / risk).sum()),
        "swap_units": float((_nights(found, data.costs) / risk).sum()),
        "slippage_units": float((_slipped(found, data.costs, symbol) / risk).sum()),
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
        "forward_units": told.forward_units,
        "forward_trades": len(told.forward),
        "hold_units": told.hold_units,
        "coin_units": told.coin_units,
        "coins_beaten": told.coins_beaten,
        "deflated_sharpe": told.deflated_sharpe,
        "curve": [hit if math.isfinite(hit) else None for hit in told.model.curve],
    }


def _nights(found: Study, costs: Costs) -> Floats:
    """Return what each trade was paid for its nights, in price; negative cost."""
    trades, labels = found.comparison.model.trades, found.signals.labels
    gained = np.where(
        trades.is_long,
        (labels.long.filled - labels.long.entry)[trades.rows],
        (labels.short.entry - labels.short.filled)[trades.rows],
    )
    return np.asarray(trades.net_price - gained + costs.commission_price, dtype=np.float64)


def _slipped(found: Study, costs: Costs, symbol: str) -> Floats:
    """Return what slippage took of each trade, in price: of every fill but a target's."""
    trades, labels = found.comparison.model.trades, found.signals.labels
    ended = np.where(trades.is_long, labels.long.exit[trades.rows], labels.short.exit[trades.rows])
    a_fill = costs.slippage_points / find_instrument(symbol).scale
    return np.asarray(np.where(ended == REACHED, 1, 2) * a_fill, dtype=np.float64)


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
    """Return the accuracy on the other targets, EURUSD before 2018, beside what needs no model."""
    return [
        once(f"target-{target}-{kind}", lambda t=target, k=kind: judge_target(home, t, k))  # type: ignore[misc] # bound now
        for target in (Target.DIRECTION, Target.VOLATILITY)
        for kind in ("xgboost", "logistic")
    ]


def judge_target(home: Home, target: Target, kind: str) -> Row:
    """Return the accuracy of the surest shares of the bars, out of fold."""
    label = LabelChoice(target=target)
    recipe = Recipe(families=(FAMILIES[kind],), label=label, target=str(target))
    plan = TrainPlan(home.root, MAIN, Timeframe.H1, None, HOLDOUT_NS, recipe, "results")
    dataset = load_training_data(plan).dataset
    folds = cut_folds(dataset, recipe, plan.rule)
    family, embargo = build_family(FAMILIES[kind]), recipe.embargo_ns(plan.rule)
    fits = fit_folds(dataset, folds, family, embargo_ns=embargo, seed=recipe.seed)
    tested = np.concatenate([fit.fold.test for fit in fits])
    raw = np.concatenate([fit.raw for fit in fits]).astype(np.float64)
    if target is Target.DIRECTION:  # a side must be said
        raw[:, Outcome.NEITHER] = 0.0
        sure = np.abs(raw[:, Outcome.LONG] - raw[:, Outcome.SHORT])
    else:
        sure = raw.max(axis=1)
    truth = dataset.labels.classes
    right = raw.argmax(axis=1) == truth[tested]
    order = np.argsort(-sure, kind="stable")
    sides = range(len(Outcome)) if target is Target.VOLATILITY else (Outcome.SHORT, Outcome.LONG)
    return {
        "name": f"{target}, {kind}",
        "rows": len(tested),
        "base_rate": max(float((truth[tested] == side).mean()) for side in sides),
        "by_hour": by_hour(dataset, folds),
        "curve": [
            float(right[order[: max(1, round(share * len(order)))]].mean()) for share in COVERAGES
        ],
    }


def by_hour(dataset: Dataset, folds: Sequence[Fold]) -> float:
    """Return the accuracy of the commonest answer of each hour of the day, counted in training."""
    truth, right = dataset.labels.classes, []
    hours = dataset.labels.decided_at_ns // Timeframe.H1.duration_ns % 24
    for fold in folds:
        counts = np.zeros((24, len(Outcome)))
        np.add.at(counts, (hours[fold.train], truth[fold.train]), 1.0)
        right.append(counts.argmax(axis=1)[hours[fold.test]] == truth[fold.test])
    return float(np.concatenate(right).mean())


if __name__ == "__main__":
    main()
