"""One Prefect server for every test of a flow that asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prefect.settings import (
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_LOCAL_STORAGE_PATH,
    PREFECT_LOGGING_LEVEL,
    temporary_settings,
)
from prefect.testing.utilities import prefect_test_harness


@contextmanager
def serve_prefect(storage: Path) -> Iterator[Path]:
    """Run a quiet server and keep what flows persist in `storage`, which is yielded."""
    with (
        pytest.MonkeyPatch.context() as environment,
        temporary_settings(
            {
                PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,  # its thread costs a second a flow
                PREFECT_LOCAL_STORAGE_PATH: storage,
                PREFECT_LOGGING_LEVEL: "CRITICAL",
            }
        ),
    ):
        environment.setenv("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
        environment.setenv("DO_NOT_TRACK", "1")
        with prefect_test_harness(server_startup_timeout=120):
            yield storage
