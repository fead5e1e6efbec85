"""What the doctor asks of a gate that has a center: its keys, the broker's password, authority and certificate."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from gated.commands.finding import Finding, note, ok, wrong

if TYPE_CHECKING:
    from gated.config import CenterConfig, Config

CONNECT_S: Final = 3.0
CERTIFICATE_DAYS: Final = 30.0
_PROPOSE: Final = "at the center, when the box is heard there: gatectl gate propose"
_SETUP: Final = "sudo gated setup FILE, with a file from gatectl gate replace"
_RENEW: Final = "gatectl site renew-certificate there makes a new one"


def examine(config: "Config") -> Iterator[Finding]:
    """Nothing for a gate that runs alone."""
    from gated.talking import keys, listed  # noqa: PLC0415 - cryptography, only where there is a center
    from protocol.message import MessageError  # noqa: PLC0415 - the same

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
    try:
        held = listed.read(config.state, found)
    except (OSError, MessageError) as error:
        yield wrong(
            "center", f"the signers' list of gates is damaged ({error})", "suspect the disk; it is fetched again"
        )
    else:
        if held.trouble:
            yield wrong("center", held.trouble.partition("; set it")[0], _SETUP)
        elif not held.known:
            yield note("center", "the signers' list of gates does not have this box's key", _PROPOSE)
    if config.center.ca is not None and not config.center.ca.is_file():
        yield wrong("center", f"{config.center.ca} is missing: the broker cannot be trusted", _SETUP)
        return
    yield from certificate(config.center)


def certificate(center: "CenterConfig") -> Iterator[Finding]:
    """Until when the broker's certificate is valid: after that no gate can connect."""
    import socket  # noqa: PLC0415 - only where there is a center
    import ssl  # noqa: PLC0415 - the same
    import time  # noqa: PLC0415 - the same

    from protocol import broker_url  # noqa: PLC0415 - the same

    broker = broker_url.parse(center.broker)
    if not broker.tls:
        return
    try:
        context = ssl.create_default_context(cafile=center.ca)
        if center.certificate is not None:
            context.load_cert_chain(center.certificate, center.key)
        with (
            socket.create_connection((broker.host, broker.port), CONNECT_S) as raw,
            context.wrap_socket(raw, server_hostname=broker.host) as link,
        ):
            until = ssl.cert_time_to_seconds(str((link.getpeercert() or {})["notAfter"]))
    except ssl.SSLCertVerificationError as error:
        do = f"is this box's clock right? If so, tell the center: {_RENEW}"
        yield wrong("center", f"the broker's certificate is not taken: {error.verify_message}", do)
        return
    except OSError as error:
        do = "the gate works without it, and tells the center later; look at the network, and whether the broker runs"
        yield note("center", f"{center.broker} cannot be reached just now: {error}", do)
        return
    days = (until - time.time()) / 86_400
    if days < CERTIFICATE_DAYS:
        yield note("center", f"the broker's certificate ends in {days:.0f} days", f"tell the center: {_RENEW}")
