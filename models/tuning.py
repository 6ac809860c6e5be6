"""Tuning: the settings of a family are searched on rows that come before every test.

The search sees the training rows of the first fold alone, cut into purged folds of their own, so
no setting was chosen by a row that the model is judged on. It is kept in a file and goes on where
it was killed; every trial is told to the caller as soon as it is settled, who counts it.

A crew judges several trials at once. The same seed and the same size of crew give the same search;
another size gives another one, as what is proposed together is proposed without knowing how the
others fare. A crew gives no trial up early: its members do not see each other's losses.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from models.bars import Floats, Stamps
from models.dataset import Dataset
from models.families.build import FamilyConfig, build_family
from models.families.lightgbm import LightgbmConfig
from models.families.sequence import SequenceConfig
from models.families.xgboost import XgboostConfig
from models.fit import training_set
from models.progress import Steps
from models.reliability import log_loss
from models.search import DailyUnits, Tried, add_folds, days_of, earn_daily
from models.splits import Fold, walk_forward

logger = logging.getLogger(__name__)
INNER_FOLDS = 3
_STARTUP_TRIALS = 5


class Crew(Protocol):
    """Judges several trials at once; the order of its answers is that of its questions."""

    @property
    def size(self) -> int:
        """Trials it judges at once (> 0)."""
        ...

    def judge(self, questions: Sequence[Question]) -> list[tuple[Answer, ...]]:
        """Return what `answer` returns for each."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """All that the answer to one trial depends on.

    Parameters
    ----------
    dataset, folds
        Rows and inner folds.
    config
        What is tried.
    embargo_ns, seed
        Of every fit.
    shares
        Shares of each fold's bars at which it is traded, in (0, 1]; none for a target that says
        nothing of a trade.
    """

    dataset: Dataset
    folds: tuple[Fold, ...]
    config: FamilyConfig
    embargo_ns: int
    seed: int
    shares: tuple[float, ...] = ()

    @property
    def days(self) -> Stamps:
        """The UTC days of all tested rows."""
        tested = np.concatenate([fold.test for fold in self.folds])
        return days_of(self.dataset.labels.decided_at_ns[tested])


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What one inner fold showed of a trial.

    Parameters
    ----------
    log_loss
        Of its test rows, nats.
    units
        What each share of them earned each day, shape ``(n_days, n_shares)``; NaN on days of
        other folds.
    """

    log_loss: float
    units: Floats


def answer(question: Question) -> tuple[Answer, ...]:
    """Return what each inner fold showed; the same question has the same answer."""
    return tuple(_answer(question))


def _answer(question: Question) -> Iterator[Answer]:
    family, dataset, days = build_family(question.config), question.dataset, question.days
    for fold in question.folds:
        training = training_set(dataset, fold.train, question.embargo_ns)
        fitted = family.fit(training, question.seed)
        predicted = fitted.predict(dataset.inputs(family.reads)[fold.test])
        yield Answer(
            log_loss(predicted, dataset.labels.classes[fold.test]),
            earn_daily(predicted, dataset.labels.take(fold.test), question.shares, days),
        )


def has_space(config: FamilyConfig) -> bool:
    """Tell whether there is anything to search for the family of `config`."""
    return isinstance(config, (XgboostConfig, LightgbmConfig, SequenceConfig))


def tune(
    dataset: Dataset,
    config: FamilyConfig,
    *,
    n_trials: int,
    embargo_ns: int,
    horizon_ns: int,
    seed: int,
    file: Path,
    tell: Callable[[Tried], None],
    shares: tuple[float, ...] = (),
    crew: Crew | None = None,
) -> FamilyConfig:
    """Return the best settings found; `config` where nothing was better than it.

    Parameters
    ----------
    dataset
        Rows before every test; see `models.learn.cut_folds`.
    config
        The family and its settings, which are the first trial.
    n_trials
        Trials altogether, those in `file` included (> 0).
    embargo_ns, horizon_ns
        Of the folds.
    seed
        Of the search and of every fit.
    file
        Where the search is kept; the same search goes on in it.
    tell
        Told each trial as soon as it is settled, those known from before first.
    shares
        At which every trial is traded; see `Question`.
    crew
        Judges trials in parallel; None for one after the other, here.
    """
    import optuna  # noqa: PLC0415 - loads slowly, and only a search needs it

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folds = _cut(dataset, embargo_ns, horizon_ns)
    file.parent.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        study_name=config.kind,
        storage=f"sqlite:///{file.resolve()}",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=_STARTUP_TRIALS),
    )
    states = optuna.trial.TrialState
    for killed in study.get_trials(deepcopy=False, states=(states.RUNNING,)):
        study.tell(killed.number, state=states.FAIL)
    steps = Steps(n_trials)
    tried: list[Tried] = []
    empty = _no_days(Question(dataset, folds, config, embargo_ns, seed, shares))
    while True:
        settled = study.get_trials(deepcopy=False, states=(states.COMPLETE, states.PRUNED))
        for known in settled[len(tried) :]:
            tried.append(_tried(len(tried), known, config, empty))
            tell(tried[-1])
            steps.advance(f"{config.kind}, trial {len(tried)} of {n_trials}")
        if len(tried) >= n_trials:
            break
        # What comes next depends on the trials before and on nothing a killed process knew.
        liar = crew is not None  # what is being judged counts as bad, so that no two are alike
        study.sampler = optuna.samplers.TPESampler(seed=seed + len(tried), constant_liar=liar)
        wanted = 1 if crew is None else min(crew.size, n_trials - len(tried))
        trials = [study.ask() for _ in range(wanted)]
        questions = []
        for place, trial in enumerate(trials):
            asked = config if not tried and not place else _suggest(trial, config)
            trial.set_user_attr("config", dataclasses.asdict(asked))
            questions.append(Question(dataset, folds, asked, embargo_ns, seed, shares))
        if crew is None:
            _judge(study, trials[0], questions[0])
        else:
            _judge_together(study, trials, questions, crew.judge(questions))
    best = min((found for found in tried if not found.pruned), key=lambda found: found.log_loss)
    logger.info("%s: the best of %d trials is %s", config.kind, len(tried), best)
    return best.config


def _no_days(question: Question) -> DailyUnits:
    """Return the days of a search's tested rows with nothing judged on them."""
    days = question.days
    nothing = np.full((len(days), len(question.shares)), np.nan)
    return DailyUnits(days, question.shares, nothing)


def _judge(study: Any, trial: Any, question: Question) -> None:  # noqa: ANN401 - optuna's
    """Fit the inner folds one by one and tell the study how it went."""
    import optuna  # noqa: PLC0415 - see `tune`

    answers: list[Answer] = []
    for fold, found in zip(question.folds, _answer(question), strict=True):
        answers.append(found)
        trial.report(_mean_loss(answers), fold.number)
        if trial.should_prune():
            _keep(trial, question, answers)
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            return
    _keep(trial, question, answers)
    study.tell(trial, _mean_loss(answers))


def _judge_together(
    study: Any,  # noqa: ANN401 - optuna's
    trials: Sequence[Any],
    questions: Sequence[Question],
    answered: Sequence[tuple[Answer, ...]],
) -> None:
    """Tell the study how a batch went, all of it at once: a kill before leaves none of it."""
    for trial, question, answers in zip(trials, questions, answered, strict=True):
        for number in range(len(answers)):
            trial.report(_mean_loss(answers[: number + 1]), number)
        _keep(trial, question, answers)
    for trial, answers in zip(trials, answered, strict=True):
        study.tell(trial, _mean_loss(answers))


def _keep(trial: Any, question: Question, answers: Sequence[Answer]) -> None:  # noqa: ANN401 - optuna's
    """Keep what a trial earned before it is settled: what is settled is whole."""
    units = add_folds([found.units for found in answers])
    trial.set_user_attr("units", DailyUnits(question.days, question.shares, units).pack())


def _mean_loss(answers: Sequence[Answer]) -> float:
    return float(np.mean([found.log_loss for found in answers]))


def _tried(
    number: int,
    known: Any,  # noqa: ANN401 - optuna's
    config: FamilyConfig,
    empty: DailyUnits,
) -> Tried:
    """Return a settled trial, its number among those that were settled."""
    last = known.intermediate_values[max(known.intermediate_values)]
    settings = dict(known.user_attrs["config"])
    pruned, daily = known.state.name == "PRUNED", empty.unpack(known.user_attrs["units"])
    return Tried(number, dataclasses.replace(config, **settings), float(last), pruned, daily)


def _suggest(trial: Any, config: FamilyConfig) -> FamilyConfig:  # noqa: ANN401 - optuna's
    """Return settings that the search proposes."""
    if isinstance(config, SequenceConfig):
        return dataclasses.replace(
            config,
            hidden=trial.suggest_int("hidden", 8, 48, step=8),
            dropout=trial.suggest_float("dropout", 0.0, 0.5),
            learning_rate=trial.suggest_float("learning_rate", 0.0005, 0.01, log=True),
            weight_decay=trial.suggest_float("weight_decay", 0.001, 0.3, log=True),
        )
    shared = {
        "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.2, log=True),
        "subsample": trial.suggest_float("subsample", 0.5, 1.0),
        "colsample": trial.suggest_float("colsample", 0.4, 1.0),
        "reg_lambda": trial.suggest_float("reg_lambda", 1.0, 100.0, log=True),
    }
    if isinstance(config, XgboostConfig):
        return dataclasses.replace(
            config,
            max_depth=trial.suggest_int("max_depth", 2, 5),
            min_child_weight=trial.suggest_float("min_child_weight", 5.0, 100.0, log=True),
            **shared,
        )
    if isinstance(config, LightgbmConfig):
        return dataclasses.replace(
            config,
            max_leaves=trial.suggest_int("max_leaves", 4, 32, log=True),
            min_leaf_rows=trial.suggest_int("min_leaf_rows", 20, 200, log=True),
            **shared,
        )
    return config


def _cut(dataset: Dataset, embargo_ns: int, horizon_ns: int) -> tuple[Fold, ...]:
    labels = dataset.labels
    return walk_forward(
        labels.decided_at_ns,
        labels.ended_at_ns,
        n_folds=INNER_FOLDS,
        embargo_ns=embargo_ns,
        horizon_ns=horizon_ns,
        first_train_share=0.5,
    )
