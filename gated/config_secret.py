"""Secrets never stand in the configuration, but where they are (`drivers.secret`). Here is what is wrong with that."""

import os
from collections.abc import Iterator
from pathlib import Path

from drivers.secret import CREDENTIALS, RIGHT, checked, file_of
from gated.config_problem import KeyPath, Problem


def problems(key: KeyPath, source: object) -> Iterator[Problem]:
    """What is wrong with the writing of it."""
    if isinstance(source, str):
        try:
            checked(source)
        except ValueError:
            yield Problem(key, "found something else than where the secret stands", RIGHT)


def file_problems(key: KeyPath, source: object, right: str) -> Iterator[Problem]:
    """Whether its file is there and may be read, as far as whoever asks can tell; `right` is what helps if not."""
    if not isinstance(source, str) or (source.startswith("credential:") and CREDENTIALS not in os.environ):
        return  # only the service is handed its credentials; anyone else cannot tell
    yield from unreadable(key, file_of(source), right)


def unreadable(key: KeyPath, path: Path, right: str) -> Iterator[Problem]:
    """Why a file that the configuration names cannot be read; `right` is what helps where it is not there."""
    try:
        with path.open("rb"):
            return
    except PermissionError:
        whose = "run the command as the daemon's user: sudo -u gated gated check; chown gated: if that cannot either"
        yield Problem(key, f"{path} may not be read by uid {os.getuid()}", whose)
    except OSError as error:
        yield Problem(key, f"{path} cannot be read: {error.strerror}", right)
