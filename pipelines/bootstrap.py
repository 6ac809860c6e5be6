"""From an empty home to a promoted model: ingest → featurize → train → promote.

Run as ``python -m pipelines.bootstrap HOME`` where Prefect's server, MLflow and the online store
run: every step is a flow run that Prefect's interface shows.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from models.recipe import LabelChoice, Recipe
from online.domain.market import Timeframe
from online.settings import Settings, load_settings
from pipelines.featurize import featurize
from pipelines.feed import find_replay_start_ns
from pipelines.home import Home
from pipelines.ingest import ingest
from pipelines.platform.embedded import replay_clock
from pipelines.promote import PromoteReport, promote
from pipelines.quality_report import IngestReport
from pipelines.sources.demo import DemoConfig
from pipelines.train import train
from pipelines.train_report import TrainReport

SYMBOL, TIMEFRAME = "EURUSD", Timeframe.H1

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Learned:
    """What the offline half gave; `features` is their number in the store."""

    ingested: IngestReport
    features: int
    trained: TrainReport
    promoted: PromoteReport


class Stopwatch:
    """Says each stage and keeps how long it took, seconds.

    Parameters
    ----------
    say
        Told what begins.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str, text: str) -> Iterator[None]:
        """Measure the block as stage `name`."""
        self._say(text)
        began = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - began, 2)


def bootstrap(home: Home, settings: Settings, mlflow_uri: str, watch: Stopwatch) -> Learned:
    """Bring the demonstration's bars in and promote a model trained on all but the last quarter.

    Parameters
    ----------
    settings
        Of the scorer that will trade it: the account's costs and the alias.
    mlflow_uri
        Of the running server.
    watch
        Keeps the time of each step.
    """
    root, name = home.root, TIMEFRAME.value
    with watch.stage("ingest", "Ingesting a year of EURUSD H1"):
        ingested = ingest(root, DemoConfig(), SYMBOL)
    until_ns = find_replay_start_ns(home, SYMBOL, TIMEFRAME) + 1
    with watch.stage("featurize", "Computing features into Feast"):
        featurized = featurize(root, SYMBOL, name, until_ns)
    with watch.stage("train", "Training on the first nine months"):
        trained = train(
            root, SYMBOL, name, end_ns=until_ns, mlflow_uri=mlflow_uri, recipe=make_recipe(settings)
        )
    with watch.stage("promote", "Asking the gates"):
        promoted = promote(root, trained.name, trained.version, settings.model.alias, mlflow_uri)
    return Learned(ingested, len(featurized.coverage), trained, promoted)


def make_recipe(settings: Settings) -> Recipe:
    """Return the default recipe under the account's own costs."""
    broker = settings.broker
    return Recipe(
        label=LabelChoice(
            assumed_spread_points=broker.assumed_spread_points,
            commission_per_lot_side=broker.commission_per_lot,
            slippage_points=broker.slippage_points,
        ),
    )


def tell_clock(home: Home) -> Path:
    """Write down when a replaying scorer's clock begins, as a file of its settings.

    A scorer that has no lake could not know, and would stamp its first records 1970.

    Returns
    -------
    Path
        The folder of settings.
    """
    folder = home.run / "settings"
    folder.mkdir(parents=True, exist_ok=True)
    file, told = folder / "clock__starts_at_ns", replay_clock(home, SYMBOL, TIMEFRAME)
    file.write_text(told["SEXTANT_CLOCK__STARTS_AT_NS"])
    return folder


def main() -> None:
    """Run the bootstrap as its own process."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    watch = Stopwatch(_log.info)
    mlflow_uri = os.environ["MLFLOW_TRACKING_URI"]
    home = Home(Path(sys.argv[1]))
    learned = bootstrap(home, load_settings("replay"), mlflow_uri, watch)
    tell_clock(home)
    _log.info(learned.promoted.headline)


if __name__ == "__main__":
    main()
