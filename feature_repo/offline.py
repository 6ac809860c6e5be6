"""The offline store plugged into Feast: Parquet read with ASOF joins.

Feast's own file store answers a point-in-time question with a cross merge; a year of minutes
asks it for a tebibyte. This one takes the same questions in seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from feast.data_source import DataSource
from feast.errors import SavedDatasetLocationAlreadyExists
from feast.feature_view import DUMMY_ENTITY_ID, DUMMY_ENTITY_VAL, FeatureView
from feast.infra.offline_stores.file_source import FileSource, SavedDatasetFileStorage
from feast.infra.offline_stores.offline_store import (
    OfflineStore,
    RetrievalJob,
    RetrievalMetadata,
)
from feast.infra.registry.base_registry import BaseRegistry
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.repo_config import FeastConfigBaseModel, RepoConfig
from feast.saved_dataset import SavedDatasetStorage
from feast.utils import (
    _get_requested_feature_views_to_features_dict,
    _get_requested_on_demand_feature_views,
    compute_non_entity_date_range,
)

from feature_repo.offline_query import (
    ViewJoin,
    asof_join,
    known_entities,
    newest_rows,
)
from feature_repo.offline_rows import ParquetSource
from online.domain.errors import InvalidInput

_EVENT_TIMESTAMP = "event_timestamp"


class SextantOfflineStoreConfig(FeastConfigBaseModel):
    """Settings of the offline store: none beyond its name."""

    type: Literal["feature_repo.offline.SextantOfflineStore"] = (
        "feature_repo.offline.SextantOfflineStore"
    )


class AsofRetrievalJob(RetrievalJob):
    """A query that runs when its result is asked for.

    Parameters
    ----------
    evaluate
        Runs it.
    full_feature_names
        Whether columns carry their view's name.
    on_demand_feature_views
        Computed by Feast from the result.
    metadata
        What was asked for.
    """

    def __init__(
        self,
        evaluate: Callable[[], pa.Table],
        *,
        full_feature_names: bool = False,
        on_demand_feature_views: list[OnDemandFeatureView] | None = None,
        metadata: RetrievalMetadata | None = None,
    ) -> None:
        self._evaluate = evaluate
        self._full_feature_names = full_feature_names
        self._on_demand_feature_views = on_demand_feature_views or []
        self._metadata = metadata

    @property
    def full_feature_names(self) -> bool:
        """Whether columns carry their view's name."""
        return self._full_feature_names

    @property
    def on_demand_feature_views(self) -> list[OnDemandFeatureView]:
        """Views that Feast computes from the result."""
        return self._on_demand_feature_views

    @property
    def metadata(self) -> RetrievalMetadata | None:
        """What was asked for."""
        return self._metadata

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:  # noqa: ARG002 - Feast's
        return self._evaluate()

    def _to_df_internal(self, timeout: int | None = None) -> pd.DataFrame:  # noqa: ARG002 - Feast's
        frame: pd.DataFrame = self._evaluate().to_pandas()
        return frame

    def persist(
        self,
        storage: SavedDatasetStorage,
        allow_overwrite: bool = False,  # noqa: FBT001, FBT002 - Feast's signature
        timeout: int | None = None,  # noqa: ARG002 - Feast's signature
    ) -> None:
        """Write the result to a Parquet file."""
        if not isinstance(storage, SavedDatasetFileStorage):
            raise InvalidInput(f"a result is saved to a Parquet file, got {type(storage)}")
        path = Path(storage.file_options.uri)
        if path.exists() and not allow_overwrite:
            raise SavedDatasetLocationAlreadyExists(location=str(path))
        pq.write_table(self.to_arrow(), path)


class SextantOfflineStore(OfflineStore):
    """Feast's offline store over Parquet files, answering with DuckDB ASOF joins.

    It differs from Feast's file store where that loses rows: an entity row whose only values
    have expired stays, with nulls, and entity rows asked twice are answered twice, in order.
    """

    @staticmethod
    def get_historical_features(
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: pd.DataFrame | str | None,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,  # noqa: FBT001, FBT002 - Feast's signature
        **kwargs: Any,  # noqa: ANN401 - Feast's signature
    ) -> RetrievalJob:
        """Return the newest values at or before each entity row, none older than its ttl.

        Parameters
        ----------
        config, registry, project
            Feast's.
        feature_views, feature_refs
            What is asked for, ``view:feature``.
        entity_df
            Join keys and event times; a time without a zone is UTC. None asks for every entity
            at ``end_date``, now by default.
        full_feature_names
            Whether columns are named ``view__feature``.
        **kwargs
            ``start_date`` and ``end_date``, used where there is no `entity_df`.

        Raises
        ------
        InvalidInput
            If `entity_df` is no data frame or has no event time.
        """
        requested, _ = _get_requested_feature_views_to_features_dict(
            feature_refs,
            feature_views,
            _get_requested_on_demand_feature_views(feature_refs, config.project, registry),
        )
        joins = [
            _view_join(view, features, config, full_feature_names=full_feature_names)
            for view, features in requested.items()
        ]
        if entity_df is None:
            _, end = compute_non_entity_date_range(
                feature_views, kwargs.get("start_date"), kwargs.get("end_date")
            )
            rows = known_entities(joins, _nanoseconds(end) or 0).to_pandas()
            rows[_EVENT_TIMESTAMP] = pd.Timestamp(end)
        elif isinstance(entity_df, pd.DataFrame):
            rows = entity_df
        else:
            raise InvalidInput(f"entity_df must be a pandas DataFrame, got {type(entity_df)}")
        time_column = _event_time_column(rows)
        missing = {key for join in joins for _, key in join.keys} - set(rows.columns)
        if missing:
            raise InvalidInput(f"entity_df lacks the join keys {sorted(missing)}")
        times = pd.DatetimeIndex(
            pd.to_datetime(rows[time_column], utc=True, cache=False)  # few stamps come twice
        ).as_unit("ns")

        def evaluate() -> pa.Table:
            entities = pa.Table.from_pandas(
                rows.assign(**{time_column: times}), preserve_index=False
            )
            return asof_join(entities, pa.array(times.asi8), joins)

        return AsofRetrievalJob(
            evaluate,
            full_feature_names=full_feature_names,
            on_demand_feature_views=OnDemandFeatureView.get_requested_odfvs(
                feature_refs, project, registry
            ),
            metadata=RetrievalMetadata(
                features=feature_refs,
                keys=sorted(set(rows.columns) - {time_column}),
                min_event_timestamp=times.min(),
                max_event_timestamp=times.max(),
            ),
        )

    @staticmethod
    def pull_latest_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None,
        start_date: datetime,
        end_date: datetime,
    ) -> RetrievalJob:
        """Return the newest row of every entity within a time range, both ends inclusive.

        Parameters
        ----------
        config
            Feast's.
        data_source
            A `FileSource`.
        join_key_columns, feature_name_columns
            Columns to return.
        timestamp_field, created_timestamp_column
            Event time and, if there is one, the time a row was written.
        start_date, end_date
            The range; without a zone they are UTC.
        """
        source = _parquet(data_source, config, timestamp_field, created_timestamp_column)
        return _pull(
            source, join_key_columns, feature_name_columns, start_date, end_date, latest_only=True
        )

    @staticmethod
    def pull_all_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> RetrievalJob:
        """Return every row within a time range; parameters as of the newest rows."""
        source = _parquet(data_source, config, timestamp_field, created_timestamp_column)
        return _pull(
            source, join_key_columns, feature_name_columns, start_date, end_date, latest_only=False
        )


def _event_time_column(entity_df: pd.DataFrame) -> str:
    """Return the entity rows' time: ``event_timestamp``, or the only datetime column."""
    if _EVENT_TIMESTAMP in entity_df.columns:
        return _EVENT_TIMESTAMP
    times = entity_df.select_dtypes(include=["datetime", "datetimetz"]).columns
    if len(times) != 1:
        raise InvalidInput(
            f"entity_df needs a column {_EVENT_TIMESTAMP}, got {list(entity_df.columns)}"
        )
    return str(times[0])


def _parquet(
    source: DataSource, config: RepoConfig, timestamp: str, created: str | None
) -> ParquetSource:
    if not isinstance(source, FileSource):
        raise InvalidInput(f"the offline store reads a FileSource, got {type(source)}")
    path = Path(source.path)
    if not path.is_absolute() and config.repo_path is not None:
        path = Path(config.repo_path) / path
    return ParquetSource(path, timestamp, created or None)


def _view_join(
    view: FeatureView, features: list[str], config: RepoConfig, *, full_feature_names: bool
) -> ViewJoin:
    source = view.batch_source
    if source is None:
        raise InvalidInput(f"view {view.name} has no batch source to read")
    original = {new: old for old, new in source.field_mapping.items()}
    renamed = view.projection.join_key_map
    shown = view.projection.name_to_use()  # type: ignore[no-untyped-call] # Feast's
    prefix = f"{shown}__" if full_feature_names else ""
    return ViewJoin(
        source=_parquet(source, config, source.timestamp_field, source.created_timestamp_column),
        keys=tuple(
            (original.get(column.name, column.name), renamed.get(column.name, column.name))
            for column in view.entity_columns
        ),
        columns=tuple((original.get(name, name), prefix + name) for name in features),
        ttl_ns=int(view.ttl.total_seconds() * 1_000_000_000) if view.ttl else None,
    )


def _pull(
    source: ParquetSource,
    keys: list[str],
    columns: list[str],
    start: datetime | None,
    end: datetime | None,
    *,
    latest_only: bool,
) -> RetrievalJob:
    def evaluate() -> pa.Table:
        bounds = (_nanoseconds(start), _nanoseconds(end))
        table = newest_rows(source, keys, columns, *bounds, latest_only=latest_only)
        if keys:
            return table
        dummy = pa.array([DUMMY_ENTITY_VAL] * table.num_rows, pa.string())
        return table.append_column(DUMMY_ENTITY_ID, dummy)

    return AsofRetrievalJob(evaluate)


def _nanoseconds(at: datetime | None) -> int | None:
    if at is None:
        return None
    stamp = pd.Timestamp(at)
    return int((stamp.tz_localize("UTC") if stamp.tz is None else stamp).as_unit("ns").value)
