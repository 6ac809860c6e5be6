"""Certificates for tests: keys made here, and bundles certified with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from online.domain.certificate import (
    APPROVAL_FILE,
    AT_MOST,
    CERTIFICATE_FILE,
    CERTIFICATE_SCHEMA,
    Certificate,
    GateLine,
    Policy,
    Trust,
    best_policy,
    seal,
)

NAME, APPROVER = "EURUSD.H1.barrier", "ada"
GOOD = GateLine("calibrated", Policy.PAPER, 0.02, AT_MOST, 0.05, passed=True)
BAD = GateLine("calibrated", Policy.PAPER, 0.08, AT_MOST, 0.05, passed=False)
RICH = GateLine("positive_net", Policy.LIVE, 4.0, ">", 0.0, passed=True)
POOR = GateLine("positive_net", Policy.LIVE, -4.0, ">", 0.0, passed=False)


def make_certificate(
    digest: str, *gates: GateLine, model: str = NAME, approver: str = ""
) -> Certificate:
    """Return a certificate of a bundle."""
    policy = best_policy(gates)
    return Certificate(CERTIFICATE_SCHEMA, model, digest, policy, gates, approver, 1)


@dataclass(frozen=True, slots=True)
class Signers:
    """A key for gates and a person's, and who trusts them."""

    gates: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    person: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def trust(self) -> Trust:
        return Trust(
            (self.gates.public_key().public_bytes_raw(),),
            {APPROVER: self.person.public_key().public_bytes_raw()},
        )

    def certify(
        self, digest: str, *gates: GateLine, model: str = NAME, approved: bool = False
    ) -> dict[str, bytes]:
        """Return the proofs of a bundle, by file name."""
        known = make_certificate(digest, *gates, model=model)
        files = {CERTIFICATE_FILE: seal(known, self.gates.sign)}
        if approved:
            approval = msgspec.structs.replace(known, policy=Policy.LIVE, approver=APPROVER)
            files[APPROVAL_FILE] = seal(approval, self.person.sign)
        return files

    def publish(self, folder: Path) -> Path:
        """Write the public keys into a folder of trust."""
        folder.mkdir(exist_ok=True)
        for name, key in (("gates", self.gates), (f"approver-{APPROVER}", self.person)):
            public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            (folder / f"{name}.pem").write_bytes(public)
        return folder


def put(folder: Path, files: dict[str, bytes]) -> None:
    """Write proofs beside a bundle's files."""
    for name, raw in files.items():
        (folder / name).write_bytes(raw)
