"""Our offline store against Feast's own file store, and at its limits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Float32

from online.domain.errors import InvalidInput

pytestmark = pytest.mark.integration

_START = pd.Timestamp("2024-03-01", tz="UTC")


def hours(*numbers: float) -> list[pd.Timestamp]:
    return [_START + pd.Timedelta(hours=n) for n in numbers]


@dataclass(frozen=True)
class Stores:
    """Two stores over the same files: ours and Feast's."""

    ours: FeatureStore
    theirs: FeatureStore

    def ask(
        self, which: str, rows: pd.DataFrame, refs: list[str], *, full_feature_names: bool = False
    ) -> pd.DataFrame:
        store = self.ours if which == "ours" else self.theirs
        found: pd.DataFrame = store.get_historical_features(
            rows, refs, full_feature_names=full_feature_names
        ).to_df()
        stamps = pd.to_datetime(found["event_timestamp"], utc=True).astype("datetime64[us, UTC]")
        found = found.assign(event_timestamp=stamps)
        return found.sort_values(["event_timestamp", "symbol"]).reset_index(drop=True)


def open_over(folder: Path, offline: str) -> FeatureStore:
    return FeatureStore(
        config=RepoConfig(
            project="compare",
            provider="local",
            registry=str(folder / f"{offline.rsplit('.', 1)[-1]}.db"),
            online_store={"type": "sqlite", "path": str(folder / "online.db")},
            offline_store={"type": offline},
            entity_key_serialization_version=3,
            repo_path=str(folder),
        )
    )


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Stores:
    folder = tmp_path_factory.mktemp("offline")
    random = np.random.default_rng(1)
    quick = pd.DataFrame(
        {
            "symbol": ["A"] * 6 + ["B"] * 6,
            "event_timestamp": hours(*range(6)) + hours(*range(6)),
            "speed": random.normal(size=12).astype(np.float32),
            "depth": random.normal(size=12).astype(np.float32),
        }
    )
    tied = pd.DataFrame(
        {
            "symbol": ["A", "A", "A", "B"],
            "event_timestamp": hours(1, 1, 3, 2),
            "created": hours(5, 9, 5, 5),
            "level": np.array([1, 2, 3, 4], dtype=np.float32),
        }
    )
    for name, frame in (("quick", quick), ("tied", tied)):
        frame.to_parquet(folder / f"{name}.parquet", index=False)
    entity = Entity(name="symbol", join_keys=["symbol"], value_type=ValueType.STRING)

    def view(name: str, fields: list[str], ttl: timedelta, created: str = "") -> FeatureView:
        return FeatureView(
            name=name,
            entities=[entity],
            ttl=ttl,
            schema=[Field(name=field, dtype=Float32) for field in fields],
            source=FileSource(
                name=f"{name}_file",
                path=str(folder / f"{name}.parquet"),
                timestamp_field="event_timestamp",
                created_timestamp_column=created,
            ),
        )

    objects: list[Any] = [
        entity,
        view("quick", ["speed", "depth"], timedelta(hours=2)),
        view("tied", ["level"], timedelta(0), created="created"),
    ]
    found = Stores(
        open_over(folder, "feature_repo.offline.SextantOfflineStore"), open_over(folder, "dask")
    )
    for store in (found.ours, found.theirs):
        store.apply(objects)
    return found


QUICK = ["quick:speed", "quick:depth"]


def rows(symbols: list[str], at: list[pd.Timestamp]) -> pd.DataFrame:
    return pd.DataFrame({"symbol": symbols, "event_timestamp": at})


@pytest.mark.parametrize(
    ("asked", "refs", "more"),
    [
        pytest.param(rows(["A"] * 4, hours(0, 0.5, 3, 7)), QUICK, {}, id="within the ttl"),
        pytest.param(rows(["A", "B", "A"], hours(1, 1, 2)), QUICK, {}, id="two symbols"),
        pytest.param(rows(["A", "A"], hours(7, 6.99)), QUICK, {}, id="exactly the ttl"),
        pytest.param(rows(["A", "Z"], hours(2, 2)), QUICK, {}, id="an unknown symbol"),
        pytest.param(rows(["A", "A", "B"], hours(1, 2, 2)), ["tied:level"], {}, id="ties"),
        pytest.param(
            rows(["A", "B"], hours(3, 4)), [*QUICK, "tied:level"], {}, id="two views at once"
        ),
        pytest.param(
            rows(["A"], hours(3)), QUICK, {"full_feature_names": True}, id="full feature names"
        ),
        pytest.param(
            rows(["A"], [t.tz_localize(None) for t in hours(3)]), QUICK, {}, id="times without zone"
        ),
        pytest.param(
            rows(["A"], [t.tz_convert("Asia/Tokyo") for t in hours(3)]), QUICK, {}, id="Tokyo time"
        ),
    ],
)
def test_answers_equal_those_of_feasts_file_store(
    stores: Stores, asked: pd.DataFrame, refs: list[str], more: dict[str, bool]
) -> None:
    ours = stores.ask("ours", asked, refs, **more)
    theirs = stores.ask("theirs", asked, refs, **more)
    pd.testing.assert_frame_equal(ours, theirs[list(ours.columns)])
    assert set(ours.columns) == set(theirs.columns)


def test_rows_keep_their_order_their_columns_and_their_doubles(stores: Stores) -> None:
    asked = rows(["B", "A", "B"], hours(4, 1, 4)).assign(label=[1, 2, 3])
    found = stores.ours.get_historical_features(asked, QUICK).to_df()
    assert found["label"].tolist() == [1, 2, 3]
    assert found["symbol"].tolist() == ["B", "A", "B"]


def test_a_row_whose_values_expired_stays_with_nulls(stores: Stores) -> None:
    found = stores.ask("ours", rows(["A", "A"], hours(-1, 9)), QUICK)
    assert found[["speed", "depth"]].isna().to_numpy().all()
    assert len(found) == 2


def test_a_value_of_the_future_is_never_seen(stores: Stores) -> None:
    found = stores.ask("ours", rows(["A"], [hours(2)[0] - pd.Timedelta(1, "us")]), ["quick:speed"])
    before = stores.ask("ours", rows(["A"], hours(1)), ["quick:speed"])
    assert found["speed"].tolist() == before["speed"].tolist()


def test_entity_rows_without_the_join_key_are_refused(stores: Stores) -> None:
    asked = pd.DataFrame({"ticker": ["A"], "event_timestamp": hours(1)})
    with pytest.raises((InvalidInput, KeyError, ValueError), match="symbol"):
        stores.ours.get_historical_features(asked, QUICK).to_df()


def test_rows_asked_in_words_are_refused(stores: Stores) -> None:
    with pytest.raises(InvalidInput, match="DataFrame"):
        stores.ours.get_historical_features("select 1", QUICK)


def test_the_newest_rows_equal_those_of_feasts_file_store(stores: Stores) -> None:
    start, end = hours(0, 3.5)
    for name in ("quick", "tied"):
        answers = []
        for store in (stores.ours, stores.theirs):
            view = store.get_feature_view(name)
            source = view.batch_source
            assert source is not None
            job = store._get_provider().offline_store.pull_latest_from_table_or_query(
                config=store.config,
                data_source=source,
                join_key_columns=["symbol"],
                feature_name_columns=[field.name for field in view.features],
                timestamp_field="event_timestamp",
                created_timestamp_column=source.created_timestamp_column,
                start_date=start.to_pydatetime(),
                end_date=end.to_pydatetime(),
            )
            frame = job.to_df().sort_values("symbol").reset_index(drop=True)
            answers.append(frame[sorted(frame.columns)])
        ours, theirs = answers
        pd.testing.assert_frame_equal(ours, theirs, check_dtype=False, obj=name)


@pytest.mark.parametrize("at", [1.5, 6.5, 30])
def test_every_entity_at_an_instant_equals_feasts_file_store(stores: Stores, at: float) -> None:
    answers = []
    for store in (stores.ours, stores.theirs):
        found = store.get_historical_features(
            None, QUICK, end_date=hours(at)[0].to_pydatetime()
        ).to_df()
        answers.append(
            found.sort_values("symbol").reset_index(drop=True)[["symbol", "speed", "depth"]]
        )
    ours, theirs = answers
    pd.testing.assert_frame_equal(ours, theirs, check_dtype=len(ours) > 0)
