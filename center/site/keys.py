"""A site's Ed25519 keys, and who holds them.

- *signers*: the committee's, offline. They sign who else may sign, and the lists. One file each, under a passphrase;
  the file is carried away and the site's folder keeps the public half only.
- *registrars*: the office's, three; two of them together may add entries for a while. Under a passphrase each, too.
- online, without a passphrase, for the center's own processes: *center* (answers to gates), *repository* (the list's
  snapshot and timestamp) and *suspensions* (takes a card out of force at once).

Besides there is the *registry*'s X25519 key, in `registry.pem`: it opens what e-IDs say of their holders
(`protocol.eid`), at the desks that have a copy.

`keys.json` names all public halves but that one. A role of the center's may have several while one is replaced by
another.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from pydantic import BaseModel, ConfigDict, Field

from center.site import files
from center.site.files import SiteError
from protocol.message import Key
from protocol.signature import public_bytes

ONLINE: Final = ("center", "repository", "suspensions")
REGISTRARS: Final = 3
REGISTRY: Final = "registry.pem"

Keys = Annotated[tuple[Key, ...], Field(min_length=1)]


class PublicKeys(BaseModel):
    """All public halves, by role."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    signers: Keys
    registrars: Keys
    center: Keys
    repository: Keys
    suspensions: Keys
    former: tuple[Key, ...] = ()
    """Those that the center had before, in whose signatures the database's checkpoints are still believed."""

    @property
    def of_center(self) -> tuple[Key, ...]:
        """All keys that the center has signed checkpoints with."""
        return (*self.center, *self.former)


def generate() -> Ed25519PrivateKey:
    """A new key."""
    return Ed25519PrivateKey.generate()


def public_hex(key: Ed25519PrivateKey) -> str:
    """The public half as files and messages write it."""
    return public_bytes(key).hex()


def write(path: Path, key: Ed25519PrivateKey | X25519PrivateKey, passphrase: str | None = None) -> None:
    """Keep the private key in a PEM file, under a passphrase where one is given."""
    how: KeySerializationEncryption = NoEncryption()
    if passphrase is not None:
        how = BestAvailableEncryption(passphrase.encode())
    files.write(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how))


def read(path: Path, passphrase: str | None = None) -> Ed25519PrivateKey:
    """The private key in the file. Raises SiteError."""
    key = _read(path, passphrase)
    if not isinstance(key, Ed25519PrivateKey):
        raise SiteError(f"the key {path} is no Ed25519 key")
    return key


def read_registry(path: Path) -> X25519PrivateKey:
    """The registry's private key in the file. Raises SiteError."""
    key = _read(path, None)
    if not isinstance(key, X25519PrivateKey):
        raise SiteError(f"the key {path} is no registry's key (X25519)")
    return key


def make_registry(folder: Path) -> None:
    """The registry's key, where the site has none yet."""
    if not (folder / REGISTRY).exists():
        write(folder / REGISTRY, X25519PrivateKey.generate())


def _read(path: Path, passphrase: str | None) -> object:
    try:
        return load_pem_private_key(path.read_bytes(), None if passphrase is None else passphrase.encode())
    except OSError as error:
        raise SiteError(f"the key {path} cannot be read: {error.strerror}") from error
    except TypeError as error:
        wanted = "needs a passphrase" if passphrase is None else "has no passphrase"
        raise SiteError(f"the key {path} {wanted}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        why = "is no key" if passphrase is None else "cannot be opened: the passphrase is wrong, or the file damaged"
        raise SiteError(f"the key {path} {why}") from error


def write_all(
    folder: Path, offline: Mapping[str, Mapping[str, str]], made: Mapping[str, list[Ed25519PrivateKey]]
) -> None:
    """Write each role's keys: `offline[role]` maps a file's name to its passphrase, in the order of `made[role]`."""
    for role, passphrases in offline.items():
        below = folder / role
        below.mkdir(mode=files.SECRET_FOLDER)
        for (name, passphrase), key in zip(passphrases.items(), made[role], strict=True):
            write(below / f"{name}.pem", key, passphrase)
    (folder / "online").mkdir(mode=files.SECRET_FOLDER)
    for role in ONLINE:
        write(folder / "online" / f"{role}.pem", made[role][0])
    public = PublicKeys.model_validate({role: [public_hex(key) for key in of] for role, of in made.items()})
    files.write(folder / "keys.json", public.model_dump_json(indent=2).encode() + b"\n")
