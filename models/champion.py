"""A new model beside the present champion, on rows the champion never learnt from."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.calibrate import combine_rows
from models.dataset import Dataset, Features
from models.evaluate import OutOfFold
from models.export import OnnxScorer, read_manifest
from models.labels import Outcome
from models.threshold import Threshold, choose_before
from models.trading import trade
from models.validators import refuse_rows
from online.domain.barriers import BarrierRule
from online.domain.manifest import Manifest, Reads

logger = logging.getLogger(__name__)
_WITHOUT_SLIPPAGE = "its least edge was chosen without slippage, which both are charged here"
MIN_ROWS = 200
"""Fewest rows after the champion's training on which the two are compared."""


@dataclass(frozen=True, slots=True)
class Duel:
    """Total units of risk of both on the same rows; NaN where they cannot be compared.

    Parameters
    ----------
    champion_units, model_units
        After costs.
    n_rows
        Rows they were compared on.
    reason
        Why they cannot be compared; empty where they were.
    note
        What to know of a champion that was compared; empty for nothing.
    """

    champion_units: float
    model_units: float
    n_rows: int
    reason: str = ""
    note: str = ""


def duel(
    folder: Path,
    dataset: Dataset,
    signals: OutOfFold,
    threshold: Threshold,
    rule: BarrierRule,
    fingerprint: Callable[[Manifest], str],
) -> Duel:
    """Trade the champion and the new model's out-of-fold signals on the same rows.

    Parameters
    ----------
    folder
        The champion's bundle.
    dataset
        The new model's data; the champion's features must be among its columns, and its window
        the dataset's.
    signals
        The new model's, out of fold; where it could not trade, the champion does not either.
    threshold
        The new model's: what is compared is the one that would have been chosen before the rows
        are. The champion brings its own.
    rule
        The new model's exits, by which the rows are labelled; a champion that trades by others
        cannot be compared.
    fingerprint
        Tells how the dataset's features of a manifest's names are made.
    """
    manifest = read_manifest(folder)
    later = signals.labels.decided_at_ns > manifest.training.ended_at_ns
    if signals.judged is not None:
        later &= signals.judged
    n_rows = int(later.sum())
    reason = _refusal(manifest, dataset, n_rows, rule, fingerprint)
    if reason:
        logger.warning("%s cannot be compared with the champion: %s", manifest.name, reason)
        return Duel(math.nan, math.nan, n_rows, reason)
    labels = signals.labels.take(np.flatnonzero(later))
    rows = np.searchsorted(dataset.labels.decided_at_ns, labels.decided_at_ns)
    columns = [dataset.names.index(name) for name in manifest.vector.names]
    inputs: dict[Reads, Features] = {
        "vector": np.ascontiguousarray(dataset.features[rows][:, columns])
    }
    if manifest.vector.window is not None:
        inputs["window"] = dataset.inputs("window")[rows]
    probabilities = combine_rows(
        [
            OnnxScorer((folder / member.file).read_bytes()).score(inputs[member.reads])
            for member in manifest.members
        ],
        tuple(member.calibration for member in manifest.members),
        tuple(member.weight for member in manifest.members),
    )
    edge = probabilities[:, Outcome.LONG] - probabilities[:, Outcome.SHORT]
    if manifest.validators is not None:
        refused = refuse_rows(
            probabilities, inputs["vector"].astype(np.float64), manifest.vector, manifest.validators
        )
        edge = np.where([not reasons for reasons in refused], edge, 0.0)
    champion = trade(edge, labels, manifest.min_edge)
    known = (signals.said_edge, signals.labels, signals.fold, threshold.min_coverage)
    min_edge = choose_before(*known, int(labels.decided_at_ns[0]))
    mine = trade(signals.edge[later], labels, min_edge)
    return Duel(
        *(float(champion.net_units.sum()), float(mine.net_units.sum()), n_rows),
        note="" if manifest.slippage_told else _WITHOUT_SLIPPAGE,
    )


def _refusal(
    manifest: Manifest,
    dataset: Dataset,
    n_rows: int,
    rule: BarrierRule,
    fingerprint: Callable[[Manifest], str],
) -> str:
    """Return why a champion cannot be scored on a dataset's rows; empty if it can."""
    if n_rows < MIN_ROWS:
        return f"{n_rows} rows lie behind its training, {MIN_ROWS} are needed"
    absent = sorted(set(manifest.vector.names) - set(dataset.names))
    if absent:
        return f"the data lack what it reads: {', '.join(absent)}"
    if not _has_windows(dataset, manifest):
        return "the data lack the windows that it reads"
    if manifest.barriers != rule:
        return f"it trades by other exits: {manifest.barriers}, not {rule}"
    made = fingerprint(manifest)
    if made != manifest.transform_fingerprint:
        return (
            f"it learnt from features of fingerprint {manifest.transform_fingerprint[:12]}, the "
            f"catalogue's is {made[:12]}"
        )
    return ""


def _has_windows(dataset: Dataset, manifest: Manifest) -> bool:
    """Tell whether the dataset has the windows that a champion reads."""
    asked, held = manifest.vector.window, dataset.windows
    if asked is None:
        return True
    return held is not None and (held.names, held.length) == (asked.features, asked.length)
