"""Work that goes on as long as the scorer lives."""

from __future__ import annotations

import asyncio

import pytest

from online.api import keeping
from online.api.keeping import keep_up

pytestmark = pytest.mark.lean


def test_work_begins_again_after_a_fault_that_nobody_foresaw(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keeping, "AGAIN_SECONDS", 0.0)
    faults = [OSError("no space left"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad")]

    async def work() -> None:
        if faults:
            raise faults.pop()

    asyncio.run(keep_up("watching", work))
    assert faults == []
    assert caplog.text.count("watching failed and begins again") == 2


def test_work_that_is_cancelled_ends() -> None:
    async def cancelled() -> bool:
        task = asyncio.create_task(keep_up("waiting", asyncio.Event().wait))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return task.cancelled()

    assert asyncio.run(cancelled())
