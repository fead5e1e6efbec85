"""What is wrong with `[center]`, and what the models cannot see: the broker's address, secrets, files."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from gated import config_secret
from gated.config_problem import Problem, shown
from protocol import broker_url

_FILES: Final = ("ca", "certificate", "key")
_FILE_RIGHT: Final = "correct the path, or have it installed: sudo gated setup FILE"
_PATH_RIGHT: Final = 'a whole path such as "/var/lib/gated/center/ca.pem" would be right'


def problems(document: Mapping[str, Any], *, check_files: bool) -> list[Problem]:
    """Everything that is wrong; `check_files` also looks whether files are there and may be read."""
    table = document.get("center")
    if not isinstance(table, dict):
        return []
    secret = config_secret.problems(("center", "password"), table.get("password"))
    found = [*_broker(table), *secret, *_paths(table)]
    if check_files and not found:
        found.extend(_files(table))
    return found


def warnings(broker: str) -> list[str]:
    """What is not wrong but worth a look."""
    address = broker_url.parse(broker)
    if address.tls or address.local:
        return []
    return [f"center.broker: {shown(broker)} is without TLS: the password crosses the network in clear; use mqtts://"]


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
            yield from config_secret.unreadable(("center", key), Path(value), _FILE_RIGHT)
    yield from config_secret.file_problems(("center", "password"), table.get("password"), _FILE_RIGHT)
