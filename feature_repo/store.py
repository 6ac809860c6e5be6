"""Opening Feast's store for any home and project."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from feature_repo.objects import feast_objects
from feature_repo.store_settings import StoreSettings, offline_of, redis_of, registry_of
from online.domain.errors import InvalidSettings
from online.domain.market import Timeframe

if TYPE_CHECKING:
    from feast import FeatureStore

_SOCKET_PATH_BYTES = 107
"""What a Unix socket's address holds on Linux, less its terminating zero."""


@dataclass(frozen=True, slots=True)
class StorePaths:
    """Where a store's parts lie.

    Parameters
    ----------
    registry
        SQLite file of Feast's registry.
    offline_root
        Folder of the offline store's Parquet files.
    redis_socket
        Unix socket of the online store's server.
    settings
        Servers that are used instead.
    """

    registry: Path
    offline_root: Path
    redis_socket: Path
    settings: StoreSettings = field(default_factory=StoreSettings)


def redis_connection_string(socket: Path) -> str:
    """Return Feast's connection string for a Unix socket.

    Raises
    ------
    InvalidSettings
        With code ``SOCKET_PATH_UNUSABLE`` if the path is too long for the operating system or
        holds what Feast splits the string at.

    Examples
    --------
    >>> redis_connection_string(Path("/run/valkey.sock"))
    'localhost:6379,unix_socket_path=/run/valkey.sock'
    """
    path = str(socket.absolute())
    if len(path.encode()) > _SOCKET_PATH_BYTES:
        raise InvalidSettings(
            f"a Unix socket's path holds at most {_SOCKET_PATH_BYTES} bytes, got "
            f"{len(path.encode())}: {path}",
            code="SOCKET_PATH_UNUSABLE",
            remedy="Choose a home folder with a shorter path.",
        )
    if "," in path:
        raise InvalidSettings(
            f"Feast cannot read a socket's path with a comma: {path}",
            code="SOCKET_PATH_UNUSABLE",
            remedy="Choose a home folder without a comma in its path.",
        )
    return f"localhost:6379,unix_socket_path={path}"


def describe_store(paths: StorePaths, project: str = "sextant") -> dict[str, Any]:
    """Return Feast's settings over `paths`, as ``feature_store.yaml`` has them.

    Parameters
    ----------
    paths
        Where its parts lie.
    project
        Feast's name space, also part of every key in Redis.

    Raises
    ------
    InvalidSettings
        If a path or URL cannot be used.
    """
    settings = paths.settings
    connection = (
        redis_connection_string(paths.redis_socket)
        if settings.redis_url is None
        else redis_of(settings.redis_url)
    )
    registry = (
        f"sqlite:///{paths.registry.absolute()}"
        if settings.registry_url is None
        else registry_of(settings.registry_url)
    )
    offline = (
        {"type": "feature_repo.offline.SextantOfflineStore"}
        if settings.offline_url is None
        else offline_of(settings.offline_url)
    )
    return {
        "project": project,
        "provider": "local",
        "registry": {"registry_type": "sql", "path": registry, "cache_ttl_seconds": 0},
        "online_store": {
            "type": "feature_repo.online_store.SextantOnlineStore",
            "connection_string": connection,
        },
        "offline_store": offline,
        "materialization": {"pull_latest_features": True},
        "entity_key_serialization_version": 3,
    }


def open_store(paths: StorePaths, project: str = "sextant") -> FeatureStore:
    """Return Feast's store over `paths`; importing Feast takes seconds, once.

    Parameters
    ----------
    paths, project
        As for `describe_store`; the registry's folder is created.
    """
    told = describe_store(paths, project)

    from feast import FeatureStore, RepoConfig  # noqa: PLC0415 - importing Feast takes seconds

    paths.registry.parent.mkdir(parents=True, exist_ok=True)
    repo_path = str(paths.offline_root.absolute())
    return FeatureStore(config=RepoConfig(**told, repo_path=repo_path))


def apply_definitions(
    store: FeatureStore, offline_root: Path, timeframes: Iterable[Timeframe]
) -> None:
    """Bring the registry to the catalogue for `timeframes`; applying twice changes nothing."""
    objects = feast_objects(offline_root.absolute(), timeframes)
    for each in objects:
        if hasattr(each, "batch_source"):
            (offline_root / each.name).mkdir(parents=True, exist_ok=True)  # else Feast warns
    store.apply(list[Any](objects))
