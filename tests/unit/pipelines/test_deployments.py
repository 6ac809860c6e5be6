from __future__ import annotations

from pathlib import Path

import pytest

from pipelines import (
    aggregate,
    backtest,
    featurize,
    featurize_many,
    ingest,
    ingest_ticks,
    promote,
    train,
)
from pipelines.deployments import make_deployments
from pipelines.home import Home
from pipelines.platform.services import DEPLOYMENTS

FLOWS = {
    flow.name: flow
    for flow in (
        aggregate.aggregate,
        backtest.backtest,
        featurize.featurize,
        featurize_many.featurize_many,
        ingest.ingest,
        ingest_ticks.ingest_ticks,
        promote.promote,
        train.train,
    )
}


@pytest.mark.usefixtures("own_environment")
def test_every_flow_is_deployed_under_its_name_with_parameters_that_it_takes(
    tmp_path: Path,
) -> None:
    made = make_deployments(Home(tmp_path), "http://127.0.0.1:5000")
    assert tuple(deployment.name for deployment in made) == DEPLOYMENTS
    assert set(DEPLOYMENTS) == FLOWS.keys()
    for deployment in made:
        FLOWS[deployment.name].validate_parameters(deployment.parameters)
