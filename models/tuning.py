"""Tuning: the settings of a family are searched on rows that come before every test.

The search sees the training rows of the first fold alone, cut into purged folds of their own, so
no setting was chosen by a row that the model is judged on. It is kept in a file and goes on where
it was killed; every trial is told to the caller, who counts it.

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

from models.dataset import Dataset
from models.families.build import FamilyConfig, build_family
from models.families.lightgbm import LightgbmConfig
from models.families.sequence import SequenceConfig
from models.families.xgboost import XgboostConfig
from models.fit import training_set
from models.progress import Steps
from models.reliability import log_loss
from models.splits import Fold, walk_forward

logger = logging.getLogger(__name__)
INNER_FOLDS = 3
_STARTUP_TRIALS = 5


@dataclass(frozen=True, slots=True)
class Tried:
    """One trial of a search.

    Parameters
    ----------
    number
        From 0.
    config
        What was tried.
    log_loss
        Mean over the inner folds, nats; of those before it was given up if it was pruned.
    pruned
        Whether it was given up early.
    """

    number: int
    config: FamilyConfig
    log_loss: float
    pruned: bool


class Crew(Protocol):
    """Judges several trials at once; the order of its answers is that of its questions."""

    @property
    def size(self) -> int:
        """Trials it judges at once (> 0)."""
        ...

    def judge(self, questions: Sequence[Question]) -> list[tuple[float, ...]]:
        """Return what `losses_of` returns for each."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """All that the losses of one trial depend on.

    Parameters
    ----------
    dataset, folds
        Rows and inner folds.
    config
        What is tried.
    embargo_ns, seed
        Of every fit.
    """

    dataset: Dataset
    folds: tuple[Fold, ...]
    config: FamilyConfig
    embargo_ns: int
    seed: int


def losses_of(question: Question) -> tuple[float, ...]:
    """Return the log loss of each inner fold, nats; the same question has the same answer."""
    return tuple(_losses(question))


def _losses(question: Question) -> Iterator[float]:
    family, dataset = build_family(question.config), question.dataset
    for fold in question.folds:
        training = training_set(dataset, fold.train, question.embargo_ns)
        fitted = family.fit(training, question.seed)
        predicted = fitted.predict(dataset.inputs(family.reads)[fold.test])
        yield log_loss(predicted, dataset.labels.classes[fold.test])


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
        Told each trial, those known from before first.
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
    steps, settled = Steps(n_trials), (states.COMPLETE, states.PRUNED)
    while True:
        done = study.get_trials(deepcopy=False, states=settled)
        if len(done) >= n_trials:
            break
        # What comes next depends on the trials before and on nothing a killed process knew.
        liar = crew is not None  # what is being judged counts as bad, so that no two are alike
        study.sampler = optuna.samplers.TPESampler(seed=seed + len(done), constant_liar=liar)
        wanted = 1 if crew is None else min(crew.size, n_trials - len(done))
        trials = [study.ask() for _ in range(wanted)]
        questions = []
        for place, trial in enumerate(trials):
            asked = config if not done and not place else _suggest(trial, config)
            trial.set_user_attr("config", dataclasses.asdict(asked))
            questions.append(Question(dataset, folds, asked, embargo_ns, seed))
        if crew is None:
            _judge(study, trials[0], questions[0])
        else:
            _judge_together(study, trials, crew.judge(questions))
        steps.advance(f"{config.kind}, trial {len(done) + wanted} of {n_trials}", wanted)
    tried = [_tried(number, known, config) for number, known in enumerate(done)]
    for found in tried:
        tell(found)
    best = min((found for found in tried if not found.pruned), key=lambda found: found.log_loss)
    logger.info("%s: the best of %d trials is %s", config.kind, len(tried), best)
    return best.config


def _judge(study: Any, trial: Any, question: Question) -> None:  # noqa: ANN401 - optuna's
    """Fit the inner folds one by one and tell the study how it went."""
    import optuna  # noqa: PLC0415 - see `tune`

    losses: list[float] = []
    for fold, loss in zip(question.folds, _losses(question), strict=True):
        losses.append(loss)
        trial.report(float(np.mean(losses)), fold.number)
        if trial.should_prune():
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            return
    study.tell(trial, float(np.mean(losses)))


def _judge_together(
    study: Any,  # noqa: ANN401 - optuna's
    trials: Sequence[Any],
    answers: Sequence[tuple[float, ...]],
) -> None:
    """Tell the study how a batch went, all of it at once: a kill before leaves none of it."""
    for trial, losses in zip(trials, answers, strict=True):
        for number in range(len(losses)):
            trial.report(float(np.mean(losses[: number + 1])), number)
    for trial, losses in zip(trials, answers, strict=True):
        study.tell(trial, float(np.mean(losses)))


def _tried(number: int, known: Any, config: FamilyConfig) -> Tried:  # noqa: ANN401 - optuna's
    last = known.intermediate_values[max(known.intermediate_values)]
    settings = dict(known.user_attrs["config"])
    pruned = known.state.name == "PRUNED"
    return Tried(number, dataclasses.replace(config, **settings), float(last), pruned)


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
