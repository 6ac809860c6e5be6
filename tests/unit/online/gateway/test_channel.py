"""The supervisor's end of a worker: a hung, dead or babbling one is ended and replaced."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from online.domain.errors import Unavailable
from online.gateway import channel as channels
from online.gateway.channel import WorkerAbsent, WorkerChannel, WorkerLost
from online.gateway.errands import MARKET, Probe, Probed, Ready, Setup
from online.gateway.request import OrderRules
from online.gateway.terminal_choice import SimulatedChoice
from online.simulator.server_time import ServerTime
from tests.gateway_world import eventually, is_running

SETUP = Setup(MARKET, SimulatedChoice(), {}, ServerTime(), OrderRules(), lock="")
SHORT_SECONDS, LONG_SECONDS = 0.5, 60.0
Story = Callable[[WorkerChannel], Awaitable[None]]


def check(told: Ready) -> None:
    """Let one account in."""
    if told.login != 7:
        raise Unavailable(f"the terminal is logged in to {told.login}", code="WRONG_ACCOUNT")


async def is_ready(channel: WorkerChannel) -> bool:
    return channel.ready


@pytest.fixture
def tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what tells a story of a channel whose workers start as planned."""

    def tell(story: Story, *plan: str, start: float = LONG_SECONDS) -> None:
        path = tmp_path / "plan"
        path.write_text(" ".join(plan))
        command = (sys.executable, "-m", "tests.worker_process", str(path))
        monkeypatch.setattr(channels, "WORKER", command)

        async def whole() -> None:
            channel = WorkerChannel(SETUP, LONG_SECONDS, start, check)
            channel.start()
            try:
                async with asyncio.timeout(LONG_SECONDS):
                    await story(channel)
            finally:
                async with asyncio.timeout(LONG_SECONDS):
                    await channel.stop()
            assert not channel.ready

        try:
            asyncio.run(whole())  # asyncio's own loop, as on Windows
        finally:
            path.unlink()

    return tell


async def answered(channel: WorkerChannel) -> int:
    """Have an errand done; return the process that did it."""
    await eventually(lambda: is_ready(channel), LONG_SECONDS)
    pid = channel.status.pid
    assert isinstance(await channel.run(Probe("EURUSD")), Probed)
    return pid


@pytest.mark.parametrize("fate", ["dies", "babbles", "leaves"])
def test_a_worker_that_does_not_answer_is_ended_and_another_takes_its_place(
    tell: Callable[..., None], fate: str
) -> None:
    async def story(channel: WorkerChannel) -> None:
        first = await answered(channel)
        if fate == "leaves":
            channel._timeout_seconds = SHORT_SECONDS
        with pytest.raises(WorkerLost):
            await channel.run(Probe(fate))
        channel._timeout_seconds = LONG_SECONDS
        assert not is_running(first), "it might still send"
        assert await answered(channel) != first
        assert channel.status.replaced == 1

    tell(story)


async def kill(channel: WorkerChannel) -> int:
    """Kill a worker that has nothing to do; return its number once its end is known."""
    process = channel._process
    assert process is not None
    process.kill()

    async def is_known() -> bool:
        return process.returncode is not None

    await eventually(is_known, LONG_SECONDS)
    return process.pid


def test_what_is_asked_of_a_worker_that_ended_idle_was_not_begun_and_another_takes_its_place(
    tell: Callable[..., None],
) -> None:
    async def story(channel: WorkerChannel) -> None:
        await answered(channel)
        first = await kill(channel)
        with pytest.raises(WorkerAbsent, match=rf"process {first}\) ended by itself"):
            await channel.run(Probe("EURUSD"))
        assert await answered(channel) != first
        assert channel.status.replaced == 1

    tell(story)


def test_a_worker_that_ended_idle_is_replaced_before_anything_is_asked_of_it(
    tell: Callable[..., None],
) -> None:
    async def story(channel: WorkerChannel) -> None:
        await answered(channel)
        first = await kill(channel)
        await channel.tend()
        assert not channel.ready
        await eventually(lambda: is_ready(channel), LONG_SECONDS)
        assert channel.status.pid != first
        await channel.tend()
        assert channel.status.replaced == 1

    tell(story)


def test_a_worker_that_is_busy_is_left_to_its_errand(tell: Callable[..., None]) -> None:
    async def story(channel: WorkerChannel) -> None:
        first = await answered(channel)
        errand = asyncio.create_task(channel.run(Probe("dies")))
        await asyncio.sleep(0)
        await channel.tend()
        with pytest.raises(WorkerLost):
            await errand
        assert await answered(channel) != first

    tell(story)


def test_a_worker_that_cannot_do_it_says_so_and_goes_on(tell: Callable[..., None]) -> None:
    async def story(channel: WorkerChannel) -> None:
        first = await answered(channel)
        with pytest.raises(Unavailable, match="closed") as refused:
            await channel.run(Probe("refuses"))
        assert refused.value.code == "TERMINAL_UNAVAILABLE"
        assert await answered(channel) == first

    tell(story)


def test_workers_are_started_until_one_is_of_the_right_account(
    tell: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    async def story(channel: WorkerChannel) -> None:
        with pytest.raises(WorkerAbsent):
            await channel.run(Probe("EURUSD"))
        await answered(channel)
        assert channel.account == Ready(7, "Demo", real=False)
        assert channel.status.trouble == ""
        assert channel.status.replaced == 0, "none had anything in its hands"

    tell(story, "refuses", "other", "odd")
    for trouble in ("terminal is closed", "logged in to 8", "begins with Ready"):
        assert trouble in caplog.text


def test_a_worker_that_does_not_start_in_time_is_ended(tell: Callable[..., None]) -> None:
    async def story(channel: WorkerChannel) -> None:
        await answered(channel)

    tell(story, "hangs", start=2.0)


def test_a_worker_whose_errand_was_given_up_is_ended_and_replaced(
    tell: Callable[..., None],
) -> None:
    async def story(channel: WorkerChannel) -> None:
        first = await answered(channel)
        errand = asyncio.create_task(channel.run(Probe("hangs")))
        await asyncio.sleep(0)
        errand.cancel()
        with pytest.raises(asyncio.CancelledError):
            await errand
        assert not is_running(first), "its late answer would be taken for the next errand's"
        assert await answered(channel) != first

    tell(story)


def test_no_worker_is_started_once_the_gateway_stops(tell: Callable[..., None]) -> None:
    async def story(channel: WorkerChannel) -> None:
        await answered(channel)
        errand = asyncio.create_task(channel.run(Probe("hangs")))
        await asyncio.sleep(0)
        await channel.stop()
        with pytest.raises(WorkerLost):
            await errand
        assert channel.status.pid == 0
        channel.start()
        assert channel._replacing is None or channel._replacing.done()

    tell(story)
