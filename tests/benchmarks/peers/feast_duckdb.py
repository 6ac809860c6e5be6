"""Feast's own duckdb store, asked the same question, as a process that may be stopped.

``python -m tests.benchmarks.peers.feast_duckdb FOLDER VIEW``: FOLDER holds the view's Parquet and
``asked.parquet``; prints the seconds and writes ``answered.parquet``.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
from feast import FeatureStore, RepoConfig

from feature_repo.catalogue import CATALOGUE, groups, view_name
from feature_repo.objects import feature_view, symbol_entity
from online.domain.market import Timeframe


def main() -> None:
    """Answer once, and print how long it took."""
    folder, name = Path(sys.argv[1]), sys.argv[2]
    store = FeatureStore(
        config=RepoConfig(
            project="peer",
            provider="local",
            registry=str(folder / "peer.db"),
            online_store={"type": "sqlite", "path": str(folder / "peer_online.db")},
            offline_store={"type": "duckdb"},
            entity_key_serialization_version=3,
            repo_path=str(folder),
        )
    )
    (group,) = (group for group in groups() if view_name(Timeframe.M1, group) == name)
    members = [feature for feature in CATALOGUE if feature.group is group]
    view: Any = feature_view(Timeframe.M1, group, members, folder)
    view.batch_source.file_options.uri = str(folder / f"{name}.parquet")
    store.apply([symbol_entity(), view])
    asked = pd.read_parquet(folder / "asked.parquet")
    references = [f"{name}:{feature.name}" for feature in members]
    began = time.perf_counter()
    answer = store.get_historical_features(asked, references).to_df()
    seconds = time.perf_counter() - began
    answer.to_parquet(folder / "answered.parquet")
    sys.stdout.write(f"{seconds}\n")


if __name__ == "__main__":
    main()
