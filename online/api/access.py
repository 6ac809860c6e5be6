"""Access: the bearer token of every route that moves money or the model, or is journaled."""

from __future__ import annotations

import hmac

from online.api.problem import HttpError

_CHALLENGE = ((b"www-authenticate", b'Bearer realm="sextant"'),)


class BearerAccess:
    """Lets through who holds the token.

    Parameters
    ----------
    token
        The secret; None refuses everybody.
    """

    def __init__(self, token: str | None) -> None:
        self._token = None if token is None else token.encode()

    def check(self, authorization: bytes | None) -> None:
        """Refuse a request without the token; compared in constant time.

        Raises
        ------
        HttpError
            401 without a bearer token, 403 with a wrong one or where none is configured.
        """
        if self._token is None:
            raise HttpError(
                403,
                "this route needs a bearer token and none is configured",
                code="NO_TOKEN_CONFIGURED",
                remedy="Set token_file and restart the scorer.",
            )
        scheme, _, given = (authorization or b"").partition(b" ")
        if scheme.lower() != b"bearer" or not given:
            raise HttpError(
                401,
                "this route needs the header Authorization: Bearer <token>",
                code="TOKEN_MISSING",
                remedy="Send the token from the scorer's token_file.",
                headers=_CHALLENGE,
            )
        if not hmac.compare_digest(given.strip(), self._token):
            raise HttpError(
                403,
                "the bearer token is not the scorer's",
                code="TOKEN_WRONG",
                remedy="Send the token from the scorer's token_file.",
            )
