"""A site's folder, opened: where everything is, and what is in it.

    site.json        its name, its broker, how many must sign
    keys.json        all public keys; center.site.keys says whose
    accounts.json    who has an account at the broker, and each gate's voucher
    repository/      the whitelist repository: `center.publish` keeps it; its newest N.root.json goes to new boxes
    center.toml      a configuration for gated-center
    pepper           the site's secret in the hashes of guards' PINs, hex
    signers/N.pem    offline keys, under a passphrase each: to be carried away
    registrars/N.pem the registrars' keys, under a passphrase each
    registry.pem     opens what e-IDs say of their holders; a copy is at each desk that issues or reads them
    online/          the center's own keys, and its password at the broker
    authority/       the certificate authority
    broker/          the broker's files, made from all this
    center.db        the center's database, where no other is named
    gates/           enrolment files
    technicians/     profile files

One command changes it at a time (`changing`). accounts.json is what counts; the broker's files follow from it.
"""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal, Self, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from center.site import authority, broker, files, passwords
from center.site.files import SiteError
from center.site.keys import PublicKeys
from protocol import broker_url
from protocol.message import Key, Name
from protocol.topics import NAME_PATTERN

VERSION: Final = 1
STATE: Final = "state"
REPOSITORY: Final = "repository"
_Model = TypeVar("_Model", bound=BaseModel)


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Facts(_File):
    """site.json."""

    version: Literal[1] = 1
    site: Name
    broker: str
    """The broker's address, as gates are told it."""
    hosts: Annotated[tuple[str, ...], Field(min_length=1)]
    """The names and addresses in the broker's certificate."""
    threshold: Annotated[int, Field(ge=1)]
    """How many signers must sign."""
    database: str | None = None
    """The database's URL; without one, center.db in the site's folder."""


class Account(_File):
    """Somebody at the broker."""

    kind: Literal["center", "gate", "technician"]
    password: str
    """The hash that the broker reads."""
    since: AwareDatetime
    voucher: Key | None = None
    """A gate's one-time key, its public half."""
    until: AwareDatetime | None = None
    """Until when that counts."""


class Accounts(_File):
    """accounts.json."""

    accounts: dict[Name, Account]

    def of(self, kind: str) -> dict[str, Account]:
        """Those of one kind, by name."""
        return {name: account for name, account in sorted(self.accounts.items()) if account.kind == kind}

    def known(self, name: str, kind: str) -> Account:
        """That one. Raises SiteError where there is none of this kind and name."""
        known = self.of(kind)
        if name not in known:
            raise SiteError(f"there is no {kind} {name}; there are: {', '.join(known) or 'none'}")
        return known[name]

    def refuse_taken(self, name: str) -> None:
        """Raises SiteError where it is no name, or another's."""
        if not re.fullmatch(NAME_PATTERN, name):
            raise SiteError(f"{name!r} is no name: 1 to 40 small letters, digits and - would be right")
        taken = self.accounts.get(name)
        if taken is not None:
            what = {"gate": f"for a new box: gatectl gate replace {name}"}
            what["technician"] = f"for a new file: gatectl technician replace {name}"
            raise SiteError(f"the {taken.kind} {name} is there already; {what.get(taken.kind, 'take another')}")

    def with_(self, name: str, account: Account) -> "Accounts":
        """The same with this account put in, or in another's place."""
        return Accounts(accounts={**self.accounts, name: account})

    def without(self, name: str) -> "Accounts":
        """The same without this account."""
        return Accounts(accounts={other: account for other, account in self.accounts.items() if other != name})


class Site:
    """A site's folder."""

    def __init__(self, folder: Path, facts: Facts) -> None:
        self.folder = folder
        self.facts = facts

    @classmethod
    def open(cls, folder: Path) -> Self:
        """The site in the folder. Raises SiteError."""
        path = folder / "site.json"
        if not path.exists():
            raise SiteError(f"{folder} is no site's folder; name it with -s DIR or $GATED_SITE, or: gatectl site init")
        return cls(folder, _read(path, Facts))

    @property
    def name(self) -> str:
        """The site's name."""
        return self.facts.site

    @property
    def database(self) -> str:
        """The database's URL."""
        return self.facts.database or f"sqlite:///{self.folder.absolute() / 'center.db'}"

    @property
    def keys(self) -> PublicKeys:
        """All public keys. Raises SiteError."""
        return _read(self.folder / "keys.json", PublicKeys)

    @property
    def accounts(self) -> Accounts:
        """Who has an account at the broker. Raises SiteError."""
        return _read(self.folder / "accounts.json", Accounts)

    @property
    def authority(self) -> authority.Pair:
        """The certificate authority. Raises SiteError."""
        below = self.folder / "authority"
        return authority.Pair(_bytes(below / "ca.pem"), _bytes(below / "ca.key"))

    @property
    def ca(self) -> str:
        """What whoever speaks to the broker is to trust, PEM; empty for a broker without TLS. Raises SiteError."""
        tls = broker_url.parse(self.facts.broker).tls
        return self.authority.certificate.decode() if tls else ""

    @property
    def server_certificate(self) -> bytes:
        """The broker's certificate, and its key behind it, PEM. Raises SiteError."""
        return _bytes(self.folder / "broker" / "server.pem")

    @property
    def pepper(self) -> str:
        """The site's secret in the hashes of guards' PINs, hex. Raises SiteError."""
        return _bytes(self.folder / "pepper").decode().strip()

    @property
    def repository(self) -> Path:
        """The folder of the whitelist repository."""
        return self.folder / REPOSITORY

    @property
    def root(self) -> bytes:
        """The whitelist repository's newest root, from which a new box starts. Raises SiteError."""
        found = {int(path.name.partition(".")[0]): path for path in self.repository.glob("[0-9]*.root.json")}
        if not found:
            raise SiteError(f"{self.repository} has no root: the signers have not signed a first one")
        return _bytes(found[max(found)])

    @property
    def center_password(self) -> str:
        """The center's own password at the broker. Raises SiteError."""
        return _bytes(self.folder / "online" / "password").decode().strip()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Nobody else changes the folder meanwhile. Raises SiteError where somebody does."""
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise SiteError(f"another command is changing {self.folder}; try again when it is done") from error
        finally:
            os.close(descriptor)

    def save_keys(self, keys: PublicKeys) -> None:
        """Other public keys, from now on."""
        files.write(self.folder / "keys.json", keys.model_dump_json(indent=2).encode() + b"\n")

    def save_accounts(self, accounts: Accounts) -> None:
        """Other accounts, from now on; the broker's files follow."""
        save_accounts(self.folder, accounts)
        self.write_rules(self.folder / "broker")

    def write_rules(self, folder: Path) -> None:
        """The broker's rules and passwords, into a folder of its own."""
        accounts = self.accounts
        rules = broker.rules(self.name, gates=accounts.of("gate"), technicians=accounts.of("technician"))
        hashes = {name: account.password for name, account in sorted(accounts.accounts.items())}
        files.write(folder / "mosquitto.acl", rules.encode())
        files.write(folder / "passwords", broker.password_file(hashes).encode())

    def write_configuration(self, folder: Path, *, as_folder: Path, state: Path) -> None:
        """mosquitto.conf, into `folder`; it is to be read from `as_folder`."""
        address = broker_url.parse(self.facts.broker)
        text = broker.configuration(self.name, folder=as_folder, state=state, port=address.port, tls=address.tls)
        files.write(folder / "mosquitto.conf", text.encode())

    def renew_password(self, now: datetime) -> None:
        """Another password for the center's own account, in `online/password`; the broker's files follow.

        The file first, then the account: what fails on the way can be done again.
        """
        password = passwords.new_password()
        files.write(self.folder / "online" / "password", password.encode() + b"\n")
        account = Account(kind="center", password=passwords.hashed(password), since=now)
        self.save_accounts(self.accounts.with_(broker.CENTER, account))

    def renew_certificate(self, now: datetime) -> datetime:
        """A new certificate and key for the broker; until when they are valid."""
        pair = authority.make_server(self.authority, self.facts.hosts, now)
        files.write(self.folder / "broker" / "server.pem", pair.both)
        return authority.ends(pair.certificate)


def save_facts(folder: Path, facts: Facts) -> None:
    """Write site.json."""
    files.write(folder / "site.json", facts.model_dump_json(indent=2).encode() + b"\n")


def save_accounts(folder: Path, accounts: Accounts) -> None:
    """Write accounts.json."""
    text = accounts.model_dump_json(indent=2, exclude_none=True)
    files.write(folder / "accounts.json", text.encode() + b"\n")


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SiteError(f"{path} cannot be read: {error.strerror}") from error


def _read(path: Path, model: type[_Model]) -> _Model:
    try:
        return model.model_validate_json(_bytes(path))
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in detail["loc"])
        raise SiteError(f"{path} is damaged ({where or 'the file'}: {detail['msg']}); take it from a backup") from error
