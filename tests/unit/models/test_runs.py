"""What asks MLflow loads what it needs, and no more."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from models.heartbeat import ALIVE_TAG, LOST_AFTER_SECONDS, beating, is_silent

ASK = """
import sys
import models.registry
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
try:
    MlflowClient("http://127.0.0.1:9").search_registered_models()
except MlflowException:
    from mlflow.tracking.request_header.registry import _request_header_provider_registry as known
    print(len(list(known)), *sorted({"feast", "torch"} & set(sys.modules)))
"""


TELL = """
import models.registry
from mlflow.telemetry import get_telemetry_client
print(get_telemetry_client())
"""
SILENCED = ("DO_NOT_TRACK", "MLFLOW_DISABLE_TELEMETRY", "CI", "PYTEST_CURRENT_TEST")


def test_mlflow_reports_nothing_of_whoever_imports_the_registry() -> None:
    """MLflow reads the environment when it is imported: what is set after that comes too late."""
    done = subprocess.run(
        [sys.executable, "-c", TELL],
        env={name: value for name, value in os.environ.items() if name not in SILENCED},
        check=True,
        capture_output=True,
        text=True,
        timeout=120.0,
    )
    assert done.stdout.split() == ["None"]


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


def test_a_run_says_again_and_again_that_it_lives_whatever_fails_until_it_ends() -> None:
    told, often = [], threading.Event()

    def tell() -> None:
        told.append(threading.current_thread())
        if len(told) == 3:
            often.set()
        raise ConnectionError

    with beating(tell, seconds=0.0):
        assert often.wait(30.0)
    told[0].join(30.0)
    assert not told[0].is_alive()
    assert told[0].daemon


@pytest.mark.parametrize(
    ("told", "expected"),
    [("1000", True), ("1400", False), ("9000", False), ("", False), ("soon", False)],
)
def test_who_said_nothing_for_an_hour_is_silent_and_who_never_spoke_is_not(
    told: str, *, expected: bool
) -> None:
    tags = {ALIVE_TAG: told} if told else {}
    assert is_silent(tags, 1399.0 + LOST_AFTER_SECONDS) is expected
