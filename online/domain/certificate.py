"""The certificate: what a model's gates measured, signed, and bound to one bundle.

Two documents lie beside a bundle's files. ``certificate.json`` is signed where the gates were
asked; ``approval.json`` repeats it with the name of a person and is signed with that person's key.
An alias is a request: a champion needs both, everything else needs a certificate that proves
policy ``paper``. Neither document is part of the bundle's digest, which both of them name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from online.domain.errors import ModelRefused

CERTIFICATE_FILE, APPROVAL_FILE = "certificate.json", "approval.json"
CERTIFICATE_SCHEMA = 1
CHAMPION = "champion"
"""The alias that may send live orders."""

AT_MOST: Final = "<="
AT_LEAST: Final = ">="
ABOVE: Final = ">"
_HOLDS: dict[str, Callable[[float, float], bool]] = {
    AT_MOST: lambda measured, threshold: measured <= threshold,
    AT_LEAST: lambda measured, threshold: measured >= threshold,
    ABOVE: lambda measured, threshold: measured > threshold,
}
_CONTEXT = b"sextant certificate 1\n"
_GATES_REMEDY = "Read the gates; a model that fails them is not promoted."
_SIGN_REMEDY = "Train the model again, or give this host the public key that signed it."
_APPROVE_REMEDY = "Approve it: `sextant models promote NAME --approve WHO`."


class Policy(StrEnum):
    """How much a model must show."""

    PAPER = "paper"
    LIVE = "live"


class GateLine(msgspec.Struct, frozen=True):
    """One question that was put to a model, and its answer.

    Parameters
    ----------
    name
        Stable.
    policy
        The first policy that asks it.
    measured
        The figure; None where it is not finite, which never passes.
    relation, threshold
        What the figure must be.
    passed
        The verdict as it was given; it counts only where the figures say so too.
    note
        What to know of this answer, a phrase for people; empty for nothing.
    """

    name: str
    policy: Policy
    measured: float | None
    relation: str
    threshold: float
    passed: bool
    note: str = ""

    @property
    def holds(self) -> bool:
        """Whether verdict and figures both say that the gate is passed."""
        measured = math.nan if self.measured is None else self.measured
        return self.passed and holds(measured, self.relation, self.threshold)


class Certificate(msgspec.Struct, frozen=True):
    """What was measured of one bundle.

    Parameters
    ----------
    schema
        Version of this layout (`CERTIFICATE_SCHEMA`).
    model
        Registered name.
    bundle_sha256
        The bundle's digest.
    policy
        The best policy its gates pass; None if they pass none.
    gates
        Every question with its answer.
    approver
        Who lets it trade real money; empty where nobody does.
    issued_at_ns
        When it was signed, nanoseconds UTC.
    """

    schema: int
    model: str
    bundle_sha256: str
    policy: Policy | None
    gates: tuple[GateLine, ...]
    approver: str
    issued_at_ns: int


class Sealed(msgspec.Struct, frozen=True):
    """A certificate's exact text and the Ed25519 signature of it, hexadecimal."""

    body: str
    signature: str


class Trust(msgspec.Struct, frozen=True):
    """Whose signatures count: raw Ed25519 public keys, 32 bytes each.

    Parameters
    ----------
    gates
        Of those who may certify gates.
    approvers
        Of those who may approve, by name.
    """

    gates: tuple[bytes, ...]
    approvers: Mapping[str, bytes]


def holds(measured: float, relation: str, threshold: float) -> bool:
    """Tell whether a figure is finite and what it must be."""
    known = math.isfinite(measured) and math.isfinite(threshold) and relation in _HOLDS
    return known and _HOLDS[relation](measured, threshold)


def failed_gates(gates: tuple[GateLine, ...], policy: Policy) -> tuple[str, ...]:
    """Return the names of the gates of `policy` that do not hold; ``live`` includes ``paper``."""
    policies = (Policy.PAPER, Policy.LIVE) if policy is Policy.LIVE else (Policy.PAPER,)
    absent = (f"no gate of {p}" for p in policies if p not in {gate.policy for gate in gates})
    return (*absent, *(gate.name for gate in gates if gate.policy in policies and not gate.holds))


def best_policy(gates: tuple[GateLine, ...]) -> Policy | None:
    """Return the best policy that the gates pass; None if they pass none."""
    return next((p for p in (Policy.LIVE, Policy.PAPER) if not failed_gates(gates, p)), None)


def needed_policy(alias: str) -> Policy:
    """Return the policy that an alias asks for."""
    return Policy.LIVE if alias == CHAMPION else Policy.PAPER


def seal(certificate: Certificate, sign: Callable[[bytes], bytes]) -> bytes:
    """Return a certificate's file.

    Parameters
    ----------
    certificate
        What is signed.
    sign
        Returns the Ed25519 signature of a message.
    """
    body = msgspec.json.encode(certificate)
    return msgspec.json.encode(Sealed(body.decode(), sign(_CONTEXT + body).hex()))


def read_certificate(files: Mapping[str, bytes], trust: Trust) -> Certificate:
    """Return the certificate among a bundle's files, its signature verified.

    Raises
    ------
    ModelRefused
        With code ``CERTIFICATE_MISSING`` or ``CERTIFICATE_INVALID``.
    """
    raw = files.get(CERTIFICATE_FILE)
    if raw is None:
        raise ModelRefused(
            f"the bundle has no {CERTIFICATE_FILE}: nothing proves its gates",
            code="CERTIFICATE_MISSING",
            remedy=_SIGN_REMEDY,
        )
    return _open(CERTIFICATE_FILE, raw, trust.gates)


def permit(
    files: Mapping[str, bytes], model: str, bundle_sha256: str, policy: Policy, trust: Trust
) -> Certificate:
    """Return the certificate that lets a bundle serve under `policy`, or refuse it.

    Parameters
    ----------
    files
        The bundle's files by name.
    model, bundle_sha256
        What is to serve: its registered name and its digest.
    policy
        What it is to serve for.
    trust
        Whose signatures count.

    Returns
    -------
    Certificate
        The approval for ``live``, else the certificate of the gates.

    Raises
    ------
    ModelRefused
        With code ``CERTIFICATE_MISSING``, ``CERTIFICATE_INVALID``, ``CERTIFICATE_OF_ANOTHER``,
        ``GATES_FAILED`` or ``NOT_APPROVED``.
    """
    certificate = read_certificate(files, trust)
    check_bound(CERTIFICATE_FILE, certificate, model, bundle_sha256)
    failed = failed_gates(certificate.gates, policy)
    if failed:
        raise ModelRefused(
            f"bundle {bundle_sha256[:12]} of {model} may not serve for {policy}: its gates fail: "
            f"{', '.join(failed)}",
            code="GATES_FAILED",
            remedy=_GATES_REMEDY,
        )
    raw = files.get(APPROVAL_FILE)
    if policy is Policy.PAPER and (raw is None or not trust.approvers):
        return certificate
    if raw is None:
        raise ModelRefused(
            f"bundle {bundle_sha256[:12]} of {model} passed the gates of live, but nobody "
            "approved it",
            code="NOT_APPROVED",
            remedy=_APPROVE_REMEDY,
        )
    approval = _read_approval(raw, certificate, trust)
    return approval if policy is Policy.LIVE else certificate


def check_bound(file: str, found: Certificate, model: str, bundle_sha256: str) -> None:
    """Refuse a certificate that speaks of another bundle or model.

    Parameters
    ----------
    file
        Where it was read.
    found
        Its signature verified.
    model, bundle_sha256
        Of what it is to speak: registered name and digest.

    Raises
    ------
    ModelRefused
        With code ``CERTIFICATE_OF_ANOTHER``.
    """
    if (found.model, found.bundle_sha256) != (model, bundle_sha256):
        raise ModelRefused(
            f"{file} is of bundle {found.bundle_sha256[:12]} of {found.model}, this is bundle "
            f"{bundle_sha256[:12]} of {model}",
            code="CERTIFICATE_OF_ANOTHER",
            remedy=_SIGN_REMEDY,
        )


def _read_approval(raw: bytes, certificate: Certificate, trust: Trust) -> Certificate:
    """Return an approval that repeats the certificate and is signed by the one it names."""
    name = _decode(APPROVAL_FILE, _unseal(APPROVAL_FILE, raw)).approver
    key = trust.approvers.get(name)
    if key is None:
        raise ModelRefused(
            f"{APPROVAL_FILE} names the approver {name!r}; this host trusts "
            f"{', '.join(sorted(trust.approvers)) or 'nobody'}",
            code="NOT_APPROVED",
            remedy=_SIGN_REMEDY,
        )
    approval = _open(APPROVAL_FILE, raw, (key,))
    check_bound(APPROVAL_FILE, approval, certificate.model, certificate.bundle_sha256)
    if approval.policy is not Policy.LIVE or approval.gates != certificate.gates:
        raise ModelRefused(
            f"{APPROVAL_FILE} approves other gates than {CERTIFICATE_FILE} holds",
            code="CERTIFICATE_OF_ANOTHER",
            remedy=_APPROVE_REMEDY,
        )
    return approval


def _open(file: str, raw: bytes, keys: tuple[bytes, ...]) -> Certificate:
    sealed = _unseal(file, raw)
    message = _CONTEXT + sealed.body.encode()
    if not any(_is_signed(sealed.signature, message, key) for key in keys):
        raise ModelRefused(
            f"{file} was not signed by a key that is trusted here, or was changed since",
            code="CERTIFICATE_INVALID",
            remedy=_SIGN_REMEDY,
        )
    return _decode(file, sealed)


def _unseal(file: str, raw: bytes) -> Sealed:
    try:
        return msgspec.json.decode(raw, type=Sealed)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _unreadable(file, error) from error


def _decode(file: str, sealed: Sealed) -> Certificate:
    try:
        found = msgspec.json.decode(sealed.body, type=Certificate)
    except msgspec.DecodeError as error:
        raise _unreadable(file, error) from error
    if found.schema != CERTIFICATE_SCHEMA:
        raise _unreadable(file, f"schema {found.schema}, expected {CERTIFICATE_SCHEMA}")
    return found


def _unreadable(file: str, why: object) -> ModelRefused:
    return ModelRefused(
        f"{file} cannot be read: {why}", code="CERTIFICATE_INVALID", remedy=_SIGN_REMEDY
    )


def _is_signed(signature: str, message: bytes, key: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(bytes.fromhex(signature), message)
    except (InvalidSignature, ValueError):
        return False
    return True
