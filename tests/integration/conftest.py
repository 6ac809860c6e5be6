"""Fixtures of the tests that start a scorer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scorers import Store, add_model, open_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with open_store(tmp_path_factory.mktemp("store")) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path, store: Store) -> Path:
    add_model(tmp_path)
    store.push()
    return tmp_path
