"""What commands ask of the running daemon."""

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gated import control
from gated.commands.output import Failure, Status


def ask(folder: Path, request: Mapping[str, object]) -> dict[str, Any]:
    """The daemon's answer. Raises Failure where it does not run or says no, PermissionError where we may not ask."""
    with _in_words(folder):
        return _taken(control.ask(folder, request))


def follow(folder: Path, request: Mapping[str, object]) -> Generator[dict[str, Any], None, None]:
    """The daemon's answers as they come; to be closed by who wants no more. Raises as `ask`."""
    with _in_words(folder):
        for answer in control.follow(folder, request):
            yield _taken(answer)


def _taken(answer: dict[str, Any]) -> dict[str, Any]:
    if "error" in answer:
        raise Failure(f"the daemon says: {answer['error']}")
    return answer


@contextmanager
def _in_words(folder: Path) -> Iterator[None]:
    try:
        yield
    except control.NotRunning as error:
        raise Failure(str(error), Status.UNREACHABLE) from error
    except PermissionError as error:
        raise PermissionError(error.errno, error.strerror, str(folder / control.SOCKET)) from error
