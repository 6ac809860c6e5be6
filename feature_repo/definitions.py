"""What ``feast apply`` reads: entity, views and services, generated from the catalogue.

Feast takes the objects it finds at module level; lists are not searched.
"""

from __future__ import annotations

from pathlib import Path

from feature_repo.objects import feast_objects
from online.domain.market import Timeframe

OFFLINE_ROOT = Path("../var/lake/features")
"""Relative to this folder, as in feature_store.yaml."""

Path("../var/feast").mkdir(parents=True, exist_ok=True)  # SQLite makes no folders

globals().update(
    {
        f"{type(each).__name__}_{each.name}": each
        for each in feast_objects(OFFLINE_ROOT, tuple(Timeframe))
    }
)
