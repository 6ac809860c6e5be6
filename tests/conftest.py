"""Fixtures shared by all tests."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from feature_repo.quick_feast import quicken
from tests.longest_first import order

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED_DATA = REPOSITORY.parent / "shared" / "data"

# A test says nothing of the machine's speed, and says the same each time; `explore` looks further.
LASTING = settings(
    deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("lasting", LASTING)
settings.register_profile("explore", LASTING, derandomize=False, max_examples=500)
settings.load_profile("lasting")


def pytest_configure(config: pytest.Config) -> None:
    """Keep our order of the files where several workers take them; start Feast as we do."""
    if config.getoption("dist", "no") == "loadfile":
        config.option.loadscopereorder = False
    quicken()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let workers begin with the longest files."""
    if hasattr(config, "workerinput"):
        order(items)


def pytest_collection_finish() -> None:
    """Look for no garbage in what was imported: it stays, and each look takes half a second."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with real market data, beside the checkout; skips where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("real market data is absent: expected ../shared/data beside the checkout")
    return SHARED_DATA


@pytest.fixture(scope="session")
def prefect_storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folder of persisted results of a Prefect server that runs until the session ends."""
    from tests.prefect_server import serve_prefect  # noqa: PLC0415 - Prefect is not lean

    with serve_prefect(tmp_path_factory.mktemp("prefect") / "storage") as storage:
        yield storage


@pytest.fixture
def own_environment() -> Iterator[None]:
    """Undo what a command sets in the environment of the process."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)
