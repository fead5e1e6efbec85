"""One daemon a state folder: the second is refused and told who has it."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gated.recording import folder
from gated.recording.folder import LOCK, FolderTakenError, holding

SINCE = "2026-11-25T08:00:00+08:00"
HOLD = (
    "import sys, pathlib; from gated.recording.folder import holding\n"
    "with holding(pathlib.Path(sys.argv[1]), 'noon'): print('held', flush=True); sys.stdin.read()"
)


def test_the_second_is_refused(tmp_path: Path) -> None:
    """It is told the first one's pid and since when it runs; the first keeps the folder."""
    with holding(tmp_path, SINCE):
        for _ in range(2):
            with pytest.raises(FolderTakenError, match=rf"in use by gated run, pid {os.getpid()}, since {SINCE[:10]}"):
                holding(tmp_path, "later").__enter__()
        assert (tmp_path / LOCK).read_text() == f"gated run, pid {os.getpid()}, since {SINCE}\n"


def test_it_is_free_afterwards(tmp_path: Path) -> None:
    """Also after an error; who comes then writes its own name, however short."""
    with pytest.raises(ZeroDivisionError), holding(tmp_path, SINCE * 2):
        raise ZeroDivisionError
    with holding(tmp_path, "now"):
        assert (tmp_path / LOCK).read_text() == f"gated run, pid {os.getpid()}, since now\n"


def test_one_that_was_killed_holds_nothing(tmp_path: Path) -> None:
    """The lock goes with the process, whatever its file still says."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(folder.__file__).parent.parent.parent,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(FolderTakenError, match=f"pid {other.pid}, since noon"):
            holding(tmp_path, SINCE).__enter__()
        other.kill()
        other.wait(10)
        with holding(tmp_path, SINCE):
            assert f"pid {os.getpid()}" in (tmp_path / LOCK).read_text()


def test_a_child_does_not_inherit_it(tmp_path: Path) -> None:
    """What the daemon starts must not hold the folder when the daemon has ended."""
    with holding(tmp_path, SINCE):
        lock = (tmp_path / LOCK).stat()
        held = [int(name) for name in os.listdir("/proc/self/fd") if _same(int(name), lock)]  # noqa: PTH208 - numbers
        assert held
        assert not any(os.get_inheritable(descriptor) for descriptor in held)


def _same(descriptor: int, other: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), other)
    except OSError:
        return False


def test_a_read_only_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is held all the same, by the file that is there; where there is none it says so."""
    (tmp_path / LOCK).write_text("gated run, pid 1, since yesterday\n")
    really = os.open

    def read_only(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & (os.O_RDWR | os.O_WRONLY | os.O_CREAT):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return really(path, flags, mode)

    monkeypatch.setattr(os, "open", read_only)
    with holding(tmp_path, SINCE), pytest.raises(FolderTakenError, match="in use by"):
        holding(tmp_path, SINCE).__enter__()
    (tmp_path / LOCK).unlink()
    with pytest.raises(FileNotFoundError):
        holding(tmp_path, SINCE).__enter__()


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Held without a name: the second is still refused."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with holding(tmp_path, SINCE), pytest.raises(FolderTakenError, match="in use by another process"):
        holding(tmp_path, SINCE).__enter__()
