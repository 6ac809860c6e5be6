"""A scorer whose store is written by other formulas than its model was fitted on."""

from __future__ import annotations

from pathlib import Path

import pytest

from online.adapters.feast_redis import encode_transforms, entity_key
from online.domain.transform import transform_field
from tests.scorers import BEARER, PROJECT, Caller, Store, assert_problem, reasons, tell

pytestmark = pytest.mark.integration


def test_values_made_by_other_formulas_are_a_veto_and_no_new_model_is_let_in(
    folder: Path, store: Store
) -> None:
    async def story(caller: Caller) -> None:
        assert reasons(await caller.decide()) == set()
        field = transform_field("h1_clock")
        client, key = store.server.client(), entity_key(PROJECT, "symbol", "EURUSD")
        told = client.hget(key, field)
        client.hset(key, field, encode_transforms({"hour_sin": "another formula"}))
        refused = await caller.http.post("/v1/model/reload", headers=BEARER)
        assert_problem(refused, 409, "FEATURES_CHANGED")
        client.hdel(key, field)
        assert reasons(await caller.decide()) == {"FEATURES_CHANGED"}, "no look is needed"
        client.hset(key, field, told)
        assert reasons(await caller.decide()) == set()
        client.hset(key, field, b"\xffno digests")
        assert reasons(await caller.decide()) == {"FEATURES_CHANGED"}
        client.hset(key, field, told)
        assert reasons(await caller.decide()) == set()

    tell(folder, store, story)
