"""Asking a person: on a terminal, or not at all. What was agreed to beforehand is said with options."""

import sys
from collections.abc import Callable, Sequence
from typing import Final

from center.output import Failure, Status, complain

Ask = Callable[[str], str]
"""Shows a question, gives the line that is typed."""


def typed(question: str) -> str:
    """A line from the terminal; the question goes to standard error, as all that is no result."""
    sys.stderr.write(question)
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        raise Failure("nothing was answered")
    return line.strip()


ASK: Final[Ask] = typed


def agreed(question: str, word: str, given: Sequence[str], option: str, ask: Ask | None = None) -> None:
    """Return when the person has typed this word, or had given it with an option. Raises Failure where not."""
    if word in given:
        return
    if ask is None and not sys.stdin.isatty():
        raise Failure(f"{question} That is asked on a terminal; elsewhere agree with {option}", Status.USAGE)
    if (ask or typed)(f"{question} Type {word}, or anything else to leave it: ").casefold() != word:
        raise Failure("left as it is")


def chosen(question: str, choices: Sequence[str], ask: Ask | None = None) -> str:
    """One of the choices, by its number or as it is written; asked until it is one."""
    for number, choice in enumerate(choices, start=1):
        complain(f"  {number}  {choice}")
    while True:
        answer = (ask or typed)(f"{question} ")
        if answer.isdecimal() and 1 <= int(answer) <= len(choices):
            return choices[int(answer) - 1]
        if answer in choices:
            return answer
        complain(f"a number from 1 to {len(choices)} would be right")


def interactive() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin.isatty()


def plain(text: str) -> str:
    """Text of others, made safe for a terminal: what moves the cursor or turns writing round shows as a sign."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
