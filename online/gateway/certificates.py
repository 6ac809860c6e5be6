"""Certificates: an authority of one's own, a gateway's, and its clients'."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from online.domain.errors import InvalidInput

AUTHORITY, GATEWAY = "authority", "gateway"
CLIENTS = ("scorer", "operator", "reader")
_AUTHORITY_DAYS = 3650
_CLOCK_SKEW = timedelta(minutes=5)


def issue(
    folder: Path, hosts: Sequence[str], *, days: float = 397, now: datetime | None = None
) -> tuple[Path, ...]:
    """Write certificates and keys for one gateway and its clients.

    An authority that is already in the folder is kept and signs again, so that clients with older
    certificates stay welcome until these expire.

    Parameters
    ----------
    folder
        Receives ``<name>.pem`` and ``<name>.key`` of authority, gateway, scorer, operator and
        reader.
    hosts
        Names and addresses by which the gateway is reached.
    days
        Validity of all but the authority's.
    now
        Begin of the validity; the clock's where not given.

    Returns
    -------
    tuple of Path
        What was written.

    Raises
    ------
    InvalidInput
        If no host is given or the folder cannot be written.
    """
    if not hosts:
        raise InvalidInput("at least one host name or address of the gateway is needed")
    start = now or datetime.now(UTC)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = [] if _path(folder, AUTHORITY).exists() else _write_authority(folder, start)
        authority = x509.load_pem_x509_certificate(_path(folder, AUTHORITY).read_bytes())
        key = serialization.load_pem_private_key(
            _path(folder, AUTHORITY, "key").read_bytes(), password=None
        )
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise InvalidInput(f"the authority's key in {folder} is not one this program made")
        for name in (GATEWAY, *CLIENTS):
            own = ec.generate_private_key(ec.SECP256R1())
            usage = _usage(name)
            builder = _builder(name, start, days, own.public_key(), authority.subject)
            builder = builder.add_extension(
                x509.BasicConstraints(ca=False, path_length=None), critical=True
            )
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            if name == GATEWAY:
                names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
                builder = builder.add_extension(names, critical=False)
            builder = _identified(builder, own.public_key(), key.public_key())
            written += _write(folder, name, builder.sign(key, hashes.SHA256()), own)
    except OSError as error:
        raise InvalidInput(f"certificates cannot be written to {folder}: {error}") from error
    return tuple(written)


def find_expiry(path: Path) -> datetime:
    """Return when a certificate expires, UTC.

    Raises
    ------
    InvalidInput
        If the file holds none.
    """
    try:
        return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{path} is no certificate: {error}") from error


def _write_authority(folder: Path, start: datetime) -> list[Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("sextant-authority")
    builder = _builder(AUTHORITY, start, _AUTHORITY_DAYS, key.public_key(), name)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(
        x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        ),
        critical=True,
    )
    builder = _identified(builder, key.public_key(), key.public_key())
    return _write(folder, AUTHORITY, builder.sign(key, hashes.SHA256()), key)


def _builder(
    name: str, start: datetime, days: float, public: ec.EllipticCurvePublicKey, issuer: x509.Name
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(f"sextant-{name}"))
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - _CLOCK_SKEW)
        .not_valid_after(start + timedelta(days=days))
    )


def _identified(
    builder: x509.CertificateBuilder,
    own: ec.EllipticCurvePublicKey,
    signer: ec.EllipticCurvePublicKey,
) -> x509.CertificateBuilder:
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(own), critical=False)
    signed_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer)
    return builder.add_extension(signed_by, critical=False)


def _usage(name: str) -> x509.ObjectIdentifier:
    server = name == GATEWAY
    return ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _path(folder: Path, name: str, suffix: str = "pem") -> Path:
    return folder / f"{name}.{suffix}"


def _write(
    folder: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> list[Path]:
    encoded = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    secret, public = _path(folder, name, "key"), _path(folder, name)
    secret.unlink(missing_ok=True)
    with os.fdopen(os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(encoded)
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return [public, secret]
