"""The flows as Prefect deployments: run by hand or by schedule from Prefect's interface.

Run as ``python -m pipelines.deployments HOME`` with ``PREFECT_API_URL`` and
``MLFLOW_TRACKING_URI`` set; it serves until it is stopped. ``--retrain-cron``,
``--retrain-days`` and ``--retrain-window`` say when models are retrained and on how much.

Nothing minute-critical belongs here:
Prefect starts a run seconds late.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any, cast

from prefect import Flow, serve
from prefect.deployments.runner import RunnerDeployment
from prefect.types.entrypoint import EntrypointType

from pipelines.aggregate import aggregate
from pipelines.backtest import backtest
from pipelines.featurize import featurize
from pipelines.featurize_many import featurize_many
from pipelines.home import Home
from pipelines.ingest import ingest
from pipelines.ingest_ticks import ingest_ticks
from pipelines.promote import promote
from pipelines.retrain import retrain
from pipelines.train import train

SYMBOL, TIMEFRAME, MODEL = "EURUSD", "H1", "EURUSD.H1.barrier"
CONCURRENT_RUNS = 2
RETRAIN_CRON = "0 4 * * 6"


def make_deployments(
    home: Home,
    mlflow_uri: str,
    retrain_cron: str | None = RETRAIN_CRON,
    retrain_days: int | None = None,
    retrain_window: str = "expanding",
) -> list[RunnerDeployment]:
    """Return every flow with its parameters and its schedule (UTC).

    Data after the trading day, features just behind each hour, and a model at the weekend; what
    it is worth is promoted and backtested by hand, and so are quotes, longer bars and many symbols
    brought in.

    Parameters
    ----------
    home
        Runtime folder.
    mlflow_uri
        Of the server that keeps runs and models.
    retrain_cron
        When models are retrained, five fields in UTC; None for never by itself.
    retrain_days
        How far back the bars go that are read for it; None for all there are.
    retrain_window
        What each fold, and what serves, learns from: ``expanding`` or ``rolling:N`` days.
    """
    root = str(home.root.resolve())
    series = {"home_root": root, "symbol": SYMBOL, "timeframe": TIMEFRAME}
    demo: dict[str, Any] = {"home_root": root, "symbol": SYMBOL, "source": {"kind": "demo"}}
    quotes = {
        "kind": "lean-ticks",
        "folder": str(home.root.resolve() / "quotes" / SYMBOL.lower()),
        "feed": "oanda",
        "clock": "UTC",
    }
    longer = {"source": TIMEFRAME, "targets": ["H4", "D1"]}
    plans: list[tuple[Flow[..., Any], str | None, dict[str, Any]]] = [
        (ingest, "30 22 * * 1-5", demo),
        (ingest_ticks, None, {"home_root": root, "symbol": SYMBOL, "source": quotes}),
        (aggregate, None, {"home_root": root, "symbol": SYMBOL, **longer}),
        (featurize, "2 * * * 1-5", series),
        (featurize_many, None, {"home_root": root, "symbols": [SYMBOL], "timeframe": TIMEFRAME}),
        (train, None, {**series, "mlflow_uri": mlflow_uri}),
        (
            retrain,
            retrain_cron,
            {
                **series,
                "mlflow_uri": mlflow_uri,
                "rolling_days": retrain_days,
                "training_window": retrain_window,
            },
        ),
        (promote, None, {"home_root": root, "name": MODEL, "mlflow_uri": mlflow_uri}),
        (backtest, None, {"home_root": root, "names": [MODEL], "mlflow_uri": mlflow_uri}),
    ]
    return [_deploy(flow, cron, parameters) for flow, cron, parameters in plans]


def _deploy(flow: Flow[..., Any], cron: str | None, given: dict[str, Any]) -> RunnerDeployment:
    made = flow.to_deployment(
        flow.name,
        cron=cron,
        parameters=given,
        tags=["sextant"],
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    return cast("RunnerDeployment", made)  # outside an event loop it is never a coroutine


def main() -> None:
    """Serve the deployments until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("--retrain-cron", default=RETRAIN_CRON)
    parser.add_argument("--retrain-days", type=int, default=None)
    parser.add_argument("--retrain-window", default="expanding")
    given = parser.parse_args()
    made = make_deployments(
        *(Home(given.home), os.environ["MLFLOW_TRACKING_URI"]),
        *(given.retrain_cron or None, given.retrain_days, given.retrain_window),
    )
    serve(*made, limit=CONCURRENT_RUNS, print_starting_message=False)


if __name__ == "__main__":
    main()
