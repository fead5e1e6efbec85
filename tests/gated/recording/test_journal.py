"""The journal, through real threads and real files."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from gated.recording import journal_writer
from gated.recording.journal import KEPT_MAX_EVENTS, Journal, JournalTrouble
from gated.recording.journal_read import head, lines, verify
from gated.recording.store import FILE_NAME, Store, trouble
from protocol.event import LINE_MAX_BYTES, ClockQuality, EventError, Kind, Stamp

WORKER = Path(__file__).with_name("journal_worker.py")
_SECONDS = count()


def stamp() -> Stamp:
    """A second later each time."""
    at = datetime(2026, 11, 24, 8, 0, tzinfo=UTC) + timedelta(seconds=next(_SECONDS))
    return Stamp(at.isoformat(timespec="milliseconds"), ClockQuality.SYNCED, "9f2c", 1.5)


class Changes:
    """What on_change was told, and a way to wait for it."""

    def __init__(self) -> None:
        self.told: list[tuple[bool, str]] = []
        self._ok = asyncio.Event()
        self._bad = asyncio.Event()

    def __call__(self, ok: bool, why: str) -> None:  # noqa: FBT001 - as the journal calls it
        """Told by the journal."""
        self.told.append((ok, why))
        (self._ok if ok else self._bad).set()

    async def healed(self) -> None:
        """Return once trouble is over."""
        await asyncio.wait_for(self._ok.wait(), 20)

    async def failed(self) -> None:
        """Return once there is trouble."""
        await asyncio.wait_for(self._bad.wait(), 20)


def journal_in(folder: Path, board: str = "serial:a", changes: Changes | None = None) -> Journal:
    """A journal there."""
    return Journal(folder, board=board, stamp=stamp, on_change=changes)


def sound(folder: Path) -> int:
    """The last seq, of a journal in which everything verifies."""
    verified = verify(folder / FILE_NAME)
    assert verified.problems == ()
    return verified.last


@pytest.fixture(autouse=True)
def _quick_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_writer, "RETRY_FIRST_S", 0.01)
    monkeypatch.setattr(journal_writer, "RETRY_MAX_S", 0.05)


async def test_a_signal_is_heard_behind_a_thousand_commits(tmp_path: Path) -> None:
    """Commits that a busy loop has not heard of yet do not fill the pipe that signals come through too."""
    loop, heard = asyncio.get_running_loop(), asyncio.Event()
    async with journal_in(tmp_path) as journal:
        await journal.append(Kind.TEST, stamp(), {"n": 0})
        loop.add_signal_handler(signal.SIGUSR1, heard.set)
        try:
            for seq in range(2, 1002):
                journal.note(Kind.TEST, stamp(), {"n": seq})
                while head(tmp_path / FILE_NAME) < seq:  # the loop is kept busy on purpose
                    pass
            signal.raise_signal(signal.SIGUSR1)
            await asyncio.wait_for(heard.wait(), 20)
        finally:
            loop.remove_signal_handler(signal.SIGUSR1)


async def test_append_order_is_seq_order(tmp_path: Path) -> None:
    """Seqs run from 1 without a gap in the order of the appends, also of those made before the file is open."""
    async with journal_in(tmp_path) as journal:
        seqs = await asyncio.gather(*(journal.append(Kind.TEST, stamp(), {"n": n}) for n in range(1000)))
        assert journal.state.ok
        assert journal.state.seq == 1000
        assert len(journal.tail(3)) == 3
    assert seqs == list(range(1, 1001))
    assert sound(tmp_path) == 1000
    assert all(f'"n":{n}}}'.encode() in line for n, line in enumerate(lines(tmp_path / FILE_NAME)))


async def test_a_closed_journal_holds_all_that_was_appended(tmp_path: Path) -> None:
    """Leaving waits for what nobody awaited; what comes later is refused."""
    async with journal_in(tmp_path) as journal:
        futures = [journal.append(Kind.TEST, stamp(), {}) for _ in range(50)]
    assert [future.result() for future in futures] == list(range(1, 51))
    with pytest.raises(JournalTrouble, match="closed"):
        await journal.append(Kind.TEST, stamp(), {})


async def test_what_cannot_be_an_event_is_refused_at_once(tmp_path: Path) -> None:
    """Too large or not JSON: the caller hears it from append itself, and nothing is written."""
    async with journal_in(tmp_path) as journal:
        with pytest.raises(EventError):
            journal.append(Kind.TEST, stamp(), {"text": "x" * LINE_MAX_BYTES})
        with pytest.raises(EventError):
            journal.append(Kind.TEST, stamp(), {"what": object()})
    assert sound(tmp_path) == 0


@pytest.mark.parametrize("printed", [1, 40, 400])
def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path, printed: int) -> None:
    """Each seq that a killed process had printed is there, in a chain without a gap; twice over one folder."""
    for _ in range(2):
        with subprocess.Popen(
            [sys.executable, str(WORKER), str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path.cwd(),
            env={"PYTHONPATH": str(Path.cwd())},
        ) as process:
            assert process.stdout is not None
            seqs = [int(process.stdout.readline()) for _ in range(printed)]
            process.kill()
            seqs += [int(text) for text in process.stdout.read().split("\n")[:-1]]
        assert sound(tmp_path) >= max(seqs)


def full(store: Store) -> None:
    """Let SQLite find the disk full."""
    (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
    store._connection.execute(f"PRAGMA max_page_count = {pages}")


def read_only(store: Store) -> None:
    """Let SQLite find the file read-only."""
    store._connection.execute("PRAGMA query_only = 1")


@pytest.mark.parametrize(("fault", "says"), [(full, "full"), (read_only, "read-only")])
async def test_trouble_is_told_and_heals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Callable[[Store], None], says: str
) -> None:
    """A failed group's waiters hear why; kept events come first when it is over, marked, then the alarm event."""
    changes = Changes()
    broken = [False]
    opening = Store._presize

    def presize(store: Store) -> None:
        opening(store)
        if broken[0]:
            fault(store)

    monkeypatch.setattr(Store, "_presize", presize)
    async with journal_in(tmp_path, changes=changes) as journal:
        await journal.append(Kind.TEST, stamp(), {"n": 0})
        broken[0] = True
        await journal._ask(fault)
        with pytest.raises(JournalTrouble, match=says):
            await asyncio.gather(*(journal.append(Kind.TEST, stamp(), {"pad": "x" * 9000}) for _ in range(9)))
        await changes.failed()
        with pytest.raises(JournalTrouble):
            await journal.append(Kind.TEST, stamp(), {"n": 1})
        for number in range(300):
            journal.keep(Kind.OPENED, stamp(), {"n": number, "pad": "x" * 2000})
        assert journal.state.unwritten == 300
        assert not journal.state.ok
        broken[0] = False
        await changes.healed()
        await journal.append(Kind.TEST, stamp(), {"n": 2})
        assert journal.state.unwritten == 0
    written = list(lines(tmp_path / FILE_NAME))
    sound(tmp_path)
    kept = [line for line in written if b'"unwritten":true' in line]
    assert [f'"n":{n},'.encode() in line for n, line in enumerate(kept)] == [True] * 300
    alarm = next(index for index, line in enumerate(written) if b'"what":"journal-trouble"' in line)
    assert written.index(kept[-1]) < alarm < len(written) - 1
    assert changes.told[0][0] is False
    assert changes.told[-1] == (True, "")
    assert len(changes.told) % 2 == 0


def fill(path: Path) -> None:
    """Write until there is no room."""
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 65536)


async def append_until_it_fails(journal: Journal, durable: list[int]) -> None:
    """Large events, one after the other."""
    while True:
        durable.append(await journal.append(Kind.TEST, stamp(), {"pad": "x" * 8000}))


async def test_a_full_disk_that_is_freed(small_disk: Path) -> None:
    """On a real full file system appends fail, and go on by themselves once there is room."""
    changes = Changes()
    ballast = small_disk / "ballast"
    async with journal_in(small_disk, changes=changes) as journal:
        await journal.append(Kind.TEST, stamp(), {})
        with pytest.raises(OSError, match="No space"):
            fill(ballast)
        durable: list[int] = []
        with pytest.raises(JournalTrouble, match=r"full|input/output"):
            await append_until_it_fails(journal, durable)
        await changes.failed()
        ballast.unlink()
        await changes.healed()
        assert await journal.append(Kind.TEST, stamp(), {}) > durable[-1]
    sound(small_disk)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MB, where the machine allows one to be mounted."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting is not permitted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


async def test_a_missing_folder_is_trouble_until_it_is_there(tmp_path: Path) -> None:
    """The first open fails in words, and what was kept is written once the folder exists."""
    changes = Changes()
    folder = tmp_path / "later"
    async with journal_in(folder, changes=changes) as journal:
        early = journal.append(Kind.TEST, stamp(), {})
        await journal.opened()
        with pytest.raises(JournalTrouble):
            await early
        assert "folder" in journal.state.why
        assert journal.tail(5) == []
        journal.keep(Kind.OPENED, stamp(), {"by": "guard"})
        folder.mkdir()
        await changes.healed()
    assert [b"unwritten" in line for line in lines(folder / FILE_NAME)] == [True, False]
    sound(folder)


async def test_a_commit_that_only_seemed_to_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group that is on disk although its commit failed is not written twice, and the alarm event says which."""
    changes = Changes()
    commit = Store.commit
    fail = [True]

    def liar(store: Store, rests: list[bytes]) -> int:
        before = store.seq, store.hash
        first = commit(store, rests)
        if fail and b"guard" in rests[0]:
            fail.clear()
            store.seq, store.hash = before
            raise trouble(OSError(5, "Input/output error"))
        return first

    monkeypatch.setattr(Store, "commit", liar)
    async with journal_in(tmp_path, changes=changes) as journal:
        await journal.opened()
        journal.keep(Kind.OPENED, stamp(), {"by": "guard"})
        await changes.healed()
    written = list(lines(tmp_path / FILE_NAME))
    assert sum(b'"by":"guard"' in line for line in written) == 1
    assert b'"failed_but_on_disk":[1,1]' in written[-1]
    sound(tmp_path)


async def test_what_is_kept_is_bounded(tmp_path: Path) -> None:
    """Beyond the bound the newest are counted as dropped, and closing says that the kept ones are lost."""
    journal = journal_in(tmp_path / "nowhere")
    await journal.__aenter__()
    await journal.opened()
    for _ in range(KEPT_MAX_EVENTS + 7):
        journal.keep(Kind.OPENED, stamp(), {})
    with pytest.raises(JournalTrouble, match="10000 events"):
        await journal.__aexit__()
    assert journal._dropped == 7


async def test_another_board_begins_a_new_epoch(tmp_path: Path) -> None:
    """At the first event not acknowledged, with an alarm event; the numbering goes on."""
    async with journal_in(tmp_path) as journal:
        for _ in range(5):
            await journal.append(Kind.TEST, stamp(), {})
        before = verify(tmp_path / FILE_NAME)
        head = sqlite3_hash(tmp_path, 3)
        assert await journal.acknowledge(3, head)
        epoch = journal.state.epoch
    async with journal_in(tmp_path, board="serial:b") as journal:
        await journal.opened()
        assert journal.state.epoch != epoch
        assert journal.state.acked == 3
        assert await journal.append(Kind.TEST, stamp(), {}) == 7
    after = verify(tmp_path / FILE_NAME)
    assert after.problems == ()
    assert len(before.epochs) == 1
    assert [(each.first, each.board) for each in after.epochs] == [(1, "serial:a"), (4, "serial:b")]
    assert after.epochs[1].root == head
    assert b'"what":"journal-epoch"' in list(lines(tmp_path / FILE_NAME))[5]


def sqlite3_hash(folder: Path, seq: int) -> bytes:
    """An event's hash as stored."""
    connection = sqlite3.connect(f"{(folder / FILE_NAME).as_uri()}?mode=ro", uri=True)
    try:
        return bytes(connection.execute("SELECT hash FROM event WHERE seq = ?", (seq,)).fetchone()[0])
    finally:
        connection.close()


async def test_acknowledged_rises_only_by_our_own_hash(tmp_path: Path) -> None:
    """A hash that is not ours, or beyond the end, changes nothing; nothing ever falls but by the center's want."""
    async with journal_in(tmp_path) as journal:
        for _ in range(5):
            await journal.append(Kind.TEST, stamp(), {})
        answers: list[Awaitable[bool]] = [
            journal.acknowledge(4, sqlite3_hash(tmp_path, 4)),
            journal.acknowledge(2, sqlite3_hash(tmp_path, 2)),
            journal.acknowledge(5, bytes(32)),
            journal.acknowledge(9, bytes(32)),
        ]
        assert [await answer for answer in answers] == [True, True, False, False]
        assert journal.state.acked == 4
        assert await journal.rewind(1) == 1
        assert journal.state.acked == 1
        await journal.begin_epoch("the center holds another past")
        assert journal.state.seq == 6
    assert [epoch.first for epoch in verify(tmp_path / FILE_NAME).epochs] == [1, 2]


async def test_pruning_takes_only_what_is_acknowledged_and_old(tmp_path: Path) -> None:
    """What remains still verifies from the checkpoint on, and a new start goes on from there."""
    async with journal_in(tmp_path) as journal:
        for _ in range(700):
            journal.append(Kind.TEST, stamp(), {})
        last_old = stamp()
        await journal.append(Kind.TEST, last_old, {})
        cutoff = datetime.fromisoformat(stamp().at)
        await journal.append(Kind.TEST, stamp(), {})
        assert await journal.prune(cutoff) == 0
        await journal.acknowledge(600, sqlite3_hash(tmp_path, 600))
        assert await journal.prune(cutoff) == 600
        await journal.acknowledge(702, sqlite3_hash(tmp_path, 702))
        assert await journal.prune(cutoff) == 101
        assert journal.state.oldest == 702
    verified = verify(tmp_path / FILE_NAME)
    assert verified.problems == ()
    assert (verified.first, verified.last) == (702, 702)
    async with journal_in(tmp_path) as journal:
        assert await journal.append(Kind.TEST, stamp(), {}) == 703
    sound(tmp_path)
