"""Certificates of this home's bundles: the gates' by its own key, an approval by a person's."""

from __future__ import annotations

import logging
import tempfile
import time
from pathlib import Path

import msgspec

from models.export import Bundle, read_proofs
from models.gates import Verdict
from models.registry import Registry
from models.version import Version
from online.adapters.key_files import APPROVER, GATES, check_name, open_key, read_trust
from online.domain.certificate import (
    APPROVAL_FILE,
    CERTIFICATE_FILE,
    CERTIFICATE_SCHEMA,
    Certificate,
    Policy,
    best_policy,
    check_bound,
    failed_gates,
    read_certificate,
    seal,
)
from online.domain.errors import InvalidSettings, ModelRefused
from pipelines.home import Home
from pipelines.whole_file import put_file

logger = logging.getLogger(__name__)


def certify(home: Home, name: str, bundle: Bundle, verdict: Verdict) -> None:
    """Write the certificate of the gates beside a bundle's files, whatever they say.

    Parameters
    ----------
    home
        Its key signs; it is made on first use.
    name
        Registered name.
    bundle, verdict
        What was judged, and how.
    """
    certificate = Certificate(
        schema=CERTIFICATE_SCHEMA,
        model=name,
        bundle_sha256=bundle.digest,
        policy=best_policy(verdict.lines),
        gates=verdict.lines,
        approver="",
        issued_at_ns=time.time_ns(),
    )
    key = open_key(home.keys / f"{GATES}.pem", home.trusted / f"{GATES}.pem")
    raw = seal(certificate, key.sign)
    put_file(bundle.folder / CERTIFICATE_FILE, raw, bundle.folder.parent)


def renew(home: Home, registry: Registry, version: Version, bundle: Bundle) -> None:
    """Give a version that was registered before a certificate that this home trusts again.

    Parameters
    ----------
    home
        Whose trusted keys judge the one that it has.
    registry, version
        Where it is kept.
    bundle
        The same model, certified now.
    """
    with tempfile.TemporaryDirectory() as scratch:
        kept = registry.download_bundle(version, Path(scratch) / "bundle")
        try:
            read_certificate(read_proofs(kept.folder), read_trust(home.trusted))
        except ModelRefused as error:
            logger.info("%s version %s is certified anew: %s", version.name, version.version, error)
            registry.attach(version, bundle.folder / CERTIFICATE_FILE)


def approve(
    home: Home, name: str, bundle: Bundle, approver: str, key_file: Path | None = None
) -> Path:
    """Write a person's approval beside a bundle that passed the gates of ``live``.

    Parameters
    ----------
    home
        Whose trusted keys judge the certificate.
    name
        Registered name.
    bundle
        With its certificate.
    approver
        Name of the person.
    key_file
        Their private key; None for one in the home, made on first use.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    ModelRefused
        With code ``GATES_FAILED`` if it may not trade live whoever approves,
        ``CERTIFICATE_MISSING``, ``CERTIFICATE_INVALID`` or ``CERTIFICATE_OF_ANOTHER``.
    InvalidSettings
        If the key is not the one trusted under that name.
    """
    trusted = home.trusted / f"{APPROVER}{check_name(approver)}.pem"
    known = read_certificate(read_proofs(bundle.folder), read_trust(home.trusted))
    check_bound(CERTIFICATE_FILE, known, name, bundle.digest)
    failed = failed_gates(known.gates, Policy.LIVE)
    if failed:
        raise ModelRefused(
            f"bundle {bundle.digest[:12]} of {known.model} may not trade live, whoever approves: "
            f"its gates fail: {', '.join(failed)}",
            code="GATES_FAILED",
            remedy="Read the gates; a model that fails them is not promoted.",
        )
    own = home.keys / f"{APPROVER}{approver}.pem"
    key = open_key(key_file or own, trusted)
    if read_trust(home.trusted).approvers.get(approver) != key.public_key().public_bytes_raw():
        raise InvalidSettings(
            f"{key_file or own} is not the key that {home.trusted} trusts as {approver}",
            remedy=f"Put its public half into {trusted}, or give the key that belongs to it.",
        )
    approval = msgspec.structs.replace(
        known, policy=Policy.LIVE, approver=approver, issued_at_ns=time.time_ns()
    )
    path = bundle.folder / APPROVAL_FILE
    put_file(path, seal(approval, key.sign), bundle.folder.parent)
    return path
