"""A site's whitelist repository, opened from the site's folder, with the center's own keys; and who is changing it.

While an online key is replaced there are two, `online/ROLE.pem` and `online/ROLE-new.pem`: the one that the metadata
names is the one that signs. When the new one is in force it takes the old one's name (`settle`).
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tuf.api.metadata import Root, Targets

from center.publish import daily
from center.publish.bundle import Bundle
from center.publish.metadata import Keyring, read
from center.publish.repository import Online, Repository
from center.publish.vault import FolderVault
from center.site import files, keys, rotation
from center.site.files import SiteError
from center.site.folder import Site, save_facts

WAIT_S: Final = 15.0
"""How long a command waits for another one: renewing takes milliseconds, accepting a million entries seconds."""
_POLL_S: Final = 0.05
NEW: Final = "-new"


def repository(site: Site, bundle: Bundle | None = None) -> Repository:
    """The site's repository; with a bundle, as it is to be once that is accepted. Raises SiteError, PublishError."""
    return Repository(site.name, FolderVault(site.repository), _online(site, _wanted(site, bundle)))


def first_keyring(site: Site) -> Keyring:
    """Whose signatures are to count, for the first proposal. Raises SiteError."""
    public = site.keys
    return Keyring(
        signers=public.signers,
        threshold=site.facts.threshold,
        repository=public.repository,
        registrars=public.registrars,
        suspensions=public.suspensions,
    )


def settle(site: Site, held: Repository) -> None:
    """Let the site's folder say what the metadata says: whose keys count, and which online key is the one."""
    keyring = held.keyring
    if keyring is None:
        return
    public = site.keys
    named = public.model_copy(
        update={
            "signers": keyring.signers,
            "registrars": keyring.registrars,
            "repository": keyring.repository,
            "suspensions": keyring.suspensions,
        }
    )
    if named != public:
        site.save_keys(named)
    if site.facts.threshold != keyring.threshold:
        site.facts = site.facts.model_copy(update={"threshold": keyring.threshold})
        save_facts(site.folder, site.facts)
    for role, of in (("repository", keyring.repository), ("suspensions", keyring.suspensions)):
        new = site.folder / "online" / f"{role}{NEW}.pem"
        if new.exists() and keys.public_hex(keys.read(new)) in of:
            new.replace(site.folder / "online" / f"{role}.pem")
            files.sync_folder(new.parent)
    if (listed := held.gate_list) is not None:
        rotation.settle(site, listed.center)


@contextmanager
def changing(site: Site, wait_s: float = WAIT_S) -> Iterator[None]:
    """Nobody else changes the site meanwhile; waits for whoever does. Raises SiteError where that takes too long."""
    until = time.monotonic() + wait_s
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(site.changing())
            except SiteError:
                if time.monotonic() > until:
                    raise
                time.sleep(_POLL_S)
            else:
                break
        yield


@contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Whether the lock at `path` is ours now, until the block ends; waits for nobody."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, files.SECRET)
    try:
        held = True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held = False
        yield held
    finally:
        os.close(descriptor)


def _wanted(site: Site, bundle: Bundle | None) -> dict[str, set[str]]:
    """The public halves that the metadata names for the center's own keys; nothing where there is none yet."""
    vault = FolderVault(site.repository)
    held = Repository(site.name, vault, Online(keys.generate(), keys.generate())).held
    root = bundle.root if bundle is not None else read(Root, site.root).signed
    data = held.get(Targets.type)
    targets = bundle.targets if bundle is not None else read(Targets, data).signed if data is not None else None
    if targets is None:
        return {}
    named = daily.keyring(root, targets)
    return {"repository": set(named.repository), "suspensions": set(named.suspensions)}


def _online(site: Site, wanted: dict[str, set[str]]) -> Online:
    return Online(*(_key(site, role, wanted.get(role, set())) for role in ("repository", "suspensions")))


def _key(site: Site, role: str, wanted: set[str]) -> Ed25519PrivateKey:
    """The role's key that is wanted, of those that are there; else the one that was always there."""
    folder = site.folder / "online"
    first = keys.read(folder / f"{role}.pem")
    new = folder / f"{role}{NEW}.pem"
    if keys.public_hex(first) not in wanted and new.exists() and keys.public_hex(other := keys.read(new)) in wanted:
        return other
    return first
