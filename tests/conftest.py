"""Fixtures shared by all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED_DATA = REPOSITORY.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with real market data, beside the checkout; skips where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("real market data is absent: expected ../shared/data beside the checkout")
    return SHARED_DATA
