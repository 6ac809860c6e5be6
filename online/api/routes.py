"""Routes: what the API can be asked, one handler each, in one table."""

from __future__ import annotations

from collections.abc import Awaitable

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST

from online.api.endpoint import Call, Reply
from online.api.messages import (
    BarRequest,
    DecisionAnswer,
    Liveness,
    MarketAnswer,
    MarketStep,
    ModelAnswer,
    PositionsAnswer,
    Readiness,
    ReconciliationAnswer,
    answer_decision,
    decode,
)
from online.api.order_routes import make_order_routes
from online.api.risk_routes import make_risk_routes
from online.api.route import Route
from online.api.scorer import Scorer
from online.domain.record import (
    DealRecord,
    DecisionRecord,
    OperationRecord,
    Request,
    ResolutionRecord,
    ResultRecord,
)
from online.trade import Outcome

_BAR = msgspec.json.Decoder(BarRequest)
_STEP = msgspec.json.Decoder(MarketStep)
_OK = 200
_UNREADY = 503

DecisionRecords = tuple[
    DecisionRecord | OperationRecord | ResultRecord | ResolutionRecord | DealRecord, ...
]


class Handlers:
    """The handlers of one scorer.

    Parameters
    ----------
    scorer
        Answers for all of them.
    """

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer

    async def decide(self, call: Call) -> Reply:
        """Decide about a bar, send nothing."""
        request = decode(_BAR, call.body).to_request(send=False)
        return await _answer(self._scorer.decide(request))

    async def trade(self, call: Call) -> Reply:
        """Decide about a bar and send its order."""
        request: Request = decode(_BAR, call.body).to_request(send=True)
        return await _answer(self._scorer.trade(request))

    async def positions(self, call: Call) -> Reply:  # noqa: ARG002 - a handler's signature
        """Tell account and positions."""
        seen, book = await self._scorer.observe(), self._scorer.parts.book
        return Reply.of(
            PositionsAnswer(seen.quote, seen.account, seen.positions, book.pending, book.halted)
        )

    async def reconciliation(self, call: Call) -> Reply:  # noqa: ARG002 - a handler's signature
        """Tell whether journal and broker agree."""
        return Reply.of(self._scorer.reconciling.answer())

    async def decision(self, call: Call) -> Reply:
        """Tell everything recorded of one decision."""
        records = tuple(self._scorer.parts.read_decision(call.parameters["decision_id"]))
        return Reply.of(records)

    async def model(self, call: Call) -> Reply:  # noqa: ARG002 - a handler's signature
        """Tell which model trades."""
        return Reply.of(self._scorer.model)

    async def reload(self, call: Call) -> Reply:  # noqa: ARG002 - a handler's signature
        """Load the model under the alias."""
        return Reply.of(await self._scorer.reload())

    async def move_market(self, call: Call) -> Reply:
        """Move the simulated market."""
        return Reply.of(await self._scorer.move_market(decode(_STEP, call.body)))

    async def healthz(self, call: Call) -> Reply:  # noqa: ARG002 - a handler's signature
        """Tell that the process answers."""
        return Reply.of(Liveness())

    async def readyz(self, call: Call) -> Reply:  # noqa: ARG002 - a handler's signature
        """Tell how every part is."""
        readiness = await self._scorer.readiness()
        return Reply.of(readiness, _OK if readiness.ready else _UNREADY)

    async def metrics(self, call: Call) -> Reply:  # noqa: ARG002 - a handler's signature
        """Tell Prometheus."""
        return Reply(self._scorer.meters.render(), _OK, CONTENT_TYPE_LATEST.encode())


def make_routes(scorer: Scorer) -> tuple[Route, ...]:
    """Return every route of a scorer; the simulator's only where there is a simulation.

    What writes into the journal needs the token: who has none can neither trade nor fill a disk.
    """
    on = Handlers(scorer)
    routes = (
        Route(
            "POST", "/v1/decide", on.decide, "Decide about a bar; nothing is sent.",
            BarRequest, DecisionAnswer, protected=True, problems=(400, 404, 413, 422, 503),
        ),
        Route(
            "POST", "/v1/trade", on.trade,
            "Decide about a bar and send its order, at most once. 503 with code ORDER_IN_DOUBT and "
            "its ids tells that it was sent and its reply could not be recorded.",
            BarRequest, DecisionAnswer, protected=True, problems=(400, 404, 413, 422, 503),
        ),
        Route(
            "GET", "/v1/positions", on.positions, "Account, positions, orders of unknown fate.",
            None, PositionsAnswer, problems=(503,),
        ),
        Route(
            "GET", "/v1/reconciliation", on.reconciliation,
            "Whether journal and broker agree, and on what they differ.",
            None, ReconciliationAnswer,
        ),
        Route(
            "GET", "/v1/decisions/{decision_id}", on.decision,
            "Every record of one decision or operation: its facts, its order, what came back.",
            None, DecisionRecords, problems=(404, 503),
        ),
        Route(
            "GET", "/v1/model", on.model, "The model that trades and the features it reads.",
            None, ModelAnswer, problems=(503,),
        ),
        Route(
            "POST", "/v1/model/reload", on.reload,
            "Load and verify the model under the alias; a refused one leaves the old in place.",
            None, ModelAnswer, protected=True, problems=(404, 409, 422, 503),
        ),
        *make_order_routes(scorer),
        *make_risk_routes(scorer),
        Route("GET", "/healthz", on.healthz, "The process answers.", None, Liveness),
        Route("GET", "/readyz", on.readyz, "Every part and its state.", None, Readiness),
        Route("GET", "/metrics", on.metrics, "Prometheus' text format.", None, None),
    )  # fmt: skip
    if scorer.parts.simulation is None:
        return routes
    step = Route(
        "POST", "/v1/simulator/bar", on.move_market,
        "Move the simulated market and the virtual clock (replay mode).",
        MarketStep, MarketAnswer, protected=True, problems=(400, 404, 413, 422),
    )  # fmt: skip
    return (*routes, step)


async def _answer(outcome: Awaitable[Outcome]) -> Reply:
    return Reply.of(answer_decision(await outcome))
