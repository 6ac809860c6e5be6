"""The event-driven backtest beside nautilus_trader and backtesting.py on a year of minutes.

All three run one strategy (`tests.benchmarks.crossing`) on the same bars and are given the
indicator ready made. First their fills must be the same: instant, price, side and size of every
entry and exit. Timed is the run itself, in processor seconds, after bars were loaded; ours decides
through `online.trade`, checks risk and keeps a record of every decision.

The half of backtesting.py is out of reach of one code path in Python: its 10 µs a bar are what a
bar takes us on which nothing is held or sent. A held position adds 3 µs to its bars, an order with
its reply and fill 90 µs, and there are two in 26 bars (`infra/decisions/0013`).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from feature_repo.bars import BarArrays
from online.domain.decision import Action
from online.domain.market import NANOSECONDS_PER_SECOND, Timeframe
from online.domain.record import encode_record
from pipelines.simulation import Backtest, simulate
from tests.benchmarks import crossing
from tests.benchmarks.minutes import year_of_minutes
from tests.benchmarks.report import Target, render

YEAR, SHORT_BARS, ROUNDS = 2018, 60_000, 3
PEERS = {"nautilus": "nautilus_trader==1.221.0", "backtesting_py": "backtesting==0.6.6"}
_FOLDER = Path(__file__).resolve().parent / "peers"
_INSTALL_SECONDS, _RUN_SECONDS = 600, 900
TARGETS = (
    Target("ratio_nautilus", ">=", 3),
    Target("ratio_backtesting_py", ">=", 0.5),
)
Fill = tuple[int, float, int]
"""Instant, price in points, units bought (> 0) or sold (< 0)."""


def run_ours(bars: BarArrays) -> tuple[float, Backtest]:
    """Return the processor seconds of our run, and what it left."""
    market, columns = crossing.market_of(bars), crossing.columns_of(bars)
    began = time.process_time()
    found = simulate(
        market,
        bars.closed_at_ns,
        columns,
        crossing.Crossing(),
        crossing.LIMITS,
        crossing.TERMS,
        {"EURUSD": crossing.EURUSD},
    )
    return time.process_time() - began, found


def fills_of(found: Backtest) -> list[Fill]:
    """Return our fills; every bar but the last must have its decision on record."""
    fills: list[Fill] = []
    units = round(crossing.LOTS * crossing.EURUSD.contract_size)
    for trade in found.performance.trades:
        if trade.reason != "time-out":
            raise SystemExit(f"a trade ended by {trade.reason}: its barriers are too near")
        signed = units if trade.side == Action.BUY else -units
        fills.append((trade.opened_at_ns, _points(trade.opened_price), signed))
        fills.append((trade.closed_at_ns, _points(trade.closed_price), -signed))
    return fills


def write_market(bars: BarArrays, path: Path) -> None:
    """Write what the peers need: bars, the crossing and when the next bar opens."""
    opened_at_ns = bars.closed_at_ns - Timeframe.M1.duration_ns
    np.savez(
        path,
        opened_at_ns=opened_at_ns,
        closed_at_ns=bars.closed_at_ns,
        open=bars.open,
        high=bars.high,
        low=bars.low,
        close=bars.close,
        cross=np.nan_to_num(np.float64(crossing.columns_of(bars)[crossing.CROSS])),  # 0: no trade
        next_opened_at_ns=np.append(opened_at_ns[1:], bars.closed_at_ns[-1]),
        next_open=np.append(bars.open[1:], bars.close[-1]),
        held_ns=crossing.MINUTES_HELD * 60 * NANOSECONDS_PER_SECOND,
        units=round(crossing.LOTS * crossing.EURUSD.contract_size),
    )


def make_environment(peer: str) -> Path:
    """Return the Python of an environment that holds a peer alone, made below the user's cache.

    Raises
    ------
    OSError, subprocess.SubprocessError
        If it cannot be made.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "sextant" / "benchmarks" / PEERS[peer].replace("==", "-")
    python, made = folder / "bin" / "python", folder / "complete"
    if not made.exists():
        sys.stderr.write(f"making an environment for {PEERS[peer]}: {folder}\n")
        for command in (
            [sys.executable, "-m", "venv", "--clear", str(folder)],
            [str(python), "-m", "pip", "install", "--quiet", PEERS[peer]],
        ):
            subprocess.run(
                command, check=True, capture_output=True, text=True, timeout=_INSTALL_SECONDS
            )
        made.touch()
    return python


def run_peer(peer: str, market: Path, n_rounds: int) -> tuple[float | None, list[Fill], str]:
    """Return a peer's fastest run in processor seconds, its fills, and a word on it.

    Without an environment or an answer the seconds are None and the word is the reason.
    """
    answers = []
    try:
        python = make_environment(peer)
        with tempfile.TemporaryDirectory() as scratch:
            told = Path(scratch) / "told.json"
            command = [str(python), "-W", "ignore", str(_FOLDER / f"{peer}.py")]
            for _ in range(n_rounds):
                subprocess.run(
                    [*command, str(market), str(told)],
                    check=True,
                    capture_output=True,
                    text=True,
                    timeout=_RUN_SECONDS,
                    env={key: v for key, v in os.environ.items() if key != "PYTHONPATH"},
                )
                answers.append(json.loads(told.read_text()))
    except subprocess.CalledProcessError as error:
        last = (error.stderr or "").strip().splitlines()[-1:]
        return None, [], f"{PEERS[peer]} could not be run: {' '.join(last) or error}"
    except (OSError, subprocess.SubprocessError) as error:
        return None, [], f"{PEERS[peer]} could not be installed or run: {error}"
    fills: list[Fill] = [
        (int(at_ns), _points(price), int(units)) for at_ns, price, units in answers[0]["fills"]
    ]
    return min(answer["seconds"] for answer in answers), fills, PEERS[peer]


def compare(ours: Sequence[Fill], told: Sequence[Fill], peer: str) -> None:
    """Stop unless a peer filled what we filled; it may hold one more position at the end."""
    for number, (own, other) in enumerate(zip(ours, told, strict=False)):
        if own != other:
            raise SystemExit(f"fill {number} differs: ours {own}, {peer} {other}")
    if len(told) - len(ours) not in {0, 1}:
        raise SystemExit(f"{peer} has {len(told)} fills, we have {len(ours)}")


def seal_seconds(found: Backtest) -> float:
    """Return the processor seconds it takes to write every record as its canonical bytes."""
    began = time.process_time()
    for record in found.records:
        encode_record(record)
    return time.process_time() - began


def _points(price: float) -> int:
    return round(price * crossing.EURUSD.scale)


def main() -> None:
    """Run all three, compare their fills and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="kept for `sextant bench`")
    parser.add_argument("--full", action="store_true", help="kept for `sextant bench`")
    parser.add_argument("--short", action="store_true", help=f"the first {SHORT_BARS} bars only")
    short = parser.parse_args().short
    bars, origin = year_of_minutes(YEAR)
    if short:
        some = slice(SHORT_BARS)
        prices = (bars.open[some], bars.high[some], bars.low[some], bars.close[some])
        bars = BarArrays(bars.closed_at_ns[some], *prices, bars.volume[some])
    seconds, found = run_ours(bars)
    if found.performance.decisions != len(bars) - 1:
        raise SystemExit(f"{found.performance.decisions} decisions of {len(bars)} bars on record")
    ours, sealing = fills_of(found), seal_seconds(found)
    figures: dict[str, float | None] = {"bars": len(bars), "trades": len(ours) / 2}
    notes = [origin]
    with tempfile.TemporaryDirectory() as scratch:
        market = Path(scratch) / "market.npz"
        write_market(bars, market)
        told = {}
        for peer in PEERS:
            told[peer], fills, note = run_peer(peer, market, ROUNDS if peer != "nautilus" else 1)
            notes.append(note)
            if told[peer] is not None:
                compare(ours, fills, peer)
            again, found = run_ours(bars)  # beside each peer: others use this machine too
            seconds = min(seconds, again)
    figures["bars_per_second"] = len(bars) / seconds
    figures["bars_per_second_with_canonical_bytes"] = len(bars) / (seconds + sealing)
    for peer, taken in told.items():
        figures[f"{peer}_bars_per_second"] = None if taken is None else len(bars) / taken
        figures[f"ratio_{peer}"] = None if taken is None else taken / seconds
    sys.stdout.write(render("backtest", figures, TARGETS, "; ".join(notes), ("numpy",)) + "\n")


if __name__ == "__main__":
    main()
