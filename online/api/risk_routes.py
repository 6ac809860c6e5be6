"""Routes about risk: how trading stands, the kill ladder, and limits read anew."""

from __future__ import annotations

import msgspec

from online.api.endpoint import Call, Reply
from online.api.messages import decode
from online.api.risk_messages import (
    FlattenAnswer,
    FlattenRequest,
    LadderRequest,
    LimitChange,
    ReloadAnswer,
    ResumeRequest,
    RiskAnswer,
)
from online.api.route import Route
from online.api.scorer import Scorer
from online.domain.trading_state import TradingState

_LADDER = msgspec.json.Decoder(LadderRequest)
_FLATTEN = msgspec.json.Decoder(FlattenRequest)
_RESUME = msgspec.json.Decoder(ResumeRequest)


class RiskHandlers:
    """The handlers about risk of one scorer.

    Parameters
    ----------
    scorer
        Answers for all of them.
    """

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer

    async def show(self, call: Call) -> Reply:  # noqa: ARG002 - a handler's signature
        """Tell how trading stands."""
        return Reply.of(self._risk())

    async def reduce(self, call: Call) -> Reply:
        """Let closes through alone."""
        return await self._climb(TradingState.REDUCING, call)

    async def halt(self, call: Call) -> Reply:
        """Send nothing that no person asks for."""
        return await self._climb(TradingState.HALTED, call)

    async def flatten(self, call: Call) -> Reply:
        """Halt and close everything."""
        asked = decode(_FLATTEN, call.body)
        who = call.who(asked.by)
        closing = await self._scorer.safety.flatten(asked.reason, who, asked.client_id)
        return Reply.of(FlattenAnswer(self._risk(), closing.operations, closing.left_alone))

    async def resume(self, call: Call) -> Reply:
        """Let everything through again."""
        asked = decode(_RESUME, call.body)
        await self._scorer.safety.change(TradingState.ACTIVE, "", call.who(asked.by))
        return Reply.of(self._risk())

    async def reload(self, call: Call) -> Reply:
        """Read the limits anew."""
        asked = decode(_RESUME, call.body)
        record = await self._scorer.safety.reload(call.who(asked.by))
        changes = tuple(
            LimitChange(name, str(before), str(after))
            for name, (before, after) in record.changes.items()
        )
        return Reply.of(ReloadAnswer(changes))

    async def _climb(self, state: TradingState, call: Call) -> Reply:
        asked = decode(_LADDER, call.body)
        await self._scorer.safety.change(state, asked.reason, call.who(asked.by))
        return Reply.of(self._risk())

    def _risk(self) -> RiskAnswer:
        parts = self._scorer.parts
        book, symbol = parts.book, parts.model_name.partition(".")[0]
        state = book.state(symbol, parts.clock.now_ns(), parts.limits, (), None, ())
        limits = self._scorer.safety.state()
        return RiskAnswer(
            state=book.trading,
            reason=book.halted,
            limits=parts.limits,
            limits_refused=limits.detail if limits.code else "",
            day_start_equity=state.day_start_equity,
            peak_equity=book.peak_equity,
            equity=book.equity,
            losses_in_a_row=state.losses_in_a_row,
            entries_in_window=state.entries_in_window,
            closes_in_window=state.closes_in_window,
            unresolved=state.unresolved,
        )


def make_risk_routes(scorer: Scorer) -> tuple[Route, ...]:
    """Return the routes about risk; those that change anything need the token."""
    on = RiskHandlers(scorer)
    return (
        Route(
            "GET", "/v1/risk", on.show,
            "What is let through and why, the limits in force, and what is measured against them.",
            None, RiskAnswer,
        ),
        Route(
            "POST", "/v1/risk/reduce", on.reduce, "Let closes through alone, until resumed.",
            LadderRequest, RiskAnswer, protected=True, problems=(400, 409, 413, 503),
        ),
        Route(
            "POST", "/v1/risk/halt", on.halt,
            "Send nothing that no person asks for, until resumed; exits at the broker stay.",
            LadderRequest, RiskAnswer, protected=True, problems=(400, 409, 413, 503),
        ),
        Route(
            "POST", "/v1/risk/flatten", on.flatten,
            "Halt, cancel every resting order and close every position of this journal.",
            FlattenRequest, FlattenAnswer, protected=True, problems=(400, 413, 503),
        ),
        Route(
            "POST", "/v1/risk/resume", on.resume, "Let everything through again.",
            ResumeRequest, RiskAnswer, protected=True, problems=(400, 413, 503),
        ),
        Route(
            "POST", "/v1/limits/reload", on.reload,
            "Read the limits anew; wrong ones are refused and the old stay in force.",
            ResumeRequest, ReloadAnswer, protected=True, problems=(400, 413, 422, 503),
        ),
    )  # fmt: skip
