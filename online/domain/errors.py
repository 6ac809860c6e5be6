"""Errors of Sextant, one tree.

::

    SextantError
    ├── InvalidInput            what was given is wrong; the giver mends it
    │   ├── InvalidMarketData   a price, stamp or volume that cannot be
    │   ├── InvalidManifest     a model bundle that contradicts itself
    │   └── InvalidSettings     a configuration that must not start
    ├── NotFound                a symbol, model, decision or file that is not there
    ├── Conflict                what was asked cannot be done to things as they are now
    ├── Unavailable             an outside system does not answer; try again
    │   ├── FeaturesChanged     the store's values are not made as the model's were
    │   └── JournalUnavailable  nothing can be recorded, so nothing may be sent
    │       └── OrderInDoubt    an order was sent and its reply cannot be recorded
    ├── ModelRefused            a bundle failed its verification; the old one stays
    └── JournalCorrupt          the hash chain is broken; trading must not go on
"""

from __future__ import annotations

from typing import ClassVar


class SextantError(Exception):
    """Base of every error that Sextant raises on purpose.

    Attributes
    ----------
    code : str
        Stable reason code in capitals, safe to match on.
    remedy : str
        What the reader can do about it, one sentence.
    """

    code: str = "SEXTANT_ERROR"
    remedy: str = "Read the message; it says what was expected and what came."
    exit_status: ClassVar[int] = 1

    def __init__(self, message: str, *, code: str | None = None, remedy: str | None = None) -> None:
        super().__init__(message)
        self.code = code or type(self).code
        self.remedy = remedy or type(self).remedy


class InvalidInput(SextantError):
    """What was given is wrong; the giver mends it."""

    code = "INVALID_INPUT"
    remedy = "Correct the named field and try again."
    exit_status = 2


class InvalidMarketData(InvalidInput):
    """A price, stamp or volume that cannot be."""

    code = "INVALID_MARKET_DATA"
    remedy = "Check the source file, its preset and its clock."


class InvalidManifest(InvalidInput):
    """A model bundle that contradicts itself."""

    code = "INVALID_MANIFEST"
    remedy = "Train and register the model again; never edit a bundle by hand."


class InvalidSettings(InvalidInput):
    """A configuration that must not start."""

    code = "INVALID_SETTINGS"
    remedy = "Correct the named setting; infra/config/SETTINGS.md documents each."


class NotFound(SextantError):
    """A symbol, model, decision or file that is not there."""

    code = "NOT_FOUND"
    remedy = "Check the name; the message lists what exists."
    exit_status = 2


class Conflict(SextantError):
    """What was asked cannot be done to things as they are now."""

    code = "CONFLICT"
    remedy = "Look at how things are (`sextant orders list`), then ask for what fits."


class Unavailable(SextantError):
    """An outside system does not answer; the same call may succeed later."""

    code = "UNAVAILABLE"
    remedy = "Check that the named service runs (`sextant status`), then try again."


class FeaturesChanged(Unavailable):
    """The online store's values are made otherwise than those a model was fitted on."""

    code = "FEATURES_CHANGED"
    remedy = "Serve the features again (`sextant features`), or train the model on what is served."


class JournalUnavailable(Unavailable):
    """Nothing can be recorded, so nothing may be sent."""

    code = "JOURNAL_UNAVAILABLE"
    remedy = "Free space on the journal's disk; no order is sent until it can be written."


class OrderInDoubt(JournalUnavailable):
    """An order was sent and what came back cannot be recorded: it counts as unresolved.

    Parameters
    ----------
    intent_id
        Of the order; it is never sent again.
    decision_id
        Of the decision or operation that made it.
    """

    code = "ORDER_IN_DOUBT"
    remedy = (
        "Do not send it again by other means. Free space on the journal's disk: the scorer finds "
        "the order's fate at the broker before it decides anything more."
    )

    def __init__(self, message: str, intent_id: str, decision_id: str) -> None:
        super().__init__(message)
        self.intent_id = intent_id
        self.decision_id = decision_id


class ModelRefused(SextantError):
    """A bundle failed its verification; the one already loaded stays."""

    code = "MODEL_REFUSED"
    remedy = "Look at the named difference, then train and promote again."


class JournalCorrupt(SextantError):
    """The journal's hash chain is broken; trading must not go on."""

    code = "JOURNAL_CORRUPT"
    remedy = "Keep the file as evidence, restore a verified copy and find out who changed it."
