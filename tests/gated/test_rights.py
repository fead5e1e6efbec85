"""What the daemon's user may do, by the mode bits, whoever asks."""

import os
import pwd
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gated import rights
from gated.rights import Account

ANOTHER = Account("gated", 54_321, frozenset({65_432}))


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder below folders that everybody may enter, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize(
    ("mode", "owner", "group", "may"),
    [
        (0o700, 54_321, 1, True),
        (0o070, 54_321, 65_432, False),  # the owner's bits count for the owner, whatever the group has
        (0o070, 1, 65_432, True),
        (0o707, 1, 65_432, False),
        (0o007, 1, 1, True),
        (0o005, 1, 1, False),
        (0o770, 1, 1, False),
    ],
)
def test_the_first_class_that_fits_counts(mode: int, owner: int, group: int, may: bool) -> None:  # noqa: FBT001 - a parameter
    """Owner, then group, then all others, as in the kernel; root may everything."""
    facts = os.stat_result((0o040_000 | mode, 0, 0, 1, owner, group, 0, 0, 0, 0))
    assert ANOTHER.may(facts, os.W_OK | os.X_OK) is may
    assert Account("root", 0, frozenset()).may(facts, os.W_OK)


def test_what_is_in_the_way(folder: Path) -> None:
    """The folder itself, or one above it that may not be entered; named as it is."""
    inner = folder / "above" / "state"
    inner.mkdir(parents=True)
    inner.chmod(0o755)
    assert ANOTHER.hindrance(inner) == f"{inner} may not be written by gated"
    inner.chmod(0o777)
    assert ANOTHER.hindrance(inner) == ""
    inner.parent.chmod(0o700)
    assert ANOTHER.hindrance(inner) == f"{inner.parent} may not be entered by gated"
    (folder / "link").symlink_to(inner)
    assert ANOTHER.hindrance(folder / "link") == f"{inner.parent} may not be entered by gated"


def test_who_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon's user with all groups, where there is one; this process."""
    monkeypatch.setattr(rights, "USER", "no-such-user")
    assert Account.of_daemon() is None
    monkeypatch.setattr(rights, "USER", pwd.getpwuid(os.getuid()).pw_name)
    found = Account.of_daemon()
    assert found is not None
    assert found.uid == os.getuid() == Account.of_process().uid
    assert os.getgid() in found.groups
