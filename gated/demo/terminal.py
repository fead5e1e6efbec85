"""The terminal while the live view is on it: a screen of its own, single keys, and everything as before at the end."""

import asyncio
import os
import re
import sys
import termios
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

_ENTER: Final = "\x1b[?1049h\x1b[?25l\x1b[?7l"  # alternate screen, no cursor, no wrapping
_LEAVE: Final = "\x1b[?7h\x1b[?25h\x1b[?1049l"
_COLOURS: Final = (
    (re.compile(r"\b(admit|online|up|automatic|back|nothing lost)\b"), "32"),
    (re.compile(r"\b(flag|not-yet|turned back|unknown|expired|suspended|schedule|clock)\b"), "33"),
    (
        re.compile(
            r"\b(offline|dead|CUT|OFF|lost|LOST|NOT|FORGED|BELIEVED|guard-only|kill -9: .*|the daemon does not run)\b"
        ),
        "31",
    ),
)
_FALLBACK: Final = os.terminal_size((80, 24))


def usable() -> bool:
    """Whether there is a terminal to show the view on and to take keys from."""
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def size() -> os.terminal_size:
    """Columns and rows; 80 by 24 where the terminal does not say."""
    with suppress(OSError):
        found = os.get_terminal_size(sys.stdout.fileno())
        if found.columns and found.lines:
            return found
    return _FALLBACK


@contextmanager
def screen(on_key: Callable[[str], None]) -> Iterator[None]:
    """The terminal is ours; `on_key` gets each key, and "q" when the terminal has gone."""
    source, loop = sys.stdin.fileno(), asyncio.get_running_loop()
    before = termios.tcgetattr(source)
    try:
        _take(source)
        loop.add_reader(source, _keys, source, on_key)
        _write(_ENTER)
        yield
    finally:
        loop.remove_reader(source)
        # A terminal that has gone needs nothing back.
        with suppress(OSError, termios.error):
            _write(_LEAVE)
        with suppress(OSError, termios.error):
            termios.tcsetattr(source, termios.TCSAFLUSH, before)


def draw(lines: Sequence[str], *, colour: bool) -> None:
    """Show these lines, and nothing else."""
    shown = [painted(line) if colour else line for line in lines]
    # Cleared before it is written: behind a line that fills the row, clearing would take its last character.
    _write("\x1b[H" + "\r\n".join(f"\x1b[K{line}" for line in shown[:-1]) + f"\r\n\x1b[J{shown[-1]}")


def painted(line: str) -> str:
    """The line with its telling words in colour."""
    for pattern, code in _COLOURS:
        line = pattern.sub(f"\x1b[{code}m\\1\x1b[0m", line)
    return line


def _take(source: int) -> None:
    tty.setcbreak(source, termios.TCSANOW)
    mode = termios.tcgetattr(source)
    # Ctrl-Z and Ctrl-\ would leave this screen behind, Ctrl-S would stop the devices: only Ctrl-C stays.
    mode[0] &= ~termios.IXON
    for key in (termios.VSUSP, termios.VQUIT):
        mode[6][key] = b"\0"
    termios.tcsetattr(source, termios.TCSANOW, mode)


def _keys(source: int, on_key: Callable[[str], None]) -> None:
    try:
        data = os.read(source, 64)
    except OSError:
        data = b""
    if not data:
        asyncio.get_running_loop().remove_reader(source)
        on_key("q")
    elif not data.startswith(b"\x1b"):  # arrows and their like mean nothing here
        for key in data.decode("ascii", "ignore"):
            on_key(key.lower())


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
