"""What every source of bundles does: a folder, and a real MLflow server over REST."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from models.export import digest_folder
from online.adapters.bundle_folder import BundleFolder
from online.adapters.bundle_source import BundleSource, FetchedBundle
from online.adapters.memory_journal import MemoryJournal
from online.adapters.mlflow_rest import DIGEST_TAG, MlflowRegistry
from online.adapters.onnx_model import load_bundle
from online.api.scorer import Scorer
from online.domain.book import Book
from online.domain.errors import ModelRefused, NotFound, Unavailable
from tests.bundles import write_bundle
from tests.certificates import BAD, GOOD, Signers, put
from tests.fake_broker import FakeBroker
from tests.mlflow_server import serve_mlflow
from tests.unit.online.test_scorer import make_scorer

pytestmark = pytest.mark.integration
NAME = "EURUSD.H1.barrier"


@pytest.fixture(scope="module")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve_mlflow(tmp_path_factory.mktemp("mlflow")) as url:
        yield url


@dataclass(frozen=True, slots=True)
class Registered:
    """A source that knows one bundle under the alias `paper`."""

    source: BundleSource
    alias: Callable[[str, Path], None]


@pytest.fixture(params=["folder", "mlflow"])
def registered(request: pytest.FixtureRequest, tmp_path: Path) -> Registered:
    bundle = tmp_path / "made"
    write_bundle(bundle)
    if request.param == "folder":
        root = tmp_path / "models"
        (root / NAME).mkdir(parents=True)

        def link(alias: str, folder: Path) -> None:
            version = root / NAME / str(len(list((root / NAME).iterdir())) + 1)
            shutil.copytree(folder, version)
            pointer = root / NAME / alias
            pointer.unlink(missing_ok=True)
            pointer.symlink_to(version.name)

        link("paper", bundle)
        return Registered(BundleFolder(root), link)
    url: str = request.getfixturevalue("mlflow_server")
    register(url, "paper", bundle)
    source = MlflowRegistry(url, tmp_path / "cache")
    return Registered(source, lambda alias, folder: register(url, alias, folder))


def register(url: str, alias: str, folder: Path, *, digest: str = "") -> None:
    """Register a bundle as the training side does."""
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds to import, for this suite alone

    client = MlflowClient(tracking_uri=url, registry_uri=url)
    found = client.get_experiment_by_name("contract")
    experiment = found.experiment_id if found else client.create_experiment("contract")
    run = client.create_run(experiment)
    client.log_artifacts(run.info.run_id, str(folder), "bundle")
    if not client.search_registered_models(f"name = '{NAME}'"):
        client.create_registered_model(NAME)
    source = f"{client.get_run(run.info.run_id).info.artifact_uri}/bundle"
    tags = {DIGEST_TAG: digest or digest_folder(folder)}
    version = client.create_model_version(NAME, source, run.info.run_id, tags=tags)
    client.set_registered_model_alias(NAME, alias, version.version)


def fetch(source: BundleSource, alias: str = "paper", name: str = NAME) -> FetchedBundle:
    """Fetch a bundle."""
    return asyncio.run(source.fetch(name, alias))


def test_the_bundle_under_an_alias_is_fetched_whole_and_verifies(registered: Registered) -> None:
    bundle = fetch(registered.source)
    names = {path.name for path in bundle.folder.iterdir()}
    assert names == {"manifest.json", "golden.npz", "linear.onnx"}
    assert bundle.version
    model = load_bundle(bundle.folder, "paper", bundle.version, bundle.digest)
    assert model.manifest.name == NAME


def test_an_unknown_alias_is_no_model(registered: Registered) -> None:
    with pytest.raises(NotFound) as caught:
        fetch(registered.source, "nobody")
    assert caught.value.code == "NO_MODEL"


def test_an_unknown_name_is_no_model(registered: Registered) -> None:
    with pytest.raises(NotFound) as caught:
        fetch(registered.source, name="GBPUSD.M1.barrier")
    assert caught.value.code == "NO_MODEL"


def test_a_moved_alias_gives_the_other_version(registered: Registered, tmp_path: Path) -> None:
    before = fetch(registered.source)
    other = tmp_path / "other"
    write_bundle(other, names=("first", "second"))
    registered.alias("paper", other)
    after = fetch(registered.source)
    assert after.version != before.version
    assert len(load_bundle(after.folder, "paper").manifest.members) == 2


def test_the_version_under_an_alias_is_looked_up_without_fetching(registered: Registered) -> None:
    assert asyncio.run(registered.source.look(NAME, "paper")) == fetch(registered.source).version
    with pytest.raises(NotFound):
        asyncio.run(registered.source.look(NAME, "nobody"))


def test_a_scorer_starts_from_its_last_verified_bundle_whatever_the_alias_points_at_now(
    mlflow_server: str, tmp_path: Path
) -> None:
    signers, name = Signers(), "EURUSD.H1.barrier"
    trusted = signers.publish(tmp_path / "trusted")
    for made, gates in (("good", (GOOD,)), ("bad", (BAD,))):
        write_bundle(tmp_path / made, names=(made,))
        put(tmp_path / made, signers.certify(digest_folder(tmp_path / made), *gates))
    register(mlflow_server, "asked", tmp_path / "good")

    async def start(url: str) -> Scorer:
        scorer = make_scorer(tmp_path, FakeBroker(), MemoryJournal(), Book())
        scorer.parts.source = MlflowRegistry(url, tmp_path / "cache")
        scorer.parts.model_name, scorer.parts.model_alias = name, "asked"
        scorer.parts.trust = trusted
        await scorer.start()
        return scorer

    async def story() -> None:
        good = (await start(mlflow_server)).loaded
        assert good is not None
        assert good.policy == "paper"
        register(mlflow_server, "asked", tmp_path / "bad")
        again = await start(mlflow_server)
        down = await start("http://127.0.0.1:9")
        for scorer in (again, down):
            assert scorer.loaded is not None
            assert scorer.loaded.sha256 == good.sha256
        state = (await again.readiness()).parts["model"]
        assert (state.ready, state.code) == (True, "GATES_FAILED")
        kept = next((tmp_path / "cache" / name).rglob("good.onnx"))
        kept.write_bytes(kept.read_bytes()[:-1])
        assert (await start("http://127.0.0.1:9")).loaded is None

    asyncio.run(story())


def test_a_verified_bundle_outlives_a_registry_that_is_down(
    mlflow_server: str, tmp_path: Path
) -> None:
    write_bundle(tmp_path / "made")
    register(mlflow_server, "kept", tmp_path / "made")
    up = MlflowRegistry(mlflow_server, tmp_path / "cache")
    first = fetch(up, "kept")
    up.keep(NAME, "kept", first)
    down = MlflowRegistry("http://127.0.0.1:9", tmp_path / "cache")
    again = fetch(down, "kept")
    assert (again.folder, again.version, again.digest) == (
        first.folder,
        first.version,
        first.digest,
    )
    assert "does not answer" in again.origin
    with pytest.raises(Unavailable, match="no verified bundle"):
        fetch(down, "never-kept")


def test_an_unverified_download_does_not_replace_the_kept_bundle(
    mlflow_server: str, tmp_path: Path
) -> None:
    write_bundle(tmp_path / "good")
    write_bundle(tmp_path / "bad", names=("worse",))
    (tmp_path / "bad" / "worse.onnx").write_bytes(b"no model")
    cache = tmp_path / "cache"
    source = MlflowRegistry(mlflow_server, cache)
    register(mlflow_server, "swapped", tmp_path / "good")
    good = fetch(source, "swapped")
    source.keep(NAME, "swapped", good)
    register(mlflow_server, "swapped", tmp_path / "bad")
    bad = fetch(source, "swapped")
    with pytest.raises(ModelRefused, match="SHA-256"):
        load_bundle(bad.folder, "swapped", bad.version, bad.digest)
    kept = fetch(MlflowRegistry("http://127.0.0.1:9", cache), "swapped")
    assert kept.version == good.version
    load_bundle(kept.folder, "swapped", kept.version, kept.digest)


def test_a_digest_that_was_not_registered_is_refused(mlflow_server: str, tmp_path: Path) -> None:
    write_bundle(tmp_path / "made")
    register(mlflow_server, "forged", tmp_path / "made", digest="0" * 64)
    bundle = fetch(MlflowRegistry(mlflow_server, tmp_path / "cache"), "forged")
    with pytest.raises(ModelRefused, match="was registered"):
        load_bundle(bundle.folder, "forged", bundle.version, bundle.digest)
