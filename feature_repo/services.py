"""Feature services of models: what each registered model reads, in Feast's registry for good.

A service is named after the model and the digest of its vector, so that it is never redefined:
another vector is another service, and the same vector of a later version is the same one.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import msgspec

from online.domain.errors import InvalidInput
from online.domain.vector import VectorContract

if TYPE_CHECKING:
    from feast import FeatureService, FeatureStore

MODEL_TAG, FINGERPRINT_TAG = "model", "transform_fingerprint"
_DIGEST_LENGTH = 12
_UNUSUAL = re.compile(r"[^a-z0-9]+")


def model_service_name(model: str, vector: VectorContract, fingerprint: str) -> str:
    """Return the name of a model's service, for example ``eurusd_h1_barrier_0f3c…``.

    Parameters
    ----------
    model
        Registered name.
    vector
        What it reads.
    fingerprint
        How that is made (`feature_repo.transform.transform_fingerprint`).
    """
    digest = hashlib.sha256(msgspec.json.encode(vector) + fingerprint.encode()).hexdigest()
    return f"{_UNUSUAL.sub('_', model.lower())}_{digest[:_DIGEST_LENGTH]}"


def define_model_service(
    store: FeatureStore, model: str, vector: VectorContract, fingerprint: str
) -> str:
    """Write a model's service into the registry, once, and return its name.

    Parameters
    ----------
    store
        With the views that the vector reads.
    model, vector, fingerprint
        As for `model_service_name`.

    Raises
    ------
    InvalidInput
        With code ``SERVICE_REDEFINED`` if the registry has another service of that name.
    """
    from feast import FeatureService  # noqa: PLC0415 - importing Feast takes seconds

    name = model_service_name(model, vector, fingerprint)
    asked = [(view.name, view.features) for view in vector.views]
    if vector.window is not None:
        asked.append((vector.window.view, (vector.window.field,)))
    for known in store.list_feature_services(tags={MODEL_TAG: model}):
        if known.name != name:
            continue
        held = [
            (view.name, tuple(field.name for field in view.features))
            for view in known.feature_view_projections
        ]
        if held != asked:
            raise InvalidInput(
                f"the service {name} reads {held}, {model} reads {asked}",
                code="SERVICE_REDEFINED",
                remedy="A service is never redefined: remove it if nobody reads it.",
            )
        return name
    views = [store.get_feature_view(view)[list(names)] for view, names in asked]
    tags = {MODEL_TAG: model, FINGERPRINT_TAG: fingerprint}
    store.apply([FeatureService(name=name, features=views, tags=tags)])
    return name


def model_services(store: FeatureStore) -> list[FeatureService]:
    """Return the services of all models in the registry."""
    return [each for each in store.list_feature_services() if MODEL_TAG in each.tags]
