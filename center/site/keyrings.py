"""Whose signatures are to count from now on: one key exchanged, added or taken out. Pure.

Keys are counted from 1, as `gatectl site init` names their files.
"""

from dataclasses import replace

from center.publish.metadata import Keyring

SIGNER = "signer"
REGISTRAR = "registrar"
REPOSITORY = "repository"
SUSPENSIONS = "suspensions"
FIELD = {SIGNER: "signers", REGISTRAR: "registrars", REPOSITORY: "repository", SUSPENSIONS: "suspensions"}


class KeyringError(ValueError):
    """Such a key there is not, or such keys cannot be; the message says what would be right."""


def keys(keyring: Keyring, role: str) -> tuple[str, ...]:
    """The public keys of a role, lower-case hex."""
    found: tuple[str, ...] = getattr(keyring, FIELD[role])
    return found


def exchanged(keyring: Keyring, role: str, number: int, public: str) -> Keyring:
    """With this key in the place of that one. Raises KeyringError."""
    known = list(keys(keyring, role))
    _in(known, role, number)
    known[number - 1] = public
    return _with(keyring, role, known)


def added(keyring: Keyring, role: str, public: str) -> Keyring:
    """With one key more. Raises KeyringError."""
    return _with(keyring, role, [*keys(keyring, role), public])


def revoked(keyring: Keyring, role: str, number: int) -> Keyring:
    """Without that key. Raises KeyringError where too few would be left."""
    known = list(keys(keyring, role))
    _in(known, role, number)
    del known[number - 1]
    if role == SIGNER and len(known) < keyring.threshold:
        raise KeyringError(
            f"{keyring.threshold} must sign and {len(known)} would be left; exchange the key, or say --threshold"
        )
    return _with(keyring, role, known)


def _in(known: list[str], role: str, number: int) -> None:
    if not 1 <= number <= len(known):
        raise KeyringError(f"there is no {role} {number}; there are {len(known)}")


def _with(keyring: Keyring, role: str, known: list[str]) -> Keyring:
    if len(set(known)) != len(known):
        raise KeyringError(f"that key is a {role}'s already")
    changed: dict[str, tuple[str, ...]] = {FIELD[role]: tuple(known)}
    return replace(keyring, **changed)  # type: ignore[arg-type]
