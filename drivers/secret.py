"""Where a secret stands, for options that need one: `file:/path`, or `credential:NAME` of systemd (`LoadCredential=`).

The secret itself is never an option's value; one that is written there all the same is not repeated in the error.
"""

import os
import re
from pathlib import Path
from typing import Final

CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"
RIGHT: Final = '"file:/path/of/the/file" or "credential:NAME" would be right'

_SOURCE: Final = re.compile(r"file:(/.+)|credential:([A-Za-z0-9._-]{1,255})")


def checked(source: str) -> str:
    """`source` as it is. Raises ValueError, with what would be right, where it does not say where a secret stands."""
    if _SOURCE.fullmatch(source) is None:
        raise ValueError(RIGHT)
    return source


def file_of(source: str) -> Path:
    """The file that holds the secret. Raises LookupError, in words, for a credential that nobody has handed over."""
    found = _SOURCE.fullmatch(source)
    if found is None:
        raise LookupError(RIGHT)
    if found[1] is not None:
        return Path(found[1])
    folder = os.environ.get(CREDENTIALS)
    if not folder:
        raise LookupError(f"${CREDENTIALS} is not set: only the service is handed the credential {found[2]}")
    return Path(folder, found[2])
