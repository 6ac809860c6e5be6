"""Reason codes: why a decision took no trade, each with its meaning.

Codes are stable; clients and reports match on them. The page is the whole vocabulary of vetoes.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from online.domain.errors import Unavailable


class Reason(StrEnum):
    """Why something was not done."""

    # Features
    FEATURES_UNAVAILABLE = "FEATURES_UNAVAILABLE"
    FEATURES_CHANGED = "FEATURES_CHANGED"
    MISSING_FEATURE = "MISSING_FEATURE"
    NON_FINITE_FEATURE = "NON_FINITE_FEATURE"
    STALE_FEATURES = "STALE_FEATURES"
    TORN_VECTOR = "TORN_VECTOR"
    MISSING_WINDOW = "MISSING_WINDOW"
    STALE_WINDOW = "STALE_WINDOW"
    TORN_WINDOW = "TORN_WINDOW"
    WINDOW_SIZE = "WINDOW_SIZE"
    NON_FINITE_WINDOW = "NON_FINITE_WINDOW"
    # Market
    NO_QUOTE = "NO_QUOTE"
    STALE_QUOTE = "STALE_QUOTE"
    CROSSED_QUOTE = "CROSSED_QUOTE"
    SPREAD_TOO_WIDE = "SPREAD_TOO_WIDE"
    TYPICAL_SPREAD_UNKNOWN = "TYPICAL_SPREAD_UNKNOWN"
    PRICE_COLLAR = "PRICE_COLLAR"
    NO_REFERENCE_PRICE = "NO_REFERENCE_PRICE"
    CLOCK_SKEW = "CLOCK_SKEW"
    SESSION_CLOSED = "SESSION_CLOSED"
    WEEKEND_NEAR = "WEEKEND_NEAR"
    NEWS_BLACKOUT = "NEWS_BLACKOUT"
    NEWS_UNAVAILABLE = "NEWS_UNAVAILABLE"
    # Model
    NON_FINITE_SCORE = "NON_FINITE_SCORE"
    MEMBER_MISSING = "MEMBER_MISSING"
    OUT_OF_DISTRIBUTION = "OUT_OF_DISTRIBUTION"
    NO_EDGE = "NO_EDGE"
    CONFORMAL_ABSTAINS = "CONFORMAL_ABSTAINS"
    META_LABEL_REJECTS = "META_LABEL_REJECTS"
    MODEL_NOT_APPROVED = "MODEL_NOT_APPROVED"
    MODEL_NOT_ALLOWED = "MODEL_NOT_ALLOWED"
    SIGNAL_TOO_OLD = "SIGNAL_TOO_OLD"
    # Account and book
    ACCOUNT_UNAVAILABLE = "ACCOUNT_UNAVAILABLE"
    POSITION_OPEN = "POSITION_OPEN"
    FOREIGN_POSITION = "FOREIGN_POSITION"
    UNRESOLVED_ORDER = "UNRESOLVED_ORDER"
    NOT_RECONCILED = "NOT_RECONCILED"
    DUPLICATE_INTENT = "DUPLICATE_INTENT"
    DUPLICATE_ORDER = "DUPLICATE_ORDER"
    REPEATED_EXECUTION = "REPEATED_EXECUTION"
    OWN_ORDER_CROSSED = "OWN_ORDER_CROSSED"
    # Sizing and limits
    VOLUME_TOO_SMALL = "VOLUME_TOO_SMALL"
    VOLUME_ABOVE_LIMIT = "VOLUME_ABOVE_LIMIT"
    NOTIONAL_ABOVE_LIMIT = "NOTIONAL_ABOVE_LIMIT"
    SYMBOL_EXPOSURE_ABOVE_LIMIT = "SYMBOL_EXPOSURE_ABOVE_LIMIT"
    CURRENCY_EXPOSURE_ABOVE_LIMIT = "CURRENCY_EXPOSURE_ABOVE_LIMIT"
    GROSS_EXPOSURE_ABOVE_LIMIT = "GROSS_EXPOSURE_ABOVE_LIMIT"
    MARGIN_LEVEL_TOO_LOW = "MARGIN_LEVEL_TOO_LOW"
    MARGIN_UNKNOWN = "MARGIN_UNKNOWN"
    CONSECUTIVE_LOSSES = "CONSECUTIVE_LOSSES"
    DAILY_LOSS_LIMIT = "DAILY_LOSS_LIMIT"
    DRAWDOWN_LIMIT = "DRAWDOWN_LIMIT"
    ORDER_RATE_LIMIT = "ORDER_RATE_LIMIT"
    CLOSE_RATE_LIMIT = "CLOSE_RATE_LIMIT"
    STOP_MISSING = "STOP_MISSING"
    STOP_TOO_CLOSE = "STOP_TOO_CLOSE"
    NO_CONVERSION_RATE = "NO_CONVERSION_RATE"
    SYMBOL_NOT_ALLOWED = "SYMBOL_NOT_ALLOWED"
    REDUCING = "REDUCING"
    HALTED = "HALTED"


MEANING: dict[Reason, str] = {
    Reason.FEATURES_UNAVAILABLE: "The online store did not answer.",
    Reason.FEATURES_CHANGED: "The store's values are not made as those the model was fitted on.",
    Reason.MISSING_FEATURE: "The online store holds no value for a feature the model asks for.",
    Reason.NON_FINITE_FEATURE: "A feature is NaN or infinite.",
    Reason.STALE_FEATURES: "A feature is older than its maximum age.",
    Reason.TORN_VECTOR: "The views of the vector do not all carry the requested bar's stamp.",
    Reason.MISSING_WINDOW: "The online store holds no window for the model's sequence members.",
    Reason.STALE_WINDOW: "The window is older than its maximum age.",
    Reason.TORN_WINDOW: "The window is another bar's, or does not end with the bar's vector.",
    Reason.WINDOW_SIZE: "The window does not have the bytes of the vectors it should hold.",
    Reason.NON_FINITE_WINDOW: "A value within the window is NaN or infinite.",
    Reason.NO_QUOTE: "The broker gave no quote for the symbol.",
    Reason.STALE_QUOTE: "The quote is older than the limit, or from the future.",
    Reason.CROSSED_QUOTE: "The quote is not finite and positive with bid at or below ask.",
    Reason.SPREAD_TOO_WIDE: "The spread exceeds its cap.",
    Reason.TYPICAL_SPREAD_UNKNOWN: "The instrument has no typical spread to compare with.",
    Reason.PRICE_COLLAR: "The order's price, or the market's move, is outside the collar.",
    Reason.NO_REFERENCE_PRICE: "There is no last price, or no unit, to measure the collar by.",
    Reason.CLOCK_SKEW: "The broker's clock and the scorer's differ by more than the limit.",
    Reason.SESSION_CLOSED: "The symbol is not traded at this hour.",
    Reason.WEEKEND_NEAR: "The week closes too soon for a new position.",
    Reason.NEWS_BLACKOUT: "The news calendar forbids entries at this time.",
    Reason.NEWS_UNAVAILABLE: "No news calendar is to be believed: too old, or not to be read.",
    Reason.NON_FINITE_SCORE: "A member of the model returned something that is no probability.",
    Reason.MEMBER_MISSING: "A member of the model gave no output, and it may not serve without.",
    Reason.OUT_OF_DISTRIBUTION: "The vector is unlike those that the model has learnt from.",
    Reason.CONFORMAL_ABSTAINS: "The signal's direction is not the only plausible outcome.",
    Reason.META_LABEL_REJECTS: "The meta-label does not expect this signal to earn.",
    Reason.NO_EDGE: "The model's edge is below the threshold fitted out of fold.",
    Reason.MODEL_NOT_APPROVED: "The model's policy does not allow sending orders in this mode.",
    Reason.MODEL_NOT_ALLOWED: "The model is not on the allowlist of the limits.",
    Reason.SIGNAL_TOO_OLD: "The bar that the signal is of closed too long ago.",
    Reason.ACCOUNT_UNAVAILABLE: "The broker did not tell the account's state.",
    Reason.POSITION_OPEN: "The symbol already has a position; the exit is its barriers.",
    Reason.FOREIGN_POSITION: "The account holds a position that this journal did not open.",
    Reason.UNRESOLVED_ORDER: "An earlier order of the symbol has an unknown fate.",
    Reason.NOT_RECONCILED: "Journal and broker do not agree, or were not compared yet.",
    Reason.DUPLICATE_INTENT: "This bar's order was already journaled.",
    Reason.DUPLICATE_ORDER: "The same symbol, side and volume was sent a moment ago.",
    Reason.REPEATED_EXECUTION: "The symbol was entered on this side too often within the window.",
    Reason.OWN_ORDER_CROSSED: "A position or order of our own on the other side is open.",
    Reason.VOLUME_TOO_SMALL: "The risk budget does not buy the smallest tradable volume.",
    Reason.VOLUME_ABOVE_LIMIT: "The order's volume exceeds the limit.",
    Reason.NOTIONAL_ABOVE_LIMIT: "The order's notional value exceeds the limit.",
    Reason.SYMBOL_EXPOSURE_ABOVE_LIMIT: "Everything in the symbol, this order too, is too much.",
    Reason.CURRENCY_EXPOSURE_ABOVE_LIMIT: "Net exposure to a currency would exceed its limit.",
    Reason.GROSS_EXPOSURE_ABOVE_LIMIT: "Positions and orders together exceed gross exposure.",
    Reason.MARGIN_LEVEL_TOO_LOW: "The margin level after the order would be below its least.",
    Reason.MARGIN_UNKNOWN: "The broker did not tell what margin is used, or what the order needs.",
    Reason.CONSECUTIVE_LOSSES: "Too many trades in a row lost; latched until resumed.",
    Reason.DAILY_LOSS_LIMIT: "The day's loss reached its limit; latched until the next day.",
    Reason.DRAWDOWN_LIMIT: "Equity fell too far from its peak; latched until resumed.",
    Reason.ORDER_RATE_LIMIT: "Too many entries within the window.",
    Reason.CLOSE_RATE_LIMIT: "Too many closes within the window; entries do not count.",
    Reason.STOP_MISSING: "An entry without a stop loss is never sent.",
    Reason.STOP_TOO_CLOSE: "The stop or target is nearer to the market than the broker allows.",
    Reason.NO_CONVERSION_RATE: "The symbol's profit currency cannot be valued in the account's.",
    Reason.SYMBOL_NOT_ALLOWED: "The symbol is not on the allowlist of the limits.",
    Reason.REDUCING: "Only closes are sent; resume by hand.",
    Reason.HALTED: "Nothing is sent without a person; resume by hand.",
}


class Veto(msgspec.Struct, frozen=True, gc=False):
    """A rule's refusal.

    Parameters
    ----------
    reason
        The stable code.
    detail
        What was measured against what limit, for the reader of `explain`.
    """

    reason: Reason
    detail: str


def features_reason(error: Unavailable) -> Reason:
    """Return why a vector could not be read.

    Examples
    --------
    >>> str(features_reason(Unavailable("the store is down")))
    'FEATURES_UNAVAILABLE'
    """
    changed = error.code == Reason.FEATURES_CHANGED
    return Reason.FEATURES_CHANGED if changed else Reason.FEATURES_UNAVAILABLE
