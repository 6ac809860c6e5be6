"""Where registered models are: behind the server that runs, or in the home's own files."""

from __future__ import annotations

import os

from models.registry import Registry
from pipelines.home import Home


def open_registry(home: Home, mlflow_uri: str | None) -> Registry:
    """Return the registry behind `mlflow_uri`, else of the environment, else of the home."""
    uri = mlflow_uri or os.environ.get("MLFLOW_TRACKING_URI")
    if uri:
        return Registry(uri, home.mlflow / "artifacts")
    home.mlflow.mkdir(parents=True, exist_ok=True)
    return Registry(f"sqlite:///{(home.mlflow / 'mlflow.db').resolve()}", home.mlflow / "artifacts")
