"""Keys that sign certificates: private ones in files of their owner alone, public ones in a folder.

The folder of trust holds PEM files: ``gates.pem`` (and ``gates-*.pem``) may certify gates,
``approver-NAME.pem`` may approve as NAME.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from online.domain.certificate import Trust
from online.domain.errors import InvalidInput, InvalidSettings

GATES, APPROVER = "gates", "approver-"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")


def read_trust(folder: Path) -> Trust:
    """Return the public keys in a folder; without a folder nobody is trusted.

    Raises
    ------
    InvalidSettings
        If a file of it is no Ed25519 public key or bears another name.
    """
    gates: list[bytes] = []
    approvers: dict[str, bytes] = {}
    for path in sorted(folder.glob("*.pem")) if folder.is_dir() else ():
        raw = _read_public(path)
        if path.stem == GATES or path.stem.startswith(f"{GATES}-"):
            gates.append(raw)
        elif path.stem.startswith(APPROVER):
            approvers[path.stem.removeprefix(APPROVER)] = raw
        else:
            raise InvalidSettings(
                f"{path} is named neither {GATES}.pem, {GATES}-*.pem nor {APPROVER}NAME.pem"
            )
    return Trust(tuple(gates), approvers)


def check_name(name: str) -> str:
    """Return an approver's name that a file can bear.

    Raises
    ------
    InvalidInput
        If it cannot.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"an approver's name is a letter and up to 63 letters, digits, dots, underscores or "
            f"hyphens, got {name!r}"
        )
    return name


def open_key(path: Path, trusted: Path) -> Ed25519PrivateKey:
    """Return the private key in `path`; one that is not there is made, mode 600.

    Parameters
    ----------
    path
        PEM file, readable by its owner alone.
    trusted
        PEM file that receives the public half of a key made here.

    Raises
    ------
    InvalidSettings
        If the file is readable by others, is no Ed25519 key, or cannot be made.
    """
    try:
        if not path.exists():
            return _make(path, trusted)
        mode = path.stat().st_mode
        raw = path.read_bytes()
    except OSError as error:
        raise InvalidSettings(f"signing key {path} cannot be read or made: {error}") from error
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise InvalidSettings(f"signing key {path} is open to others: chmod 600 it")
    try:
        key = load_pem_private_key(raw, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InvalidSettings(f"signing key {path} is no PEM key without a password") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidSettings(f"signing key {path} is no Ed25519 key")
    return key


def _make(path: Path, trusted: Path) -> Ed25519PrivateKey:
    """Make a key; of two makers at once the first one's is kept."""
    if trusted.exists():
        raise InvalidSettings(
            f"there is no signing key {path}, but {trusted} is the public half of one",
            remedy="Bring the private key back, or remove its public half and certify again.",
        )
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    trusted.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(private)
    try:
        os.link(new, path)
    except FileExistsError:
        return open_key(path, trusted)
    finally:
        new.unlink()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    fresh = trusted.with_name(f"{trusted.name}.{os.getpid()}")
    fresh.write_bytes(public)
    fresh.replace(trusted)
    return key


def _read_public(path: Path) -> bytes:
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise InvalidSettings(f"public key {path} cannot be read: {error}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidSettings(f"public key {path} is no Ed25519 key")
    return key.public_bytes_raw()
