"""What asks MLflow loads what it needs, and no more."""

from __future__ import annotations

import os
import subprocess
import sys

ASK = """
import sys
import models.runs
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
try:
    MlflowClient("http://127.0.0.1:9").search_registered_models()
except MlflowException:
    from mlflow.tracking.request_header.registry import _request_header_provider_registry as known
    print(len(list(known)), *sorted({"feast", "torch"} & set(sys.modules)))
"""


def test_asking_a_server_of_mlflows_loads_neither_feast_nor_torch() -> None:
    """Feast registers itself with MLflow: each command would import it before its first answer."""
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        env={**os.environ, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"},
        check=True,
        capture_output=True,
        text=True,
        timeout=120.0,
    )
    assert done.stdout.split() == ["2"]
