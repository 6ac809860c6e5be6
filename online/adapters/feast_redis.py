"""Feature reader: a model's vector straight from the Redis layout of Feast 0.67.

Feast's own client is never imported: it costs seconds to start and enforces no age. The layout
(entity key serialization version 3), kept honest by a round-trip contract test against Feast:

- key: ``<I n_join_keys>``, for each join key ``<I STRING><I length>name``, for each value
  ``<I type><I length>value``, then the project's name;
- hash field of a feature: murmur3_32 of ``view:feature`` as 4 little-endian bytes;
- hash field ``_ts:<view>``: a protobuf Timestamp, the event time of the view's row;
- hash field ``_transforms:<view>``, ours: how each feature of the view is made, JSON;
- value: a protobuf oneof; float32 is byte 0x35 and 4 bytes, float64 byte 0x29 and 8 bytes, both
  little-endian; bytes are byte 0x0a, their count as a varint, and themselves; empty for NaN and
  for a missing value.
"""

from __future__ import annotations

import logging
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import cast

import mmh3
import msgspec

from online.adapters.redis_connection import RedisAddress, RedisConnection, pack_command
from online.domain.errors import Unavailable
from online.domain.market import NANOSECONDS_PER_SECOND
from online.domain.transform import Held, transform_field
from online.domain.vector import VectorContract, VectorReading

_STRING_TYPE = 2
_FLOAT32_TAG, _FLOAT64_TAG, _BYTES_TAG = 0x35, 0x29, 0x0A
_SECONDS_TAG, _NANOS_TAG = 0x08, 0x10
_VARINT_BITS = 63  # the bits before a varint's tenth and last byte
_FLOAT32, _FLOAT64 = struct.Struct("<f"), struct.Struct("<d")
_FLOAT32_CELL = 1 + _FLOAT32.size
_log = logging.getLogger(__name__)
Cells = list[bytes | None]


@dataclass(frozen=True, slots=True)
class _Plan:
    """A vector's command, packed once, and how many values and stamps it answers with."""

    contract: VectorContract
    command: bytes
    n_features: int
    n_views: int

    @property
    def n_cells(self) -> int:
        """How many cells it answers with."""
        return self.n_features + self.n_views + (0 if self.contract.window is None else 2)


@dataclass(slots=True)
class _ToldPlan:
    """A vector's command that asks for the cells of its views' transforms, too, and the last.

    They are decoded when they change: the same cells are the same mapping.
    """

    plan: _Plan
    views: tuple[str, ...]
    cells: Cells | None = None
    held: Held = field(default_factory=dict)

    def take(self, cells: Cells) -> Held:
        """Return what cells tell."""
        if cells != self.cells:
            self.held = _decode_each(self.views, cells)
            self.cells = cells
        return self.held


class FeastRedisReader:
    """Reads a whole vector with one HMGET.

    Parameters
    ----------
    address
        The server Feast materializes to.
    project
        Feast's project name.
    join_key
        Name of the entity's join key, a string.
    timeout_seconds
        Longest wait for the store (> 0).
    """

    def __init__(
        self,
        address: RedisAddress,
        project: str,
        *,
        join_key: str = "symbol",
        timeout_seconds: float = 0.25,
    ) -> None:
        self._connection = RedisConnection(address, timeout_seconds)
        self._project = project
        self._join_key = join_key
        self._plans: dict[str, _Plan] = {}
        self._told: dict[str, _ToldPlan] = {}

    async def read(self, symbol: str, contract: VectorContract) -> VectorReading:
        """Return what the store holds, missing values and stamps included.

        Raises
        ------
        Unavailable
            If the store does not answer, or holds what is no feature of Feast.
        """
        plan = self._plans.get(symbol)
        if plan is None or plan.contract is not contract:
            plan = self._plans[symbol] = self._make_plan(symbol, contract)
        return _decode_reading(plan, await self._ask(plan.command, plan.n_cells))

    async def read_told(self, symbol: str, contract: VectorContract) -> tuple[VectorReading, Held]:
        """Return what the store holds and, of the same instant, how it says that it is made.

        As long as the store says the same, it is the same mapping.

        Raises
        ------
        Unavailable
            As `read`.
        """
        told = self._told.get(symbol)
        if told is None or told.plan.contract is not contract:
            views = _views_of(contract)
            more = [transform_field(view) for view in views]
            told = self._told[symbol] = _ToldPlan(self._make_plan(symbol, contract, more), views)
        n_more = len(told.views)
        cells = await self._ask(told.plan.command, told.plan.n_cells + n_more)
        return _decode_reading(told.plan, cells), told.take(cells[-n_more:])

    async def read_transforms(self, symbol: str, contract: VectorContract) -> Held:
        """Return how the store says that its values are made: digests of features, by view.

        A cell that no pusher wrote tells of no feature.

        Raises
        ------
        Unavailable
            If the store does not answer.
        """
        views = _views_of(contract)
        key = entity_key(self._project, self._join_key, symbol)
        command = pack_command(b"HMGET", key, *(transform_field(view) for view in views))
        return _decode_each(views, await self._ask(command, len(views)))

    async def ping(self) -> None:
        """Ask the server for a sign of life.

        Raises
        ------
        Unavailable
            If it gives none.
        """
        await self._connection.execute(pack_command(b"PING"))

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()

    async def _ask(self, command: bytes, n_cells: int) -> Cells:
        reply = await self._connection.execute(command)
        if not isinstance(reply, list) or len(reply) != n_cells:
            raise Unavailable(f"the store answered HMGET with {type(reply).__name__}")
        return cast("Cells", reply)

    def _make_plan(
        self, symbol: str, contract: VectorContract, more: Sequence[bytes] = ()
    ) -> _Plan:
        fields = [hash_field(v.name, name) for v in contract.views for name in v.features]
        fields += [stamp_field(view.name) for view in contract.views]
        if (window := contract.window) is not None:
            fields += [hash_field(window.view, window.field), stamp_field(window.view)]
        key = entity_key(self._project, self._join_key, symbol)
        command = pack_command(b"HMGET", key, *fields, *more)
        return _Plan(contract, command, len(contract.names), len(contract.views))


def _views_of(contract: VectorContract) -> tuple[str, ...]:
    """Return every view that is read, the window's last."""
    window = () if contract.window is None else (contract.window.view,)
    return (*(view.name for view in contract.views), *window)


def _decode_reading(plan: _Plan, cells: Cells) -> VectorReading:
    n_features, end = plan.n_features, plan.n_features + plan.n_views
    values = decode_floats(cells[:n_features])
    stamps_ns = tuple([decode_timestamp_ns(cell) for cell in cells[n_features:end]])
    if plan.contract.window is None:
        return VectorReading(values, stamps_ns)
    window, stamp = decode_bytes(cells[end]), decode_timestamp_ns(cells[end + 1])
    return VectorReading(values, stamps_ns, window, stamp)


def _decode_each(views: Sequence[str], cells: Cells) -> Held:
    """Return what is told of each view; what cannot be read tells of no feature, and is logged."""
    held: dict[str, dict[str, str] | None] = {}
    for view, cell in zip(views, cells, strict=True):
        try:
            held[view] = decode_transforms(cell)
        except Unavailable as error:
            _log.warning("how %s is made cannot be read: %s", view, error)
            held[view] = {}
    return held


def entity_key(project: str, join_key: str, value: str) -> bytes:
    """Return the Redis key of an entity with one string join key.

    Examples
    --------
    >>> entity_key("demo", "symbol", "EURUSD")[-4:]
    b'demo'
    """
    name, text = join_key.encode(), value.encode()
    header = struct.pack("<III", 1, _STRING_TYPE, len(name))
    return header + name + struct.pack("<II", _STRING_TYPE, len(text)) + text + project.encode()


def hash_field(view: str, feature: str) -> bytes:
    """Return the hash field of a feature."""
    return struct.pack("<I", mmh3.hash(f"{view}:{feature}", signed=False))


def stamp_field(view: str) -> bytes:
    """Return the hash field of a view's event time."""
    return b"_ts:" + view.encode()


def encode_transforms(digests: Mapping[str, str]) -> bytes:
    """Return the cell that tells how a view's values are made."""
    return msgspec.json.encode(dict(digests), order="sorted")


def decode_transforms(cell: bytes | None) -> dict[str, str] | None:
    """Return the digests in a cell by feature; None where there is none.

    Raises
    ------
    Unavailable
        If the bytes are no such cell.

    Examples
    --------
    >>> decode_transforms(encode_transforms({"rsi_14": "ab"}))
    {'rsi_14': 'ab'}
    """
    if not cell:
        return None
    try:
        return msgspec.json.decode(cell, type=dict[str, str])
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Unavailable(
            f"the store holds {cell[:16].hex()}, expected digests of features"
        ) from None


def decode_float(cell: bytes | None) -> float | None:
    """Return the float32 in a stored value; None where the store holds nothing or NaN.

    A float64 is rounded to float32, which is what a model reads.

    Raises
    ------
    Unavailable
        If the value is neither a float32 nor a float64.

    Examples
    --------
    >>> decode_float(bytes.fromhex("350000803f"))
    1.0
    """
    if not cell:
        return None
    number: float
    if cell[0] == _FLOAT32_TAG and len(cell) == _FLOAT32_CELL:
        (number,) = _FLOAT32.unpack_from(cell, 1)
    elif cell[0] == _FLOAT64_TAG and len(cell) == 1 + _FLOAT64.size:
        number = _round_to_float32(_FLOAT64.unpack_from(cell, 1)[0])
    else:
        raise Unavailable(f"the store holds {cell[:16].hex()}, expected a float32 or float64")
    return None if math.isnan(number) else number


def decode_floats(cells: Cells) -> tuple[float | None, ...]:
    """Return what `decode_float` gives of each cell; of a whole vector of float32 at once.

    Raises
    ------
    Unavailable
        As `decode_float`.

    Examples
    --------
    >>> decode_floats([bytes.fromhex("350000803f"), None])
    (1.0, None)
    """
    whole = [cell for cell in cells if cell is not None and len(cell) == _FLOAT32_CELL]
    if len(whole) == len(cells):
        joined = b"".join(whole)
        if joined[::_FLOAT32_CELL] == b"%c" % _FLOAT32_TAG * len(cells):
            values = _unpacker(len(cells)).unpack(joined)
            if not math.isnan(sum(values)):
                return values
    return tuple([decode_float(cell) for cell in cells])


@lru_cache(maxsize=16)
def _unpacker(n_cells: int) -> struct.Struct:
    return struct.Struct("<" + "xf" * n_cells)


def decode_bytes(cell: bytes | None) -> bytes | None:
    """Return the bytes in a stored value; None where the store holds nothing.

    Raises
    ------
    Unavailable
        If the value is no bytes, or their count is not what it says.

    Examples
    --------
    >>> decode_bytes(bytes.fromhex("0a02abcd")).hex()
    'abcd'
    """
    if not cell:
        return None
    place, shift, size = 1, 0, 0
    while cell[0] == _BYTES_TAG and place < len(cell) and shift < _VARINT_BITS:
        byte, place = cell[place], place + 1
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:  # noqa: PLR2004 - the top bit says that a varint goes on
            if len(cell) == place + size:
                return cell[place:]
            break
    raise Unavailable(f"the store holds {cell[:16].hex()} ({len(cell)} bytes), expected bytes")


def decode_timestamp_ns(cell: bytes | None) -> int | None:
    """Return the instant in a protobuf Timestamp, nanoseconds UTC; None where there is none.

    Raises
    ------
    Unavailable
        If the bytes are no Timestamp.
    """
    if cell is None:
        return None
    found = {_SECONDS_TAG: 0, _NANOS_TAG: 0}
    place = 0
    try:
        while place < len(cell):
            tag, number, shift, place = cell[place], 0, 0, place + 1
            while True:
                byte = cell[place]
                number |= (byte & 0x7F) << shift
                shift, place = shift + 7, place + 1
                if byte < 0x80:  # noqa: PLR2004 - the top bit says that a varint goes on
                    break
                if shift > _VARINT_BITS:
                    raise Unavailable(f"the store holds {cell[:16].hex()}, expected a Timestamp")
            if tag not in found:
                raise Unavailable(f"the store holds {cell.hex()}, expected a Timestamp")
            found[tag] = number - (1 << 64) if number >> 63 else number
    except IndexError:
        raise Unavailable(f"the store holds {cell.hex()}, a Timestamp cut short") from None
    at_ns = found[_SECONDS_TAG] * NANOSECONDS_PER_SECOND + found[_NANOS_TAG]
    if not -(1 << 63) <= at_ns < 1 << 63:
        raise Unavailable(f"the store holds the stamp {at_ns} ns, expected one of 64 bits")
    return at_ns


def _round_to_float32(number: float) -> float:
    try:
        rounded: float = _FLOAT32.unpack(_FLOAT32.pack(number))[0]
    except OverflowError:
        return math.copysign(math.inf, number)
    return rounded
