"""Join: training data of a year of minutes over every view, against Feast's own duckdb store.

The peer answers 20,000 rows of all views over 40,000 bars, in a process that is stopped after some
minutes; to the year it has no answer. The answers must be equal. What the peer needs beyond
Sextant's own packages is fetched once and kept below the user's cache, nowhere else.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from feature_repo.anchors import periods
from feature_repo.bars import BarArrays
from feature_repo.catalogue import CATALOGUE, contract, groups, view_name
from feature_repo.engine import compute_from
from feature_repo.objects import references
from feature_repo.offline_files import write_period
from feature_repo.store import StorePaths, apply_definitions, open_store
from online.domain.errors import InvalidInput
from online.domain.market import Timeframe
from tests.benchmarks.minutes import year_of_minutes
from tests.benchmarks.report import Target, render

SYMBOL, PROJECT = "EURUSD", "bench"
SMALL_BARS, PEER_TIMEOUT_SECONDS, ROUNDS = 40_000, 300.0, 3
PEER_PACKAGES = (
    "ibis-framework==12.0.0",
    "atpublic==9.0.0",
    "parsy==2.2",
    "pyarrow-hotfix==0.7",
    "sqlglot==30.30.0",
)
"""What Feast's duckdb store imports and Sextant does not; the rest is Sextant's."""
INSTALL_TIMEOUT_SECONDS = 300.0
TARGETS = (
    Target("seconds", "<=", 10.0),
    Target("peak_memory_gb", "<=", 4.0),
    Target("ratio", ">=", 100.0),
)


def main() -> None:
    """Measure and print one JSON object."""
    bars, origin = year_of_minutes()
    with tempfile.TemporaryDirectory(prefix="sx") as folder:
        figures = measure_year(Path(folder) / "year", bars)
        more, peer = measure_peer(Path(folder) / "small", bars.part(0, SMALL_BARS))
    packages = ("feast", "duckdb", "ibis-framework", "pyarrow", "pandas")
    print(render("join", figures | more, TARGETS, f"{peer}; on {origin}", packages))


def measure_year(root: Path, bars: BarArrays) -> dict[str, float]:
    """Return how long every row of the year takes over all views, the best of some rounds."""
    store = fill(root, bars)
    asked, names = rows(bars), references(contract(Timeframe.M1, [f.name for f in CATALOGUE]))
    spent, processor = [], []
    for _ in range(ROUNDS):
        began, worked = time.perf_counter(), time.process_time()
        found = store.get_historical_features(asked, names).to_df()
        spent.append(time.perf_counter() - began)
        processor.append(time.process_time() - worked)
        require_whole(found, len(bars), len(names))
    return {
        "rows": float(len(bars)),
        "views": float(len(groups())),
        "features": float(len(names)),
        "seconds": min(spent),
        "first_seconds": spent[0],
        "processor_seconds": min(processor),
        "peak_memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2,
    }


def measure_peer(root: Path, bars: BarArrays) -> tuple[dict[str, float], str]:
    """Return both stores' seconds for the small question, and what the peer was or why not."""
    store, asked = fill(root, bars), rows(bars).iloc[::2]
    names = references(contract(Timeframe.M1, [f.name for f in CATALOGUE]))
    spent = []
    found = pd.DataFrame()
    for _ in range(ROUNDS):
        began = time.perf_counter()
        found = store.get_historical_features(asked, names).to_df()
        spent.append(time.perf_counter() - began)
    figures = {"small_rows": float(len(asked)), "small_seconds": min(spent)}
    asked.to_parquet(root / "asked.parquet")
    for group in groups():
        view = view_name(Timeframe.M1, group)
        whole = pd.read_parquet(root / "features" / view)
        whole["symbol"] = whole["symbol"].astype(str)
        whole.to_parquet(root / f"{view}.parquet", index=False)
    try:
        peer_seconds = ask_peer(root, peer_packages())
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
        return figures, f"Feast's duckdb store could not be measured: {reason(error)}"
    require_equal(found, pd.read_parquet(root / "answered.parquet"))
    figures |= {"peer_seconds": peer_seconds, "ratio": peer_seconds / min(spent)}
    return figures, f"Feast's duckdb store, {len(asked)} rows of all views over {len(bars)} bars"


def peer_packages() -> Path:
    """Return the folder of what the peer imports, below the user's cache; filled if it is not.

    Raises
    ------
    subprocess.CalledProcessError, subprocess.TimeoutExpired
        If it cannot be.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = f"feast-duckdb-{PEER_PACKAGES[0].partition('==')[2]}"
    folder = cache / "sextant" / "benchmarks" / name
    if not (folder / "complete").exists():
        sys.stderr.write(f"fetching what Feast's duckdb store imports: {folder}\n")
        subprocess.run(
            [
                *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade"),
                *("--target", str(folder), *PEER_PACKAGES),
            ],
            capture_output=True,
            text=True,
            timeout=INSTALL_TIMEOUT_SECONDS,
            check=True,
        )
        (folder / "complete").touch()
    sys.path.append(str(folder))  # last: what is installed comes first; for the versions, too
    return folder


def ask_peer(root: Path, packages: Path) -> float:
    """Return the seconds the peer took."""
    finished = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.peers.feast_duckdb", str(root)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([*filter(None, sys.path), str(packages)]),
        },
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        timeout=PEER_TIMEOUT_SECONDS,
        check=True,
    )
    return float(finished.stdout.split()[-1])


def reason(error: subprocess.TimeoutExpired | subprocess.CalledProcessError) -> str:
    """Return why the peer has no figure, in a line."""
    if isinstance(error, subprocess.TimeoutExpired):
        return f"no answer within {error.timeout:.0f} s"
    return (str(error.stderr).strip().splitlines() or [str(error)])[-1]


def fill(root: Path, bars: BarArrays) -> Any:  # noqa: ANN401 - Feast's store has no types
    """Write every view's features of `bars` and return the store over them."""
    paths = StorePaths(root / "registry.db", root / "features", root / "none.sock")
    for period in periods(bars.closed_at_ns):
        values = compute_from(bars.part(0, period.end), CATALOGUE, period.start)
        stamps = bars.closed_at_ns[period.start : period.end]
        write_period(
            paths.offline_root, SYMBOL, Timeframe.M1, period, stamps, CATALOGUE, values, "bench"
        )
    store = open_store(paths, PROJECT)
    apply_definitions(store, paths.offline_root, [Timeframe.M1])
    return store


def rows(bars: BarArrays) -> pd.DataFrame:
    """Return an entity row for every bar."""
    stamps = pd.to_datetime(bars.closed_at_ns, utc=True)
    return pd.DataFrame({"symbol": SYMBOL, "event_timestamp": stamps})


def require_whole(found: pd.DataFrame, count: int, features: int) -> None:
    """Refuse an answer with rows or columns missing, or without values."""
    known = int(np.isfinite(found.iloc[-1, 2:].to_numpy(dtype=np.float64)).sum())
    if found.shape != (count, features + 2) or known != features:
        raise InvalidInput(f"the answer has shape {found.shape}, {known} values in its last row")


def require_equal(ours: pd.DataFrame, theirs: pd.DataFrame) -> None:
    """Refuse answers that differ in the rows both have: the peer drops rows without values."""
    kept = theirs.sort_values("event_timestamp").set_index("event_timestamp")
    mine = ours.set_index("event_timestamp").loc[kept.index]
    for name in mine.columns.drop("symbol"):
        if not np.array_equal(mine[name].to_numpy(), kept[name].to_numpy(), equal_nan=True):
            raise InvalidInput(f"{name} differs from the peer's")


if __name__ == "__main__":
    main()
