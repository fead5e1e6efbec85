"""A full disk: what is held can be read all the same, on a small tmpfs of its own, where one may be mounted."""

import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from center.__main__ import main
from center.records import database
from center.records.database import DatabaseAwayError
from center.records.store import Store
from tests.chain import SITE, FakeGate
from tests.desk import Desk

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MiB, with a center's configuration on it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no tmpfs may be mounted here, so no disk can be filled: {done.stderr.strip()}")
    (disk / "key").write_text("11" * 32)
    said = f'site = "{SITE}"\nbroker = "mqtt://127.0.0.1:1"\nkey = "file:{disk}/key"\nstate = "{disk}"\n'
    (disk / "center.toml").write_text(said)
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """The file that takes all that was free."""
    file = disk / "filler"
    with file.open("wb", buffering=0) as out:
        try:
            while out.write(bytes(4096)) == 4096:
                pass
        except OSError:
            pass
    return file


def opened(disk: Path) -> Store:
    """The center's database."""
    return Store.open(f"sqlite:///{disk}/center.db", SITE)


def reads(disk: Path, captured: Captured) -> None:
    """Everything that only reads works, and says what is held."""
    where = ["-c", str(disk / "center.toml")]
    assert [main([word, *where]) for word in ("status", "alarms", "verify")] == [0, 0, 0]
    captured.readouterr()
    assert main(["export", *where]) == 0
    assert len(captured.readouterr().out.splitlines()) == 50
    copy = disk.parent / "copy.db"
    assert main(["backup", str(copy), *where]) == 0
    copy.unlink()


@pytest.mark.parametrize("running", [False, True])
def test_a_full_disk_is_read(disk: Path, capsys: Captured, *, running: bool) -> None:
    """Whether a writer has it open, which can write nothing, or none; with room again it writes on."""
    with closing(opened(disk)) as store:
        desk = Desk(store)
        north = desk.add(FakeGate().passages(50))
        desk.send(north)
        if not running:
            store.close()
        filler = fill(disk)
        with pytest.raises(DatabaseAwayError):
            desk.send(north, north.passages(500).batch(51, 550))
        reads(disk, capsys)
        filler.unlink()
        desk.send(north, north.batch(51, 60))
        assert desk.count() == 60


def test_nobody_writes_meanwhile(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its shared memory SQLite could not tell what a writer changes: one that has room again waits."""
    monkeypatch.setattr(database, "TURN_S", 0.02)
    with closing(opened(disk)) as store:
        desk = Desk(store)
        north = desk.add(FakeGate().passages(50))
        desk.send(north, north.batch(1, 40))
        store.close()
        filler = fill(disk)
        with closing(database.readable(disk / "center.db")) as reading:
            filler.unlink()
            assert reading.execute("SELECT count(*) FROM event").fetchall() == [(40,)]
            with pytest.raises(DatabaseAwayError, match="another process"):
                desk.send(north)
        desk.send(north)
        assert desk.count() == 50


def test_what_cannot_be_read_says_what_to_do(disk: Path, capsys: Captured) -> None:
    """What a writer that was killed has left needs the shared memory: how much room is said."""
    with closing(opened(disk)) as store:
        desk = Desk(store)
        north = desk.add(FakeGate().passages(50))
        desk.send(north)
        for name in ("center.db", "center.db-wal"):
            (disk / f"of-{name}").write_bytes((disk / name).read_bytes())
    for name in ("center.db", "center.db-wal"):
        (disk / f"of-{name}").replace(disk / name)
    filler = fill(disk)
    assert main(["status", "-c", str(disk / "center.toml")]) == 3
    assert "center.db: disk I/O error; to read it SQLite makes a file of 32 KiB beside it" in capsys.readouterr().err
    filler.unlink()
    reads(disk, capsys)
