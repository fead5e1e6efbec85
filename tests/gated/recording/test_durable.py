"""Files that are whole whatever happens."""

import os
from pathlib import Path

import pytest

from gated.recording import durable


def test_a_written_file_holds_the_data_with_its_mode(tmp_path: Path) -> None:
    """The data are there, readable for the group only as asked, whatever the umask, and nothing else is."""
    mask = os.umask(0o077)
    try:
        durable.write(tmp_path / "a", b"one")
        durable.write(tmp_path / "a", b"two", mode=0o600)
        durable.write(tmp_path / "b", b"three")
    finally:
        os.umask(mask)
    assert (tmp_path / "a").read_bytes() == b"two"
    assert [(path.name, path.stat().st_mode & 0o777) for path in sorted(tmp_path.iterdir())] == [
        ("a", 0o600),
        ("b", 0o640),
    ]


@pytest.mark.parametrize("step", ["fsync", "rename"])
def test_a_failed_write_leaves_the_old_file_and_no_temporary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Whichever step fails, the old file stands and the folder holds nothing more."""
    path = tmp_path / "a"
    durable.write(path, b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    if step == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space left"):
        durable.write(path, b"new")
    assert [(found.name, found.read_bytes()) for found in tmp_path.iterdir()] == [("a", b"old")]


def test_file_and_folder_are_synced_around_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """First the file's bytes, then its name, then the folder."""
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def seen_fsync(descriptor: int) -> None:
        steps.append("folder" if Path(f"/proc/self/fd/{descriptor}").readlink() == tmp_path else "file")
        fsync(descriptor)

    def seen_replace(self: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", seen_fsync)
    monkeypatch.setattr(Path, "replace", seen_replace)
    durable.write(tmp_path / "a", b"data")
    assert steps == ["file", "rename", "folder"]


def test_clean_removes_what_killed_writes_left_and_nothing_else(tmp_path: Path) -> None:
    """Only temporaries of the files named go."""
    descriptor, left = durable.temporary_for(tmp_path / "list.json")
    os.close(descriptor)
    descriptor, other = durable.temporary_for(tmp_path / "config.json")
    os.close(descriptor)
    (tmp_path / "list.json").touch()
    durable.clean(tmp_path, "list*")
    assert not left.exists()
    assert sorted(tmp_path.iterdir()) == sorted([other, tmp_path / "list.json"])


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    """Nothing is made that was not asked for."""
    with pytest.raises(FileNotFoundError):
        durable.write(tmp_path / "no" / "a", b"")
