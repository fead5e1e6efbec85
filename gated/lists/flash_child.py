"""Runs the building process of a flash beside the daemon: one order at a time, started when there is one."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any, Final

from gated.lists.flash_acts import Build, Built, Check, Checked, Need

_LINE_MAX_BYTES: Final = 4 * 1024 * 1024
"""Of an answer: a list of 512 MiB has 8,192 pieces, and each that is here is named."""


class ChildFailedError(Exception):
    """The order came to nothing; the message says why."""


class Child:
    """The building process of the state folder; `root` is the file with the enrolled root."""

    def __init__(self, state: Path, root: Path) -> None:
        self._command = (sys.executable, "-m", "gated.lists.flash_build", str(state), str(root))
        self._process: Process | None = None

    async def check(self, order: Check) -> Checked:
        """The answer. Raises ChildFailedError."""
        value = await self._ask("check", order)
        needs = tuple(Need(**{**need, "have": frozenset(need["have"])}) for need in value.pop("needs"))
        return Checked(**{**value, "needs": needs, "troubles": tuple(value["troubles"])})

    async def build(self, order: Build) -> Built:
        """The answer. Raises ChildFailedError."""
        value = await self._ask("build", order)
        return Built(**{**value, "refused": tuple(value["refused"]), "troubles": tuple(value["troubles"])})

    async def release(self) -> None:
        """Let the process go; the next order starts another."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
            await process.wait()

    def kill(self) -> None:
        """End the process at once, whatever it is doing: the list in force stays whole."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def _ask(self, do: str, order: Check | Build) -> dict[str, Any]:
        fields = {"do": do, "validity": order.validity, "floor": order.floor, "whole": order.whole}
        try:
            if self._process is None or self._process.returncode is not None:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command, stdin=PIPE, stdout=PIPE, limit=_LINE_MAX_BYTES
                )
            stdin, stdout = self._process.stdin, self._process.stdout
            assert stdin is not None  # noqa: S101 - for mypy: both are pipes
            assert stdout is not None  # noqa: S101 - the same
            stdin.write(json.dumps(fields).encode() + b"\n")
            await stdin.drain()
            answer = await stdout.readline()
        except (OSError, ValueError) as error:
            raise ChildFailedError(f"the building process cannot be reached ({error})") from error
        if not answer.endswith(b"\n"):
            code = await self._process.wait()
            raise ChildFailedError(f"the building process ended with status {code}")
        value: dict[str, Any] = json.loads(answer)
        if "failed" in value:
            raise ChildFailedError(str(value["failed"]))
        return value
