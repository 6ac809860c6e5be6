"""Validators: what may refuse a signal that the model gave, each with its own reason.

Their parameters are data of the manifest, fitted on training rows and out-of-fold signals alone;
live, backtest and training call the functions here and no others. What they measured is part of
the signal, whether they refuse or not.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from online.domain.conformal import ConformalRule, plausible
from online.domain.errors import InvalidManifest
from online.domain.meta_label import AGREEMENT, SPOKEN, MetaRule, chance_to_earn
from online.domain.novelty import NoveltyRule, novelty
from online.domain.reasons import Reason, Veto
from online.domain.rules import RULE_FEATURES, candidate
from online.domain.signal import Checks, Signal
from online.domain.vector import VectorContract

_OUTCOMES = ("short", "neither", "long")


class Validators(msgspec.Struct, frozen=True, omit_defaults=True):
    """Those of one model; each may be absent.

    Parameters
    ----------
    novelty
        Refuses vectors unlike those of the training.
    conformal
        Refuses signals whose direction is not the only plausible outcome.
    meta
        Refuses signals that are not likely enough to earn.
    """

    novelty: NoveltyRule | None = None
    conformal: ConformalRule | None = None
    meta: MetaRule | None = None

    def check(self, contract: VectorContract) -> None:
        """Refuse parameters that do not suit a vector.

        Raises
        ------
        InvalidManifest
            If features are missing or counted otherwise.
        """
        if self.novelty is not None and len(self.novelty.centre) != len(contract.names):
            raise InvalidManifest(
                f"the novelty rule knows {len(self.novelty.centre)} features, "
                f"the vector has {len(contract.names)}"
            )
        if self.meta is not None:
            features = [name for name in self.meta.inputs if name not in SPOKEN]
            for name in (*features, *(RULE_FEATURES if AGREEMENT in self.meta.inputs else ())):
                contract.index(name)


def measure(
    signal: Signal, values: Sequence[float], contract: VectorContract, validators: Validators
) -> Checks:
    """Return what each validator measures of a signal.

    Parameters
    ----------
    signal
        Calibrated and combined.
    values, contract
        The vector it was made from, finite.
    validators
        Of the model.
    """
    rules, p = validators, signal.probabilities
    return Checks(
        novelty=None if rules.novelty is None else novelty(values, rules.novelty),
        plausible=None if rules.conformal is None else plausible(p, rules.conformal),
        chance=None if rules.meta is None else chance_to_earn(p, values, contract, rules.meta),
    )


def refusals(signal: Signal, min_edge: float, validators: Validators) -> tuple[Veto, ...]:
    """Return why a signal with its `Checks` must not be traded.

    Novelty refuses any vector; the others only what would be traded otherwise.
    """
    checks = signal.checks
    if checks is None:
        return ()
    vetoes: tuple[Veto, ...] = ()
    if validators.novelty is not None and checks.novelty is not None:
        limit = validators.novelty.limit
        if not checks.novelty <= limit:
            detail = f"novelty {checks.novelty:.4f}, at most {limit:.4f} is traded"
            vetoes += (Veto(Reason.OUT_OF_DISTRIBUTION, detail),)
    side = candidate(signal.edge, min_edge)
    if side is None:
        return vetoes
    if validators.conformal is not None and checks.plausible is not None:
        wanted = (2,) if side.sign > 0 else (0,)
        if checks.plausible != wanted:
            named = ", ".join(_OUTCOMES[n] for n in checks.plausible) or "nothing"
            detail = f"{named} plausible at error {validators.conformal.error:g}; {side} alone may"
            vetoes += (Veto(Reason.CONFORMAL_ABSTAINS, detail),)
    if validators.meta is not None and checks.chance is not None:
        least = validators.meta.least
        if not checks.chance >= least:
            detail = f"chance to earn {checks.chance:.4f}, at least {least:.4f} is taken"
            vetoes += (Veto(Reason.META_LABEL_REJECTS, detail),)
    return vetoes
