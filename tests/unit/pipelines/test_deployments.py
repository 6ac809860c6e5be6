from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from prefect import Flow
from prefect.flows import load_flow_from_entrypoint

from pipelines.deployments import make_deployments
from pipelines.home import Home
from pipelines.platform.services import DEPLOYMENTS


@pytest.mark.usefixtures("own_environment")
def test_every_flow_is_deployed_under_its_name_with_parameters_that_it_takes(
    tmp_path: Path,
) -> None:
    made = make_deployments(Home(tmp_path), "http://127.0.0.1:5000")
    assert tuple(deployment.name for deployment in made) == DEPLOYMENTS
    assert {"ingest-ticks", "aggregate", "featurize-many"} <= set(DEPLOYMENTS)
    for deployment in made:
        assert deployment.entrypoint is not None
        flow: Flow[..., Any] = load_flow_from_entrypoint(deployment.entrypoint)
        flow.validate_parameters(deployment.parameters)
