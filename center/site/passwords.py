"""Passwords at the broker, hashed as mosquitto reads them: `$7$iterations$salt$hash`, PBKDF2 with SHA-512."""

import base64
import hashlib
import secrets
from typing import Final

_SALT_BYTES: Final = 12
_HASH_BYTES: Final = 64
_ITERATIONS: Final = 101
"""mosquitto_passwd's own number. All passwords are random and of 192 bits, so no guessing is to be slowed down, and
a broker that comes back is asked by every gate at once."""


def new_password() -> str:
    """A random password of 192 bits: letters, digits, - and _."""
    return secrets.token_urlsafe(24)


def hashed(password: str) -> str:
    """What stands in the broker's password file."""
    salt = secrets.token_bytes(_SALT_BYTES)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS, _HASH_BYTES)
    return f"$7${_ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def fits(password: str, kept: str) -> bool:
    """Whether `kept` is a hash of the password."""
    _, kind, iterations, salt, digest = kept.split("$")
    found = hashlib.pbkdf2_hmac("sha512", password.encode(), base64.b64decode(salt), int(iterations), _HASH_BYTES)
    return kind == "7" and secrets.compare_digest(found, base64.b64decode(digest))
