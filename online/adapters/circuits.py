"""Circuits: the ports behind breakers, so that nobody queues up for a system that is down."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ParamSpec, Protocol, TypeVar

from online.domain.account import AccountIdentity
from online.domain.breaker import Breaker, BreakerState, CircuitOpen
from online.domain.errors import Unavailable
from online.domain.order import Intent, OrderReply, OrderStatus
from online.domain.reconciliation import Statement
from online.domain.transform import Held
from online.domain.vector import VectorContract, VectorReading
from online.ports import AccountBroker, Clock, FeatureReader, Observation

P = ParamSpec("P")
T = TypeVar("T")


class Circuit:
    """A breaker, and the clock it cools down by.

    Parameters
    ----------
    breaker
        Of one outside system.
    clock
        The host's: an outage does not end by a replay's time.
    failures
        Errors that count; others tell that the system answered.
    """

    def __init__(
        self,
        breaker: Breaker,
        clock: Clock,
        failures: tuple[type[Exception], ...] = (Unavailable,),
    ) -> None:
        self.breaker = breaker
        self._clock = clock
        self._failures = failures

    async def run(self, call: Callable[P, Awaitable[T]], *given: P.args, **named: P.kwargs) -> T:
        """Make a call, unless the circuit is open.

        Raises
        ------
        CircuitOpen
            At once, if the system is not to be asked now.
        """
        breaker = self.breaker
        if breaker.state is not BreakerState.CLOSED:
            breaker.enter(self._clock.now_ns())
        try:
            answer = await call(*given, **named)
        except self._failures as error:
            breaker.fail(self._clock.now_ns(), str(error) or type(error).__name__)
            raise
        except Exception:  # a refusal is an answer: the system is there; raised on
            breaker.succeed()
            raise
        except BaseException:  # cancelled: nothing was learnt of the system; raised on
            breaker.abandon(self._clock.now_ns())
            raise
        if breaker.trouble or breaker.state is not BreakerState.CLOSED:
            breaker.succeed()
        return answer


class Store(FeatureReader, Protocol):
    """The online store: its values, how they are made, and a sign of life."""

    async def read_told(self, symbol: str, contract: VectorContract) -> tuple[VectorReading, Held]:
        """Return values and, of the same instant, how they are made."""

    async def read_transforms(self, symbol: str, contract: VectorContract) -> Held:
        """Return digests of features by view; None where the store tells nothing."""

    async def ping(self) -> None:
        """Raise `Unavailable` if the store gives no sign of life."""


class GuardedFeatures:
    """Online store behind a circuit.

    Parameters
    ----------
    inner
        The store.
    circuit
        Of it.
    """

    def __init__(self, inner: Store, circuit: Circuit) -> None:
        self._inner = inner
        self._read, self._read_told = inner.read, inner.read_told
        self._run = circuit.run

    async def read_told(self, symbol: str, contract: VectorContract) -> tuple[VectorReading, Held]:
        """Return values and, of the same instant, how they are made."""
        return await self._run(self._read_told, symbol, contract)

    async def read_transforms(self, symbol: str, contract: VectorContract) -> Held:
        """Return digests of features by view."""
        return await self._run(self._inner.read_transforms, symbol, contract)

    async def ping(self) -> None:
        """Ask for a sign of life, whatever the circuit says: readiness wants to know."""
        await self._inner.ping()

    async def read(self, symbol: str, contract: VectorContract) -> VectorReading:
        """Return what the store holds."""
        return await self._run(self._read, symbol, contract)


class GuardedBroker:
    """Broker behind a circuit; while it is open an order is not sent, and that is known.

    Parameters
    ----------
    inner
        The broker.
    circuit
        Of whatever stands between the scorer and the account.
    """

    def __init__(self, inner: AccountBroker, circuit: Circuit) -> None:
        self.inner = inner
        self._circuit = circuit

    async def observe(
        self, symbol: str, after_deal: int, pairs: tuple[str, ...] = ()
    ) -> Observation:
        """Return quote, account, positions, new deals and the quotes of conversion pairs."""
        return await self._circuit.run(self.inner.observe, symbol, after_deal, pairs)

    async def statement(self, since_ns: int) -> Statement:
        """Return the whole account, with the deals since an instant."""
        return await self._circuit.run(self.inner.statement, since_ns)

    async def identify(self) -> AccountIdentity:
        """Return whose account is traded."""
        return await self._circuit.run(self.inner.identify)

    async def send(self, intent: Intent) -> OrderReply:
        """Send an order, once; it is never the call that tries whether the broker is back."""
        breaker = self._circuit.breaker
        if breaker.state is not BreakerState.CLOSED:
            why = f"{CircuitOpen.code}: {breaker.name} is down: {breaker.trouble}"
            return OrderReply(OrderStatus.NOT_SENT, 0, 0, 0, 0, 0.0, 0.0, why)
        return await self._circuit.run(self.inner.send, intent)

    async def find(self, intent: Intent) -> OrderReply | None:
        """Return the fate of an order sent earlier."""
        return await self._circuit.run(self.inner.find, intent)
