"""What the doctor asks of a gate that has a center: its keys, the broker's password, the authority."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from gated.commands.finding import Finding, note, ok, wrong

if TYPE_CHECKING:
    from gated.config import Config

_SETUP: Final = "sudo gated setup FILE, with a file from gatectl gate replace"


def examine(config: "Config") -> Iterator[Finding]:
    """Nothing for a gate that runs alone."""
    from gated import keys  # noqa: PLC0415 - cryptography, only where there is a center

    if config.center is None:
        return
    try:
        found = keys.load(config.state, site=config.site, gate=config.gate)
        keys.broker_password(config.center.password)
    except keys.KeysForbiddenError as error:
        yield note("center", str(error), "look as the daemon: sudo -u gated gated doctor")
        return
    except keys.KeysError as error:
        yield wrong("center", str(error), _SETUP)
        return
    mine = found.sign_public.hex()
    yield ok("center", f"{config.center.broker} as {config.center.username}; this box's key is {mine[:16]}…")
    if config.center.ca is not None and not config.center.ca.is_file():
        yield wrong("center", f"{config.center.ca} is missing: the broker cannot be trusted", _SETUP)
