"""The supervisor's end of a worker: every errand is bounded, a hung worker ended and replaced."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress

from online.domain.errors import Unavailable
from online.gateway.errands import Errand, Ready, Result, Setup, Trouble
from online.gateway.frames import MAX_TO_SCORER_BYTES, FrameFault, FrameReader, FrameWriter
from online.gateway.messages import WorkerStatus

WORKER = (sys.executable, "-m", "online.gateway.worker")
"""How a worker is started."""
_CHUNK_BYTES = 1 << 20
_LONGEST_PAUSE_SECONDS = 10.0
_log = logging.getLogger(__name__)


class WorkerLost(Unavailable):
    """The worker hung or died with the errand in its hands: whether it was done is unknown."""

    code = "WORKER_LOST"
    remedy = "A new worker is started by itself; look at the terminal if this comes again."


class WorkerAbsent(Unavailable):
    """There is no worker that is connected to the terminal; the errand was not begun."""

    code = "WORKER_ABSENT"
    remedy = "Start the terminal and log in; the worker connects by itself."


class WorkerChannel:
    """One worker, kept alive.

    Parameters
    ----------
    setup
        What each worker is told first.
    timeout_seconds
        Longest an errand may take before the worker is ended (> 0).
    start_seconds
        Longest a worker may take to connect to the terminal (> 0).
    check
        Called with the account a worker found; raises `Unavailable` if it is another.
    """

    def __init__(
        self,
        setup: Setup,
        timeout_seconds: float,
        start_seconds: float,
        check: Callable[[Ready], None],
    ) -> None:
        self._setup = setup
        self._check = check
        self._timeout_seconds = timeout_seconds
        self._start_seconds = start_seconds
        self._process: asyncio.subprocess.Process | None = None
        self._reader: FrameReader[Result] = FrameReader(Result, MAX_TO_SCORER_BYTES)
        self._writer = FrameWriter()
        self._turn = asyncio.Lock()
        self._replacing: asyncio.Task[None] | None = None
        self._replaced = 0
        self._is_stopped = False
        self._trouble = ""
        self.account: Ready | None = None

    @property
    def ready(self) -> bool:
        """True while a worker is connected to the terminal."""
        return self._process is not None and self.account is not None

    @property
    def status(self) -> WorkerStatus:
        """How the worker is."""
        pid = self._process.pid if self._process is not None else 0
        return WorkerStatus(self._setup.role, pid, self.ready, self._replaced, self._trouble)

    def start(self) -> None:
        """Begin to keep a worker alive; once stopped, none is started."""
        if not self._is_stopped and (self._replacing is None or self._replacing.done()):
            self._replacing = asyncio.create_task(self._keep_trying())

    async def run(self, errand: Errand) -> Result:
        """Have an errand done.

        Raises
        ------
        WorkerAbsent
            If there is no worker; nothing was begun.
        WorkerLost
            If the worker hung or died with it; it has been ended by then.
        Unavailable
            If the worker could not do it, with its code.
        """
        async with self._turn:
            await self._bury()
            if not self.ready:
                raise WorkerAbsent(f"no {self._setup.role} worker is ready: {self._trouble}")
            try:
                result = await self._exchange(errand, self._timeout_seconds)
            except (TimeoutError, OSError, EOFError, FrameFault) as error:
                what = "did not answer in time" if isinstance(error, TimeoutError) else "ended"
                self._trouble = f"the worker {what}: {str(error) or type(error).__name__}"
                _log.warning("%s worker: %s", self._setup.role, self._trouble)
                await self._end()
                self._replaced += 1
                self.start()
                raise WorkerLost(f"{self._setup.role}: {self._trouble}") from error
            except asyncio.CancelledError:  # its late answer must not be taken for another's
                await self._end()
                self.start()
                raise
        if isinstance(result, Trouble):
            raise Unavailable(result.message, code=result.code)
        return result

    async def tend(self) -> None:
        """Replace a worker that has ended while it had nothing to do; to be called now and then.

        Else the next errand would find it gone: an order that would have to wait, or is refused.
        """
        if not self._turn.locked():  # an errand that is under way finds out by itself
            async with self._turn:
                await self._bury()

    async def stop(self) -> None:
        """End the worker and replace it no more."""
        self._is_stopped = True
        if self._replacing is not None:
            self._replacing.cancel()
            with suppress(asyncio.CancelledError):
                await self._replacing
        await self._end()

    async def _bury(self) -> None:
        """Take leave of a worker that has ended with nothing in its hands, and start another."""
        process = self._process
        if process is None or not self.ready:
            return
        gone = process.stdin is None or process.stdin.is_closing()
        if gone or process.returncode is not None:
            self._trouble = f"the worker (process {process.pid}) ended by itself"
            _log.warning("%s worker: %s", self._setup.role, self._trouble)
            await self._end()
            self._replaced += 1
            self.start()

    async def _keep_trying(self) -> None:
        pause_seconds = 0.05
        while not self.ready:
            try:
                await self._begin()
            except (TimeoutError, OSError, EOFError, FrameFault, Unavailable) as error:
                self._trouble = str(error) or type(error).__name__
                _log.warning("%s worker does not start: %s", self._setup.role, self._trouble)
                await self._end()
                await asyncio.sleep(pause_seconds)
                pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)

    async def _begin(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *WORKER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            limit=_CHUNK_BYTES,
        )
        self._reader = FrameReader(Result, MAX_TO_SCORER_BYTES)
        self._writer = FrameWriter()
        result = await self._exchange(self._setup, self._start_seconds)
        if isinstance(result, Trouble):
            raise Unavailable(result.message, code=result.code)
        if not isinstance(result, Ready):
            raise FrameFault(f"a worker begins with Ready, got {type(result).__name__}")
        self._check(result)
        self.account, self._trouble = result, ""

    async def _exchange(self, errand: Errand, timeout_seconds: float) -> Result:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise EOFError("the worker is gone")
        if process.stdin.is_closing():  # uvloop raises no OSError for it
            raise EOFError("the worker is gone")
        async with asyncio.timeout(timeout_seconds):
            process.stdin.write(self._writer.pack(errand))
            await process.stdin.drain()
            while data := await process.stdout.read(_CHUNK_BYTES):
                for result in self._reader.feed(data):
                    return result
        raise EOFError("the worker is gone")

    async def _end(self) -> None:
        """End the process and wait until it is gone."""
        process, self._process, self.account = self._process, None, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.kill()
        for descriptor in (0, 1):  # asyncio waits for them: a terminal it started may hold them
            pipe = process._transport.get_pipe_transport(descriptor)  # type: ignore[attr-defined]  # noqa: SLF001 - asyncio shows no other way
            if pipe is not None:
                pipe.close()
        await process.wait()
