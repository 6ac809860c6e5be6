"""Live push: one bar's features into the online store, read back and compared bit for bit."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from feature_repo.catalogue import entries, groups, view_name
from feature_repo.engine import Vector
from feature_repo.feature import Feature
from feature_repo.objects import JOIN_KEY
from feature_repo.transform import feature_digest
from feature_repo.windows import Window
from online.adapters.feast_redis import (
    decode_bytes,
    decode_float,
    decode_timestamp_ns,
    encode_transforms,
    entity_key,
    hash_field,
    stamp_field,
)
from online.domain.errors import InvalidInput, Unavailable
from online.domain.market import Timeframe
from online.domain.transform import transform_field
from online.domain.window import WindowContract

if TYPE_CHECKING:
    from feast import FeatureStore

    from feature_repo.online_store import SextantOnlineStore

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NANOSECONDS_PER_MICROSECOND = 1000
_FLOAT32, _FLOAT32_TAG = struct.Struct("<Bf"), 0x35
_NO_WINDOWS: Mapping[str, bytes | None] = MappingProxyType({})
_Row = dict[str, float | bytes | None]


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """A view of the vector, or of a window.

    Feast's object, its features, their places in the vector (none for a window), and the hash
    fields to read back: the stamp first.
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
        Views left as they were: a feature has no value yet, or the bar's row is there already.
    missing
        Views that had values before and lack one now: they hold the bar's stamp, and nothing where
        there is no value.
    """

    closed_at_ns: int
    written: tuple[str, ...]
    warming_up: tuple[str, ...]
    missing: tuple[str, ...] = ()


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
    windows
        Those of the vectors that are written too.

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
        windows: Sequence[Window] = (),
    ) -> None:
        from feast.protos.feast.types.EntityKey_pb2 import (  # noqa: PLC0415 - takes seconds
            EntityKey,
        )
        from feast.protos.feast.types.Value_pb2 import Value  # noqa: PLC0415 - as above

        _require_whole_views(features, timeframe)
        self._config = store.config
        provider = store._get_provider()  # noqa: SLF001 - Feast's writer, less a DataFrame
        self._online = cast("SextantOnlineStore", provider.online_store)
        self._client = self._online._get_client(self._config.online_store)  # noqa: SLF001 - as above
        self._client.set_retry(Retry(NoBackoff(), 1))  # else it tries for ten seconds
        self._value = Value
        self._key = entity_key(store.project, JOIN_KEY, symbol)
        self._entity = EntityKey(join_keys=[JOIN_KEY], entity_values=[Value(string_val=symbol)])
        place = {feature.name: at for at, feature in enumerate(features)}
        self._transforms: dict[str, bytes] = {}
        for group, members in groups(features).items():
            self._transforms[view_name(timeframe, group)] = _transforms(members, timeframe, symbol)
        for window in windows:
            told = _transforms(window.entries(timeframe), timeframe, symbol)
            self._transforms[window.view_name(timeframe)] = told
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
        ) + tuple(_window_view(store, window.contract(timeframe)) for window in windows)

    def push(
        self, closed_at_ns: int, vector: Vector, packed: Mapping[str, bytes | None] = _NO_WINDOWS
    ) -> PushReceipt:
        """Write a bar's vector and windows and verify that the store holds them.

        Parameters
        ----------
        closed_at_ns
            The bar's close, nanoseconds UTC, whole microseconds.
        vector
            float32 of shape ``(n_features,)``.
        packed
            The windows that end with the bar, by their field; one that is absent or None is
            still incomplete.

        Notes
        -----
        A view that lacks a value is left as it is until it was whole once. From then on its row is
        written with what there is, as the offline store keeps it: an older bar's values must not
        stand for this one's, and a scorer hears of the same want as a backtest does.

        Raises
        ------
        InvalidInput
            ``STALE_PUSH`` if the store holds a newer bar, ``SAME_STAMP_CORRECTION`` if it holds
            other values of this bar: a stamp's values never change.
        Unavailable
            ``ONLINE_STORE_UNAVAILABLE`` if Redis does not answer, ``PUSH_NOT_STORED`` if it does
            not hold what was written.
        """
        return self._each_view(closed_at_ns, vector, packed, write=True)

    def tell_transforms(self, views: Iterable[str]) -> None:
        """Tell beside some views' values how they are made, which is what the scorer asks.

        Raises
        ------
        Unavailable
            With code ``ONLINE_STORE_UNAVAILABLE`` if Redis does not answer.
        """
        told = {transform_field(view): self._transforms[view] for view in views}
        if told:
            with _reached("how the values are made"):
                self._client.hset(self._key, mapping=told)

    def withdraw_transforms(self) -> set[str]:
        """Tell no longer how views are made that somebody wrote by other formulas.

        They are told again once our values are there, so that values and what is told of them
        never contradict each other.

        Returns
        -------
        set of str
            Views of which our own formulas are told already.

        Raises
        ------
        Unavailable
            With code ``ONLINE_STORE_UNAVAILABLE`` if Redis does not answer.
        """
        with _reached("how the values are made"):
            held = self._client.hmget(self._key, [transform_field(v) for v in self._transforms])
            cells = dict(zip(self._transforms, held, strict=True))
            told = {view for view, cell in cells.items() if cell == self._transforms[view]}
            foreign = [transform_field(v) for v, c in cells.items() if c and v not in told]
            if foreign:
                self._client.hdel(self._key, *foreign)
        return told

    def verify(
        self, closed_at_ns: int, vector: Vector, packed: Mapping[str, bytes | None] = _NO_WINDOWS
    ) -> PushReceipt:
        """Verify that the store holds a bar's vector and windows, without writing; as `push`."""
        return self._each_view(closed_at_ns, vector, packed, write=False)

    def _each_view(
        self,
        closed_at_ns: int,
        vector: Vector,
        packed: Mapping[str, bytes | None],
        *,
        write: bool,
    ) -> PushReceipt:
        if closed_at_ns % _NANOSECONDS_PER_MICROSECOND:
            raise InvalidInput(f"a bar closes on a whole microsecond, got {closed_at_ns} ns")
        at = _EPOCH + timedelta(microseconds=closed_at_ns // _NANOSECONDS_PER_MICROSECOND)
        values = vector.tolist()
        rows: dict[_View, _Row] = {
            view: {name: values[i] for name, i in zip(view.names, view.places, strict=True)}
            if view.places
            else {name: packed.get(name) for name in view.names}
            for view in self._views
        }
        warm = [view for view in self._views if all(map(_is_whole, rows[view].values()))]
        told = self.withdraw_transforms() if write else set()
        with _reached(f"bar {at:%Y-%m-%d %H:%M}"):
            wanting = [view for view in self._views if view not in warm]
            lacking = self._begun(wanting, closed_at_ns) if write else []
            for view in (*warm, *lacking) if write else ():
                self._write(view, at, rows[view])
            lacking += self._verify([*warm, *lacking], closed_at_ns, rows)
        names = [view.table.name for view in self._views if view in warm or view in lacking]
        if write:
            self.tell_transforms(name for name in names if name not in told)
        missing = tuple(view.table.name for view in lacking)
        return PushReceipt(
            closed_at_ns,
            tuple(name for name in names if name not in missing),
            tuple(view.table.name for view in wanting if view not in lacking),
            missing,
        )

    def _begun(self, views: list[_View], closed_at_ns: int) -> list[_View]:
        """Return the views of which the store holds an older bar's row."""
        if not views:
            return []
        stamps = map(
            decode_timestamp_ns, self._client.hmget(self._key, [v.fields[0] for v in views])
        )
        return [
            view
            for view, held_ns in zip(views, stamps, strict=True)
            if held_ns is not None and held_ns < closed_at_ns
        ]

    def _write(self, view: _View, at: datetime, row: _Row) -> None:
        protos = {name: self._proto(value) for name, value in row.items()}
        data: list[Any] = [(self._entity, protos, at, None)]
        self._online.write_told(self._config, view.table, data)

    def _proto(self, value: float | bytes | None) -> Any:  # noqa: ANN401 - a message of Feast's
        """Return a value as Feast stores it; one that is missing is a message without any."""
        if not _is_whole(value):
            return self._value()
        if isinstance(value, bytes):
            return self._value(bytes_val=value)
        return self._value(float_val=cast("float", value))

    def _verify(
        self, views: list[_View], closed_at_ns: int, rows: dict[_View, _Row]
    ) -> list[_View]:
        """Read all views at once, as the scorer does, and compare every bit.

        Return the views whose row of this bar was written without values that came too late.
        """
        late: list[_View] = []
        if not views:
            return late
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
            if any(held[n] == b"" and _is_whole(value) for n, value in rows[view].items()):
                late.append(view)  # a stamp's values never change: the next bar has them
                continue
            for name, value in rows[view].items():
                if not _is_held(held[name], value):
                    raise InvalidInput(
                        f"{view.table.name} holds {name} = {_shown(held[name])} for bar {held_ns}, "
                        f"{_told(value)} was pushed: a stamp's values never change",
                        code="SAME_STAMP_CORRECTION",
                        remedy="Correct the bar in the lake; the next bar carries the correction.",
                    )
        return late


@contextmanager
def _reached(what: str) -> Iterator[None]:
    """Name what Redis raises."""
    try:
        yield
    except redis.exceptions.RedisError as error:
        raise Unavailable(
            f"the online store did not answer for {what}: {error}", code="ONLINE_STORE_UNAVAILABLE"
        ) from error


def _transforms(members: Sequence[Feature], timeframe: Timeframe, symbol: str) -> bytes:
    return encode_transforms({f.name: feature_digest(f, timeframe, symbol) for f in members})


def _window_view(store: FeatureStore, asked: WindowContract) -> _View:
    fields = (stamp_field(asked.view), hash_field(asked.view, asked.field))
    return _View(store.get_feature_view(asked.view), (asked.field,), (), fields)


def _is_whole(value: float | bytes | None) -> bool:
    """Tell whether there is a value to write."""
    return value is not None and (isinstance(value, bytes) or math.isfinite(value))


def _is_held(cell: bytes | None, value: float | bytes | None) -> bool:
    """Tell whether a cell of the store has the bits of a value, or lacks one that is missing."""
    if not _is_whole(value):
        return not cell
    if isinstance(value, bytes):
        return decode_bytes(cell) == value
    return cell == _FLOAT32.pack(_FLOAT32_TAG, value)


def _shown(cell: bytes | None) -> str:
    if cell is None or cell[:1] == _FLOAT32_TAG.to_bytes():
        return "nothing" if cell is None else repr(decode_float(cell))
    return _told(decode_bytes(cell))


def _told(value: float | bytes | None) -> str:
    if not _is_whole(value):
        return "nothing"
    if not isinstance(value, bytes):
        return repr(value)
    return f"{len(value)} bytes of SHA-256 {sha256(value).hexdigest()[:12]}"


def _require_whole_views(features: Sequence[Feature], timeframe: Timeframe) -> None:
    given = {feature.name for feature in features}
    catalogue = groups(entries(timeframe))
    for group in groups(features):
        missing = [f.name for f in catalogue[group] if f.name not in given]
        if missing:
            raise InvalidInput(
                f"the {group.value} view is written whole: {', '.join(missing)} missing",
                code="PARTIAL_VIEW",
                remedy="Stream every feature of the views (catalogue.whole_views).",
            )
