"""The real programs as processes of their own, started again after kill -9 as the service manager would."""

import asyncio
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

RESTART_S: Final = 2.0
"""RestartSec of our unit."""
STOP_S: Final = 20.0
_LAST_LINES: Final = 8


class DaemonEnded(Exception):  # noqa: N818 - what happened
    """A program has ended, and nobody has killed it; the message has its last words."""


class Daemon:
    """One program through all its lives. `pid` is None while none runs.

    `module` are the words after `python -m`, `name` is what a person calls it.
    """

    def __init__(self, module: Sequence[str], log: Path, name: str = "the daemon") -> None:
        self.name = name
        self.pid: int | None = None
        self.lives = 0
        self.kills = 0
        self._module = module
        self._log = log
        self._process: asyncio.subprocess.Process | None = None

    async def keep(self) -> None:
        """Keep it running until cancelled. Raises DaemonEnded where it ends by itself."""
        while True:
            await self._start()
            assert self._process is not None  # noqa: S101 - just made
            status = await self._process.wait()
            if status != -signal.SIGKILL:
                raise DaemonEnded(f"{self.name} has ended with status {status}; its last words:\n{self.last_words()}")
            self.pid = None
            await asyncio.sleep(RESTART_S)

    def kill(self) -> bool:
        """Kill -9; whether there was something to kill."""
        if self._process is None or self.pid is None:
            return False
        self.pid = None
        self.kills += 1
        with suppress(ProcessLookupError):
            self._process.kill()
        return True

    async def stop(self) -> int | None:
        """End it as the service manager does; its exit status, None where it does not run or does not end."""
        process = self._process
        if process is None or process.returncode is not None:
            return None
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                return await process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            return None

    async def _start(self) -> None:
        with self._log.open("ab") as log:
            # A session of its own: Ctrl-C is for the demo, which then ends the daemon in order.
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", *self._module),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.pid = self._process.pid
        self.lives += 1

    def last_words(self) -> str:
        """The end of its log."""
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        return "\n".join(lines[-_LAST_LINES:])
