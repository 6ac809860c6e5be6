"""Which servers Feast's store uses: the home's embedded ones, or others by URL.

Low to high: the embedded default, the file ``stores.toml`` beside the registry, the environment.
The variables are not named ``SEXTANT_...``: the scorer refuses those that are no setting of its.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from online.domain.errors import InvalidSettings

PREFIX = "FEATURE_STORE_"
"""``FEATURE_STORE_REDIS_URL``, ``FEATURE_STORE_REGISTRY_URL``, ``FEATURE_STORE_OFFLINE_URL``."""

_REDIS_PORT, _ARROW_FLIGHT_PORT = 6379, 8815
_BOUNDS = {"connect_timeout": 5, "tcp_user_timeout": 15_000}
"""Of a registry's server that is not there, seconds, and that takes nothing, milliseconds."""
_DRIVERS = {"postgresql": "postgresql+psycopg", "postgresql+psycopg": "postgresql+psycopg"}


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Servers by URL; None for the home's own.

    Parameters
    ----------
    redis_url
        ``redis://user:password@host:6379/0``, or ``rediss://`` for TLS.
    registry_url
        ``postgresql://user:password@host/database`` of Feast's registry.
    offline_url
        ``http://host:8815`` (``https://`` for TLS) of a server started by
        ``feast serve_offline``.
    """

    redis_url: str | None = None
    registry_url: str | None = None
    offline_url: str | None = None


def read_store_settings(file: Path, environment: Mapping[str, str]) -> StoreSettings:
    """Return the settings of a home.

    Parameters
    ----------
    file
        TOML with the names of `StoreSettings`; it may be absent.
    environment
        Its variables outdo the file; an empty one counts as absent.

    Raises
    ------
    InvalidSettings
        With code ``STORE_SETTINGS`` if a name is unknown or the file is no TOML of strings.
    """
    known = {field.name for field in fields(StoreSettings)}
    told: dict[str, Any] = {}
    if file.is_file():
        try:
            told = tomllib.loads(file.read_text())
        except tomllib.TOMLDecodeError as error:
            raise InvalidSettings(f"{file} is no TOML: {error}", code="STORE_SETTINGS") from error
    for name in environment:
        if name.startswith(PREFIX) and environment[name]:
            told[name.removeprefix(PREFIX).lower()] = environment[name]
    wrong = sorted(n for n, v in told.items() if n not in known or not isinstance(v, str))
    if wrong:
        raise InvalidSettings(
            f"the feature store's settings are URLs named {', '.join(sorted(known))}, got "
            f"{', '.join(wrong)}",
            code="STORE_SETTINGS",
        )
    return StoreSettings(**told)


def redis_of(url: str) -> str:
    """Return Feast's connection string of a Redis URL.

    Examples
    --------
    >>> redis_of("redis://cache:6380/2")
    'cache:6380,db=2'
    """
    parts = _split(url, {"redis", "rediss"}, "redis://host:6379/0")
    words = [f"{parts.hostname}:{parts.port or _REDIS_PORT}"]
    if parts.path.strip("/"):
        words.append(f"db={parts.path.strip('/')}")
    if parts.scheme == "rediss":
        words.append("ssl=true")
    for name, value in (("username", parts.username), ("password", parts.password)):
        if value is None:
            continue
        if "," in unquote(value):  # Feast splits there
            raise InvalidSettings(
                f"Feast cannot read a Redis {name} with a comma", code="STORE_SETTINGS"
            )
        words.append(f"{name}={json.dumps(unquote(value))}")  # else digits become a number
    return ",".join(words)


def registry_of(url: str) -> str:
    """Return SQLAlchemy's URL of a PostgreSQL registry, by the driver that is installed.

    Examples
    --------
    >>> registry_of("postgresql://feast@db/registry")
    'postgresql+psycopg://feast@db/registry?connect_timeout=5&tcp_user_timeout=15000'
    """
    scheme, _, rest = url.partition("://")
    if scheme not in _DRIVERS or not rest:
        raise InvalidSettings(
            f"the registry's URL is like postgresql://user@host/database, got scheme {scheme!r}",
            code="STORE_SETTINGS",
        )
    bounds = [f"{name}={value}" for name, value in _BOUNDS.items() if f"{name}=" not in rest]
    joined = "&".join(([rest.partition("?")[2]] if "?" in rest else []) + bounds)
    return f"{_DRIVERS[scheme]}://{rest.partition('?')[0]}?{joined}"


def offline_of(url: str) -> dict[str, Any]:
    """Return Feast's settings of a remote offline store.

    Examples
    --------
    >>> offline_of("http://lake:8815")
    {'type': 'remote', 'scheme': 'http', 'host': 'lake', 'port': 8815}
    """
    parts = _split(url, {"http", "https"}, "http://host:8815")
    port = parts.port or _ARROW_FLIGHT_PORT
    return {"type": "remote", "scheme": parts.scheme, "host": parts.hostname, "port": port}


def _split(url: str, schemes: set[str], example: str) -> SplitResult:
    parts = urlsplit(url)
    if parts.scheme not in schemes or not parts.hostname:
        raise InvalidSettings(
            f"the URL is like {example}, got scheme {parts.scheme!r} and host {parts.hostname!r}",
            code="STORE_SETTINGS",
        )
    return parts
