"""Where `gatectl` registers gates and visitors: the center's database, opened for the length of a command."""

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from center.output import Failure, Status
from center.records.database import DatabaseAwayError, DatabaseVersionError
from center.records.store import GateError, Store
from center.site.folder import Site
from center.site.gates import Registry


class StoreRegistry:
    """The center's store as `center.site.gates` needs it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add_gate(self, name: str, voucher_key: bytes, voucher_until: datetime) -> None:
        """From now on this key vouches for the gate's keys, once; those of a gate that is known count no more."""
        until, now = voucher_until.timestamp(), datetime.now(UTC).timestamp()
        try:
            self._store.add_gate(name, voucher_key, until, now)
        except GateError:
            self._store.replace_gate(name, voucher_key, until, now)

    def shut_out(self, name: str) -> None:
        """Nothing that this gate says counts any more; what it has sent stays."""
        self._store.shut_out(name, datetime.now(UTC).timestamp())


@contextmanager
def registry(site: Site) -> Iterator[Registry]:
    """The registry of this site. Raises Failure where its database cannot be used."""
    with stored(site) as store:
        yield StoreRegistry(store)


@contextmanager
def stored(site: Site, *, read_only: bool = False) -> Iterator[Store]:
    """The center's store. Raises Failure where its database cannot be used."""
    _refuse_root(site)
    try:
        store = Store.open(site.database, site.name, read_only=read_only)
        try:
            yield store
        finally:
            store.close()
    except DatabaseAwayError as error:
        raise Failure(f"the database cannot be used just now: {error}", Status.UNREACHABLE) from error
    except DatabaseVersionError as error:
        raise Failure(str(error)) from error


def keys(site: Site) -> dict[str, bytes]:
    """The gates' Ed25519 keys by name, as far as the center has heard them. Raises Failure."""
    with stored(site, read_only=True) as store:
        return {name: key for name, key in sorted(store.all_keys().items()) if key is not None}


def _refuse_root(site: Site) -> None:
    """What root makes beside the database (SQLite's own files) the center could not write."""
    owner = site.folder.stat().st_uid
    if os.geteuid() == 0 and owner != 0:
        name = pwd.getpwuid(owner).pw_name
        raise Failure(f"the site belongs to {name}; run the command as that user: sudo -u {name} gatectl …")
