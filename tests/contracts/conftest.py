"""The brokers that must all do the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.brokers import KINDS, Standing, opened


@pytest.fixture(scope="module", params=KINDS)
def flat(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], Standing]]:
    """Return what gives a test one of the brokers, flat."""
    with opened(request.param, tmp_path_factory.mktemp("broker")) as fresh:
        yield fresh


@pytest.fixture
def desk(flat: Callable[[], Standing]) -> Standing:
    """Return a flat broker."""
    return flat()
