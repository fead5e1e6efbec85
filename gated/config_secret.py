"""Secrets never stand in the configuration, but where they are.

`file:/path`, or `credential:NAME` for one that systemd hands over (`LoadCredential=`). A secret that does stand there
is not repeated in the error.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gated.config_problem import KeyPath, Problem

CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"
_SOURCE: Final = re.compile(r"file:(/.+)|credential:([A-Za-z0-9._-]{1,255})")
_RIGHT: Final = '"file:/path/of/the/file" or "credential:NAME" would be right'


def problems(key: KeyPath, source: object) -> Iterator[Problem]:
    """What is wrong with the writing of it."""
    if isinstance(source, str) and not _SOURCE.fullmatch(source):
        yield Problem(key, "found something else than where the secret stands", _RIGHT)


def file_of(source: str) -> Path:
    """The file that holds the secret. Raises LookupError, in words, for a credential that nobody has handed over."""
    found = _SOURCE.fullmatch(source)
    if found is None:
        raise LookupError(_RIGHT)
    if found[1] is not None:
        return Path(found[1])
    folder = os.environ.get(CREDENTIALS)
    if not folder:
        raise LookupError(f"${CREDENTIALS} is not set: only the service is handed the credential {found[2]}")
    return Path(folder, found[2])


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
