"""The fallback: the manifest by which a scorer lets the rules decide where it has no model."""

from __future__ import annotations

from pathlib import Path

import msgspec

from feature_repo.catalogue import contract
from feature_repo.transform import transform_fingerprint
from online.adapters.rule_model import RuleModel
from online.domain.manifest import Manifest, encode_manifest
from online.domain.rules import RULE_FEATURES
from pipelines.home import Home
from pipelines.whole_file import put_file


def write_fallback(home: Home, manifest: Manifest) -> Path:
    """Write the rules' manifest of a trained model and return its file.

    The rules trade with the model's barriers and read nothing but what they look at.
    """
    vector = contract(manifest.timeframe, (*RULE_FEATURES, manifest.barriers.unit_feature))
    asked = msgspec.structs.replace(
        RuleModel.like(manifest).manifest,
        vector=vector,
        transform_fingerprint=transform_fingerprint(vector.names),
    )
    path = home.bundles / "fallback" / f"{manifest.name}.json"
    put_file(path, encode_manifest(asked))
    return path
