"""TLS 1.3 with certificates on both ends."""

from __future__ import annotations

import ssl
from pathlib import Path

import msgspec

from online.domain.errors import InvalidSettings


class TlsFiles(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Files of one end, PEM.

    Parameters
    ----------
    authority
        Certificate of the authority that signed the other end's.
    certificate, key
        One's own.
    """

    authority: Path
    certificate: Path
    key: Path


def gateway_context(files: TlsFiles) -> ssl.SSLContext:
    """Return the gateway's context: a client without a valid certificate is refused.

    Raises
    ------
    InvalidSettings
        If a file cannot be read or does not fit the others.
    """
    return _context(ssl.PROTOCOL_TLS_SERVER, files)


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """Return a client's context: a gateway without a valid certificate for its host is refused.

    Raises
    ------
    InvalidSettings
        As `gateway_context`.
    """
    return _context(ssl.PROTOCOL_TLS_CLIENT, files)


def common_name(certificate: object) -> str:
    """Return the subject's common name of a peer's certificate as `ssl` tells it; or nothing."""
    if not isinstance(certificate, dict):
        return ""
    parts = [pair for group in certificate.get("subject", ()) for pair in group]
    return str(dict(parts).get("commonName", ""))


def describe_refusal(error: OSError) -> str:
    """Return the reason of a failed handshake or a refused certificate, in plain words.

    Examples
    --------
    >>> describe_refusal(ConnectionResetError("reset"))
    'reset'
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the other end's certificate is refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or ""):
        words = (error.reason or "").split("ALERT_")[-1].replace("_", " ").lower()
        return f"the other end refused this certificate: {words}"
    return str(error) or type(error).__name__


def _context(protocol: ssl._SSLMethod, files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_verify_locations(files.authority)
        context.load_cert_chain(files.certificate, files.key)
    except OSError as error:
        named = f"{files.authority}, {files.certificate} and {files.key}"
        raise InvalidSettings(f"TLS files {named} cannot be used: {error}") from error
    return context
