"""What a training run reports, and where it shows: Prefect's artifacts and MLflow's run."""

from __future__ import annotations

import getpass
import math
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from models.card import attribute_study
from models.gates import Verdict
from models.learn import Study
from models.plots import draw_all
from models.runs import Run
from models.version import TRIAL_TAG
from pipelines.code_version import code_version
from pipelines.training_data import TrainingData, TrainPlan

CARD_NOTE = "The model card is below *Artifacts*: `model_card.md`."


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What a training run gave.

    Parameters
    ----------
    name, version
        Of the registered model.
    run_id
        In MLflow.
    bundle, bundle_sha256
        Folder of the bundle and its digest.
    best_alias
        Best alias the gates allow; None if they allow none.
    headline
        One plain sentence: does the model beat the baseline after costs?
    rows, left_out
        Rows learnt from, and bars left out by reason.
    folds, trials
        Test sets, and configurations times thresholds counted.
    min_edge, coverage
        The threshold and the share of bars it signals, out of fold.
    luck, luck_told
        How much of it is luck: trials, deflated Sharpe ratios and probabilities of overfitting,
        those that are finite, and the same as one sentence.
    figures, baseline_figures
        Pooled out-of-fold figures of the model and of the rules, those that are finite.
    members, comparison, gates
        Tables for people.
    """

    name: str
    version: str
    run_id: str
    bundle: str
    bundle_sha256: str
    best_alias: str | None
    headline: str
    rows: int
    left_out: dict[str, int]
    folds: int
    trials: int
    min_edge: float
    coverage: float
    luck: dict[str, float]
    luck_told: str
    figures: dict[str, float]
    baseline_figures: dict[str, float]
    members: list[dict[str, str | float]]
    comparison: list[dict[str, str | float | int]]
    gates: list[dict[str, str | float]]


def record_study(run: Run, plan: TrainPlan, data: TrainingData, study: Study) -> None:
    """Log choices, figures per fold and pooled, tables and plots."""
    dataset, comparison = data.dataset, study.comparison
    run.log_params(
        {
            **plan.recipe.parameters(),
            "symbol": plan.symbol,
            "timeframe": plan.timeframe,
            "rows": len(dataset),
            "price_side": data.price_side,
            "spread": data.spread.note,
            "commission_per_lot": data.costs.commission_per_lot_side,
            "swap": data.swap_told,
            "slippage": data.slippage_told,
            "data_sha256": dataset.digest,
            "code": code_version(),
        }
    )
    run.log_tags(
        {
            **_origin(),
            TRIAL_TAG: plan.trial(dataset.names),
            "headline": comparison.verdict(),
            "luck": comparison.luck_told(),
        }
    )
    said = (comparison.verdict(), comparison.luck_told(), data.costs_told, CARD_NOTE)
    run.describe("\n\n".join(said))
    run.log_data(f"{plan.symbol}.{plan.timeframe}", dataset.digest, str(plan.home.lake))
    run.log_figures(
        {
            **comparison.model.pooled.figures(),
            **{f"baseline.{k}": v for k, v in comparison.baseline.pooled.figures().items()},
            **comparison.luck(),
            "hold_units": comparison.hold_units,
            "coin_units": comparison.coin_units,
            "coins_beaten": comparison.coins_beaten,
            "served_ece": comparison.served_ece,
            **{f"{k}.low": interval.low for k, interval in comparison.intervals.items()},
            **{f"{k}.high": interval.high for k, interval in comparison.intervals.items()},
            "min_edge": study.threshold.chosen.min_edge,
            **{
                f"{figure}.{member.exported.family}": value
                for member in study.members
                for figure, value in (
                    ("weight", member.weight),
                    ("member_log_loss", member.log_loss),
                    ("onnx_parity", member.exported.parity),
                )
            },
            **{f"importance_stability.{i.family}": i.stability for i in study.importances},
            **{f"shap_stability.{i.family}": i.shapley_stability for i in study.importances},
            **({} if study.paths is None else study.paths.figures()),
            **{f"refused.{k}": float(v) for k, v in study.refused.items()},
            **{f"left_out.{k}": float(v) for k, v in dataset.left_out.items()},
        }
    )
    for fold, mine, rules, bounds in zip(
        *(study.folds, comparison.model.folds, comparison.baseline.folds),
        comparison.fold_intervals,
        strict=True,
    ):
        baseline = {f"baseline.{k}": v for k, v in rules.figures().items()}
        figures = {**mine.figures(), **baseline}
        run.log_figures({f"fold.{k}": v for k, v in figures.items()}, step=fold.number)
        with run.child(f"fold {fold.number + 1}") as nested:
            nested.log_params(asdict(fold))
            nested.log_figures(figures)
            nested.log_figures({f"{k}.low": interval.low for k, interval in bounds.items()})
            nested.log_figures({f"{k}.high": interval.high for k, interval in bounds.items()})
    run.log_table(comparison.table(), "comparison.json")
    run.log_table(attribute_study(study, plan.symbol), "attribution.json")
    run.log_table([row for i in study.importances for row in i.table()], "importances.json")
    with tempfile.TemporaryDirectory() as scratch:
        draw_all(Path(scratch), comparison, study.signals, study.baseline, study.importances)
        run.log_folder(Path(scratch), "plots")


def _origin() -> dict[str, str]:
    """Return who trained by what code, by the names under which MLflow shows a run's origin."""
    version, _, commit = code_version().partition("+")
    known = {"mlflow.source.name": f"sextant {version}", "mlflow.source.type": "LOCAL"}
    with suppress(KeyError, OSError):  # a number that no name belongs to
        known["mlflow.user"] = getpass.getuser()
    return {**known, "mlflow.source.git.commit": commit} if commit else known


def show_in_prefect(report: TrainReport) -> None:
    """Show the comparison and the gates in Prefect's interface."""
    key = report.name.replace(".", "-").replace("_", "-").lower()
    create_markdown_artifact(
        f"# {report.name} version {report.version}\n\n{report.headline} {report.luck_told}\n\n"
        f"Best alias: **{report.best_alias or 'none'}**. {report.rows} rows, {report.folds} folds, "
        f"{report.trials} trials, bundle `{report.bundle_sha256[:12]}`.",
        key=f"train-{key}",
        description=report.headline,
    )
    create_table_artifact(
        report.comparison, key=f"comparison-{key}", description="Out of fold, after costs"
    )
    create_table_artifact(report.gates, key=f"gates-{key}", description="Gates of the model")


def make_report(
    plan: TrainPlan,
    data: TrainingData,
    study: Study,
    verdict: Verdict,
    *,
    version: str,
    run_id: str,
    bundle: Path,
    digest: str,
) -> TrainReport:
    """Return the report of a finished run."""
    best = verdict.best_alias
    comparison = study.comparison
    return TrainReport(
        name=plan.name,
        version=version,
        run_id=run_id,
        bundle=str(bundle),
        bundle_sha256=digest,
        best_alias=None if best is None else str(best),
        headline=comparison.verdict(),
        rows=len(data.dataset),
        left_out=data.dataset.left_out,
        folds=len(study.folds),
        trials=comparison.n_trials,
        min_edge=study.threshold.chosen.min_edge,
        coverage=study.threshold.chosen.coverage,
        luck=_known(comparison.luck()),
        luck_told=comparison.luck_told(),
        figures=_known(comparison.model.pooled.figures()),
        baseline_figures=_known(comparison.baseline.pooled.figures()),
        members=[
            {
                "member": member.exported.family,
                "weight": member.weight,
                "log_loss": member.log_loss,
            }
            for member in study.members
        ],
        comparison=comparison.table(),
        gates=verdict.table(),
    )


def _known(figures: dict[str, float]) -> dict[str, float]:
    """Return the figures that are finite; JSON has no word for the others."""
    return {name: value for name, value in figures.items() if math.isfinite(value)}
