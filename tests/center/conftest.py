"""What the center's tests share: both databases, and stores in them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from center.records.store import Store
from tests.chain import SITE
from tests.postgres import Postgres

Opener = Callable[[], Store]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL cluster, one for all tests that do not stop it."""
    with Postgres() as cluster:
        yield cluster


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database that is not there yet, of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'center.db'}"
    cluster: Postgres = request.getfixturevalue("postgres")
    return cluster.new_database()


@pytest.fixture
def opener(url: str) -> Iterator[Opener]:
    """Opens the store, as often as wanted."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(Store.open(url, SITE)))


@pytest.fixture
def store(opener: Opener) -> Store:
    """A store without gates."""
    return opener()
