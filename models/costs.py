"""Costs: what trading an instrument costs beyond the spread."""

from __future__ import annotations

from dataclasses import dataclass

from models.swap import NO_SWAP, Swap
from online.domain.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Costs:
    """What trading costs beyond the spread.

    Parameters
    ----------
    commission_per_lot_side
        In the account's currency, for one lot, at entry and again at exit (>= 0).
    contract_size
        Units of the base in one lot (> 0).
    account_per_profit
        Account currency in one unit of the symbol's profit currency (> 0).
    swap
        Of positions held overnight.
    slippage_points
        By how much each fill at the market is worse, whole points (>= 0).
    """

    commission_per_lot_side: float
    contract_size: float
    account_per_profit: float = 1.0
    swap: Swap = NO_SWAP
    slippage_points: int = 0

    def __post_init__(self) -> None:
        if not (type(self.slippage_points) is int and self.slippage_points >= 0):
            raise InvalidInput(
                "slippage must be a whole number of points, 0 or more, got "
                f"{self.slippage_points!r}"
            )
        if not (
            self.commission_per_lot_side >= 0.0
            and self.contract_size > 0.0
            and self.account_per_profit > 0.0
        ):
            raise InvalidInput(f"costs must be positive and finite, got {self}")

    @property
    def commission_price(self) -> float:
        """Commission of entry and exit together, in price."""
        return 2.0 * self.commission_per_lot_side / (self.contract_size * self.account_per_profit)
