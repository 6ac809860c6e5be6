"""Live push: one bar's features into the online store, read back and compared bit for bit."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from feature_repo.catalogue import groups, view_name
from feature_repo.engine import Vector
from feature_repo.feature import Feature
from feature_repo.objects import JOIN_KEY
from online.adapters.feast_redis import (
    decode_float,
    decode_timestamp_ns,
    entity_key,
    hash_field,
    stamp_field,
)
from online.domain.errors import InvalidInput, Unavailable
from online.domain.market import Timeframe

if TYPE_CHECKING:
    from feast import FeatureStore

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NANOSECONDS_PER_MICROSECOND = 1000
_FLOAT32, _FLOAT32_TAG = struct.Struct("<Bf"), 0x35


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """A view of the vector.

    Feast's object, its features, their places in the vector, and the hash fields to read back:
    the stamp first.
    """

    table: Any
    names: tuple[str, ...]
    places: tuple[int, ...]
    fields: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class PushReceipt:
    """What the online store holds after a push.

    Parameters
    ----------
    closed_at_ns
        The bar's stamp, carried by every view in `written`.
    written
        Views that hold the bar's values, verified.
    warming_up
        Views left as they were, because a feature has no value yet.
    """

    closed_at_ns: int
    written: tuple[str, ...]
    warming_up: tuple[str, ...]


class VectorPusher:
    """Writes vectors of one symbol and timeframe through Feast's own online writer.

    Views are written whole: a view's stamp speaks for all of its features.

    Parameters
    ----------
    store
        Feast's store, with the timeframe's views applied.
    symbol, timeframe
        Whose bars.
    features
        In the order of the vectors; every one of a view that the source can serve.

    Raises
    ------
    InvalidInput
        With code ``PARTIAL_VIEW`` if a view would be written without one of its features.
    """

    def __init__(
        self,
        store: FeatureStore,
        symbol: str,
        timeframe: Timeframe,
        features: Sequence[Feature],
    ) -> None:
        from feast.protos.feast.types.EntityKey_pb2 import (  # noqa: PLC0415 - takes seconds
            EntityKey,
        )
        from feast.protos.feast.types.Value_pb2 import Value  # noqa: PLC0415 - as above

        _require_whole_views(features)
        self._config = store.config
        self._provider = store._get_provider()  # noqa: SLF001 - Feast's writer, less a DataFrame
        online: Any = self._provider.online_store
        self._client = online._get_client(self._config.online_store)  # noqa: SLF001 - as above
        self._client.set_retry(Retry(NoBackoff(), 1))  # else it tries for ten seconds
        self._value = Value
        self._key = entity_key(store.project, JOIN_KEY, symbol)
        self._entity = EntityKey(join_keys=[JOIN_KEY], entity_values=[Value(string_val=symbol)])
        place = {feature.name: at for at, feature in enumerate(features)}
        self._views = tuple(
            _View(
                store.get_feature_view(view_name(timeframe, group)),
                tuple(f.name for f in members),
                tuple(place[f.name] for f in members),
                (
                    stamp_field(view_name(timeframe, group)),
                    *(hash_field(view_name(timeframe, group), f.name) for f in members),
                ),
            )
            for group, members in groups(features).items()
        )

    def push(self, closed_at_ns: int, vector: Vector) -> PushReceipt:
        """Write a bar's vector and verify that the store holds it.

        Parameters
        ----------
        closed_at_ns
            The bar's close, nanoseconds UTC, whole microseconds.
        vector
            float32 of shape ``(n_features,)``.

        Raises
        ------
        InvalidInput
            ``STALE_PUSH`` if the store holds a newer bar, ``SAME_STAMP_CORRECTION`` if it holds
            other values of this bar: a stamp's values never change.
        Unavailable
            ``ONLINE_STORE_UNAVAILABLE`` if Redis does not answer, ``PUSH_NOT_STORED`` if it does
            not hold what was written.
        """
        return self._each_view(closed_at_ns, vector, write=True)

    def verify(self, closed_at_ns: int, vector: Vector) -> PushReceipt:
        """Verify that the store holds a bar's vector, without writing; as `push` otherwise."""
        return self._each_view(closed_at_ns, vector, write=False)

    def _each_view(self, closed_at_ns: int, vector: Vector, *, write: bool) -> PushReceipt:
        if closed_at_ns % _NANOSECONDS_PER_MICROSECOND:
            raise InvalidInput(f"a bar closes on a whole microsecond, got {closed_at_ns} ns")
        at = _EPOCH + timedelta(microseconds=closed_at_ns // _NANOSECONDS_PER_MICROSECOND)
        values = vector.tolist()
        rows = {
            view: {name: values[i] for name, i in zip(view.names, view.places, strict=True)}
            for view in self._views
        }
        warm = [view for view in self._views if all(map(math.isfinite, rows[view].values()))]
        try:
            if write:
                for view in warm:
                    self._write(view, at, rows[view])
            self._verify(warm, closed_at_ns, rows)
        except redis.exceptions.RedisError as error:
            raise Unavailable(
                f"the online store did not answer for bar {at:%Y-%m-%d %H:%M}: {error}",
                code="ONLINE_STORE_UNAVAILABLE",
            ) from error
        return PushReceipt(
            closed_at_ns,
            tuple(view.table.name for view in warm),
            tuple(view.table.name for view in self._views if view not in warm),
        )

    def _write(self, view: _View, at: datetime, row: dict[str, float]) -> None:
        protos = {name: self._value(float_val=value) for name, value in row.items()}
        data: list[Any] = [(self._entity, protos, at, None)]
        self._provider.online_write_batch(self._config, view.table, data, progress=None)

    def _verify(
        self, views: list[_View], closed_at_ns: int, rows: dict[_View, dict[str, float]]
    ) -> None:
        """Read all views at once, as the scorer does, and compare every bit."""
        if not views:
            return
        fields = [field for view in views for field in view.fields]
        cells = iter(self._client.hmget(self._key, fields))
        for view in views:
            held_ns = decode_timestamp_ns(next(cells))
            held = {name: next(cells) for name in view.names}
            if held_ns is not None and held_ns > closed_at_ns:
                raise InvalidInput(
                    f"{view.table.name} already holds bar {held_ns}, newer than {closed_at_ns}",
                    code="STALE_PUSH",
                    remedy="Push bars in order; an older bar has no place in the online store.",
                )
            if held_ns != closed_at_ns:
                raise Unavailable(
                    f"{view.table.name} holds bar {held_ns} after bar {closed_at_ns} was written",
                    code="PUSH_NOT_STORED",
                )
            for name, value in rows[view].items():
                if held[name] != _FLOAT32.pack(_FLOAT32_TAG, value):
                    raise InvalidInput(
                        f"{view.table.name} holds {name} = {_shown(held[name])} for bar {held_ns}, "
                        f"{value!r} was pushed: a stamp's values never change",
                        code="SAME_STAMP_CORRECTION",
                        remedy="Correct the bar in the lake; the next bar carries the correction.",
                    )


def _shown(cell: bytes | None) -> str:
    return "nothing" if cell is None else repr(decode_float(cell))


def _require_whole_views(features: Sequence[Feature]) -> None:
    given = {feature.name for feature in features}
    catalogue = groups()
    for group in groups(features):
        missing = [f.name for f in catalogue[group] if f.name not in given]
        if missing:
            raise InvalidInput(
                f"the {group.value} view is written whole: {', '.join(missing)} missing",
                code="PARTIAL_VIEW",
                remedy="Stream every feature of the views (catalogue.available).",
            )
