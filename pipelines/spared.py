"""Spared costs: what a recipe charges trades less than is known of their symbol."""

from __future__ import annotations

from models.recipe import LabelChoice
from online.domain.errors import InvalidInput
from online.domain.market import Instrument
from pipelines.lake import Lake
from pipelines.spread import assume_spread


def spared_points(
    lake: Lake, known: Instrument, label: LabelChoice, end_ns: int | None
) -> dict[str, float]:
    """Return by how many points each cost that was given is less than the known one.

    What is not known of the symbol spares nothing, nor does what was not given. A commission is
    the account's own.

    Parameters
    ----------
    lake, known
        What is known of the symbol: quotes, and its declaration.
    label
        What was given.
    end_ns
        As of `assume_spread`.
    """
    spared: dict[str, float] = {}
    if label.assumed_spread_points is not None:
        try:
            usual = assume_spread(lake, known, None, end_ns).points or 0.0
        except InvalidInput:  # nobody knows it
            usual = 0.0
        spared["spread"] = usual - label.assumed_spread_points
    if label.slippage_points is not None:
        spared["slippage"] = float(known.slipped_points - label.slippage_points)
    declared = (known.swap_long_points, known.swap_short_points)
    for side, given, own in zip(
        ("long", "short"), label.swap_points or (None, None), declared, strict=True
    ):
        if given is not None and own is not None:
            spared[f"a night's swap {side}"] = given - own
    return {cost: points for cost, points in spared.items() if points > 0.0}
