"""The guide of the feature repository, executed: from idea to Redis."""

from __future__ import annotations

import re
import struct
from typing import Any

import pytest
import redis

from feature_repo import catalogue
from feature_repo.feature import Feature
from online.adapters.feast_redis import decode_bytes, entity_key, hash_field
from online.domain.market import Timeframe
from tests.conftest import REPOSITORY
from tests.integration.feast_homes import SYMBOL, fill_lake, priced_bars, served_home
from tests.laws.feature_formulas import atr
from tests.laws.feature_laws import live_breaks, warm_up_breaks

pytestmark = pytest.mark.integration

_BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


def test_the_guide_takes_a_feature_from_idea_to_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = _BLOCK.findall((REPOSITORY / "feature_repo" / "README.md").read_text())
    assert len(blocks) == 6
    idea, look, reference, serve, window, whole = blocks
    bars = priced_bars()
    words: dict[str, Any] = {"bars": bars, "Timeframe": Timeframe}

    exec(idea, words)  # noqa: S102 - the guide is ours, and this is what it is tested for
    entry: Feature = words["STRETCH"]
    assert len(idea.strip().splitlines()) <= 12
    exec(look, words)  # noqa: S102 - as above
    assert not warm_up_breaks([entry], bars)
    assert not live_breaks([entry], bars, 300, len(bars))

    found: dict[str, Any] = {}
    mean_of = {"mean_of": lambda values, n: values.rolling(n).mean(), "atr": atr}
    exec(reference, {"REFERENCES": found, **mean_of})  # noqa: S102 - as above
    assert set(found) == {entry.name}

    _add_to_catalogue(monkeypatch, entry)
    with served_home() as words["home"]:
        fill_lake(words["home"], bars)
        exec(serve, words)  # noqa: S102 - as above
        assert words["report"].online_at_ns == bars.closed_at_ns[-1]
        exec(window, words)  # noqa: S102 - as above
        asked = words["asked"]
        with redis.Redis(unix_socket_path=str(words["home"].valkey_socket)) as client:
            cell = client.hget(
                entity_key("sextant", "symbol", SYMBOL), hash_field("h1_momentum", entry.name)
            )
            packed = client.hget(
                entity_key("sextant", "symbol", SYMBOL), hash_field(asked.view, asked.field)
            )
    exec(whole, words)  # noqa: S102 - as above
    assert {f"h4_{name}" for name in ("rsi_14", "adx_14")} < set(words["names"])
    assert cell == struct.pack("<Bf", 0x35, float(words["values"][-1]))
    assert len(decode_bytes(packed) or b"") == asked.n_bytes


def _add_to_catalogue(monkeypatch: pytest.MonkeyPatch, entry: Feature) -> None:
    """Do what adding the entry to its file's FEATURES does."""
    longer = (*catalogue.CATALOGUE, entry)
    monkeypatch.setattr(catalogue, "CATALOGUE", longer)
    monkeypatch.setattr(catalogue.groups, "__defaults__", (longer,))
    assert entry in catalogue.groups()[entry.group]
