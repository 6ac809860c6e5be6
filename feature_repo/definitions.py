"""What ``feast apply`` reads: entity, views and services, generated from the catalogue.

Feast takes the objects it finds at module level; lists are not searched. It deletes from its
registry what it does not find: the services of models, which are written when a model is
registered, are handed back to it as they are.
"""

from __future__ import annotations

import os
from pathlib import Path

from feast import FeatureStore
from feast.utils import get_default_yaml_file_path

from feature_repo.objects import feast_objects
from feature_repo.services import model_services
from online.domain.market import Timeframe

OFFLINE_ROOT = Path(os.environ.get("FEAST_OFFLINE_ROOT", "../var/lake/features"))
"""Relative to this folder, as in feature_store.yaml; `sextant feast` names another home's."""

if "FEAST_OFFLINE_ROOT" not in os.environ:
    Path("../var/feast").mkdir(parents=True, exist_ok=True)  # SQLite makes no folders

_DEFINED = feast_objects(OFFLINE_ROOT, tuple(Timeframe))
_KEPT = model_services(FeatureStore(fs_yaml_file=get_default_yaml_file_path(Path())))

globals().update({f"{type(each).__name__}_{each.name}": each for each in (*_DEFINED, *_KEPT)})
