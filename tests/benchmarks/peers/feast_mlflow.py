"""What a user would otherwise write: FastAPI, pydantic, the Feast SDK and an MLflow pyfunc.

Run as ``python -m tests.benchmarks.peers.feast_mlflow SETTINGS.json PORT``. It does less than the
scorer: no quote, no ages, no risk, no journal; it reads the vector, scores it and answers.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import mlflow.pyfunc
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from feature_repo.store import StorePaths, open_store


@dataclass(frozen=True, slots=True)
class PeerSettings:
    """Where the peer finds its parts; a JSON object of the same names."""

    registry: str
    offline_root: str
    redis_socket: str
    project: str
    service: str
    features: list[str]
    model: str


class Ask(BaseModel):
    """The request's body."""

    symbol: str
    timeframe: str
    bar_closed_at: datetime


class Answer(BaseModel):
    """The response's body: probabilities of short, neither and long, and the side they favour."""

    probabilities: list[float]
    action: str


def create_peer(settings: PeerSettings) -> FastAPI:
    """Return the application."""
    paths = StorePaths(
        Path(settings.registry), Path(settings.offline_root), Path(settings.redis_socket)
    )
    store = open_store(paths, settings.project)
    service = store.get_feature_service(settings.service)
    model = mlflow.pyfunc.load_model(settings.model)
    app = FastAPI()

    @app.get("/readyz")
    def ready() -> dict[str, bool]:
        return {"ready": True}

    @app.post("/v1/decide")
    def decide(ask: Ask) -> Answer:
        rows = store.get_online_features(
            features=service, entity_rows=[{"symbol": ask.symbol}]
        ).to_df()
        scores = model.predict(rows[settings.features].astype("float32"))
        short, neither, long = (float(p) for p in scores[0])
        action = "buy" if long > short else "sell"
        return Answer(probabilities=[short, neither, long], action=action)

    return app


def main() -> None:
    """Serve until stopped."""
    settings = PeerSettings(**json.loads(Path(sys.argv[1]).read_text()))
    uvicorn.run(
        create_peer(settings),
        host="127.0.0.1",
        port=int(sys.argv[2]),
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
