"""The offline store's queries: ASOF joins and newest rows over Parquet, read by DuckDB."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from feature_repo.bars import Stamps

_AT = "__at_ns"
_UTC = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True, slots=True)
class ParquetSource:
    """Rows of a view: a Parquet file, or a folder of them partitioned as ``symbol=EURUSD``.

    Parameters
    ----------
    path
        File or folder; a folder without files holds no rows.
    timestamp
        Column with the event time.
    created
        Column with the time a row was written, which breaks ties; None if there is none.
    """

    path: Path
    timestamp: str
    created: str | None = None

    def files(self) -> list[str]:
        """Return the files, in a fixed order."""
        if self.path.is_file():
            return [str(self.path)]
        return sorted(str(file) for file in self.path.rglob("*.parquet"))


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
    with _database().cursor() as connection:
        keys = sorted({key for view in views for _, key in view.keys})
        connection.register("entities", entities.select(keys) if keys else pa.table({_AT: at_ns}))
        for view in views:
            if not view.source.files():
                for _, new in view.columns:
                    result = result.append_column(new, pa.nulls(entities.num_rows, pa.float32()))
                continue
            held = _held_rows(connection, view, at_ns)
            found, absent = _newest_places(entities, stamps, view, held)
            places = pa.array(found, mask=absent)
            for old, new in view.columns:
                result = result.append_column(new, held[old].take(places))
    return result


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """Return this process's DuckDB, in memory; every question has a cursor of its own."""
    return duckdb.connect()


def _held_rows(connection: duckdb.DuckDBPyConnection, view: ViewJoin, at_ns: pa.Array) -> pa.Table:
    """Return the view's rows that can be the answer to one of the registered entity rows."""
    conditions = [] if len(at_ns) else ["false"]
    if len(at_ns):
        span = pc.min_max(at_ns).as_py()
        conditions.append(f"{_AT} <= {span['max']}")
        if view.ttl_ns:
            conditions.append(f"{_AT} >= {span['min'] - view.ttl_ns}")
    if view.keys:
        theirs = ", ".join(_quote(key) for key, _ in view.keys)
        ours = ", ".join(_quote(key) for _, key in view.keys)
        conditions.append(f"({theirs}) IN (SELECT DISTINCT {ours} FROM entities)")  # noqa: S608 - names are quoted
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return connection.sql(f"SELECT * FROM ({_view_rows(view)}){where}").to_arrow_table()  # noqa: S608 - as above


def _newest_places(
    entities: pa.Table, at_ns: Stamps, view: ViewJoin, held: pa.Table
) -> tuple[Stamps, npt.NDArray[np.bool_]]:
    """Return the place in `held` of each entity row's values, and where there is none.

    The ASOF join: within one entity, the last row at or before the instant, if it is young
    enough. Only keys and times are looked at; the values are then taken by place.
    """
    held_at = held[_AT].to_numpy()
    wanted, known = _codes(entities, view, held)
    order = np.lexsort((held_at, known))
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


def _view_rows(view: ViewJoin) -> str:
    """Return the subquery of a view's rows, one for each key and event time."""
    source = view.source
    names = dict.fromkeys([k for k, _ in view.keys] + [c for c, _ in view.columns])
    at = f"epoch_ns({_quote(source.timestamp)})"
    sql = f"SELECT {', '.join(map(_quote, names))}, {at} AS {_AT} FROM {_scan(source)}"  # noqa: S608 - as above
    if source.created:
        parts = ", ".join([*(_quote(k) for k, _ in view.keys), at])
        sql += (
            f" QUALIFY row_number() OVER (PARTITION BY {parts} "
            f"ORDER BY {_quote(source.created)} DESC NULLS LAST) = 1"
        )
    return sql


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
