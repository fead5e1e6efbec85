"""Installing an enrolment: the gate's own keys are made, on the box, and all of it is put in force at once.

The new set is written beside the old and takes its name when it is whole; `gated.talking.keys` says what it consists
of. The old set stays, as `center.old`, until the new one has worked: one that has not yet worked keeps no place of its
own. The same file a second time keeps the gate's keys: its voucher has vouched for those, and does so once.
"""

import json
import os
import shutil
import stat
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gated.recording import durable
from gated.talking import keys
from gated.talking.keys import FOLDER, OLD, CenterFacts
from protocol.enrolment import Enrolment, voucher_public

SECRET: Final = 0o600
SECRET_FOLDER: Final = 0o700
_DROPPED: Final = "center.dropped"


def install(state: Path, content: Enrolment) -> None:
    """Put the enrolment in force, with new keys of the gate. Raises OSError, and then all is as it was.

    (Where the very last step fails, the folder's fsync, the new set is in force; a power cut may bring the old back.)
    """
    with suppress(FileNotFoundError):  # what an earlier run left when power failed
        shutil.rmtree(state / _DROPPED)
    for left in state.glob(f".{FOLDER}.*.tmp"):
        shutil.rmtree(left)
    beside = Path(tempfile.mkdtemp(prefix=f".{FOLDER}.", suffix=".tmp", dir=state))
    try:
        _owned_as(state, beside)
        for name, data in (_files(content) | _vouched(state, content)).items():
            durable.write(beside / name, data, SECRET)
        _swap(state, beside)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def center_table(state: Path, content: Enrolment) -> dict[str, str]:
    """What `[center]` in the configuration has to say for it."""
    folder = state / FOLDER
    found = {"broker": content.broker, "username": content.username, "password": f"file:{folder / 'password'}"}
    return found | ({"ca": str(folder / "ca.pem")} if content.ca else {})


def as_toml(table: Mapping[str, str]) -> str:
    """The table as it is written. A basic string of TOML takes JSON's escapes."""
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in table.items()]
    return "\n".join(("[center]", *lines, ""))


def append(config: Path, text: str) -> None:
    """Add text to the configuration; its owner and mode stay. Raises OSError, and then it is as it was."""
    config = config.resolve()
    facts = config.stat()
    before = config.read_bytes()
    gap = b"\n" if before.endswith(b"\n") else b"\n\n"
    descriptor, temporary = durable.temporary_for(config, stat.S_IMODE(facts.st_mode))
    try:
        with os.fdopen(descriptor, "wb") as file:
            with suppress(PermissionError):  # only root may give a file away; anyone else is the owner already
                os.fchown(file.fileno(), facts.st_uid, facts.st_gid)
            file.write(before + gap + text.encode())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(config)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    durable.sync_folder(config.parent)


def _files(content: Enrolment) -> dict[str, bytes]:
    facts = CenterFacts(site=content.site, gate=content.gate, center=content.center, until=content.until)
    voucher = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(content.voucher))
    found = {
        "gate.key": _pem(Ed25519PrivateKey.generate()),
        "seal.key": _pem(X25519PrivateKey.generate()),
        "voucher.key": _pem(voucher),
        "center.json": facts.model_dump_json(indent=2).encode() + b"\n",
        "root.json": content.root,
        "password": content.password.encode() + b"\n",
        "pepper": content.pepper.encode() + b"\n",
    }
    return found | ({"ca.pem": content.ca.encode()} if content.ca else {})


def _vouched(state: Path, content: Enrolment) -> dict[str, bytes]:
    """The gate's keys in force, if this very file has installed them."""
    try:
        there = keys.load(state, site=content.site, gate=content.gate)
    except keys.KeysError:
        return {}  # safe: there are none, or they are of no use
    mine = keys.one_time_public(state)
    if mine != voucher_public(content):
        return {}
    return {"gate.key": _pem(there.sign), "seal.key": _pem(there.seal)}


def _pem(key: Ed25519PrivateKey | X25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _swap(state: Path, beside: Path) -> None:
    """Three names, two renames; whatever moment power fails at, `center` or `center.old` is a whole set."""
    new, old, dropped = state / FOLDER, state / OLD, state / _DROPPED
    # An old set that is still there has worked, and the one in force has not.
    aside = dropped if old.is_dir() else old
    there = new.is_dir()
    if there:
        new.rename(aside)
    try:
        beside.rename(new)
    except BaseException:
        if there:
            aside.rename(new)
        raise
    durable.sync_folder(state)
    shutil.rmtree(dropped, ignore_errors=True)


def _owned_as(state: Path, folder: Path) -> None:
    owner = state.stat()
    folder.chmod(SECRET_FOLDER)
    with suppress(PermissionError):  # only root may give a folder away; anyone else is the owner already
        os.chown(folder, owner.st_uid, owner.st_gid)
