"""Feast's objects, generated from the catalogue."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from feature_repo.catalogue import (
    contract,
    entries,
    groups,
    maximum_age_seconds,
    view_name,
    view_version,
)
from feature_repo.feature import Feature, Group
from feature_repo.quick_feast import quicken
from feature_repo.windows import WINDOWS, Window
from online.domain.market import Timeframe
from online.domain.vector import VectorContract
from online.domain.window import WindowContract

if TYPE_CHECKING:
    from feast import Entity, FeatureService, FeatureView

quicken()  # whoever imports Feast comes by here first

JOIN_KEY = "symbol"
EVENT_TIMESTAMP = "event_timestamp"
"""Column with the bar's close, UTC."""

DEFAULT_SERVICE_VERSION = 1
"""Raised when `DEFAULT_NAMES` changes: a service is never redefined."""


def service_name(timeframe: Timeframe, vector: str = "default") -> str:
    """Return the name of a timeframe's feature service, for example ``h1_default_v1``."""
    return f"{timeframe.value.lower()}_{vector}_v{DEFAULT_SERVICE_VERSION}"


def references(vector: VectorContract) -> list[str]:
    """Return a vector's features as Feast names them, ``view:feature``, in order."""
    return [f"{view.name}:{name}" for view in vector.views for name in view.features]


def window_reference(window: WindowContract) -> str:
    """Return a window as Feast names it, ``view:field``."""
    return f"{window.view}:{window.field}"


def symbol_entity() -> Entity:
    """Return the entity: the instrument's name."""
    from feast import Entity, ValueType  # noqa: PLC0415 - importing Feast takes seconds

    return Entity(
        name=JOIN_KEY,
        join_keys=[JOIN_KEY],
        value_type=ValueType.STRING,
        description="Name of the instrument at the broker.",
    )


def feature_view(
    timeframe: Timeframe, group: Group, members: Iterable[Feature], offline_root: Path
) -> FeatureView:
    """Return the view of a group's features on one timeframe.

    Parameters
    ----------
    timeframe, group
        They name the view.
    members
        Its features, in order.
    offline_root
        Folder of the offline store; the view's Parquet lies in a folder of its name below.
    """
    from feast import FeatureView, Field, FileSource  # noqa: PLC0415 - as above
    from feast.types import Float32  # noqa: PLC0415 - as above

    name = view_name(timeframe, group)
    return FeatureView(
        name=name,
        entities=[symbol_entity()],
        ttl=timedelta(seconds=maximum_age_seconds(timeframe, group)),
        schema=[
            Field(
                name=feature.name,
                dtype=Float32,
                description=feature.meaning,
                tags={
                    "version": str(feature.version),
                    "formula": feature.formula,
                    "source": feature.source,
                    "memory_bars": str(feature.memory_bars),
                },
            )
            for feature in members
        ],
        source=FileSource(
            name=f"{name}_parquet",
            path=str(offline_root / name),
            timestamp_field=EVENT_TIMESTAMP,
        ),
        description=f"{group.value.capitalize()} features of {timeframe.value} bars.",
        tags={"version": str(view_version(group, timeframe)), "timeframe": timeframe.value},
    )


def window_view(timeframe: Timeframe, window: Window, offline_root: Path) -> FeatureView:
    """Return the view of a window on one timeframe; parameters as of `feature_view`."""
    from feast import FeatureView, Field, FileSource  # noqa: PLC0415 - as above
    from feast.types import Bytes  # noqa: PLC0415 - as above

    asked = window.contract(timeframe)
    return FeatureView(
        name=asked.view,
        entities=[symbol_entity()],
        ttl=timedelta(seconds=asked.max_age_seconds),
        schema=[
            Field(
                name=asked.field,
                dtype=Bytes,
                description=f"The last {asked.length} vectors as float32, oldest first.",
                tags={"length": str(asked.length), "features": ",".join(asked.features)},
            )
        ],
        source=FileSource(
            name=f"{asked.view}_parquet",
            path=str(offline_root / asked.view),
            timestamp_field=EVENT_TIMESTAMP,
        ),
        description=f"Window of {asked.length} {timeframe.value} vectors.",
        tags={"version": str(asked.version), "timeframe": timeframe.value},
    )


def feature_service(
    name: str, vector: VectorContract, views: Iterable[FeatureView]
) -> FeatureService:
    """Return the service of a vector.

    Parameters
    ----------
    name
        With a version, for example ``h1_default_v1``.
    vector
        The ordered features.
    views
        All views of its timeframe.
    """
    from feast import FeatureService  # noqa: PLC0415 - as above

    by_name = {view.name: view for view in views}
    return FeatureService(
        name=name, features=[by_name[part.name][list(part.features)] for part in vector.views]
    )


def feast_objects(
    offline_root: Path, timeframes: Iterable[Timeframe]
) -> list[Entity | FeatureView | FeatureService]:
    """Return the entity and, for every timeframe, its views and its default service.

    Parameters
    ----------
    offline_root
        Folder of the offline store, absolute or relative to the feature repository.
    timeframes
        What is defined.
    """
    objects: list[Entity | FeatureView | FeatureService] = [symbol_entity()]
    for timeframe in timeframes:
        views = [
            feature_view(timeframe, group, members, offline_root)
            for group, members in groups(entries(timeframe)).items()
        ]
        objects += views
        objects += [window_view(timeframe, window, offline_root) for window in WINDOWS]
        objects.append(feature_service(service_name(timeframe), contract(timeframe), views))
    return objects
