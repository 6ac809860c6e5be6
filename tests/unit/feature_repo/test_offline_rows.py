from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_repo.offline_rows import AT, ParquetSource, read_rows

HOUR_NS = 3_600_000_000_000
ROWS, GROUP = 60, 20


def stored(folder: Path, unit: str, zone: str | None) -> ParquetSource:
    """Write hours of a view in row groups, the first of which cannot be read."""
    file = folder / "symbol=EURUSD" / "2017-Q3.parquet"
    file.parent.mkdir(parents=True)
    stamps = pd.to_datetime(np.arange(ROWS) * HOUR_NS, utc=True)
    table = pa.table(
        {
            "event_timestamp": pa.array(stamps).cast(pa.timestamp(unit, zone)),
            "value": pa.array(np.arange(ROWS), pa.float32()),
        }
    )
    pq.write_table(table, file, row_group_size=GROUP, use_dictionary=False)
    first = pq.read_metadata(file).row_group(0)
    content = bytearray(file.read_bytes())
    for place in range(2):
        at = first.column(place).data_page_offset
        content[at : at + first.column(place).total_compressed_size] = bytes(
            first.column(place).total_compressed_size
        )
    file.write_bytes(content)
    return ParquetSource(folder, "event_timestamp")


@pytest.mark.parametrize(("unit", "zone"), [("us", "UTC"), ("ns", "UTC"), ("us", None)])
def test_row_groups_out_of_the_bounds_are_not_read(
    unit: str, zone: str | None, tmp_path: Path
) -> None:
    source = stored(tmp_path, unit, zone)
    asked = {"symbol": frozenset({"EURUSD"})}
    first_ns = GROUP * HOUR_NS
    found = read_rows(source, ["symbol", "value"], asked, first_ns, 2 * GROUP * HOUR_NS - 1)
    assert found[AT].to_pylist() == [at * HOUR_NS for at in range(GROUP, 2 * GROUP)]
    assert found["value"].to_pylist() == list(range(GROUP, 2 * GROUP))
    with pytest.raises(OSError):  # noqa: PT011 - of any wording
        read_rows(source, ["symbol", "value"], asked, first_ns - HOUR_NS, None)
    assert read_rows(source, ["value"], asked, ROWS * HOUR_NS, None).num_rows == 0


def test_a_symbol_without_rows_gives_none_and_reads_nothing(tmp_path: Path) -> None:
    source = stored(tmp_path, "us", "UTC")
    found = read_rows(source, ["symbol", "value"], {"symbol": frozenset({"GBPUSD"})}, None, None)
    assert found.num_rows == 0
    assert {"symbol", "value", AT} <= set(found.column_names)
