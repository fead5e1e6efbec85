"""A program on a terminal of its own, for tests: what it shows is read, keys are pressed."""

import os
import select
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from typing import Final

_ON_IT: Final = """
import os, sys
os.close(os.open(os.ttyname(0), os.O_RDWR))  # the first terminal that a session opens is its own: it has Ctrl-C
os.execv(sys.argv[1], sys.argv[1:])
"""


def on_a_terminal(
    command: Sequence[str], environment: Mapping[str, str], keys: Sequence[tuple[bytes, bytes]], limit_s: float
) -> tuple[int, str]:
    """Run it on a new terminal; its exit status and all that it wrote.

    `keys`: what it must have written since the last key, then what is pressed. The terminal is as before in the end.
    """
    ours, theirs = os.openpty()
    before = termios.tcgetattr(theirs)
    limit = time.monotonic() + limit_s
    waiting = list(keys)
    with subprocess.Popen(
        [sys.executable, "-c", _ON_IT, *command],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "NO_COLOR": "1", **environment},
        start_new_session=True,
    ) as process:
        said, seen = b"", 0
        try:
            while process.poll() is None or select.select([ours], [], [], 0)[0]:
                assert time.monotonic() < limit, said.decode()
                said += _read(ours)
                if waiting and (found := said.find(waiting[0][0], seen)) >= 0:
                    seen = found + len(waiting[0][0])
                    os.write(ours, waiting.pop(0)[1])
            assert termios.tcgetattr(theirs) == before
        finally:
            process.terminate()
            os.close(ours)
            os.close(theirs)
    return process.returncode, said.decode()


def _read(terminal: int) -> bytes:
    """What is there to read, if anything comes soon."""
    return os.read(terminal, 65_536) if select.select([terminal], [], [], 0.1)[0] else b""
