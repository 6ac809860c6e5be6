"""Gates: what a model must show before an alias may point at it.

Policy ``paper`` asks for a valid, reproducible, calibrated and leak-free model. Policy ``live``
asks for all of that and for profit: more than the baseline and the champion after costs, with a
deflated Sharpe ratio and enough trades. Where there is no champion, the rules are met in its
place. A figure that is missing or not finite never passes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from models.compare import Comparison
from online.domain.bundle import GOLDEN_TOLERANCE
from online.domain.certificate import (
    ABOVE,
    AT_LEAST,
    AT_MOST,
    CHAMPION,
    GateLine,
    Policy,
    failed_gates,
    holds,
    needed_policy,
)

BEATS_CHAMPION, NO_CHAMPION = "beats_champion", "no champion to beat"


class Alias(StrEnum):
    """What an alias of a registered model allows."""

    PAPER = "paper"
    CHAMPION = CHAMPION
    CHALLENGER = "challenger"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where the gates stand.

    Parameters
    ----------
    max_ece
        Greatest expected calibration error beyond what chance shows on as many rows.
    min_rows
        Fewest out-of-fold rows.
    min_trades
        Fewest out-of-fold trades.
    min_deflated_sharpe
        Least probability that the Sharpe ratio is no luck of many trials.
    """

    max_ece: float = 0.05
    min_rows: int = 500
    min_trades: int = 100
    min_deflated_sharpe: float = 0.95


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was measured of a model.

    Parameters
    ----------
    comparison
        Out-of-fold figures beside the baseline's.
    refit_differs
        Members whose second fit gave other bytes.
    purge_violations
        Training labels that overlap their fold's test.
    labels_beyond_window
        Labels that end after the training window.
    embargo_horizons
        Least distance between a fold's training labels and its test, in horizons of the label.
    is_tradable
        Whether its classes are the directions of a trade.
    golden_difference
        Greatest difference of the golden outputs, read back from the bundle.
    parity
        Greatest difference between ONNX and the library at export.
    champion_units
        Total units of the present champion on the rows it never learnt from; None if there is no
        champion.
    model_units_beside_champion
        The model's on the same rows; None if there is no champion.
    no_duel
        Why the two cannot be compared; empty where they were, or there is no champion.
    duel_note
        What to know of the champion; empty for nothing.
    spared_points
        By how many points each cost that trades were charged is less than what is known of their
        symbol; empty for none.
    """

    comparison: Comparison
    refit_differs: int
    purge_violations: int
    labels_beyond_window: int
    embargo_horizons: float
    is_tradable: bool
    golden_difference: float
    parity: float
    champion_units: float | None = None
    model_units_beside_champion: float | None = None
    no_duel: str = ""
    duel_note: str = ""
    spared_points: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gate:
    """One question and its answer.

    Parameters
    ----------
    name
        Stable.
    policy
        The first policy that asks it.
    measured
        The figure.
    relation, threshold
        What it must be.
    meaning
        One sentence for people.
    note
        What to know of this answer, a phrase; empty for nothing.
    """

    name: str
    policy: Policy
    measured: float
    relation: str
    threshold: float
    meaning: str
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether the figure is finite and holds."""
        return holds(self.measured, self.relation, self.threshold)

    @property
    def line(self) -> GateLine:
        """The gate as a certificate holds it."""
        measured = float(self.measured) if math.isfinite(self.measured) else None
        return GateLine(
            *(self.name, self.policy, measured),
            *(self.relation, float(self.threshold), self.passed),
            note=self.note,
        )

    def __str__(self) -> str:
        """Return the gate as one line."""
        verdict = "pass" if self.passed else "FAIL"
        told = f"{verdict}: {self.measured:.6g} {self.relation} {self.threshold:.6g}"
        return f"{told} ({self.note})" if self.note else told


@dataclass(frozen=True, slots=True)
class Verdict:
    """All gates of a model."""

    gates: tuple[Gate, ...]

    def passes(self, policy: Policy) -> bool:
        """Tell whether the model passes `policy`; ``live`` includes ``paper``."""
        return not failed_gates(self.lines, policy)

    @property
    def lines(self) -> tuple[GateLine, ...]:
        """The gates as a certificate holds them."""
        return tuple(gate.line for gate in self.gates)

    @property
    def best_alias(self) -> Alias | None:
        """Return the best alias the model may carry, None if it may carry none."""
        if self.passes(Policy.LIVE):
            return Alias.CHAMPION
        return Alias.PAPER if self.passes(Policy.PAPER) else None

    def allows(self, alias: Alias) -> bool:
        """Tell whether `alias` may point at the model; a challenger needs what paper needs."""
        return self.passes(needed_policy(alias))

    def table(self) -> list[dict[str, str | float]]:
        """Return one row a gate, for people."""
        return [
            {
                "gate": gate.name,
                "policy": str(gate.policy),
                "measured": f"{gate.measured:.6g}",
                "wanted": f"{gate.relation} {gate.threshold:.6g}",
                "verdict": "pass" if gate.passed else "FAIL",
                "meaning": gate.meaning,
            }
            for gate in self.gates
        ]


def judge(evidence: Evidence, thresholds: Thresholds | None = None) -> Verdict:
    """Put every question to the evidence."""
    asked = Thresholds() if thresholds is None else thresholds
    return Verdict((*_paper_gates(evidence, asked), *_live_gates(evidence, asked)))


def _paper_gates(evidence: Evidence, asked: Thresholds) -> tuple[Gate, ...]:
    figures = evidence.comparison.model.pooled
    paper = Policy.PAPER
    return (
        Gate(
            "valid_rows",
            paper,
            figures.reliability.n_rows,
            AT_LEAST,
            asked.min_rows,
            "There are enough out-of-fold rows to say anything.",
        ),
        Gate(
            "reproducible",
            paper,
            evidence.refit_differs,
            AT_MOST,
            0,
            "The same data and seed gave the same ONNX bytes again.",
        ),
        Gate(
            "calibrated",
            paper,
            evidence.comparison.served_ece,
            AT_MOST,
            asked.max_ece,
            "Calibration error beyond chance, of the folds that earlier ones calibrated.",
        ),
        Gate(
            "purged",
            paper,
            evidence.purge_violations,
            AT_MOST,
            0,
            "Training labels that overlap their fold's test.",
        ),
        Gate(
            "embargoed",
            paper,
            evidence.embargo_horizons,
            AT_LEAST,
            1,
            "Horizons of the label between a fold's training labels and its test.",
        ),
        Gate(
            "tradable_target",
            paper,
            float(evidence.is_tradable),
            AT_LEAST,
            1,
            "What it predicts is the direction of a trade.",
        ),
        Gate(
            "inside_window",
            paper,
            evidence.labels_beyond_window,
            AT_MOST,
            0,
            "Labels that look beyond the training window.",
        ),
        Gate(
            "golden_parity",
            paper,
            evidence.golden_difference,
            AT_MOST,
            GOLDEN_TOLERANCE,
            "The bundle, read back, gives its golden outputs.",
        ),
        Gate(
            "export_parity",
            paper,
            evidence.parity,
            AT_MOST,
            GOLDEN_TOLERANCE,
            "ONNX and the training library agree.",
        ),
    )


def _champion_gate(evidence: Evidence) -> Gate:
    """Ask for more than what would trade instead: the champion or, where there is none, the rules.

    A scorer without a champion lets the rules decide, so they are what must be beaten.
    """
    theirs, mine = evidence.champion_units, evidence.model_units_beside_champion
    meaning, note = "Units more than the champion, on rows it never learnt from", evidence.duel_note
    if theirs is None and mine is None:
        contenders = evidence.comparison.model, evidence.comparison.baseline
        mine, theirs = (each.pooled.performance.total_units for each in contenders)
        meaning, note = (
            "Units more than the rules earned",
            f"{NO_CHAMPION}: the rules trade in its place",
        )
    elif evidence.no_duel:
        meaning, note = "It cannot be compared with the champion", evidence.no_duel
    lead = _known(mine) - _known(theirs)
    return Gate(BEATS_CHAMPION, Policy.LIVE, lead, ABOVE, 0.0, _told(meaning, note), note)


def _costs_gate(evidence: Evidence) -> Gate:
    """Ask that trades were charged what is known to be charged."""
    spared = evidence.spared_points
    note = ", ".join(f"{cost} {points:g} less" for cost, points in spared.items())
    told = _told("Points of what is known to cost the symbol that its trades were spared", note)
    points = math.fsum(spared.values())
    return Gate("costs_charged", Policy.LIVE, points, AT_MOST, 0.0, told, note)


def _told(meaning: str, note: str) -> str:
    return f"{meaning} ({note})." if note else f"{meaning}."


def _live_gates(evidence: Evidence, asked: Thresholds) -> tuple[Gate, ...]:
    comparison = evidence.comparison
    mine = comparison.model.pooled.performance
    baseline = comparison.baseline.pooled.performance
    live = Policy.LIVE
    return (
        Gate(
            "positive_net",
            live,
            min(mine.total_units, comparison.forward_units),
            ABOVE,
            0.0,
            "Units of risk earned after costs, by the threshold chosen on all folds or, where that "
            "is less, by those that earlier folds alone would have chosen.",
        ),
        Gate(
            "beats_baseline",
            live,
            mine.total_units,
            ABOVE,
            baseline.total_units,
            "More units than the rule baseline.",
        ),
        _champion_gate(evidence),
        Gate(
            "enough_trades",
            live,
            mine.n_trades,
            AT_LEAST,
            asked.min_trades,
            "Out-of-fold trades behind the figures.",
        ),
        Gate(
            "deflated_sharpe",
            live,
            comparison.deflated_sharpe,
            AT_LEAST,
            asked.min_deflated_sharpe,
            f"Probability that it is no luck of {comparison.n_trials} trials.",
        ),
        _costs_gate(evidence),
    )


def _known(figure: float | None) -> float:
    return math.nan if figure is None else figure
