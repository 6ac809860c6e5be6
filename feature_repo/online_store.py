"""The online store plugged into Feast: Redis, and nothing told of values that Feast alone wrote.

Beside a view's values stands how they are made, and the scorer believes it. Feast's own commands
write what the offline store holds, by whichever formulas it was computed; so they take away what
was told of older values, and the scorer reads none until `sextant features` or a follower tells
again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final, Literal

from feast import FeatureView, RepoConfig
from feast.infra.online_stores.helpers import _redis_key
from feast.infra.online_stores.redis import RedisOnlineStore, RedisOnlineStoreConfig
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.utils import make_tzaware
from google.protobuf.timestamp_pb2 import Timestamp  # type: ignore[import-untyped] # no stubs

from online.domain.transform import transform_field

_TYPE: Final = "feature_repo.online_store.SextantOnlineStore"
SOCKET_SECONDS = 5.0
"""Longest wait for the server: to be connected, and for each part of an answer."""
Row = tuple[EntityKey, dict[str, Value], datetime, datetime | None]


class SextantOnlineStoreConfig(RedisOnlineStoreConfig):
    """Settings of the online store: those of Feast's Redis store."""

    type: Literal["feature_repo.online_store.SextantOnlineStore"] = _TYPE  # type: ignore[assignment] # Feast's own name


class SextantOnlineStore(RedisOnlineStore):
    """Feast's Redis store, which tells no longer how values are made that it writes over."""

    @staticmethod
    def _parse_connection_string(connection_string: str) -> tuple[list[Any], dict[str, Any]]:
        """Return Feast's nodes and options; a server that hangs is waited for, but not for ever."""
        nodes, options = RedisOnlineStore._parse_connection_string(connection_string)  # noqa: SLF001 - what is overridden
        bounds = {"socket_timeout": SOCKET_SECONDS, "socket_connect_timeout": SOCKET_SECONDS}
        return nodes, {**bounds, **options}

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: Sequence[Row],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Write rows of a view; what was told of how older ones are made goes first.

        Parameters
        ----------
        config, table, progress
            Feast's.
        data
            Entity, values, event time and time of writing of each row.
        """
        self._withdraw(config, table, data)
        self.write_told(config, table, data, progress)

    def write_told(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: Sequence[Row],
        progress: Callable[[int], Any] | None = None,
    ) -> None:
        """Write rows for one who tells how they are made; parameters as before."""
        super().online_write_batch(config, table, list(data), progress)

    def _withdraw(self, config: RepoConfig, table: FeatureView, data: Sequence[Row]) -> None:
        """Delete what is told of rows that are about to be replaced by newer ones."""
        client = self._get_client(config.online_store)
        version = config.entity_key_serialization_version
        keys = [_redis_key(config.project, row[0], version) for row in data]
        with client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hget(key, f"_ts:{table.name}")
            held = pipe.execute()
        replaced = {
            key
            for key, cell, (_, _, at, _) in zip(keys, held, data, strict=True)
            if cell is None or Timestamp.FromString(cell).ToNanoseconds() < _nanoseconds(at)
        }
        with client.pipeline(transaction=False) as pipe:
            for key in sorted(replaced):
                pipe.hdel(key, transform_field(table.name))
            pipe.execute()


def _nanoseconds(at: datetime) -> int:
    stamp = Timestamp()
    stamp.FromDatetime(make_tzaware(at))
    return int(stamp.ToNanoseconds())
