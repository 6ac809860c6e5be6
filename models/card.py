"""The model card: what a model is, how it was judged, and what it must not be used for.

Source: Mitchell et al., Model Cards for Model Reporting, FAT* 2019.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from models.attribution import Share, attribute
from models.bootstrap import LEVEL
from models.evaluate import COVERAGES
from models.gates import Alias, Verdict
from models.importance import Importance
from models.learn import Study
from online.domain.manifest import Manifest

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN = 10
_COUNTS = {
    *("n_rows", "n_trades", "trials", "forward_trades", "paths"),
    *("search.trials", "search.pruned", "search.columns", "search.days"),
}
"""Figures that are whole numbers."""


def write_card(manifest: Manifest, digest: str, study: Study, verdict: Verdict) -> str:
    """Return the card as Markdown.

    Parameters
    ----------
    manifest, digest
        Of the bundle.
    study
        How it was found.
    verdict
        Its gates.
    """
    return "\n\n".join(
        (
            f"# {manifest.name}\n\n{study.comparison.verdict()}",
            _use(verdict),
            _identity(manifest, digest, study),
            _figures(study),
            "## Out of fold, after costs\n\n" + _table(study.comparison.table()),
            _members(study),
            _accuracy(study),
            "## Where it came from\n\n" + _table(attribute_study(study, manifest.symbol)),
            *(_importance(importance) for importance in study.importances),
            "## Gates\n\n" + _table(verdict.table()),
            "",
        )
    )


def attribute_study(study: Study, symbol: str) -> list[Share]:
    """Return where a study's result came from, beside the rules'."""
    comparison = study.comparison
    judged = (comparison.model.trades, study.threshold.chosen.min_edge, comparison.baseline.trades)
    return attribute(study.signals, *judged, symbol)


def _use(verdict: Verdict) -> str:
    best = verdict.best_alias
    if any(gate.name == "tradable_target" and not gate.passed for gate in verdict.gates):
        said = "To be looked at alone: what it predicts is no direction of a trade."
    elif best is None:
        said = "For nothing: it passed no policy."
    elif best is Alias.CHAMPION:
        said = "It passed every gate and may trade live as `champion`."
    else:
        said = "For paper trading alone: it did not pass the gates of `live`."
    return f"## Use\n\n{said} It knows one symbol, one timeframe and the exits it was taught."


def _identity(manifest: Manifest, digest: str, study: Study) -> str:
    rule, training, chosen = manifest.barriers, manifest.training, study.threshold.chosen
    spread = manifest.assumed_spread_points
    rows = {
        "families": ", ".join(member.family for member in manifest.members),
        "label": f"{manifest.target}: stop {rule.stop_units:g}, target "
        f"{format(rule.target_units, 'g') if rule.has_target else 'none'} x {rule.unit_feature}, "
        f"time-out {rule.timeout_bars} bars",
        "prices": f"{manifest.price_side}, "
        + ("spread recorded" if spread is None else f"spread of {spread:g} points assumed")
        + (f" ({manifest.spread_source})" if manifest.spread_source else ""),
        "swap": manifest.swap_told or "the swap of positions held overnight is not counted",
        "slippage": manifest.slippage_told
        or "not counted: orders fill at the first price, stops at theirs or behind a gap",
        "learnt from": f"{_day(training.started_at_ns)} to {_day(training.ended_at_ns)}, "
        f"{training.n_bars} bars",
        "features": f"{len(manifest.vector.names)} in {len(manifest.vector.views)} views",
        "folds": f"{len(study.folds)}, purged and embargoed",
        "training sets": "all before each test, and all at the end"
        if study.rolling_days is None
        else f"the last {study.rolling_days} days before each test, and of all at the end",
        "least edge": f"{manifest.min_edge:.4f}, {chosen.coverage:.0%} of the bars, "
        f"{chosen.least_coverage:.0%} of the fold with fewest",
        "seed, trials": f"{training.seed}, {study.comparison.n_trials}",
        "code": training.code_version,
        "data SHA-256": training.data_digest,
        "bundle SHA-256": digest,
    }
    return "## What it is\n\n" + _table([{"": k, "value": v} for k, v in rows.items()])


def _figures(study: Study) -> str:
    comparison = study.comparison
    figures = {
        **comparison.model.pooled.figures(),
        **comparison.luck(),
        "coins_beaten": comparison.coins_beaten,
        "served_ece": comparison.served_ece,
        **({} if study.paths is None else study.paths.figures()),
    }
    rows = []
    for name, value in figures.items():
        interval = comparison.intervals.get(name)
        bounds = "" if interval is None else f"{interval.low:.4f} to {interval.high:.4f}"
        shown = f"{value:,.0f}" if name in _COUNTS else f"{value:.4f}"
        rows.append({"figure": name, "value": shown, f"{LEVEL:.0%} interval": bounds})
    said = (
        "What is pooled of probabilities (log loss, Brier, AUC, calibration error, information) "
        "leaves the first fold out, which nothing has calibrated; what is pooled of trades holds "
        f"it. {comparison.luck_told()} The gate asks for the former: all trials are taken as "
        "independent, and the variance of their Sharpe ratios as the greater of what was seen "
        "among the thresholds and that of one estimate. The effective number is the "
        "participation ratio of the eigenvalues of the trials' correlations (Bretherton and "
        "others, 1999); overfitting is told by combinatorially symmetric cross-validation "
        "(Bailey and others, 2017), where about a half is what trials alike give."
    )
    return f"## Figures, out of fold\n\n{said}\n\n" + _table(rows)


def _accuracy(study: Study) -> str:
    rows = [
        {
            "share of bars signalled": f"{share:.0%}",
            "hit rate": f"{hit:.4f}" if math.isfinite(hit) else "as many are not signalled",
        }
        for share, hit in zip(COVERAGES, study.comparison.model.curve, strict=True)
    ]
    said = "Of the folds that earlier ones calibrated; an edge of zero is no decision."
    return f"## Accuracy against coverage\n\n{said}\n\n" + _table(rows)


def _members(study: Study) -> str:
    return "## Members\n\n" + _table(
        [
            {
                "member": member.exported.family,
                "weight": f"{member.weight:.4f}",
                "log loss": f"{member.log_loss:.4f}",
                "ONNX parity": f"{member.exported.parity:.2g}",
                "ONNX SHA-256": member.exported.sha256,
            }
            for member in study.members
        ]
    )


def _importance(importance: Importance) -> str:
    mean, shapley = importance.permutation.mean(axis=0), importance.shapley
    rows: list[dict[str, str]] = []
    for place in np.argsort(-mean, kind="stable")[:_SHOWN]:
        row = {"feature": importance.names[place], "rise of log loss": f"{mean[place]:.5f}"}
        if shapley is not None:
            row["mean absolute SHAP"] = f"{shapley[:, place].mean():.5f}"
        rows.append(row)
    said = f"Rank correlation between folds: {importance.stability:.2f}"
    if shapley is not None:
        said += f", of the SHAP values {importance.shapley_stability:.2f}"
    return f"## What {importance.family} listens to\n\n{said}.\n\n" + _table(rows)


def _table(rows: Sequence[Mapping[str, object]]) -> str:
    """Return rows as a Markdown table; an absent cell is empty."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [columns, ["---"] * len(columns)]
    lines += [[_cell(row.get(column)) for column in columns] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: object) -> str:
    return "" if value is None else str(value)


def _day(stamp_ns: int) -> str:
    return f"{_EPOCH + timedelta(microseconds=stamp_ns // 1000):%Y-%m-%d %H:%M} UTC"
