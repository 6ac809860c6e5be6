"""The offline store's queries: ASOF joins over Parquet, and newest rows by DuckDB."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from feature_repo.bars import Stamps
from feature_repo.offline_rows import AT, CREATED, ParquetSource, read_rows

_UTC = pa.timestamp("us", tz="UTC")
_READERS = 4
"""Views read at a time: more would hold more of them in memory."""


@dataclass(frozen=True, slots=True)
class ViewJoin:
    """What is taken from one view.

    Parameters
    ----------
    source
        Its rows.
    keys
        Pairs of column names: in the source, in the entity rows.
    columns
        Pairs of column names: in the source, in the result.
    ttl_ns
        Greatest age of a value at its entity row, nanoseconds; None for any age.
    """

    source: ParquetSource
    keys: tuple[tuple[str, str], ...]
    columns: tuple[tuple[str, str], ...]
    ttl_ns: int | None


def asof_join(entities: pa.Table, at_ns: pa.Array, views: Sequence[ViewJoin]) -> pa.Table:
    """Return the entity rows with each view's newest values at or before them.

    Parameters
    ----------
    entities
        Entity rows, ``n_rows``; kept as they are, in their order.
    at_ns
        Event time of each, nanoseconds UTC, int64.
    views
        What is joined, in order.

    Returns
    -------
    pyarrow.Table
        `entities` and the views' columns; null where a view holds nothing young enough.
    """
    result = entities
    stamps = at_ns.to_numpy(zero_copy_only=False)
    with ThreadPoolExecutor(_READERS) as readers:
        joined = readers.map(lambda view: _join_view(entities, stamps, view), views)
        for name, column in (pair for found in joined for pair in found):
            result = result.append_column(name, column)
    return result


def _join_view(
    entities: pa.Table, at_ns: Stamps, view: ViewJoin
) -> list[tuple[str, pa.Array | pa.ChunkedArray]]:
    """Return the columns that one view adds to the entity rows."""
    if not view.source.files():
        return [(new, pa.nulls(entities.num_rows, pa.float32())) for _, new in view.columns]
    held = _held_rows(entities, view, at_ns)
    found, absent = _newest_places(entities, at_ns, view, held)
    places = pa.array(found, mask=absent)
    return [(new, held[old].take(places)) for old, new in view.columns]


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """Return this process's DuckDB, in memory; every question has a cursor of its own."""
    return duckdb.connect()


def _held_rows(entities: pa.Table, view: ViewJoin, at_ns: Stamps) -> pa.Table:
    """Return the rows that can be the answer to one of the entity rows."""
    wanted = {}
    for theirs, ours in view.keys:
        values = pc.unique(entities[ours])
        if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
            wanted[theirs] = frozenset(values.drop_null().to_pylist())
    first = int(at_ns.min()) - view.ttl_ns if len(at_ns) and view.ttl_ns else None
    last = int(at_ns.max()) if len(at_ns) else None
    names = dict.fromkeys([k for k, _ in view.keys] + [c for c, _ in view.columns])
    return read_rows(view.source, list(names), wanted, first, last)


def _newest_places(
    entities: pa.Table, at_ns: Stamps, view: ViewJoin, held: pa.Table
) -> tuple[Stamps, npt.NDArray[np.bool_]]:
    """Return the place in `held` of each entity row's values, and where there is none.

    The ASOF join: within one entity, the last row at or before the instant, if it is young
    enough. Only keys and times are looked at; the values are then taken by place.
    """
    held_at, created = held[AT].to_numpy(), held[CREATED].fill_null(-1).to_numpy()
    wanted, known = _codes(entities, view, held)
    order = _oldest_first(known, held_at, created)
    known, sorted_at = known[order], held_at[order]
    places = np.zeros(len(at_ns), dtype=np.int64)
    absent = np.ones(len(at_ns), dtype=np.bool_)
    for code in np.unique(wanted[wanted >= 0]):
        first, end = np.searchsorted(known, [code, code + 1])
        asked = np.flatnonzero(wanted == code)
        found = first + np.searchsorted(sorted_at[first:end], at_ns[asked], side="right") - 1
        asked, found = asked[found >= first], found[found >= first]
        if view.ttl_ns:
            young = at_ns[asked] - sorted_at[found] <= view.ttl_ns
            asked, found = asked[young], found[young]
        places[asked] = order[found]
        absent[asked] = False
    return places, absent


def _oldest_first(known: Stamps, held_at: Stamps, created: Stamps) -> Stamps:
    """Return the rows' order by key, then time; of equal times the one written last comes last."""
    if len(known) and (known == known[0]).all() and (held_at[1:] > held_at[:-1]).all():
        return np.arange(len(known))
    return np.lexsort((created, held_at, known))


def _codes(entities: pa.Table, view: ViewJoin, held: pa.Table) -> tuple[Stamps, Stamps]:
    """Return a number for each row's join keys, the same for equal keys; -1 where one is null."""
    count = entities.num_rows
    codes = np.zeros(count + held.num_rows, dtype=np.int64)
    for theirs, ours in view.keys:
        column, other = entities[ours], held[theirs]
        kind = other.type if pa.types.is_null(column.type) else column.type  # no rows, no type
        chunks = [*column.cast(kind).chunks, *other.cast(kind).chunks]
        both = pa.chunked_array(chunks, type=kind)
        encoded = both.combine_chunks().dictionary_encode()
        numbers = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        unknown = (numbers < 0) | (codes < 0)
        codes = np.where(unknown, -1, codes * max(1, len(encoded.dictionary)) + numbers)
    return codes[:count], codes[count:]


def known_entities(views: Sequence[ViewJoin], at_ns: int) -> pa.Table:
    """Return the entities of which any view holds a value young enough at an instant.

    Parameters
    ----------
    views
        With the same join keys.
    at_ns
        The instant, nanoseconds UTC.

    Returns
    -------
    pyarrow.Table
        One row an entity, its join keys as columns, sorted.
    """
    found = []
    for view in views:
        if not view.source.files():
            continue
        at = f"epoch_ns({_quote(view.source.timestamp)})"
        young = f" AND {at} >= {at_ns - view.ttl_ns}" if view.ttl_ns else ""
        keys = ", ".join(f"{_quote(theirs)} AS {_quote(ours)}" for theirs, ours in view.keys)
        rows = f"{_scan(view.source)} WHERE {at} <= {at_ns}{young}"
        found.append(f"SELECT DISTINCT {keys} FROM {rows}")  # noqa: S608 - as above
    if not found:
        return pa.table(
            {ours: pa.array([], pa.string()) for view in views for _, ours in view.keys}
        )
    with _database().cursor() as connection:
        return connection.sql(f"{' UNION '.join(found)} ORDER BY ALL").to_arrow_table()


def newest_rows(
    source: ParquetSource,
    keys: Sequence[str],
    columns: Sequence[str],
    start_ns: int | None,
    end_ns: int | None,
    *,
    latest_only: bool,
) -> pa.Table:
    """Return rows with event times from `start_ns` to `end_ns`, both inclusive.

    Parameters
    ----------
    source
        The rows.
    keys, columns
        Join keys and values to return; the timestamps come with them.
    start_ns, end_ns
        Nanoseconds UTC; None for no bound.
    latest_only
        Only the newest row of each key.
    """
    stamps = [source.timestamp, *([source.created] if source.created else [])]
    wanted = list(dict.fromkeys([*keys, *columns, *stamps]))
    if not source.files():
        return pa.table({name: pa.array([], _empty_type(name, keys, stamps)) for name in wanted})
    at = f"epoch_ns({_quote(source.timestamp)})"
    bounds = [f"{at} >= {start_ns}"] if start_ns is not None else []
    bounds += [f"{at} <= {end_ns}"] if end_ns is not None else []
    sql = f"SELECT {', '.join(map(_quote, wanted))} FROM {_scan(source)}"  # noqa: S608 - as above
    if bounds:
        sql += f" WHERE {' AND '.join(bounds)}"
    newest_first = ", ".join(f"{_quote(stamp)} DESC NULLS LAST" for stamp in stamps)
    if latest_only:
        parts = f"PARTITION BY {', '.join(map(_quote, keys))} " if keys else ""
        sql += f" QUALIFY row_number() OVER ({parts}ORDER BY {newest_first}) = 1"
    else:
        sql += f" ORDER BY {', '.join(map(_quote, stamps))}"
    with _database().cursor() as connection:
        found = connection.sql(sql).to_arrow_table()
    for stamp in stamps:
        place = found.column_names.index(stamp)
        found = found.set_column(place, stamp, found[stamp].cast(_UTC))
    return found


def _scan(source: ParquetSource) -> str:
    files = ", ".join("'" + file.replace("'", "''") + "'" for file in source.files())
    partitioned = "false" if source.path.is_file() else "true"
    return (
        f"read_parquet([{files}], hive_partitioning = {partitioned}, "
        "hive_types_autocast = false, union_by_name = true)"
    )


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _empty_type(name: str, keys: Sequence[str], stamps: Sequence[str]) -> pa.DataType:
    if name in stamps:
        return _UTC
    return pa.string() if name in keys else pa.float32()
