"""The recipe: every choice of a training run, as data that is recorded and counted as a trial."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field

from models.costs import Costs
from models.families.build import FamilyConfig, build_family
from models.families.xgboost import XgboostConfig
from models.labels import horizon_ns
from models.swap import NO_SWAP, Swap
from models.targets import Target
from online.domain.barriers import BarrierRule
from online.domain.errors import InvalidInput
from online.domain.market import NANOSECONDS_PER_SECOND, Timeframe
from online.domain.meta_label import SPOKEN
from online.domain.rules import RULE_FEATURES

_DAY_NS = 86_400 * NANOSECONDS_PER_SECOND
META_INPUTS = (*SPOKEN, *RULE_FEATURES)
"""What a meta-label reads if nothing else is said."""


@dataclass(frozen=True, slots=True)
class LabelChoice:
    """Barriers and costs of the label.

    Parameters
    ----------
    stop_units, target_units
        Distance of stop and target, in units of the unit feature (> 0).
    timeout_bars
        Life of a position in bars (> 0).
    unit_feature
        What one unit is.
    assumed_spread_points
        Used where the bars bring no spread of their own (>= 0); None for what was quoted of the
        symbol, else for what is declared for it.
    commission_per_lot_side
        In the account's currency, for one lot, at entry and again at exit (>= 0), of symbols that
        have no commission of their own.
    target
        What the classes mean; ``direction`` trades without `target_units`.
    slippage_points
        By how much each fill at the market is worse, whole points (>= 0); None for what is known or
        assumed of the symbol.
    swap_points
        What a night pays a long and a short position, points, negative costs; None for what is
        declared for the symbol.
    """

    stop_units: float = 1.0
    target_units: float = 1.0
    timeout_bars: int = 10
    unit_feature: str = "atr_14"
    assumed_spread_points: float | None = None
    commission_per_lot_side: float = 3.5
    target: Target = Target.BARRIER
    slippage_points: int | None = None
    swap_points: tuple[float, float] | None = None

    def rule(self, timeframe: Timeframe) -> BarrierRule:
        """Return the barriers on bars of `timeframe`."""
        units = 0.0 if self.target is Target.DIRECTION else self.target_units
        return BarrierRule(self.stop_units, units, self.timeout_bars, timeframe, self.unit_feature)

    def costs(
        self,
        contract_size: float,
        account_per_profit: float,
        commission_per_lot: float | None = None,
        swap: Swap = NO_SWAP,
        slippage_points: int = 0,
    ) -> Costs:
        """Return the costs of one instrument; None for a commission that is the account's.

        `slippage_points` is the instrument's, to which the recipe's goes before.
        """
        own = self.commission_per_lot_side if commission_per_lot is None else commission_per_lot
        slipped = slippage_points if self.slippage_points is None else self.slippage_points
        return Costs(own, contract_size, account_per_profit, swap, slipped)


@dataclass(frozen=True, slots=True)
class ValidatorChoice:
    """Which validators may refuse the model's signals; none by default.

    Parameters
    ----------
    novelty_share
        Share of out-of-fold vectors that novelty lets through, in (0, 1); 0 leaves it out.
    conformal_error
        Share of outcomes that may lie outside their plausible set, in (0, 1); 0 leaves it out.
    meta_inputs
        What the meta-label reads: names of features and of `online.domain.meta_label.SPOKEN`;
        empty leaves it out.
    """

    novelty_share: float = 0.0
    conformal_error: float = 0.0
    meta_inputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("novelty_share", "conformal_error"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise InvalidInput(f"{name} must be within [0, 1), got {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Recipe:
    """Every choice of a training run.

    Parameters
    ----------
    families
        What is fitted: several are the members of one ensemble.
    label
        What it learns.
    features
        Names it reads, in any order; None for the store's default vector.
    target
        Last part of the registered name; it begins as the label's target is called.
    n_folds
        Test sets of the walk-forward (>= 2).
    first_train_share
        Share of the labels before the first test set.
    extra_embargo_bars
        Embargo beyond the label's horizon, bars (>= 0).
    n_groups
        Stretches of time of the combinatorial cross-validation (> 2); 0 leaves it out.
    min_coverage
        Least share of each fold's bars that must be signalled, in (0, 1].
    seed
        Of every random choice.
    n_tuning_trials
        Settings tried for each family, on rows before the first test (>= 0).
    validators
        What may refuse its signals.
    degrades
        Whether an ensemble may serve without a member that fails.
    window
        What families of sequences read, by its key in the store.
    rolling_days
        Days before each test, and at the end, that are learnt from (> 0); None for all there are.
    """

    families: tuple[FamilyConfig, ...] = (XgboostConfig(),)
    label: LabelChoice = field(default_factory=LabelChoice)
    features: tuple[str, ...] | None = None
    target: str = "barrier"
    n_folds: int = 5
    first_train_share: float = 0.4
    extra_embargo_bars: int = 0
    n_groups: int = 0
    min_coverage: float = 0.25
    seed: int = 7
    n_tuning_trials: int = 0
    validators: ValidatorChoice = field(default_factory=ValidatorChoice)
    degrades: bool = False
    window: str = "default_32"
    rolling_days: int | None = None

    def __post_init__(self) -> None:
        kinds = [config.kind for config in self.families]
        if not kinds or len(set(kinds)) != len(kinds):
            raise InvalidInput(
                f"a recipe needs distinct families, at least one, got {', '.join(kinds) or 'none'}",
                code="REPEATED_FAMILY" if kinds else "NO_FAMILY",
            )
        if not self.target.startswith(self.label.target):
            raise InvalidInput(
                f"a model of the target {self.label.target} needs a name that begins so, "
                f"got {self.target!r}"
            )
        if self.extra_embargo_bars < 0:
            raise InvalidInput(f"extra_embargo_bars must be >= 0, got {self.extra_embargo_bars}")
        if self.n_tuning_trials < 0:
            raise InvalidInput(f"n_tuning_trials must be >= 0, got {self.n_tuning_trials}")
        if self.rolling_days is not None and self.rolling_days <= 0:
            raise InvalidInput(f"rolling_days must be above 0, got {self.rolling_days}")

    @property
    def kinds(self) -> str:
        """The families' names, joined by commas."""
        return ",".join(config.kind for config in self.families)

    @property
    def reads_windows(self) -> bool:
        """Whether one of the families reads windows."""
        return any(build_family(config).reads == "window" for config in self.families)

    @property
    def rolling_ns(self) -> int | None:
        """The length of the rolling training window, nanoseconds; None for an expanding one."""
        return None if self.rolling_days is None else self.rolling_days * _DAY_NS

    def embargo_ns(self, rule: BarrierRule) -> int:
        """Return the distance between training and test labels, nanoseconds."""
        return horizon_ns(rule) + self.extra_embargo_bars * rule.timeframe.duration_ns

    def trial(self, names: tuple[str, ...], window: str = "", costs: str = "") -> str:
        """Return what tells this trial from every other.

        Parameters
        ----------
        names
            Of the features.
        window
            Which bars were chosen to learn from and be judged on; empty where it does not matter.
        costs
            What is declared of the symbol's; empty where it does not matter.
        """
        told = {"bars": window, "costs": costs}
        choices = {**asdict(self), "features": names, **{k: v for k, v in told.items() if v}}
        text = json.dumps(choices, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def parameters(self) -> dict[str, object]:
        """Return every choice by a dotted name, as a run shows it."""
        choices = asdict(self)
        families = {str(config["kind"]): config for config in choices.pop("families")}
        return {"families": self.kinds, **_flatten("", {**families, **choices})}


def parse_training_window(text: str) -> int | None:
    """Return the days of ``rolling:N``, None for ``expanding``.

    Raises
    ------
    InvalidInput
        With code ``UNKNOWN_WINDOW``.
    """
    kind, _, days = text.partition(":")
    if text == "expanding":
        return None
    if kind == "rolling" and days.isascii() and days.isdigit() and int(days) > 0:
        return int(days)
    raise InvalidInput(
        f"unknown training window {text!r}: expected expanding, or rolling:N with N days above 0",
        code="UNKNOWN_WINDOW",
    )


def _flatten(prefix: str, nested: dict[str, object]) -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in nested.items():
        if isinstance(value, dict):
            flat |= _flatten(f"{prefix}{key}.", value)
        else:
            flat[f"{prefix}{key}"] = value
    return flat
