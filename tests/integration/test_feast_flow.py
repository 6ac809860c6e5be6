"""The featurize flow under a Prefect server."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import redis
from prefect.artifacts import Artifact

from pipelines.featurize import featurize
from tests.integration.feast_homes import SYMBOL, fill_lake, priced_bars, served_home

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("prefect_storage")]


def test_the_flow_reports_its_coverage_as_an_artifact() -> None:
    bars = priced_bars()
    with served_home() as home:
        fill_lake(home, bars)
        found = featurize(str(home.root), SYMBOL, "H1", until_ns=int(bars.closed_at_ns[500]))
        artifact: Any = Artifact.get("features-eurusd-h1")
        progress: Any = Artifact.get("featurize-eurusd-h1")
    assert found.bars == 500
    assert found.online_at_ns == bars.closed_at_ns[499]
    assert "rsi_14" in str(artifact.data)
    assert progress.data == 100.0


def test_a_row_that_reaches_over_a_hole_is_stored_and_not_served(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bars = priced_bars()
    closes = bars.closed_at_ns.copy()
    closes[-20:] += 14 * 24 * 3_600_000_000_000
    with served_home() as home:
        fill_lake(home, dataclasses.replace(bars, closed_at_ns=closes))
        found = featurize(str(home.root), SYMBOL, "H1")
        with redis.Redis(unix_socket_path=str(home.valkey_socket)) as client:
            assert client.dbsize() == 0
    assert found.online_at_ns is None
    assert found.bars == len(bars)
    assert "nothing is served online" in caplog.text
    assert "20 came since" in caplog.text
