"""The broker's files, as text: its configuration, who may read and write what, and the passwords.

For mosquitto 2.0 and later. The rules are the point; another broker is given the same ones:

- a gate writes its own `status`, `events`, `whitelist` and `reply/+`, and reads its own `status`, `ack` and `command`
  and the whitelist; of another gate it learns nothing;
- the center writes what gates read, and reads what gates write;
- a technician reads how gates are, which list they have and are to have, and what became of commands, and gives
  commands: what `gatectl` on a laptop needs. Not `events`: a look at who passed where goes through the center; not the
  list itself;
- nobody else is let in.

The broker is trusted with delivery only: everything that counts is signed, and is checked where it arrives.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from protocol import topics

CENTER: Final = "center"
"""The name of the center's own account."""
_MESSAGE_MAX_BYTES: Final = 4 * 1024 * 1024
"""The largest is the whitelist's metadata with every root since the first; a batch takes up to 256 KiB."""
_QUEUED_MAX_BYTES: Final = 256 * 1024 * 1024
"""For each client that reads slowly."""

_CONFIGURATION: Final = """\
# The broker of the site {site}: mosquitto 2.0 or later.
# Made by gatectl, which makes it anew: not to be changed by hand.

# Nobody without a name and a password, and each only where the rules let them.
allow_anonymous false
password_file {folder}/passwords
acl_file {folder}/mosquitto.acl

# TLS only, with the certificate that the site's own authority has made (renewed by: gatectl site renew-certificate).
# server.pem holds the certificate and its key, so that the two are always replaced together.
listener {port}
certfile {folder}/server.pem
keyfile {folder}/server.pem
tls_version tlsv1.2

# What gates last said, and the whitelist, outlive a restart; a power cut takes what is younger than this many seconds,
# which gates and center then say again. The whole of it is written each time: with a long list not oftener.
persistence true
persistence_location {state}/
autosave_on_changes false
autosave_interval 900

# Small messages leave at once. The largest message is the whitelist's metadata. Whoever reads slowly may lag behind by
# this much; what is dropped then is sent again, since no gate forgets an event before the center has answered for it.
set_tcp_nodelay true
message_size_limit {limit}
max_queued_messages 10000
max_queued_bytes {queued}
"""
_PLAIN: Final = """\
# No TLS: passwords cross the wire in clear. Only for a trial on one machine, and it listens to this machine only.
listener {port} 127.0.0.1
"""
_RULES_HEAD: Final = """\
# Who may read and write what at the broker of the site {site}.
# Made by gatectl, which makes it anew with each `gatectl gate add`: not to be changed by hand.
# What is not named here is refused; a user who is not named may nothing.
"""


def configuration(site: str, *, folder: Path, state: Path, port: int, tls: bool) -> str:
    """mosquitto.conf, for files in `folder`; `state` is where the broker keeps what outlives a restart."""
    text = _CONFIGURATION
    if not tls:
        start, end = text.index("# TLS only"), text.index("# What gates last said")
        text = text[:start] + _PLAIN + "\n" + text[end:]
    return text.format(
        site=site, folder=folder, state=state, port=port, limit=_MESSAGE_MAX_BYTES, queued=_QUEUED_MAX_BYTES
    )


def rules(site: str, *, gates: Iterable[str], technicians: Iterable[str]) -> str:
    """mosquitto.acl."""
    parts = [_RULES_HEAD.format(site=site), _center(site)]
    parts.extend(_gate(site, gate) for gate in gates)
    parts.extend(_technician(site, name) for name in technicians)
    return "\n".join(parts)


def password_file(hashes: Mapping[str, str]) -> str:
    """The password file, of names and hashes."""
    return "".join(f"{name}:{kept}\n" for name, kept in hashes.items())


def _center(site: str) -> str:
    reads = [of(site, "+") for of in (topics.status, topics.events, topics.whitelist)]
    writes = [topics.ack(site, "+"), topics.command(site, "+"), f"{topics.ROOT}/{site}/whitelist/#"]
    return _user(
        "the center",
        CENTER,
        [*(f"read {topic}" for topic in (*reads, topics.reply(site, "+", "+"))), *(f"readwrite {t}" for t in writes)],
    )


def _gate(site: str, gate: str) -> str:
    both = topics.status(site, gate)
    writes = [topics.events(site, gate), topics.whitelist(site, gate), topics.reply(site, gate, "+")]
    reads = [topics.ack(site, gate), topics.command(site, gate), f"{topics.ROOT}/{site}/whitelist/#"]
    lines = [f"readwrite {both}", *(f"write {topic}" for topic in writes), *(f"read {topic}" for topic in reads)]
    return _user(f"the gate {gate}", gate, lines)


def _technician(site: str, name: str) -> str:
    reads = [of(site, "+") for of in (topics.status, topics.whitelist)]
    reads += [topics.reply(site, "+", "+"), topics.repository(site)]
    lines = [*(f"read {topic}" for topic in reads), f"write {topics.command(site, '+')}"]
    return _user(f"the technician {name}", name, lines)


def _user(who: str, name: str, lines: Iterable[str]) -> str:
    return "\n".join((f"# {who}", f"user {name}", *(f"topic {line}" for line in lines), ""))
