"""The order in which workers take the files: the longest first, so that none is left alone at last.

A file that is not named here takes a few seconds or less.
"""

from __future__ import annotations

import pytest

LONGEST = (
    "tests/integration/test_training.py",
    "tests/e2e/test_up.py",
    "tests/unit/pipelines/test_data_commands.py",
    "tests/integration/test_featurize_many.py",
    "tests/integration/test_feast_push.py",
    "tests/integration/test_registry.py",
    "tests/unit/models/test_families.py",
    "tests/integration/test_models_commands.py",
    "tests/integration/test_feast_stores.py",
    "tests/integration/test_scorer_api.py",
    "tests/unit/pipelines/test_ingest.py",
    "tests/integration/test_broken_training.py",
    "tests/unit/pipelines/test_compose.py",
    "tests/integration/test_flow_servers.py",
    "tests/unit/models/test_tuning.py",
    "tests/laws/test_feature_laws.py",
    "tests/integration/test_follow_peers.py",
    "tests/integration/test_gateway_crashes.py",
    "tests/integration/test_scorer_risk.py",
    "tests/unit/pipelines/test_sources_calibration.py",
    "tests/integration/test_follow.py",
    "tests/integration/test_whole_vector.py",
    "tests/unit/pipelines/test_cli_lean.py",
    "tests/unit/models/test_learn.py",
    "tests/contracts/test_bundle_source_contract.py",
    "tests/integration/test_relay.py",
    "tests/integration/test_scorer_http.py",
    "tests/integration/test_gateway_commands.py",
    "tests/integration/test_relay_refusals.py",
    "tests/integration/test_feast_commands.py",
    "tests/integration/test_scorer_orders.py",
    "tests/integration/test_gateway_story.py",
    "tests/integration/test_store_crashes.py",
    "tests/integration/test_feast_flow.py",
    "tests/unit/models/test_ensemble.py",
    "tests/laws/test_vector_laws.py",
    "tests/integration/test_gateway_operations.py",
    "tests/unit/pipelines/test_platform.py",
    "tests/integration/test_scorer_server.py",
    "tests/integration/test_replay_parity.py",
    "tests/integration/test_window_training.py",
    "tests/unit/pipelines/test_feature_pages.py",
)


def order(items: list[pytest.Item]) -> None:
    """Put the tests of the longest files first; within a file they stay as they are."""
    places = {file: place for place, file in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(LONGEST)))
