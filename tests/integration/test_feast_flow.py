"""The featurize flow under a Prefect server."""

from __future__ import annotations

from typing import Any

import pytest
from prefect.artifacts import Artifact

from pipelines.featurize import featurize
from tests.integration.feast_homes import SYMBOL, fill_lake, priced_bars, served_home

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("prefect_storage")]


def test_the_flow_reports_its_coverage_as_an_artifact() -> None:
    bars = priced_bars()
    with served_home() as home:
        fill_lake(home, bars)
        found = featurize(str(home.root), SYMBOL, "H1", until_ns=int(bars.closed_at_ns[400]))
        artifact: Any = Artifact.get("features-eurusd-h1")
        progress: Any = Artifact.get("featurize-eurusd-h1")
    assert found.bars == 400
    assert found.online_at_ns == bars.closed_at_ns[399]
    assert "rsi_14" in str(artifact.data)
    assert progress.data == 100.0
