"""The site's operators and registrars: whose commands and whose e-IDs gates take, and the proposals that make it so.

    operators.json       in the site's folder: who is meant to be one
    operators/NAME.pem   a new key, under its holder's passphrase: to be carried away

What is meant comes into force when the signers have signed it: each change proposes the whole of `operators.json`, so
that the newest proposal has all that went before. Until then gates go by what was signed last.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from center.publish.metadata import PublishError
from center.publish.opened import first_keyring, repository
from center.publish.proposal import Changes
from center.site import files, keys
from center.site.files import SiteError
from center.site.folder import Site
from protocol.message import MessageError
from protocol.operators import (
    ACTIONS,
    DOCUMENT,
    EVERY,
    OperatorEntry,
    OperatorsDocument,
    RegistrarEntry,
    encode,
)

FOLDER: Final = "operators"
PROPOSALS: Final = "proposals"

Propose = Callable[[Mapping[str, bytes], datetime], bytes]
"""Makes a bundle of these documents for the signers (`center.publish.bundle`). Raises PublishError."""


@dataclass(frozen=True, slots=True)
class Proposed:
    """What a change has made: the bundle to be signed, and the new key's file."""

    bundle: Path
    key: Path | None = None


def meant(site: Site) -> OperatorsDocument:
    """Who is meant to be an operator. Raises SiteError."""
    path = site.folder / DOCUMENT
    if not path.exists():
        return OperatorsDocument()
    try:
        return OperatorsDocument.from_bytes(path.read_bytes())
    except MessageError as error:
        raise SiteError(f"{path} is damaged ({error}); take it from a backup") from error


def add(
    site: Site,
    name: str,
    propose: Propose,
    now: datetime,
    *,
    may: Sequence[str],
    public: str | None = None,
    passphrase: str = "",
    gates: Sequence[str] = (EVERY,),
    lanes: Sequence[str] = (EVERY,),
    key_file: Path | None = None,
    bundle: Path | None = None,
) -> Proposed:
    """A new operator, with the public half of a key of their own, or with a new key under `passphrase`.

    Raises SiteError, PublishError; then nothing has changed but the new key's file.
    """
    if unknown := sorted(set(may) - set(ACTIONS)):
        raise SiteError(f"there is no {unknown[0]!r} that one may; there are: {', '.join(ACTIONS)}")
    with site.changing():
        known = meant(site).operators
        if any(one.name == name for one in known):
            raise SiteError(f"the operator {name} is there already; remove it first, or take another name")
        key = keys.generate() if public is None else None
        try:
            entry = OperatorEntry(
                name=name,
                key=keys.public_hex(key) if key is not None else public,
                may=tuple(may),
                gates=tuple(gates),
                lanes=tuple(lanes),
            )
        except ValidationError as error:
            raise SiteError(f"{name!r} is no name: 1 to 40 small letters, digits and - would be right") from error
        path = None
        if key is not None:
            path = key_file or _made(site.folder / FOLDER) / f"{name}.pem"
            files.refuse_existing(path)
            keys.write(path, key, passphrase)
        made = _change(site, {"operators": (*known, entry)}, propose, now, bundle)
    return Proposed(made, path)


def remove(site: Site, name: str, propose: Propose, now: datetime, *, bundle: Path | None = None) -> Proposed:
    """An operator no more, once it is signed. Raises SiteError, PublishError; then nothing has changed."""
    with site.changing():
        known = meant(site).operators
        left = tuple(one for one in known if one.name != name)
        if len(left) == len(known):
            there = ", ".join(one.name for one in known) or "none"
            raise SiteError(f"there is no operator {name}; there are: {there}")
        return Proposed(_change(site, {"operators": left}, propose, now, bundle))


def trust(
    site: Site, name: str, public: str, propose: Propose, now: datetime, *, bundle: Path | None = None
) -> Proposed:
    """A registrar's key whose e-IDs gates are to take. Raises SiteError, PublishError; then nothing has changed.

    A site that has no registry's key yet is given one.
    """
    with site.changing():
        known = meant(site).registrars
        if taken := next((one for one in known if name == one.name or public == one.key), None):
            raise SiteError(f"the registrar {taken.name} is there already, under this name or with this key")
        try:
            entry = RegistrarEntry(name=name, key=public)
        except ValidationError as error:
            raise SiteError(f"{name!r} is no name: 1 to 40 small letters, digits and - would be right") from error
        made = _change(site, {"registrars": (*known, entry)}, propose, now, bundle)
        keys.make_registry(site.folder)
        return Proposed(made)


def distrust(
    site: Site, name: str, propose: Propose, now: datetime, *, retire: bool, bundle: Path | None = None
) -> Proposed:
    """A registrar's key no more: `retire` lets cards that a list has go on. Raises as `trust` does."""
    with site.changing():
        known = meant(site).registrars
        if all(one.name != name for one in known):
            there = ", ".join(one.name for one in known) or "none"
            raise SiteError(f"there is no registrar {name}; there are: {there}")
        left = tuple(one for one in known if one.name != name)
        if retire:
            left = tuple(one.model_copy(update={"retired": True}) if one.name == name else one for one in known)
        return Proposed(_change(site, {"registrars": left}, propose, now, bundle))


def proposing(site: Site) -> Propose:
    """Proposals to the site's own repository. Raises SiteError, PublishError."""
    held = repository(site)

    def propose(documents: Mapping[str, bytes], now: datetime) -> bytes:
        keyring = None if held.keyring is not None else first_keyring(site)
        return held.propose(Changes(documents=documents, keyring=keyring), now).to_bytes()

    return propose


def _change(site: Site, changed: Mapping[str, object], propose: Propose, now: datetime, bundle: Path | None) -> Path:
    """The bundle first: what cannot be proposed is not meant either."""
    data = encode(meant(site).model_copy(update=changed))
    made = propose({DOCUMENT: data}, now)
    path = bundle or _made(site.folder / PROPOSALS) / f"operators-{now:%Y%m%d-%H%M%S}.bundle"
    files.write(path, made)
    files.write(site.folder / DOCUMENT, data)
    return path


def _made(folder: Path) -> Path:
    folder.mkdir(mode=files.SECRET_FOLDER, exist_ok=True)
    return folder


__all__ = ["Proposed", "PublishError", "add", "distrust", "meant", "proposing", "remove", "trust"]
