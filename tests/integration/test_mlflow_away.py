"""An MLflow server that dies in the middle of a search: told, nothing registered, gone on with."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from mlflow import MlflowClient

from models.registry import Registry
from models.tuning import Answer, Question
from online.domain.errors import Unavailable
from pipelines.training import conduct
from tests.broken_training import N_TRIALS, OneByOne, load, plan_for
from tests.mlflow_server import serve_mlflow
from tests.ports import free_port

pytestmark = pytest.mark.integration
SETTLED = 2
"""Trials of the search that were recorded when the server died."""


class DyingServer(OneByOne):
    """A crew in the middle of whose search the server that records it dies."""

    def __init__(self, server: ExitStack) -> None:
        super().__init__()
        self._server = server
        self.judged = 0

    def judge(self, questions: Sequence[Question]) -> list[tuple[Answer, ...]]:
        """Return the answers; nobody is there to record the last of them."""
        if self.judged == SETTLED:
            self._server.close()
        self.judged += 1
        return super().judge(questions)


def test_a_search_whose_mlflow_dies_is_failed_by_its_reason_and_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    folder, port, plan = tmp_path / "server", free_port(), plan_for(tmp_path)
    folder.mkdir()
    with ExitStack() as server:
        registry = Registry(server.enter_context(serve_mlflow(folder, port)))
        crew = DyingServer(server)
        with pytest.raises(Unavailable, match=f"MLflow at .*{port} does not answer") as caught:
            conduct(plan, registry, load, crew=crew)
    assert caught.value.code == "UNAVAILABLE"
    assert crew.judged == SETTLED + 1
    with serve_mlflow(folder, port) as url:
        assert registry.names() == []
        again = DyingServer(ExitStack())
        report = conduct(plan, registry, load, crew=again)
        assert again.judged == N_TRIALS - crew.judged  # what was judged was kept, if unrecorded
        assert report.luck["search.trials"] == N_TRIALS
        client = MlflowClient(url)
        experiment = client.get_experiment_by_name(plan.experiment)
        assert experiment is not None
        runs = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time"])
        assert runs[0].info.status == "FAILED"
        assert runs[0].data.tags["failure"].startswith(f"UNAVAILABLE: MLflow at {url}")
        assert {run.info.status for run in runs[1:]} == {"FINISHED"}
        assert [version.version for version in registry.versions(plan.name)] == ["1"]
