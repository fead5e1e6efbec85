"""What commands ask of the running daemon."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gated import control
from gated.commands.output import Failure, Status


def ask(folder: Path, request: Mapping[str, object]) -> dict[str, Any]:
    """The daemon's answer. Raises Failure where it does not run or says no, PermissionError where we may not ask."""
    try:
        answer = control.ask(folder, request)
    except control.NotRunning as error:
        raise Failure(str(error), Status.UNREACHABLE) from error
    except PermissionError as error:
        raise PermissionError(error.errno, error.strerror, str(folder / control.SOCKET)) from error
    if "error" in answer:
        raise Failure(f"the daemon says: {answer['error']}")
    return answer
