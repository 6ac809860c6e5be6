"""The story of one decision, gathered from the journal alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeGuard

import msgspec

from online.domain.errors import InvalidManifest, NotFound
from online.domain.former import FormerLimitsRecord
from online.domain.manifest import Manifest, decode_manifest
from online.domain.record import (
    AccountRecord,
    DealRecord,
    DecisionRecord,
    LimitsRecord,
    ModelRecord,
    OperationRecord,
    Record,
    ResolutionRecord,
    ResultRecord,
    TrailRecord,
)
from pipelines.commands.explain_operation import Afterwards

EXAMPLES_SHOWN = 3
BY_PROGRAM = "expert"
"""Reason of a deal that a program asked for."""


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
    afterwards
        What operators and trailing rules did to its order or position, and what came of that.
    untold
        Tickets of the deals by which a program closed it, of an order that no reply of this journal
        names: mostly the gateway's own.
    """

    decision: DecisionRecord
    model: ModelRecord | None
    limits: LimitsRecord | FormerLimitsRecord | None
    results: tuple[ResultRecord, ...]
    deals: tuple[DealRecord, ...]
    afterwards: tuple[Afterwards, ...] = ()
    untold: tuple[int, ...] = ()

    @property
    def manifest(self) -> Manifest | None:
        """The model's manifest; None if the journal does not hold one of a shape that is known."""
        if self.model is None:
            return None
        try:
            return decode_manifest(self.model.manifest.encode())
        except InvalidManifest:  # of an earlier version
            return None


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
    afterwards: list[Afterwards] = []
    tickets, orders, sent = {intent.position} - {0}, set[str](), set[int]()
    for record in journal:
        if isinstance(record, AccountRecord) and record.new:
            break  # tickets begin again: what follows is about others
        if isinstance(record, ResultRecord):
            sent.add(record.reply.order)
        if isinstance(record, ResultRecord) and record.intent_id == intent.intent_id:
            results.append(record)
            tickets |= {record.reply.position, record.reply.order} - {0}
        elif isinstance(record, DealRecord):
            if record.deal.magic == intent.magic:
                deals.append(record)
        elif _is_afterwards(record, tickets, {intent.intent_id} | orders):
            afterwards.append(record)
            if isinstance(record, OperationRecord):
                orders.add(record.intent.intent_id)
    told = (tuple(results), tuple(deals), tuple(afterwards))
    closings = (each.deal for each in deals if not each.deal.entry)
    untold = [deal for deal in closings if deal.reason == BY_PROGRAM and deal.order not in sent]
    return Story(decision, model, limits, *told, tuple(deal.ticket for deal in untold))


def _is_afterwards(record: Record, tickets: set[int], orders: set[str]) -> TypeGuard[Afterwards]:
    """Tell whether a record is of what was done to one of the tickets, or of one of the orders."""
    match record:
        case OperationRecord():
            return bool({record.intent.position, record.intent.order} & tickets)
        case ResultRecord() | ResolutionRecord():
            return record.intent_id in orders
        case TrailRecord():
            return record.position in tickets
        case _:
            return False


def _find(
    decision_id: str, journal: Iterator[Record]
) -> tuple[DecisionRecord, ModelRecord | None, LimitsRecord | FormerLimitsRecord | None]:
    """Read up to the decision; return it with the model and the limits in force then."""
    models: dict[str, ModelRecord] = {}
    limits: LimitsRecord | FormerLimitsRecord | None = None
    newest: list[str] = []
    for record in journal:
        if isinstance(record, ModelRecord):
            models[record.sha256] = record
        elif isinstance(record, LimitsRecord | FormerLimitsRecord):
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
