"""The offline store's queries: ASOF joins and newest rows over Parquet, in DuckDB."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_ROW = "__row"
_AT = "__at_ns"
_PLACE = "__place"
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
    with duckdb.connect() as connection:
        keys = sorted({key for view in views for _, key in view.keys})
        rows = pa.table(
            {_ROW: pa.array(np.arange(entities.num_rows)), _AT: at_ns}
            | {key: entities[key] for key in keys}
        )
        connection.register("entities", rows)
        for view in views:
            if not view.source.files():
                for _, new in view.columns:
                    result = result.append_column(new, pa.nulls(entities.num_rows, pa.float32()))
                continue
            held = _held_rows(connection, view, at_ns)
            matches = _matches(connection, view, held)
            for old, new in view.columns:
                result = result.append_column(new, held[old].take(matches))
    return result


def _held_rows(connection: duckdb.DuckDBPyConnection, view: ViewJoin, at_ns: pa.Array) -> pa.Table:
    """Return the view's rows that can be the answer to one of the registered entity rows."""
    conditions = []
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


def _matches(connection: duckdb.DuckDBPyConnection, view: ViewJoin, held: pa.Table) -> pa.Array:
    """Return the place in `held` of each entity row's values, null where none is young enough.

    Only keys and times are joined; the values, many columns of them, are then taken by place.
    """
    places = {_PLACE: pa.array(np.arange(held.num_rows)), _AT: held[_AT]}
    connection.register("held", pa.table(places | {key: held[key] for key, _ in view.keys}))
    young = f"entities.{_AT} - held.{_AT} <= {view.ttl_ns}" if view.ttl_ns else "true"
    same = "".join(
        f"entities.{_quote(ours)} = held.{_quote(theirs)} AND " for theirs, ours in view.keys
    )
    found = connection.sql(
        f"SELECT CASE WHEN {young} THEN held.{_PLACE} END AS {_PLACE} FROM entities "  # noqa: S608 - as above
        f"ASOF LEFT JOIN held ON {same}entities.{_AT} >= held.{_AT} ORDER BY entities.{_ROW}"
    ).to_arrow_table()
    connection.unregister("held")
    return found[_PLACE].combine_chunks()


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
    with duckdb.connect() as connection:
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
    with duckdb.connect() as connection:
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
