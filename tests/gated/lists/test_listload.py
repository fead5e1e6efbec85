"""Loading a list: all or nothing, whatever happens."""

import errno
import fcntl
import hashlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

import pytest

from gated.lists.listfile import FILES
from gated.lists.listload import ERRORS_KEPT, LOCK, ListRefused, LoadError, LoadResult, load
from gated.lists.whitelist import Whitelist, read_info, verify
from protocol.credential import Credential
from protocol.whitelist import LINE_MAX_BYTES

ROOT = Path(__file__).parents[3]
NOW = "2026-11-24T08:00:00+08:00"
BATCH_LINES = 2000


def entry(number: int, holder: str = "h") -> str:
    """A line."""
    return f'{{"c":"em:{number:010X}","h":"{holder}"}}'


def quiet(*_: object) -> None:
    """Progress that nobody looks at."""


def put(folder: Path, text: str | bytes | Iterable[str], *, shrink: bool = False) -> LoadResult:
    """Load a list of these lines."""
    source = folder / "source"
    whole = text if isinstance(text, str | bytes) else "".join(f"{line}\n" for line in text)
    source.write_bytes(whole if isinstance(whole, bytes) else whole.encode())
    return load(folder, source, quiet, NOW, shrink=shrink)


def refused(folder: Path, text: str | bytes | Iterable[str]) -> list[tuple[int, str]]:
    """What a load of this says against it."""
    with pytest.raises(ListRefused) as caught:
        put(folder, text)
    return caught.value.lines


def holder(folder: Path, number: int) -> str | None:
    """Whose a credential is by the list in force."""
    with closing(Whitelist(folder)) as held:
        found = held.entry(Credential(f"em:{number:010X}"))
        return found.holder if found else None


def test_a_loaded_list_is_in_force(tmp_path: Path) -> None:
    """The result, the pointer and the lookups agree."""
    result = put(tmp_path, map(entry, range(5000)))
    info = read_info(tmp_path)
    assert info is not None
    assert result == LoadResult(info.version, 5000, None, 5000, 0, 0)
    assert info.version == f"local:{info.sha256}"
    assert info.file == f"list-{info.sha256[:12]}.db"
    assert (info.entries, info.as_of, info.loaded_at) == (5000, None, NOW)
    assert holder(tmp_path, 4999) == "h"
    assert verify(tmp_path) == ""


def test_the_version_is_that_of_the_lines_in_whatever_order_and_writing(tmp_path: Path) -> None:
    """Order, spaces, blank lines, byte order mark and line ends make no other list; a changed entry does."""
    first = put(tmp_path, "".join(f"{entry(n)}\n" for n in range(3)))
    canonical = b"".join(b'{"c":"em:000000000%d","h":"h"}\n' % n for n in range(3))
    assert first.version == f"local:{hashlib.sha256(canonical).hexdigest()}"
    shuffled = f"\n{entry(2)}\r\n  \n{entry(0)}\n".replace(":", ": ").replace("em: ", "em:") + entry(1)
    again = put(tmp_path, b"\xef\xbb\xbf" + shuffled.encode())
    assert again == LoadResult(first.version, 3, first.version, 0, 0, 0)
    assert put(tmp_path, [entry(0), entry(1), entry(2, "other")]).version != first.version


def test_added_removed_and_changed_are_counted(tmp_path: Path) -> None:
    """Against the list in force; a credential that is marked gone counts as removed, once."""
    before = put(tmp_path, map(entry, range(100)))
    gone = '{"c":"em:0000000003","gone":true}'
    expires = entry(2)[:-1] + ',"until":"2027-01-01T00:00:00Z"}'
    lines = [entry(0), entry(1, "moved"), expires, gone, *map(entry, range(5, 107))]
    result = put(tmp_path, lines)
    assert result == LoadResult(result.version, 106, before.version, 7, 2, 2)
    assert put(tmp_path, lines) == LoadResult(result.version, 106, result.version, 0, 0, 0)


def test_every_bad_line_is_named(tmp_path: Path) -> None:
    """All of them by number, counting blank lines, with both numbers of a doubled credential; nothing changes."""
    put(tmp_path, [entry(1, "old")])
    bad = refused(tmp_path, [entry(1), "", "{", entry(2), '{"c":"em:1","h":"a"}', entry(1), entry(2), entry(1)])
    assert [number for number, _ in bad] == [3, 5, 6, 7, 8]
    assert "not JSON" in bad[0][1]
    assert "not canonical" in bad[1][1]
    assert "em:0000000001 is in line 1 already" in bad[2][1]
    assert "em:0000000002 is in line 4 already" in bad[3][1]
    assert "is in line 1 already" in bad[4][1]
    assert holder(tmp_path, 1) == "old"


def test_a_list_of_errors_is_bounded(tmp_path: Path) -> None:
    """The first thousand are kept, all are counted, the message says how many."""
    with pytest.raises(ListRefused, match="refused: 3000 bad lines, line 1: not JSON") as caught:
        put(tmp_path, "nonsense\n" * 3000)
    assert (len(caught.value.lines), caught.value.count) == (ERRORS_KEPT, 3000)


def test_lines_without_end_are_bad_lines(tmp_path: Path) -> None:
    """However long a line is, it is one bad line, and what stands beyond its limit is not passed over."""
    long = entry(1) + " " * LINE_MAX_BYTES
    bad = refused(tmp_path, [entry(0), "x" * 1_000_000, entry(2), long + "nonsense", long + entry(3)])
    assert [number for number, _ in bad] == [2, 4, 5]
    assert all("at most" in reason for _, reason in bad)


def test_hours_and_lanes_that_the_gate_does_not_know_are_bad_lines(tmp_path: Path) -> None:
    """Named with those it knows; `always` and `*` it always knows."""
    source = tmp_path / "source"
    lines = [
        entry(0)[:-1] + ',"when":"always","lanes":["*"]}',
        entry(1)[:-1] + ',"when":"workdays","lanes":["walk-in"]}',
        entry(2)[:-1] + ',"when":"weekend"}',
        entry(3)[:-1] + ',"lanes":["walk-in","walk-inn"]}',
    ]
    source.write_text("\n".join(lines))
    with pytest.raises(ListRefused) as caught:
        load(
            tmp_path,
            source,
            quiet,
            NOW,
            known_whens=frozenset({"workdays"}),
            known_lanes=frozenset({"walk-in", "walk-out"}),
        )
    assert caught.value.lines == [
        (3, "when is 'weekend'; this gate knows always, workdays"),
        (4, "the lane 'walk-inn' is not one of this gate, which has walk-in, walk-out"),
    ]
    assert load(tmp_path, source, quiet, NOW).entries == 4


def test_a_list_that_loses_more_than_a_tenth_is_asked_for_twice(tmp_path: Path) -> None:
    """A tenth is taken, more only with shrink; other credentials in their place and `gone` marks are losses too."""
    put(tmp_path, map(entry, range(100)))
    [(line, reason)] = refused(tmp_path, map(entry, range(89)))
    assert line == 0
    assert reason.startswith("the list takes out 11 of 100 credentials")
    assert "--shrink" in reason
    refused(tmp_path, map(entry, range(50, 150)))
    gone = [f'{{"c":"em:{n:010X}","gone":true}}' for n in range(11)]
    refused(tmp_path, [*gone, *map(entry, range(11, 100))])
    assert holder(tmp_path, 0) == "h"
    assert put(tmp_path, map(entry, range(90))).removed == 10
    assert put(tmp_path, map(entry, range(9)), shrink=True).removed == 81


@pytest.mark.parametrize("text", ["", "\n \n", b"\xef\xbb\xbf"])
def test_an_empty_list_is_asked_for_twice(tmp_path: Path, text: str | bytes) -> None:
    """Even as the first one."""
    [(line, reason)] = refused(tmp_path, text)
    assert line == 0
    assert "no entry" in reason
    assert read_info(tmp_path) is None
    put(tmp_path, [entry(1)])
    assert put(tmp_path, text, shrink=True).removed == 1
    assert holder(tmp_path, 1) is None


def test_two_lists_are_kept(tmp_path: Path) -> None:
    """The one in force and the one before it, and nothing else is left in the folder."""
    versions = [put(tmp_path, [entry(n)], shrink=True).version for n in range(4)]
    kept = {f"list-{version.removeprefix('local:')[:12]}.db" for version in versions[-2:]}
    assert {path.name for path in tmp_path.iterdir()} == kept | {"list.json", LOCK, "source"}


def test_a_second_load_at_once_is_refused(tmp_path: Path) -> None:
    """With words that say what to do; after the first has ended it goes."""
    with (tmp_path / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(LoadError, match="another load is under way"):
            put(tmp_path, [entry(1)])
    put(tmp_path, [entry(1)])


def test_a_missing_source_is_a_clear_error(tmp_path: Path) -> None:
    """It names the file."""
    with pytest.raises(LoadError, match=r"No such file or directory \(.*nowhere\)"):
        load(tmp_path, tmp_path / "nowhere", quiet, NOW)


def test_progress_reaches_its_end_in_every_stage(tmp_path: Path) -> None:
    """Stages come one after the other, each grows to its total."""
    source = tmp_path / "source"
    source.write_text("".join(f"{entry(n)}\n" for n in range(3 * BATCH_LINES)))
    seen: list[tuple[str, int, int]] = []
    load(tmp_path, source, lambda *step: seen.append(step), NOW)
    assert list(dict.fromkeys(stage for stage, _, _ in seen)) == ["read", "compare", "write"]
    for stage in ("read", "compare", "write"):
        done = [step[1:] for step in seen if step[0] == stage]
        assert done == sorted(done)
        assert done[-1][0] == done[-1][1]


def no_space(*_: object) -> None:
    """A full disk."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def little_space(_: object) -> os.statvfs_result:
    """A disk with next to nothing left."""
    return os.statvfs_result((4096, 4096, 100, 10, 10, 100, 10, 10, 0, 255))


@pytest.mark.parametrize(
    ("target", "fault", "words"),
    [
        ("os.pwrite", no_space, "No space left on device.*the list in force is unchanged"),
        ("os.fsync", no_space, "No space left on device.*the list in force is unchanged"),
        ("gated.recording.durable.write", no_space, "No space left on device.*the list in force is unchanged"),
        ("os.statvfs", little_space, "the disk is too full for the list: free 34 MB more"),
    ],
)
def test_a_full_disk_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, fault: Callable[..., object], words: str
) -> None:
    """The error says so, the old list is in force, no remains take up space, and the next load goes."""
    put(tmp_path, [entry(1, "old")])
    names = {path.name for path in tmp_path.iterdir()}
    with monkeypatch.context() as patched:
        patched.setattr(target, fault)
        with pytest.raises(LoadError, match=words):
            put(tmp_path, [entry(1, "new")])
    assert {path.name for path in tmp_path.iterdir()} == names
    assert holder(tmp_path, 1) == "old"
    put(tmp_path, [entry(1, "new")])
    assert holder(tmp_path, 1) == "new"


def test_where_direct_writes_are_refused_plain_ones_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that takes O_DIRECT at opening and refuses it at writing."""
    real = os.pwrite

    def picky(descriptor: int, data: memoryview, offset: int) -> int:
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return real(descriptor, data[:1000], offset)

    monkeypatch.setattr(os, "pwrite", picky)
    put(tmp_path, map(entry, range(20_000)))
    assert verify(tmp_path) == ""


@pytest.mark.parametrize("first_page", [0, 2, 10])
def test_a_damaged_list_can_be_replaced(tmp_path: Path, first_page: int) -> None:
    """A list that cannot be compared with, because it does not open or does not read, is judged by its size."""
    put(tmp_path, map(entry, range(5000)))
    [path] = tmp_path.glob(FILES)
    image = bytearray(path.read_bytes())
    image[4096 * first_page : 4096 * 20] = b"\x55" * 4096 * (20 - first_page)
    path.write_bytes(image)
    refused(tmp_path, map(entry, range(100)))
    result = put(tmp_path, map(entry, range(5010)))
    assert (result.added, result.removed) == (10, 0)
    assert verify(tmp_path) == ""


_LOADER = """
import os, signal, sys
from pathlib import Path
from gated.lists.listload import load

left = int(sys.argv[2])

def deadly(real):
    def step(*args, **kwargs):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    return step

for where, name in ((os, "fsync"), (os, "pwrite"), (Path, "replace"), (Path, "unlink")):
    setattr(where, name, deadly(getattr(where, name)))
folder = Path(sys.argv[1])
load(folder, folder / "source", lambda *step: print(*step, flush=True), "2026-11-24T09:00:00+08:00", shrink=True)
"""


def loader(folder: Path, kill_at: int = 0) -> "subprocess.Popen[str]":
    """A load of `source` in a process of its own, which dies before its so-manieth step that touches the disk."""
    command = [sys.executable, "-c", _LOADER, str(folder), str(kill_at)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_a_load_killed_before_any_of_its_steps_leaves_a_whole_list(tmp_path: Path) -> None:
    """Before each write, sync, rename and removal: the old list or the new one; the next load cleans up."""
    version = put(tmp_path, map(entry, range(100))).version
    seen: list[str] = []
    for step in range(1, 100):
        (tmp_path / "source").write_text("".join(f"{entry(n, f'step{step}')}\n" for n in range(100)))
        with loader(tmp_path, step) as process:
            process.communicate()
        assert verify(tmp_path) == ""
        with closing(Whitelist(tmp_path)) as held:
            assert held.trouble == ""
            assert held.info is not None
            seen.append("old" if held.info.version == version else "new")
            version = held.info.version
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL
    assert seen == sorted(seen, reverse=True)
    assert seen.count("old") >= 6
    assert seen.count("new") >= 2
    assert len(list(tmp_path.glob("list*"))) == 4
    assert not list(tmp_path.glob(".list*"))


def test_a_load_killed_at_random_leaves_a_whole_list(tmp_path: Path) -> None:
    """From outside, at random moments, while the list in force is looked at; the lock dies with the process."""
    seed = random.randrange(1 << 32)
    print("seed", seed)  # noqa: T201 - to run a failure again
    chance = random.Random(seed)
    put(tmp_path, map(entry, range(10_000)))
    with closing(Whitelist(tmp_path)) as held:
        for turn in range(4):
            (tmp_path / "source").write_text("".join(f"{entry(n, f'turn{turn}')}\n" for n in range(10_000)))
            with loader(tmp_path) as process:
                assert process.stdout
                for _ in range(chance.randrange(14)):
                    process.stdout.readline()
                process.kill()
            held.refresh()
            assert held.trouble == ""
            assert verify(tmp_path) == ""
            assert held.entry(Credential("em:0000000001"))
        put(tmp_path, map(entry, range(10_001)))
        assert held.refresh()


def test_a_journal_beside_it_goes_on(tmp_path: Path) -> None:
    """A writer that commits while a list is loaded loses nothing and meets no error."""
    (tmp_path / "source").write_text("".join(f"{entry(n)}\n" for n in range(20_000)))
    with closing(sqlite3.connect(tmp_path / "journal.db", isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE event (seq INTEGER PRIMARY KEY)")
        commits = 0
        with loader(tmp_path) as process:
            assert process.stdout
            for _ in process.stdout:
                db.execute("INSERT INTO event DEFAULT VALUES")
                commits += 1
        assert process.returncode == 0
        assert db.execute("SELECT count(*) FROM event").fetchone() == (commits,)
    assert commits > 10
    assert holder(tmp_path, 19_999) == "h"
