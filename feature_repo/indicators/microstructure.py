"""Microstructure: what quotes tell beyond prices; absent by name where bars are not made of them.

A quote that moves the mid price up counts as bought, one that moves it down as sold: the tick rule
of Lee and Ready, *Journal of Finance* 46 (1991) 733-746, on quotes, since these markets tell no
trades.
"""

from __future__ import annotations

from feature_repo.expression import (
    FALLS,
    QUOTE_AUTOCOVARIANCE,
    QUOTE_BIPOWER,
    QUOTE_VARIANCE,
    QUOTES,
    RISES,
    SPREAD,
    SPREAD_MAX,
    TICK_IMBALANCE,
    absolute,
    log,
    maximum,
    mean,
    share,
    square_root,
    total,
)
from feature_repo.feature import Feature, Group
from feature_repo.indicators.returns import log_return
from feature_repo.vpin import BucketImbalance

_NO_VARIANCE = 1e-16
"""Variance that counts as none: what is left of a running sum is rounding."""
_NONE = 1e-9
"""Quotes or points that count as none."""

_ONE = log_return(1)
_SIGNED, _MOVES = RISES - FALLS, RISES + FALLS
_VARIANCE, _BIPOWER = total(QUOTE_VARIANCE, 24), total(QUOTE_BIPOWER, 24)
_BUCKETS, _BARS_A_BUCKET = 20, 5.0

FEATURES = tuple(
    Feature(name, meaning, source, expression, Group.MICROSTRUCTURE)
    for name, meaning, source, expression in (
        (
            "tick_imbalance",
            "Rising less falling quotes of the bar over both, -1 to 1.",
            "Lopez de Prado 2018, tick rule on quotes",
            TICK_IMBALANCE,
        ),
        (
            "tick_imbalance_24",
            "Rising less falling quotes of 24 bars over both, -1 to 1.",
            "Lee, Ready 1991, tick rule on quotes, signed flow over a window",
            share(total(_SIGNED, 24), total(_MOVES, 24), _NONE),
        ),
        (
            "vpin_20",
            "One-sided share of the newest 20 buckets, each of 5 average bars' moves, 0 to 1.",
            "Easley, Lopez de Prado, O'Hara 2012, VPIN by the tick rule on quotes",
            BucketImbalance(RISES, FALLS, _BARS_A_BUCKET * mean(_MOVES, 50), _BUCKETS),
        ),
        (
            "quote_volatility",
            "Root of the summed squared log returns of the bar's mid prices.",
            "Andersen, Bollerslev 1998, quote by quote",
            square_root(QUOTE_VARIANCE),
        ),
        (
            "quote_volatility_24",
            "Root of the summed squared log returns of the mid prices of 24 bars.",
            "Andersen, Bollerslev 1998, quote by quote",
            square_root(_VARIANCE),
        ),
        (
            "quote_bipower_volatility_24",
            "Root of the bipower variation of the mid prices of 24 bars.",
            "Barndorff-Nielsen, Shephard 2004, quote by quote",
            square_root(_BIPOWER),
        ),
        (
            "quote_jump_share",
            "Share of jumps in the realised variance of the bar's mid prices, 0 to 1.",
            "Barndorff-Nielsen, Shephard 2004, quote by quote",
            share(maximum(QUOTE_VARIANCE - QUOTE_BIPOWER, 0.0), QUOTE_VARIANCE, _NO_VARIANCE),
        ),
        (
            "quote_jump_share_24",
            "Share of jumps in the realised variance of the mid prices of 24 bars, 0 to 1.",
            "Barndorff-Nielsen, Shephard 2004, quote by quote",
            share(maximum(_VARIANCE - _BIPOWER, 0.0), _VARIANCE, _NO_VARIANCE),
        ),
        (
            "spread_mean_points",
            "Mean spread of the bar's quotes, points.",
            "ask - bid, in the instrument's smallest steps",
            SPREAD,
        ),
        (
            "spread_max_points",
            "Widest spread of the bar's quotes, points.",
            "ask - bid, in the instrument's smallest steps",
            SPREAD_MAX,
        ),
        (
            "spread_ratio_96",
            "Mean spread of the bar over its average of 96 bars.",
            "spread / SMA(spread, 96)",
            share(SPREAD, mean(SPREAD, 96), _NONE),
        ),
        (
            "spread_peak_ratio",
            "Widest spread of the bar over its mean.",
            "max(ask - bid) / mean(ask - bid)",
            share(SPREAD_MAX, SPREAD, _NONE),
        ),
        (
            "quote_intensity",
            "Logarithm of the number of the bar's quotes.",
            "log(quotes)",
            log(QUOTES),
        ),
        (
            "quote_intensity_ratio_24",
            "Quotes of the bar over their average of 24 bars.",
            "quotes / SMA(quotes, 24)",
            share(QUOTES, mean(QUOTES, 24), _NONE),
        ),
        (
            "quote_illiquidity_24",
            "Absolute log return a moving quote over 24 bars, basis points.",
            "Amihud 2002, with moving quotes for traded volume",
            share(1e4 * total(absolute(_ONE), 24), total(_MOVES, 24), _NONE),
        ),
        (
            "quote_roll_spread_24",
            "Spread that the bounce of 24 bars' mid prices implies, basis points.",
            "Roll 1984, quote by quote",
            2e4
            * square_root(share(-1.0 * total(QUOTE_AUTOCOVARIANCE, 24), total(_MOVES, 24), 0.5)),
        ),
        (
            "kyle_lambda_24",
            "Slope of log return on rising less falling quotes over 24 bars, basis points.",
            "Kyle 1985; Hasbrouck 2009, with signed quotes for signed volume",
            share(1e4 * total(_ONE * _SIGNED, 24), total(_SIGNED * _SIGNED, 24), 0.5),
        ),
        (
            "flow_return_cosine_24",
            "Cosine of signed quotes and log returns over 24 bars, -1 to 1.",
            "uncentred correlation of rising less falling quotes and returns",
            share(
                total(_ONE * _SIGNED, 24),
                square_root(total(_ONE * _ONE, 24)) * square_root(total(_SIGNED * _SIGNED, 24)),
                1e-8,
            ),
        ),
    )
)
