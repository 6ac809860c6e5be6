"""The ensemble at work: members' outputs become one signal, or a refusal that names who failed."""

from __future__ import annotations

from collections.abc import Sequence

from online.domain.manifest import Manifest
from online.domain.reasons import Reason, Veto
from online.domain.signal import MemberOutput, Signal, combine, is_distribution
from online.domain.validators import measure, refusals


def speak(
    outputs: tuple[MemberOutput, ...], manifest: Manifest
) -> tuple[Signal | None, tuple[Veto, ...]]:
    """Return the signal of what the members said.

    A member that is missing or says what is no probability refuses the signal; where the manifest
    allows it, the others speak by their weights and the signal names who was missing.

    Parameters
    ----------
    outputs
        Of those members that gave one, in the manifest's order.
    manifest
        Names all members.
    """
    if len(outputs) == len(manifest.members):
        probabilities = manifest.mixture.of(outputs)
        if probabilities is not None:
            return Signal(outputs, probabilities), ()
    return _degrade(outputs, manifest)


def validate(
    signal: Signal, values: Sequence[float], manifest: Manifest
) -> tuple[Signal, tuple[Veto, ...]]:
    """Return the signal with what the manifest's validators measured, and what they refuse.

    Parameters
    ----------
    signal
        Of `speak`.
    values
        The vector it was made from, finite.
    manifest
        Of the model.
    """
    rules = manifest.validators
    if rules is None:
        return signal, ()
    checks = measure(signal, values, manifest.vector, rules)
    checked = Signal(signal.members, signal.probabilities, signal.missing, checks)
    return checked, refusals(checked, manifest.min_edge, rules)


def _degrade(
    outputs: tuple[MemberOutput, ...], manifest: Manifest
) -> tuple[Signal | None, tuple[Veto, ...]]:
    said = {output.name: output for output in outputs}
    vetoes: list[Veto] = []
    kept = []
    for member in manifest.members:
        output = said.get(member.name)
        if output is None:
            vetoes.append(Veto(Reason.MEMBER_MISSING, f"member {member.name} gave no output"))
        elif not is_distribution(output.raw):
            detail = f"member {output.name} returned {output.raw}"
            vetoes.append(Veto(Reason.NON_FINITE_SCORE, detail))
        else:
            kept.append((member, output))
    if not kept or not manifest.degrades:
        return None, tuple(vetoes)
    names = {member.name for member, _ in kept}
    signal = combine(
        tuple(output for _, output in kept),
        tuple(member.calibration for member, _ in kept),
        tuple(member.weight for member, _ in kept),
    )
    missing = tuple(member.name for member in manifest.members if member.name not in names)
    return Signal(signal.members, signal.probabilities, missing), ()
