"""The configuration of the center: one TOML file, the same for all its programs.

`load` gives a frozen `Config` or raises `ConfigError` with every error at once. It reads no key and no password, so
that every command can use it; those are read when they are needed, and complain in the same words.
"""

import os
import tomllib
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from center.broker import Account
from center.config_problem import ConfigError, ConfigUnreadableError, Problem, of_pydantic, shown
from protocol.topics import NAME_PATTERN

DEFAULT_PATH: Final = Path("/etc/gated/center.toml")
DEFAULT_STATE: Final = Path("/var/lib/gated-center")
_KEY_HEX: Final = 64


def _broker(url: str) -> str:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = 0
    bare = not (parts.path or parts.query or parts.fragment or parts.username)
    if parts.scheme not in {"mqtt", "mqtts"} or not parts.hostname or port == 0 or not bare:
        raise ValueError('"mqtts://host:port" (or "mqtt://…", unencrypted) would be right')
    return url


def _database(url: str) -> str:
    try:
        kind = make_url(url).get_backend_name()
    except ArgumentError:
        kind = ""
    if kind not in {"sqlite", "postgresql"} or (kind == "sqlite" and not make_url(url).database):
        raise ValueError('"sqlite:////path/center.db" or "postgresql://user@host/database" would be right')
    return url


def _secret(where: str) -> str:
    scheme, _, rest = where.partition(":")
    if scheme not in {"file", "credential"} or not rest:
        raise ValueError('"file:/path" or "credential:NAME" would be right')
    return where


def _default_state() -> Path:
    return Path(os.environ.get("STATE_DIRECTORY", "").split(":")[0] or DEFAULT_STATE)


Text = Annotated[str, Field(strict=True)]
Days = Annotated[int, Field(strict=True, ge=7, le=36_500)]


class Keep(BaseModel):
    """How many days things are kept here; `gated-center prune` removes what is older."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    events: Days = 180
    """Events, by the time at which they happened."""
    quarantine: Days = 180
    """Batches in quarantine, since they came."""
    alarms: Days = 365
    """Alarms, since somebody has acknowledged them."""


class Config(BaseModel):
    """One center."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    site: Annotated[Text, StringConstraints(pattern=NAME_PATTERN)]
    """The community's name: small letters, digits and -."""
    broker: Annotated[Text, AfterValidator(_broker)]
    """The MQTT broker: "mqtts://host:port", or "mqtt://host:port" on this machine."""
    username: Text | None = None
    """The center's account at the broker."""
    password: Annotated[Text, AfterValidator(_secret)] | None = None
    """Where that account's password is: "file:/path" or "credential:NAME"."""
    ca: Path | None = None
    """The certificate that the broker's is checked against; without it, those of the system."""
    state: Path = Field(default_factory=_default_state)
    """The folder for the database and what else the center keeps."""
    database: Annotated[Text, AfterValidator(_database)] | None = None
    """The database's URL; without it, SQLite in the state folder."""
    key: Annotated[Text, AfterValidator(_secret)]
    """Where the center's online key is, Ed25519, 64 hex digits or PEM: "file:/path" or "credential:NAME"."""
    site_folder: Path | None = None
    """The site's folder, made by `gatectl site init`: this center then publishes its whitelist. One center does."""
    workers: Annotated[bool, Field(strict=True)] = False
    """true: several workers share the batches (the broker must know `$share`; needs PostgreSQL)."""
    keep: Keep = Keep()
    """How many days things are kept."""

    @property
    def database_url(self) -> str:
        """Where the database is."""
        return self.database or f"sqlite:///{self.state.absolute() / 'center.db'}"


def load(path: Path) -> Config:
    """The configuration in `path`. Raises ConfigError with everything that is wrong."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        right = "name another file with -c FILE, or copy config/center.toml there"
        raise ConfigUnreadableError(path, [Problem("", f"cannot be read: {error.strerror}", right)]) from error
    except ValueError as error:
        raise ConfigError(path, [Problem("", f"is no TOML: {error}", "correct it there")]) from error
    try:
        config = Config.model_validate(document)
    except ValidationError as error:
        raise ConfigError(path, of_pydantic(error, Config)) from error
    if config.workers and config.database_url.startswith("sqlite"):
        right = 'false, or database = "postgresql://…", would be right'
        raise ConfigError(path, [Problem("workers", "found true with SQLite", right)])
    return config


def account(config: Config, path: Path) -> Account:
    """The center's account at the broker. Raises ConfigError where the password cannot be read."""
    password = None if config.password is None else _read(config.password, path, "password").decode().rstrip("\r\n")
    ca = None if config.ca is None else str(config.ca)
    return Account(config.broker, config.username, password, ca)


def online_key(config: Config, path: Path) -> Ed25519PrivateKey:
    """The key that signs what the center says. Raises ConfigError where there is none."""
    data = _read(config.key, path, "key").strip()
    try:
        if len(data) == _KEY_HEX:
            return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(data.decode()))
        key = load_pem_private_key(data, None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        right = "an Ed25519 key, 64 hex digits or PEM without passphrase, would be right"
        raise ConfigError(path, [Problem("key", f"{config.key} holds something else", right)])
    return key


def _read(where: str, path: Path, key: str) -> bytes:
    scheme, _, rest = where.partition(":")
    file = Path(rest)
    if scheme == "credential":
        file = Path(os.environ.get("CREDENTIALS_DIRECTORY", "/run/credentials")) / rest
    try:
        return file.read_bytes()
    except OSError as error:
        problem = Problem(
            key, f"found {shown(where)}: {file}: {error.strerror}", "a file that can be read would be right"
        )
        raise ConfigError(path, [problem]) from error
