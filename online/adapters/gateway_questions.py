"""What was asked of a gateway and is not answered yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from online.domain.errors import Unavailable
from online.gateway.messages import Accepted, ToScorer, Welcome


class Question:
    """One question; an order is accepted before it is answered."""

    __slots__ = ("accepted", "answer", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.answer: asyncio.Future[ToScorer] = asyncio.get_running_loop().create_future()
        self.accepted = False

    async def wait(self, seconds: float) -> ToScorer:
        """Return the answer.

        Raises
        ------
        Unavailable
            With code ``GATEWAY_TIMEOUT`` if none came in time; or if the link was cut.
        """
        try:
            async with asyncio.timeout(seconds):
                return await self.answer
        except TimeoutError:
            raise Unavailable(
                f"the gateway gave no answer in {seconds:g} s", code="GATEWAY_TIMEOUT"
            ) from None


class Questions:
    """The open questions of one client, by number.

    Attributes
    ----------
    hello
        Number of the question that a `Welcome`, which has none, answers.
    """

    def __init__(self) -> None:
        self._open: dict[int, Question] = {}
        self._number = 0
        self.hello = 0

    def open(self) -> Question:
        """Return a new question, which must be closed."""
        self._number += 1
        question = self._open[self._number] = Question(self._number)
        return question

    def close(self, question: Question) -> None:
        """Wait for its answer no more."""
        del self._open[question.number]

    def hear(self, message: ToScorer) -> None:
        """Take what answers a question; nobody may wait for it any more."""
        number = self.hello if isinstance(message, Welcome) else getattr(message, "number", 0)
        question = self._open.get(number)
        if question is None:
            return
        if isinstance(message, Accepted):
            question.accepted = True
        elif not question.answer.done():
            question.answer.set_result(message)

    def fail(self, make_error: Callable[[], Unavailable]) -> None:
        """Let every open question end with an error of its own."""
        for question in self._open.values():
            if not question.answer.done():
                question.answer.set_exception(make_error())
