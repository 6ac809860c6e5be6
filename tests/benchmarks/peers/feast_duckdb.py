"""Feast's own duckdb store, asked the same question, as a process that may be stopped.

``python -m tests.benchmarks.peers.feast_duckdb FOLDER``: FOLDER holds each view's Parquet and
``asked.parquet``; prints the seconds and writes ``answered.parquet``.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
from feast import FeatureStore, RepoConfig

from feature_repo.catalogue import CATALOGUE, contract, groups
from feature_repo.objects import feature_view, references, symbol_entity
from online.domain.market import Timeframe


def main() -> None:
    """Answer once, and print how long it took."""
    folder = Path(sys.argv[1])
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
    views: list[Any] = []
    for group, members in groups().items():
        view: Any = feature_view(Timeframe.M1, group, members, folder)
        view.batch_source.file_options.uri = str(folder / f"{view.name}.parquet")
        views.append(view)
    store.apply([symbol_entity(), *views])
    asked = pd.read_parquet(folder / "asked.parquet")
    names = references(contract(Timeframe.M1, [feature.name for feature in CATALOGUE]))
    began = time.perf_counter()
    answer = store.get_historical_features(asked, names).to_df()
    seconds = time.perf_counter() - began
    answer.to_parquet(folder / "answered.parquet")
    sys.stdout.write(f"{seconds}\n")


if __name__ == "__main__":
    main()
