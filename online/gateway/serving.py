"""Run a gateway as a program: open its inbox, serve, stop in order."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

from online.gateway.garbage import collect_rarely
from online.gateway.inbox import Inbox, open_inbox
from online.gateway.settings import GatewaySettings
from online.gateway.supervisor import Gateway


def serve_gateway(
    settings: GatewaySettings, listening: Callable[[int], None], record: Path | None = None
) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Parameters
    ----------
    listening
        Called with the TCP port once connections are accepted.
    record
        Folder of recorded sessions; None records none.

    Raises
    ------
    InvalidSettings
        If the address, the TLS files or the inbox cannot be used.
    """
    inbox = open_inbox(settings.state / "inbox.db", settings.log_bytes)
    try:
        with suppress(KeyboardInterrupt):
            run_on_loop(run_gateway(settings, inbox, listening, record))
    finally:
        inbox.close()


def run_on_loop(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end on the quickest event loop there is: uvloop's, but for Windows."""
    collect_rarely()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(work)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop  # noqa: PLC0415 - it does not exist for Windows

    return uvloop.new_event_loop


async def run_gateway(
    settings: GatewaySettings,
    inbox: Inbox,
    listening: Callable[[int], None],
    record: Path | None = None,
) -> None:
    """Serve an opened inbox until cancelled or told to stop.

    Raises
    ------
    InvalidSettings
        If the address or the TLS files cannot be used.
    """
    serving = asyncio.create_task(Gateway(settings, inbox, record).run(listening))
    with suppress(NotImplementedError):  # Windows: Ctrl-C comes as KeyboardInterrupt
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, serving.cancel)
    with suppress(asyncio.CancelledError):
        await serving
