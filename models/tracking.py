"""MLflow as it is used here: told to keep to itself before it is imported, and without Feast.

MLflow reads its environment when it is imported, and begins to report how it is used: whoever needs
a part of it takes it from here.
"""

from __future__ import annotations

import importlib
import os

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")  # 7 take minutes to say "down"

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LifecycleStage,
    Metric,
    Param,
    RunStatus,
    RunTag,
    ViewType,
)
from mlflow.exceptions import MlflowException
from mlflow.utils import plugins

__all__ = [
    "Dataset",
    "DatasetInput",
    "InputTag",
    "LifecycleStage",
    "Metric",
    "MlflowClient",
    "MlflowException",
    "Param",
    "RunStatus",
    "RunTag",
    "ViewType",
    "download_artifacts",
]


def _leave_feast_out() -> None:
    """Load MLflow's providers of request headers without Feast's, at import.

    Feast asks to be heard before every request to MLflow, to sign in at servers of its own; for
    that MLflow would import all of Feast and torch, seconds before the first answer.
    """
    every = plugins.get_entry_points
    plugins.get_entry_points = lambda group: [one for one in every(group) if one.name != "feast"]
    try:
        importlib.import_module("mlflow.tracking.request_header.registry")
    finally:
        plugins.get_entry_points = every


_leave_feast_out()
