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


class _TellingObject(ssl.SSLObject):
    """Keeps the alert of a failed handshake, which asyncio drops."""

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError:
            if isinstance(self.context, GatewayContext):
                self.context.keep_alert()
            raise


class GatewayContext(ssl.SSLContext):
    """Context of one connection, which knows what is left to say when its handshake fails.

    Attributes
    ----------
    alert
        Bytes that tell the client why its certificate is refused; empty while there are none.
    """

    sslobject_class = _TellingObject
    alert = b""
    _outgoing: ssl.MemoryBIO | None = None

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002 - the library's signature
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Wrap a connection's buffers."""
        self._outgoing = outgoing
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)

    def keep_alert(self) -> None:
        """Take what was not sent yet."""
        if self._outgoing is not None:
            self.alert = self._outgoing.read()


def gateway_context(files: TlsFiles) -> GatewayContext:
    """Return the context of one of the gateway's connections, from the files as they are now.

    A client without a valid certificate is refused. A certificate that was renewed is used by the
    next connection, without a restart.

    Raises
    ------
    InvalidSettings
        If a file cannot be read or does not fit the others.
    """
    context = GatewayContext(ssl.PROTOCOL_TLS_SERVER)
    _prepare(context, files)
    return context


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """Return a client's context: a gateway without a valid certificate for its host is refused.

    Raises
    ------
    InvalidSettings
        As `gateway_context`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _prepare(context, files)
    return context


def common_name(certificate: object) -> str:
    """Return the subject's common name of a peer's certificate as `ssl` tells it; or nothing."""
    if not isinstance(certificate, dict):
        return ""
    parts = [pair for group in certificate.get("subject", ()) for pair in group]
    return str(dict(parts).get("commonName", ""))


def describe_refusal(error: Exception) -> str:
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


def _prepare(context: ssl.SSLContext, files: TlsFiles) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_verify_locations(files.authority)
        context.load_cert_chain(files.certificate, files.key)
    except FileNotFoundError as error:
        needed = (files.authority, files.certificate, files.key)
        absent = ", ".join(str(path) for path in needed if not path.is_file())
        raise InvalidSettings(
            f"TLS files are absent: {absent}",
            remedy="`sextant gateway certs` makes them: name the folder they are in.",
        ) from error
    except OSError as error:
        named = f"{files.authority}, {files.certificate} and {files.key}"
        raise InvalidSettings(f"TLS files {named} cannot be used: {error}") from error
