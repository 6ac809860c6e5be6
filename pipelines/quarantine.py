"""Rows that the lake refused because it holds other values of the same bar."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from pipelines.quality import QUARANTINE_COLUMNS
from pipelines.sources.raw import Fault


def conflict_rows(
    refused: pd.DataFrame, source_file: str, row_numbers: Sequence[int]
) -> pd.DataFrame:
    """Return refused bars as quarantine; the text is the row as it came.

    Parameters
    ----------
    refused
        Bars as the lake told them back.
    source_file
        Where they came from.
    row_numbers
        Of each bar there.
    """
    return pd.DataFrame(
        {
            "source_file": source_file,
            "row_number": row_numbers,
            "closed_at_ns": refused["closed_at_ns"].to_numpy(),
            "reason": Fault.CONFLICTS_WITH_LAKE.value,
            "raw_text": [
                ",".join(repr(value) for value in row) for row in refused.to_numpy().tolist()
            ],
        },
        columns=list(QUARANTINE_COLUMNS),
    )
