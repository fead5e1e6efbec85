"""The gate's keys and the center's, as `gated setup` has installed them in the state folder.

    center/gate.key      signs what the gate says (Ed25519)
    center/seal.key      opens what is sealed to the gate (X25519)
    center/voucher.key   the one-time key that vouches for the other two until the center lists them
    center/center.json   whose keys these are, and the center's public keys
    center/root.json     the whitelist repository's root, which the gate starts from
    center/ca.pem        the authority that vouches for the broker
    center/password      at the broker
    center/pepper        the site's secret in the hashes of guards' PINs

`center.old` is the set before, kept until the new one has worked (`settle`). If power fails while one is put in the
other's place, there may for once be only the old one; then that is loaded.
"""

import shutil
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from drivers.secret import file_of
from gated.recording import durable
from protocol.enrolment import VOUCHER_TIME, vouch
from protocol.message import Key, Name
from protocol.signature import public_bytes, public_key

FOLDER: Final = "center"
OLD: Final = "center.old"
_PASSWORD_MAX_BYTES: Final = 4096


class KeysError(Exception):
    """The keys cannot be used; the message says why and what to do."""


class KeysMissingError(KeysError):
    """The gate has never been set up with a center."""


class KeysForbiddenError(KeysError):
    """The keys may not be read by this user, who is not the daemon's."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} may not be read; it belongs to the daemon's user: sudo -u gated gated …")


class CenterFacts(BaseModel):
    """center.json."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: Literal[1] = 1
    site: Name
    gate: Name
    center: Annotated[tuple[Key, ...], Field(min_length=1)]
    """The center's Ed25519 public keys."""
    until: AwareDatetime
    """Until when the center takes the voucher."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What the gate signs, opens and checks with."""

    site: str
    gate: str
    sign: Ed25519PrivateKey = field(repr=False)
    """The gate's own key."""
    seal: X25519PrivateKey = field(repr=False)
    """The gate's own key for what is sealed to it."""
    center: tuple[Ed25519PublicKey, ...]
    """The center's keys, as the enrolment file had them; `gated.talking.listed` says which hold now."""
    issued: datetime
    """When that file was made."""
    root: bytes = field(repr=False)
    """The whitelist repository's root, as it was when the gate was set up."""
    pepper: bytes = field(repr=False)
    """The site's secret in the hashes of guards' PINs."""
    voucher: str = field(repr=False)
    """The one-time key's signature over both public keys, as it stands in the gate's status."""

    @property
    def sign_public(self) -> bytes:
        """The public half of `sign`, 32 bytes."""
        return public_bytes(self.sign)

    @property
    def seal_public(self) -> bytes:
        """The public half of `seal`, 32 bytes."""
        return self.seal.public_key().public_bytes_raw()


def load(state: Path, *, site: str, gate: str) -> Keys:
    """The keys in this state folder, for this gate. Raises KeysError."""
    folder = current(state)
    facts = _facts(folder / "center.json")
    if (facts.site, facts.gate) != (site, gate):
        raise KeysError(
            f"the keys in {folder} are those of gate {facts.gate} of {facts.site}, and the configuration says "
            f"gate {gate} of {site}; correct it, or set the gate up anew: sudo gated setup FILE"
        )
    sign, one_time = _signing(folder / "gate.key"), _signing(folder / "voucher.key")
    seal = _private(folder / "seal.key")
    if not isinstance(seal, X25519PrivateKey):
        raise _damaged(folder / "seal.key")
    sealed = seal.public_key().public_bytes_raw()
    try:
        center = tuple(public_key(bytes.fromhex(key)) for key in facts.center)
        pepper = bytes.fromhex(_bytes(folder / "pepper").decode())
        issued = facts.until - VOUCHER_TIME
    except (ValueError, OverflowError) as error:
        raise _damaged(folder) from error
    return Keys(
        site=site,
        gate=gate,
        sign=sign,
        seal=seal,
        center=center,
        issued=issued,
        root=_bytes(folder / "root.json"),
        pepper=pepper,
        voucher=vouch(one_time, site=site, gate=gate, key=public_bytes(sign), seal=sealed),
    )


def one_time_public(state: Path) -> bytes:
    """The one-time key's public half, 32 bytes: says which enrolment file the keys came with. Raises KeysError."""
    return public_bytes(_signing(current(state) / "voucher.key"))


def current(state: Path) -> Path:
    """The folder of the keys in force; the old ones where power failed between the two. Raises KeysError."""
    for name in (FOLDER, OLD):
        try:
            if (state / name).is_dir():
                return state / name
        except PermissionError as error:
            raise KeysForbiddenError(state / name) from error
    raise KeysMissingError(f"the gate is not set up with a center: {state / FOLDER} is missing; sudo gated setup FILE")


def settle(state: Path) -> None:
    """The keys have worked: the ones before are no longer needed."""
    if (state / FOLDER).is_dir() and (state / OLD).is_dir():
        shutil.rmtree(state / OLD)
        durable.sync_folder(state)


def broker_password(password: str) -> str:
    """The password that `center.password` in the configuration points to. Raises KeysError."""
    try:
        path = file_of(password)
    except LookupError as error:
        raise KeysError(f"there is no password for the broker: {error}") from error
    try:
        return _bytes(path)[:_PASSWORD_MAX_BYTES].decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise KeysError(f"the password in {path} is no text; write it anew, or: sudo gated setup FILE") from error


def _facts(path: Path) -> CenterFacts:
    try:
        return CenterFacts.model_validate_json(_bytes(path))
    except ValidationError as error:
        raise _damaged(path) from error


def _signing(path: Path) -> Ed25519PrivateKey:
    key = _private(path)
    if not isinstance(key, Ed25519PrivateKey):
        raise _damaged(path)
    return key


def _private(path: Path) -> object:
    try:
        return load_pem_private_key(_bytes(path), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _damaged(path) from error


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except PermissionError as error:
        raise KeysForbiddenError(path) from error
    except OSError as error:
        raise KeysError(
            f"{path} cannot be read: {error.strerror}; set the gate up anew: sudo gated setup FILE"
        ) from error


def _damaged(path: Path) -> KeysError:
    return KeysError(f"{path} is damaged; set the gate up anew: on the center gatectl gate replace, here gated setup")
