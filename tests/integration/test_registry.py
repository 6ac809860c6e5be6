"""The registry, on MLflow's own database and on a real server."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from models.export import Bundle, digest_folder
from models.gates import Alias, Gate, Verdict
from models.registry import BUNDLE_FOLDER, Registry
from models.runs import OWNER_TAG, own_tags
from models.version import TRIAL_TAG
from online.domain.certificate import APPROVAL_FILE, Policy
from online.domain.errors import InvalidInput, ModelRefused, NotFound, Unavailable
from tests.certificates import Signers, put
from tests.cut_links import CutLink
from tests.mlflow_server import serve_mlflow
from tests.ports import free_port

pytestmark = pytest.mark.integration
SIGNERS = Signers()
TRUST = SIGNERS.trust
NAME = "EURUSD.H1.barrier"

GOOD = Gate("calibrated", Policy.PAPER, 0.02, "<=", 0.05, "")
BAD = Gate("calibrated", Policy.PAPER, 0.08, "<=", 0.05, "")
POOR = Gate("positive_net", Policy.LIVE, -4.0, ">", 0.0, "")
RICH = Gate("positive_net", Policy.LIVE, 4.0, ">", 0.0, "")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An MLflow server that serves its artifacts."""
    with serve_mlflow(tmp_path_factory.mktemp("mlflow")) as url:
        yield url


@pytest.fixture
def stranger() -> Iterator[str]:
    """A server that is not MLflow and knows none of its pages."""
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), _Stranger)
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    httpd.server_close()


class _Stranger(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with MLflow's database and its artifacts."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module", params=["sqlite", "server"])
def registry(request: pytest.FixtureRequest, store: Path) -> Registry:
    if request.param == "server":
        return Registry(str(request.getfixturevalue("server")))
    return Registry(f"sqlite:///{store / 'mlflow.db'}", store / "artifacts")


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A model of its own for each test, as the server is shared."""
    return f"{NAME}.{abs(hash(request.node.nodeid))}"


def make_bundle(folder: Path, content: str) -> Bundle:
    folder.mkdir()
    (folder / "manifest.json").write_text(content)
    np.save(folder / "golden.npy", np.arange(3))
    return Bundle(folder, digest_folder(folder))


def register(
    registry: Registry, name: str, bundle: Bundle, *gates: Gate, approved: bool = False
) -> str:
    lines = Verdict(gates).lines
    put(bundle.folder, SIGNERS.certify(bundle.digest, *lines, model=name, approved=approved))
    with registry.record(name, "run") as run:
        return registry.register(run, name, bundle, Verdict(gates)).version


def test_a_registered_bundle_comes_back_byte_by_byte(
    registry: Registry, name: str, tmp_path: Path
) -> None:
    bundle = make_bundle(tmp_path / "made", "one")
    version = register(registry, name, bundle, GOOD, POOR)
    registry.promote(name, version, Alias.PAPER, TRUST)
    found = registry.resolve(name, Alias.PAPER)
    fetched = registry.download_bundle(found, tmp_path / "fetched")
    assert found.version == version
    assert fetched.digest == bundle.digest == digest_folder(tmp_path / "fetched")
    assert found.tags["gate.calibrated"] == "pass: 0.02 <= 0.05"
    assert found.tags["gate.positive_net"] == "FAIL: -4 > 0"


def test_the_same_bundle_stays_the_same_version(
    registry: Registry, name: str, tmp_path: Path
) -> None:
    bundle = make_bundle(tmp_path / "made", "one")
    first = register(registry, name, bundle, GOOD, POOR)
    again = register(registry, name, bundle, GOOD, POOR)
    other = register(registry, name, make_bundle(tmp_path / "other", "two"), GOOD, POOR)
    assert first == again
    assert other != first
    assert registry.latest(name).version == other


def test_only_a_model_that_passes_live_may_be_champion(
    registry: Registry, name: str, tmp_path: Path
) -> None:
    paper = register(registry, name, make_bundle(tmp_path / "paper", "paper"), GOOD, POOR)
    live_bundle = make_bundle(tmp_path / "live", "live")
    live = register(registry, name, live_bundle, GOOD, RICH, approved=True)
    with pytest.raises(ModelRefused, match="positive_net") as caught:
        registry.promote(name, paper, Alias.CHAMPION, TRUST)
    assert caught.value.code == "GATES_FAILED"
    assert registry.aliases(name) == {}
    registry.promote(name, live, Alias.CHAMPION, TRUST)
    registry.promote(name, paper, Alias.CHALLENGER, TRUST)
    assert registry.aliases(name) == {"champion": live, "challenger": paper}


def test_a_tag_proves_nothing_and_an_approval_can_be_added_later(
    registry: Registry, name: str, tmp_path: Path
) -> None:
    bundle = make_bundle(tmp_path / "made", "made")
    version = register(registry, name, bundle, GOOD, RICH)
    assert registry.find(name, version).best_alias is Alias.CHAMPION
    with pytest.raises(ModelRefused) as caught:
        registry.promote(name, version, Alias.CHAMPION, TRUST)
    assert caught.value.code == "NOT_APPROVED"
    lines = Verdict((GOOD, RICH)).lines
    put(bundle.folder, SIGNERS.certify(bundle.digest, *lines, model=name, approved=True))
    registry.attach(registry.find(name, version), bundle.folder / APPROVAL_FILE)
    with pytest.raises(ModelRefused) as caught:  # the certificate there was signed before
        registry.promote(name, version, Alias.CHAMPION, Signers().trust)
    assert caught.value.code == "CERTIFICATE_INVALID"
    registry.promote(name, version, Alias.CHAMPION, TRUST)
    assert registry.aliases(name) == {"champion": version}


def test_a_model_that_fails_paper_carries_no_alias(
    registry: Registry, name: str, tmp_path: Path
) -> None:
    version = register(registry, name, make_bundle(tmp_path / "bad", "bad"), BAD, RICH)
    for alias in Alias:
        with pytest.raises(ModelRefused, match="calibrated"):
            registry.promote(name, version, alias, TRUST)


def test_rolling_back_returns_to_the_version_before(
    registry: Registry, name: str, tmp_path: Path
) -> None:
    first = register(registry, name, make_bundle(tmp_path / "a", "a"), GOOD, RICH, approved=True)
    second = register(registry, name, make_bundle(tmp_path / "b", "b"), GOOD, RICH, approved=True)
    registry.promote(name, first, Alias.CHAMPION, TRUST)
    with pytest.raises(NotFound) as caught:
        registry.rollback(name, Alias.CHAMPION, TRUST)
    assert caught.value.code == "NO_PREVIOUS_VERSION"
    registry.promote(name, second, Alias.CHAMPION, TRUST)
    assert registry.rollback(name, Alias.CHAMPION, TRUST).version == first
    assert registry.resolve(name, Alias.CHAMPION).version == first


def test_a_bundle_that_was_changed_in_the_store_is_refused(store: Path, tmp_path: Path) -> None:
    registry = Registry(f"sqlite:///{store / 'mlflow.db'}", store / "artifacts")
    register(registry, NAME, make_bundle(tmp_path / "made", "one"), GOOD, POOR)
    stored = next((store / "artifacts" / NAME).rglob(f"{BUNDLE_FOLDER}/manifest.json"))
    stored.write_text("two")
    with pytest.raises(ModelRefused) as caught:
        registry.download_bundle(registry.latest(NAME), tmp_path / "fetched")
    assert caught.value.code == "BUNDLE_DIGEST"
    assert not (tmp_path / "fetched").exists()


def test_a_failed_run_says_why_and_registers_nothing(registry: Registry, name: str) -> None:
    with pytest.raises(InvalidInput), registry.record(name, "run") as run:
        raise InvalidInput("one class only", code="ONE_CLASS")
    found = run.client.get_run(run.run_id)
    assert found.info.status == "FAILED"
    assert found.data.tags["failure"] == "ONE_CLASS: one class only"
    with pytest.raises(NotFound) as caught:
        registry.latest(name)
    assert caught.value.code == "NO_MODEL"


def test_a_full_disk_is_named_and_registers_nothing(registry: Registry, name: str) -> None:
    with pytest.raises(Unavailable) as caught, registry.record(name, "run") as run:
        raise OSError(errno.ENOSPC, "No space left on device", "model.onnx")
    assert caught.value.code == "DISK_FULL"
    found = run.client.get_run(run.run_id)
    assert found.info.status == "FAILED"
    assert found.data.tags["failure"].startswith("DISK_FULL: nothing can be written")
    assert registry.versions(name) == []
    with pytest.raises(FileNotFoundError), registry.record(name, "run"):
        raise FileNotFoundError("another fault of the system keeps its own name")


def test_a_run_whose_end_mlflow_did_not_hear_is_marked_when_it_is_back(
    server: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    link = CutLink(int(server.rpartition(":")[2]))
    registry = Registry(f"http://127.0.0.1:{link.port}")

    def go_away_mid_run() -> None:
        with registry.record(name, "first") as run, run.child("fold 1"):
            run.log_figures({"seen": 1.0})
            link.cut()
            run.log_figures({"seen": 2.0})

    with pytest.raises(Unavailable, match="does not answer"):
        go_away_mid_run()
    link.mend()
    with registry.record(name, "second") as second:
        second.log_figures({"seen": 3.0})
    found = second.client.search_runs([second.experiment_id])
    told = {run.info.run_name: (run.info.status, run.data.tags.get("failure", "")) for run in found}
    link.cut()
    assert told["second"] == ("FINISHED", "")
    for lost in ("first", "fold 1"):
        status, reason = told[lost]
        assert status == "FAILED"
        assert reason.startswith("UNAVAILABLE: MLflow at")


def test_what_has_a_version_is_no_failed_run_though_its_end_was_not_heard(
    server: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    link = CutLink(int(server.rpartition(":")[2]))
    registry = Registry(f"http://127.0.0.1:{link.port}")
    with registry.record(name, "registered") as run:
        made = registry.register(run, name, make_bundle(tmp_path / "a", "a"), Verdict((GOOD,)))
        link.cut()
    link.mend()

    def break_after_registering() -> None:
        with registry.record(name, "registered, then broken") as broken:
            registry.register(broken, name, make_bundle(tmp_path / "b", "b"), Verdict((GOOD,)))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_after_registering()
    found = run.client.search_runs([run.experiment_id])
    link.cut()
    assert made.version == "1"
    assert len(found) == 2
    for each in found:
        assert each.info.status == "FINISHED"
        told = each.data.tags["failure"]
        assert told.startswith("after its version was registered: ")


def test_a_run_whose_process_was_killed_is_marked_by_the_next_one(
    registry: Registry, name: str
) -> None:
    with registry.record(name, "mine") as run:
        client = run.client
        gone = subprocess.Popen([sys.executable, "-c", ""])
        gone.wait()
        mine = own_tags()[OWNER_TAG]
        host = mine.split(":")[0]
        owners = (f"{host}:{gone.pid}", f"elsewhere:{gone.pid}", f"{host}:{os.getpid()}")
        left = {
            owner: client.create_run(run.experiment_id, tags={OWNER_TAG: owner}).info.run_id
            for owner in (*owners, mine, f"{host}:{os.getpid()}:17")
        }
        with registry.record(name, "next"):
            pass
        told = {owner: client.get_run(left[owner]) for owner in left}
        statuses = [told[owner].info.status for owner in left]
    assert statuses == ["FAILED", "RUNNING", "RUNNING", "RUNNING", "FAILED"]
    assert told[f"{host}:{gone.pid}"].data.tags["failure"].startswith("ABANDONED")


def test_distinct_trials_are_counted_once_each(registry: Registry, name: str) -> None:
    assert registry.count_trials(name, "a") == 1
    for trial in ("a", "b", "a"):
        with registry.record(name, "run") as run:
            run.log_tags({TRIAL_TAG: trial})
    assert registry.count_trials(name, "a") == 2
    assert registry.count_trials(name, "c") == 3


def test_trainings_at_the_same_time_count_each_other(registry: Registry, name: str) -> None:
    with registry.record(name, "one") as one, registry.record(name, "other") as other:
        assert registry.count_trials(name, "a", one) == 1
        assert registry.count_trials(name, "b", other) == 2
        assert registry.count_trials(name, "a", one) == 2
    assert registry.count_trials(name, "a") == 1  # neither showed a figure


def test_a_trial_counts_on_when_its_run_is_deleted(registry: Registry, name: str) -> None:
    with registry.record(name, "run") as run:
        run.log_tags({TRIAL_TAG: "b"})
    run.client.delete_run(run.run_id)
    assert registry.count_trials(name, "a") == 2


def test_an_alias_of_no_model_is_named(registry: Registry, name: str) -> None:
    with pytest.raises(NotFound, match="paper") as caught:
        registry.resolve(name, Alias.PAPER)
    assert caught.value.code == "NO_MODEL"
    with pytest.raises(NotFound):
        registry.find(name, "1")


def test_every_name_is_listed_however_many_fit_on_a_page(
    registry: Registry, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with registry.record(name, "run") as run:
        for number in range(3):
            run.client.create_registered_model(f"{name}.many{number}")
    monkeypatch.setattr("models.registry.PAGE", 2)
    assert {f"{name}.many{number}" for number in range(3)} <= set(registry.names())
    with pytest.raises(NotFound, match=f"registered are .*{name}.many0, {name}.many1"):
        registry.resolve(f"{name}.non", Alias.PAPER)


def test_an_experiment_that_was_deleted_is_no_outage(registry: Registry, name: str) -> None:
    with registry.record(name, "run") as run:
        run.log_tags({TRIAL_TAG: "a"})
    run.client.delete_experiment(run.experiment_id)
    with pytest.raises(InvalidInput, match="was deleted") as caught, registry.record(name, "again"):
        pass
    assert caught.value.code == "EXPERIMENT_DELETED"
    run.client.restore_experiment(run.experiment_id)
    with registry.record(name, "again"):
        assert registry.count_trials(name, "b") == 2


def test_a_version_that_is_no_number_and_a_name_that_is_none_are_no_outage(
    registry: Registry, name: str
) -> None:
    with pytest.raises(NotFound) as caught:
        registry.find(name, "newest")
    assert caught.value.code == "NO_MODEL"
    with pytest.raises(InvalidInput, match="MLflow refuses"):
        registry.versions("o'reilly")


def test_an_answer_by_somebody_in_front_of_mlflow_does_not_say_that_there_is_no_model(
    stranger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(Unavailable):
        Registry(stranger).resolve(NAME, Alias.CHAMPION)


def test_a_store_that_refuses_a_file_is_named_and_registers_nothing(
    server: str, name: str, tmp_path: Path
) -> None:
    registry = Registry(server)
    bundle = make_bundle(tmp_path / "made", "one")
    (bundle.folder / "%2e%2e%2f").write_text("a name that leads elsewhere is no name to MLflow")
    with pytest.raises(Unavailable, match="MLflow"), registry.record(name, "run") as run:
        registry.register(run, name, bundle, Verdict((GOOD, POOR)))
    assert run.client.get_run(run.run_id).info.status == "FAILED"
    assert registry.versions(name) == []


def test_figures_that_are_not_finite_are_left_out(registry: Registry, name: str) -> None:
    with registry.record(name, "run") as run:
        run.log_figures({"kept": 1.5, "lost": float("nan"), "endless": float("inf")}, step=2)
    assert run.client.get_run(run.run_id).data.metrics == {"kept": 1.5}


def test_a_server_that_is_down_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    registry = Registry(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Unavailable, match="does not answer"):
        registry.resolve(NAME, Alias.PAPER)
    with pytest.raises(Unavailable), registry.record(NAME, "run"):
        pass
