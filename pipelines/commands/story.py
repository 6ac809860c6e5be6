"""The story of one decision, gathered from the journal alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from online.domain.errors import NotFound
from online.domain.manifest import Manifest, decode_manifest
from online.domain.record import (
    DealRecord,
    DecisionRecord,
    LimitsRecord,
    ModelRecord,
    Record,
    ResultRecord,
)

EXAMPLES_SHOWN = 3


class Story(msgspec.Struct, frozen=True):
    """Everything the journal holds about one decision.

    Parameters
    ----------
    decision
        The decision with its facts.
    model
        The bundle that scored; None if the journal does not hold it.
    limits
        In force when it was taken; None if the journal does not hold them.
    results
        What came back for its order, evidence found later included, oldest first.
    deals
        Fills of its order and of the exits of the position it opened, oldest first.
    """

    decision: DecisionRecord
    model: ModelRecord | None
    limits: LimitsRecord | None
    results: tuple[ResultRecord, ...]
    deals: tuple[DealRecord, ...]

    @property
    def manifest(self) -> Manifest | None:
        """The model's manifest; None if the journal does not hold the model."""
        return None if self.model is None else decode_manifest(self.model.manifest.encode())


def gather_story(decision_id: str, records: Iterable[Record]) -> Story:
    """Return the story of a decision.

    Parameters
    ----------
    decision_id
        For example ``EURUSD-H1-20171002T0100Z-17``.
    records
        The journal, oldest first.

    Raises
    ------
    NotFound
        With code ``UNKNOWN_DECISION`` and the newest decisions that exist.
    """
    journal = iter(records)
    decision, model, limits = _find(decision_id, journal)
    intent = decision.intent
    if intent is None:
        return Story(decision, model, limits, (), ())
    results: list[ResultRecord] = []
    deals: list[DealRecord] = []
    for record in journal:
        if isinstance(record, ResultRecord) and record.intent_id == intent.intent_id:
            results.append(record)
        elif isinstance(record, DealRecord) and record.deal.magic == intent.magic:
            deals.append(record)
    return Story(decision, model, limits, tuple(results), tuple(deals))


def _find(
    decision_id: str, journal: Iterator[Record]
) -> tuple[DecisionRecord, ModelRecord | None, LimitsRecord | None]:
    """Read up to the decision; return it with the model and the limits in force then."""
    models: dict[str, ModelRecord] = {}
    limits: LimitsRecord | None = None
    newest: list[str] = []
    for record in journal:
        if isinstance(record, ModelRecord):
            models[record.sha256] = record
        elif isinstance(record, LimitsRecord):
            limits = record
        elif isinstance(record, DecisionRecord):
            if record.decision_id == decision_id:
                return record, models.get(record.model_sha256), limits
            newest = [*newest, record.decision_id][-EXAMPLES_SHOWN:]
    known = f"the newest are {', '.join(newest)}" if newest else "it holds none yet"
    raise NotFound(
        f"the journal holds no decision {decision_id!r}; {known}",
        code="UNKNOWN_DECISION",
        remedy="Take the decision_id from an answer of the scorer or from the demo's report.",
    )
