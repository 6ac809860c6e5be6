"""The gateway as a source of prices: history of the terminal, read and nothing else."""

from __future__ import annotations

from online.adapters.gateway_address import GatewayAddress
from online.adapters.gateway_broker import GatewayBroker
from online.domain.market import Timeframe
from online.gateway.messages import AskBars, AskTicks, Prices, Role
from online.gateway.price_desk import PricePage


class GatewayPrices(GatewayBroker):
    """A reader behind a gateway; it lives in the event loop that first uses it.

    Parameters
    ----------
    address
        The gateway's, with a reader's certificate.
    """

    def __init__(self, address: GatewayAddress) -> None:
        super().__init__(address, Role.READER)

    async def bars(self, symbol: str, timeframe: Timeframe, position: int, count: int) -> PricePage:
        """Return bars by place from the end; see `online.gateway.price_desk.PriceDesk.bars`.

        Raises
        ------
        Unavailable
            If the gateway or its terminal does not answer, or refuses.
        """
        answer = await self._ask(
            lambda number: AskBars(number, symbol, timeframe, position, count), Prices
        )
        return answer.page

    async def ticks(self, symbol: str, since_seconds: int, count: int) -> PricePage:
        """Return ticks from a second on; see `online.gateway.price_desk.PriceDesk.ticks`.

        Raises
        ------
        Unavailable
            As `bars`.
        """
        answer = await self._ask(
            lambda number: AskTicks(number, symbol, since_seconds, count), Prices
        )
        return answer.page
