"""Merge rows into a month of the lake: who stays where two sources tell of one bar."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipelines.sources.raw import BAR_COLUMNS, MEASURES, MICROSTRUCTURE


@dataclass(frozen=True, slots=True)
class WriteReport:
    """What became of the rows given to `Lake.write_bars`.

    Parameters
    ----------
    added
        Bars that were new.
    unchanged
        Bars that were there already, equal in every column.
    replaced
        Bars that took the place of a lower-ranking source's.
    conflicting
        Rows refused because the lake has another bar of that stamp, as they were given.
    """

    added: int
    unchanged: int
    replaced: int
    conflicting: pd.DataFrame


def merge(
    kept: pd.DataFrame | None, given: pd.DataFrame, *, supersede: bool
) -> tuple[pd.DataFrame, WriteReport]:
    """Return a month's rows with the given ones among them, and what became of those.

    A bar that is there already and is told more of, by its quotes, counts as replaced.

    Parameters
    ----------
    kept
        The month's rows with the columns of `pipelines.lake_files.ROW_SCHEMA`, None if none.
    given
        Rows to add, with the same columns.
    supersede
        See `pipelines.lake.Lake.write_bars`.
    """
    given = given.reset_index(drop=True)
    if kept is None:
        return given, WriteReport(len(given), 0, 0, given.iloc[:0][list(BAR_COLUMNS)])
    place = pd.Index(kept["closed_at_ns"]).get_indexer(pd.Index(given["closed_at_ns"]))
    known = place >= 0
    theirs, ours = kept.iloc[place[known]], given[known]
    held, came = theirs[list(MEASURES)].to_numpy(), ours[list(MEASURES)].to_numpy()
    same = np.asarray(((held == came) | (np.isnan(held) & np.isnan(came))).all(axis=1))
    known_more = np.asarray(
        (theirs[list(MICROSTRUCTURE)].isna().to_numpy() & ours[list(MICROSTRUCTURE)].notna()).any(
            axis=1
        )
        & same
        & (ours["priority"].to_numpy() >= theirs["priority"].to_numpy())
    )
    outranks = ours["priority"].to_numpy() > theirs["priority"].to_numpy()
    if supersede:
        own = ours["source"].to_numpy() == theirs["source"].to_numpy()
        outranks |= own & (ours["priority"].to_numpy() == theirs["priority"].to_numpy())
    replacing = ours[(~same & outranks) | known_more]
    merged = pd.concat(
        [
            kept[~kept["closed_at_ns"].isin(replacing["closed_at_ns"])],
            replacing,
            given[~known],
        ]
    ).sort_values("closed_at_ns", ignore_index=True)
    return merged, WriteReport(
        added=int((~known).sum()),
        unchanged=int((same & ~known_more).sum()),
        replaced=len(replacing),
        conflicting=ours.loc[~same & ~outranks, list(BAR_COLUMNS)],
    )
