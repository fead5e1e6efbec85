"""Asking for passphrases: twice on a terminal, or from a file."""

import getpass
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from center.output import Failure, Status, complain

MIN: Final = 8
Ask = Callable[[str], str]


def new(whose: Sequence[str], file: Path | None, ask: Ask = getpass.getpass) -> list[str]:
    """One new passphrase for each of `whose`. A file has one a line, or a single one for all. Raises Failure."""
    if file is not None:
        return _of_file(file, len(whose))
    if ask is getpass.getpass and not sys.stdin.isatty():
        raise Failure("passphrases are asked on a terminal; elsewhere name a --passphrase-file", Status.USAGE)
    return [_asked(who, ask) for who in whose]


def known(whose: str, file: Path | None, ask: Ask = getpass.getpass) -> str:
    """The passphrase of a key that there is. Raises Failure."""
    return known_all([whose], file, ask)[0]


def known_all(whose: Sequence[str], file: Path | None, ask: Ask = getpass.getpass) -> list[str]:
    """Those of several keys. A file has one a line, or a single one for all. Raises Failure."""
    if file is not None:
        return _of_file(file, len(whose))
    if whose and ask is getpass.getpass and not sys.stdin.isatty():
        raise Failure("a passphrase is asked on a terminal; elsewhere name a --passphrase-file", Status.USAGE)
    return [ask(f"Passphrase of {one}: ") for one in whose]


def shown_once() -> None:
    """What is to be said beside the passphrase of a sealed file."""
    complain("")
    complain("The passphrase is shown this once and kept nowhere. Do not carry it with the file: tell it by telephone.")


def _asked(who: str, ask: Ask) -> str:
    while True:
        passphrase = ask(f"New passphrase of {who}: ")
        if len(passphrase) < MIN:
            complain(f"at least {MIN} characters")
        elif ask("The same once more: ") != passphrase:
            complain("the two differ; once more from the beginning")
        else:
            return passphrase


def _of_file(file: Path, count: int) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"the passphrases in {file} cannot be read: {error}", Status.UNREACHABLE) from error
    if len(lines) == 1:
        lines *= count
    if len(lines) != count:
        raise Failure(f"{file} has {len(lines)} lines; {count} would be right, or one for all", Status.USAGE)
    if any(len(line) < MIN for line in lines):
        raise Failure(f"a passphrase in {file} is too short; at least {MIN} characters would be right", Status.USAGE)
    return lines
