"""The orders of a journal gone through again, each from state to state; for an audit.

It keeps a state an order and nothing else, so that a long journal fits.
"""

from __future__ import annotations

from online.domain.errors import JournalCorrupt
from online.domain.order import OrderStatus
from online.domain.order_path import IllegalTransition, follow, restore
from online.domain.order_state import ENDED, Intended, Proof, Stage
from online.domain.record import (
    AccountRecord,
    DecisionRecord,
    OperationRecord,
    Record,
    ResolutionRecord,
    ResultRecord,
)

_SEEN_TO_END = {Stage.FILLING: OrderStatus.PARTIAL}


class OrderReplay:
    """Takes records in order and refuses what no order can have gone through."""

    def __init__(self) -> None:
        self._open: dict[str, Stage] = {}
        self._ended: dict[str, Stage] = {}

    @property
    def stages(self) -> dict[str, int]:
        """How many orders are in each stage, by its name."""
        counts: dict[str, int] = {}
        for stage in (*self._open.values(), *self._ended.values()):
            counts[stage] = counts.get(stage, 0) + 1
        return dict(sorted(counts.items()))

    def take(self, record: Record) -> None:
        """Follow an order through what a record tells of it.

        Raises
        ------
        JournalCorrupt
            If the record tells of an order that was never journaled, or journals one twice.
        IllegalTransition
            If an order cannot have become so, or an operator states a fate that was known.
        """
        match record:
            case DecisionRecord() if record.intent is not None and record.request.send:
                self._log(record.intent.intent_id)
            case OperationRecord():
                self._log(record.intent.intent_id)
            case ResultRecord():
                self._hear(record.intent_id, record.reply.status, Proof.EVIDENCE)
            case ResolutionRecord():
                self._hear(record.intent_id, record.reply.status, Proof.OPERATOR)
            case AccountRecord() if record.new:
                for intent_id, stage in tuple(self._open.items()):
                    ended = _SEEN_TO_END.get(stage, OrderStatus.CANCELLED)
                    self._hear(intent_id, ended, Proof.EVIDENCE)
            case _:
                pass

    def _log(self, intent_id: str) -> None:
        if intent_id in self._open or intent_id in self._ended:
            raise JournalCorrupt(f"order {intent_id} is journaled twice")
        self._open[intent_id] = Intended().check().log().stage

    def _hear(self, intent_id: str, status: OrderStatus, proof: Proof) -> None:
        stage = self._open.get(intent_id) or self._ended.get(intent_id)
        if stage is None:
            raise JournalCorrupt(f"it tells of order {intent_id}, which was never journaled")
        if proof is Proof.OPERATOR and stage in ENDED:
            raise IllegalTransition(
                f"order {intent_id} is {stage}: no operator states that it is {status}"
            )
        try:
            state = follow(restore(stage), status, proof)
        except IllegalTransition as error:
            raise IllegalTransition(f"order {intent_id}: {error}") from error
        if state.stage in ENDED:
            self._open.pop(intent_id, None)
            self._ended[intent_id] = state.stage
        else:
            self._open[intent_id] = state.stage
