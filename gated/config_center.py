"""What is wrong with `[center]`, and what the models cannot see: the broker's address, secrets, files.

A password never stands in the configuration: `file:/path`, or `credential:NAME` for one that systemd hands over
(`LoadCredential=`). One that does is not repeated in the error.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from gated.config_problem import Problem, shown
from protocol import broker_url

CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"
_FILES: Final = ("ca", "certificate", "key")
_SOURCE: Final = re.compile(r"file:(/.+)|credential:([A-Za-z0-9._-]{1,255})")
_SOURCE_RIGHT: Final = '"file:/path/of/the/file" or "credential:NAME" would be right'
_PATH_RIGHT: Final = 'a whole path such as "/var/lib/gated/center/ca.pem" would be right'


def problems(document: Mapping[str, Any], *, check_files: bool) -> list[Problem]:
    """Everything that is wrong; `check_files` also looks whether files are there and may be read."""
    table = document.get("center")
    if not isinstance(table, dict):
        return []
    found = [*_broker(table), *_password(table), *_paths(table)]
    if check_files and not found:
        found.extend(_files(table))
    return found


def warnings(broker: str) -> list[str]:
    """What is not wrong but worth a look."""
    address = broker_url.parse(broker)
    if address.tls or address.local:
        return []
    return [f"center.broker: {shown(broker)} is without TLS: the password crosses the network in clear; use mqtts://"]


def password_file(password: str) -> Path:
    """The file that holds the password. Raises LookupError, in words, for a credential that nobody has handed over."""
    found = _SOURCE.fullmatch(password)
    if found is None:
        raise LookupError(_SOURCE_RIGHT)
    if found[1] is not None:
        return Path(found[1])
    folder = os.environ.get(CREDENTIALS)
    if not folder:
        raise LookupError(f"${CREDENTIALS} is not set: only the service is handed the credential {found[2]}")
    return Path(folder, found[2])


def _broker(table: Mapping[str, Any]) -> Iterator[Problem]:
    url = table.get("broker")
    if not isinstance(url, str):
        return
    try:
        address = broker_url.parse(url)
    except ValueError as error:
        yield Problem(("center", "broker"), f"found {shown(url)}", str(error))
        return
    for key in _FILES:
        if key in table and not address.tls:
            yield Problem(
                ("center", key), "is for TLS, and the broker is without", "mqtts:// in center.broker, or no such key"
            )


def _password(table: Mapping[str, Any]) -> Iterator[Problem]:
    password = table.get("password")
    if isinstance(password, str) and not _SOURCE.fullmatch(password):
        yield Problem(("center", "password"), "found something else than where the password stands", _SOURCE_RIGHT)


def _paths(table: Mapping[str, Any]) -> Iterator[Problem]:
    for key in _FILES:
        value = table.get(key)
        if isinstance(value, str) and (not value.startswith("/") or "\0" in value):
            yield Problem(("center", key), f"found {shown(value)}", _PATH_RIGHT)
    for key, other in (("certificate", "key"), ("key", "certificate")):
        if key in table and other not in table:
            yield Problem(("center", other), f"is missing, and there is a {key}", "the two belong together")


def _files(table: Mapping[str, Any]) -> Iterator[Problem]:
    for key in _FILES:
        value = table.get(key)
        if isinstance(value, str):
            yield from _file(key, Path(value))
    password = table.get("password")
    if not isinstance(password, str) or (password.startswith("credential:") and CREDENTIALS not in os.environ):
        return  # only the service is handed its credentials; anyone else cannot tell
    yield from _file("password", password_file(password))


def _file(key: str, path: Path) -> Iterator[Problem]:
    try:
        with path.open("rb"):
            return
    except PermissionError:
        right = "run the command as the daemon's user: sudo -u gated gated check; chown gated: if that cannot either"
        yield Problem(("center", key), f"{path} may not be read by uid {os.getuid()}", right)
    except OSError as error:
        right = "correct the path, or have it installed: sudo gated setup FILE"
        yield Problem(("center", key), f"{path} cannot be read: {error.strerror}", right)
