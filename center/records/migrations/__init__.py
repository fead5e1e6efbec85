"""The database's versions, one file each in `versions/`, and how a database is brought to the newest.

Alembic, on a connection that holds a lock: two workers that start at once do it one after the other, and the second
finds it done. All in one transaction: a power cut leaves the old version or the new one.
"""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from center.records.database import Database, DatabaseVersionError

_LOCK: Final = 0x67617465  # "gate": any number that others are unlikely to take


def migrate(database: Database) -> tuple[str | None, str]:
    """Bring the database to the newest version; gives the version before and after.

    Raises DatabaseVersionError for one that a newer program has made, DatabaseAwayError if it cannot be written.
    """
    with database.transaction() as connection:
        if database.path is None:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        before = _version(connection)
        _refuse_newer(before)
        if before != newest():
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    return before, newest()


def check(database: Database) -> None:
    """Raises DatabaseVersionError unless the database is of this program's version."""
    with database.transaction() as connection:
        found = _version(connection)
    _refuse_newer(found)
    if found != newest():
        raise DatabaseVersionError(
            f"the database is at version {found or 'none'}, not {newest()}: gated-center migrate"
        )


def newest() -> str:
    """The newest version that this program knows."""
    version = ScriptDirectory.from_config(_config()).get_current_head()
    if version is None:
        raise RuntimeError("center/records/migrations/versions is not there: the installation is damaged")
    return version


def _version(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _refuse_newer(version: str | None) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if version is not None and version not in known:
        raise DatabaseVersionError(f"the database is at version {version}, which is newer than this program: update it")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
