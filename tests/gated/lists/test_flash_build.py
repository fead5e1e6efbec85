"""The building process of a flash: killed at any moment it leaves a whole list; what it builds is what was signed."""

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from gated.lists import flash_build, listbuild, listload
from gated.lists.depot import Depot
from gated.lists.flash_acts import Build, Check
from gated.lists.flash_child import Child, ChildFailedError
from gated.lists.listbuild import BuildRefused, DeltaUnfit, Wanted, layered, whole
from gated.lists.listfile import OpenList, read_pointer
from gated.lists.whitelist import Whitelist, read_info, verify
from protocol import delta
from protocol.credential import Credential
from protocol.repository import DeltaTarget, ListTarget
from tests.flashbox import Box
from tests.signers import NOW, Center, line

ROOT = Path(__file__).parents[3]
KILLS = 50
LINES = [line(number) for number in range(50)]
WHEN = NOW.timestamp()


@pytest.fixture
def center() -> Center:
    """A site with a list of fifty."""
    made = Center()
    made.publish(LINES, documents={"policy.json": b'{"schedules":{}}'})
    return made


@pytest.fixture
def box(tmp_path: Path, center: Center) -> Box:
    """A gate that has that list."""
    made = Box(tmp_path, center.root, center.now)
    made.take(center)
    return made


def received(state: Path, message: bytes, pieces: Mapping[str, bytes]) -> None:
    """All that a flash needs is in the depot."""
    depot = Depot(state)
    depot.put_message(message)
    for topic, piece in pieces.items():
        if "/blob/" in topic:
            *_, sha256, number = topic.split("/")
            depot.put(sha256, int(number), piece)


def target(lines: Iterable[bytes], version: int = 1, **more: object) -> ListTarget:
    """What signers say of a list of these lines."""
    held = list(lines)
    values = {
        "version": version,
        "as_of": "2026-11-24T08:00:00Z",
        "result_sha256": delta.hashed(held),
        "entries": len(held),
        "bytes": sum(map(len, held)) + len(held),
    }
    return ListTarget.read({**values, **more})


class Builders:
    """Building processes to be killed, each a fork of one that has its imports done."""

    PROGRAM: Final = """
import json, os, pathlib, sys
from gated.lists import flash_build, listload
listload.step_back()
for line in sys.stdin:
    state, root, when = json.loads(line)
    if not (child := os.fork()):
        print(os.getpid(), flush=True)
        flash_build.build(pathlib.Path(state), root.encode(), when, when)
        print("built", flush=True)
        os._exit(0)
    sys.stdin.readline()
    os.waitpid(child, 0)
    print("ended", flush=True)
"""

    def __init__(self, root: bytes) -> None:
        self._root = root.decode()
        self._process = subprocess.Popen(
            [sys.executable, "-c", self.PROGRAM], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def build(self, state: Path, seconds: float | None) -> float:
        """Let one build for so long, then kill it. How long it took to the end; 0 if it was killed before that."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([str(state), self._root, WHEN]) + "\n")
        self._process.stdin.flush()
        child = int(self._process.stdout.readline())
        start = time.perf_counter()
        if seconds is not None:
            time.sleep(seconds)
            os.kill(child, signal.SIGKILL)
            self._let_go()
        answer = self._process.stdout.readline()
        took = time.perf_counter() - start
        if seconds is None:
            self._let_go()
        if answer == "built\n":
            answer = self._process.stdout.readline()
        else:
            took = 0.0
        assert answer == "ended\n"
        return took

    def _let_go(self) -> None:
        """Until then its number stays its own, dead or not."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def close(self) -> None:
        """No more."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.fixture
def builders(center: Center) -> Iterator[Builders]:
    """Processes that trust the center's root."""
    made = Builders(center.root)
    yield made
    made.close()


def test_a_build_killed_at_any_moment_leaves_a_whole_list(tmp_path: Path, center: Center, builders: Builders) -> None:
    """Fifty times, of whole lists and of deltas: the old or the new one is in force, and the next build ends well."""
    seed = random.randrange(2**32)
    chooser = random.Random(seed)
    many = [line(number, f"h{number * 7919 % 100_003}") for number in range(3000)]
    center.publish(many)
    (tmp_path / "before").mkdir()
    before = Box(tmp_path / "before", center.root, center.now)
    before.take(center)
    published = {}
    for version, lines in (("3", [*many[:2990], line(9000)]), ("4", [line(n, "other") for n in range(3000)])):
        center.publish(lines)
        published[version] = (center.message, center.pieces)
    took: dict[str, float] = {}
    killed = turn = 0
    while killed < KILLS:
        turn += 1
        version = "34"[turn % 2]
        message, pieces = published[version]
        state = tmp_path / f"gate-{turn}"
        shutil.copytree(before.folder, state, symlinks=True)
        received(state, message, pieces)
        if version not in took:
            took[version] = builders.build(state, None)
        else:
            seconds = chooser.uniform(0.0, took[version] * 0.9)
            if builders.build(state, seconds):
                took[version] = seconds  # the first one was slower than they are
            else:
                killed += 1
        with closing(Whitelist(state)) as held:
            assert held.info is not None, seed
            assert held.trouble == "", seed
            assert held.info.version in {"2", version}, seed
        assert verify(state) == "", seed
        box = Box(state, center.root, center.now)
        box.flash_from(pieces)
        assert (box.version, box.sound, box.idle) == (version, True, True), seed
        assert not list(state.glob(".*.tmp")), seed
        shutil.rmtree(state)
        assert turn < 4 * KILLS, seed


def test_the_process_starts_with_what_a_delta_needs() -> None:
    """Neither pydantic nor a way over HTTP: with them it would take twice as long to start, at every gate."""
    words = "import sys, gated.lists.flash_build; print(*sorted({'pydantic', 'urllib3', 'asyncio'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", words], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.split() == [], found.stdout


async def test_the_process_answers_orders(box: Box, center: Center) -> None:
    """One after the other; let go, the next order starts another."""
    center.publish([*LINES, line(60)])
    received(box.folder, center.message, center.pieces)
    root_file = box.folder / "root.json"
    root_file.write_bytes(center.root)
    child = Child(box.folder, root_file)
    checked = await child.check(Check(WHEN, WHEN))
    assert (checked.why, checked.version, checked.snapshot, checked.build) == ("", "2", 2, True)
    built = await child.build(Build(WHEN, WHEN))
    assert (built.version, built.entries, built.switched, built.refused) == ("2", 51, True, ())
    await child.release()
    again = await child.build(Build(WHEN, WHEN))
    assert not again.switched
    await child.release()


async def test_a_process_that_is_killed_is_an_answer_too(box: Box, center: Center) -> None:
    """The next order starts another."""
    root_file = box.folder / "root.json"
    root_file.write_bytes(center.root)
    child = Child(box.folder, root_file)
    await child.check(Check(WHEN, WHEN))
    child.kill()
    with pytest.raises(ChildFailedError, match=r"ended with status -9|cannot be reached"):
        await child.build(Build(WHEN, WHEN))
    assert (await child.check(Check(WHEN, WHEN))).why == ""
    await child.release()


async def test_a_build_beside_a_load_by_hand_waits(box: Box, center: Center) -> None:
    """It fails with words, and is tried again."""
    root_file = box.folder / "root.json"
    root_file.write_bytes(center.root)
    child = Child(box.folder, root_file)
    with listload.alone(box.folder), pytest.raises(ChildFailedError, match="another load is under way"):
        await child.build(Build(WHEN, WHEN))
    await child.release()


def test_a_delta_on_a_wrong_base_is_refused(box: Box) -> None:
    """Another version, another hash, or a delta to another list: nothing is applied."""
    held = read_info(box.folder)
    assert held is not None
    new = [text.encode() for text in [*LINES, line(60)]]
    wanted = Wanted(target(new, 2, previous=1), "2026-11-24T08:00:00Z")
    right = {
        "version": 2,
        "base": 1,
        "base_sha256": held.sha256,
        "result_sha256": wanted.target.result_sha256,
        "bytes": 1000,
    }
    change = [line(60).encode()]
    for wrong in ({"base": 7}, {"base_sha256": "00" * 32}, {"version": 3}, {"result_sha256": "00" * 32}):
        with pytest.raises(DeltaUnfit):
            layered(box.folder, wanted, DeltaTarget.read({**right, **wrong}), change, held)
    said = DeltaTarget.read(right)
    for lines in ([], [line(61).encode()], [delta.removal(b"em:00000000FF")], [b"nonsense"], change * 2):
        with pytest.raises(DeltaUnfit):
            layered(box.folder, wanted, said, lines, held)
    assert not list(box.folder.glob("*.layer"))
    assert layered(box.folder, wanted, said, change, held).entries == 51


def test_layers_upon_layers_become_a_file(box: Box, center: Center, monkeypatch: pytest.MonkeyPatch) -> None:
    """When they have grown; the list is the same either way."""
    monkeypatch.setattr(listbuild, "LAYER_MAX", 8)
    many = [line(number) for number in range(2000)]
    center.publish(many)
    box.take(center)
    files = set()
    for turn in range(12):
        many = [*many[:-1], line(3000 + turn)]
        center.publish(many)
        box.take(center)
        info = read_info(box.folder)
        assert info is not None
        files.add(info.file)
        assert (box.version, box.entries, box.sound, box.idle) == (str(turn + 3), 2000, True, True)
    assert len(files) > 1


def test_the_file_below_is_kept_as_what_to_fall_back_to(box: Box, center: Center) -> None:
    """Not another layer on the same file: where that file is damaged, an older one serves."""
    center.publish([line(number, "other") for number in range(2000)])
    box.take(center)
    center.publish([line(number, "other") for number in range(2001)])
    box.take(center)
    pointer = read_pointer(box.folder)
    assert pointer is not None
    assert pointer.before is not None
    assert pointer.before.file != pointer.now.file
    (box.folder / pointer.now.file).write_bytes(b"")
    with closing(Whitelist(box.folder)) as held:
        assert held.info == pointer.before
        assert "the older 1" in held.trouble


def test_a_damaged_list_is_built_again(box: Box, center: Center) -> None:
    """At the next message; suspensions stay throughout."""
    center.repository.suspend(Credential("em:0000000001"), center.now)
    box.take(center)
    info = read_info(box.folder)
    assert info is not None
    (box.folder / info.file).write_bytes(b"")
    center.later(hours=1)
    center.repository.renew(center.now)
    box.take(center)
    assert (box.version, box.sound, box.idle) == ("1", True, True)
    held = box.entry("em:0000000001")
    assert held is not None
    assert held.since == NOW.timestamp()


def test_suspensions_count_where_the_pointer_is_damaged(box: Box, center: Center) -> None:
    """The newest overlay lies over whatever list serves."""
    center.repository.suspend(Credential("em:0000000001"), center.now)
    box.take(center)
    (box.folder / "list.json").write_bytes(b"{")
    held = box.entry("em:0000000001")
    assert held is not None
    assert held.since == center.now.timestamp()


def test_a_list_by_hand_stands_until_there_is_another_signed_one(box: Box, center: Center) -> None:
    """Also a second one by hand; the hourly signature does not bring the old one back. The overlay stays."""
    center.repository.suspend(Credential("em:0000000001"), center.now)
    box.take(center)
    source = box.folder / "source"
    for holder in ("one", "two"):
        source.write_text("".join(line(number, holder) + "\n" for number in range(50)))
        listload.load(box.folder, source, lambda *_: None, "2026-11-24T09:00:00Z")
        center.later(hours=1)
        center.repository.renew(center.now)
        box.take(center)
        found = box.entry("em:0000000001")
        assert found is not None
        assert (found.holder, found.since) == (holder, NOW.timestamp())
    center.publish([*LINES, line(60)])
    box.take(center)
    assert (box.version, box.idle) == ("2", True)


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([line(2), line(1)], "line 2: em:0000000001 is out of order"),
        ([line(1), line(1)], "out of order"),
        ([line(1), line(2)[:-1] + ', "when":"always"}'], "line 2 is not in canonical form"),
        ([line(1), "{"], "line 2: not JSON"),
        ([line(1)[:-1] + ',"admin":true}'], "unknown key"),
    ],
)
def test_a_list_that_is_not_as_published_is_refused(tmp_path: Path, lines: list[str], why: str) -> None:
    """Whoever signed it: out of order, not canonical, or with what this program does not know."""
    raw = [text.encode() for text in lines]
    with pytest.raises(BuildRefused, match=why):
        whole(tmp_path, Wanted(target(raw), "2026-11-24T08:00:00Z"), raw, None)
    assert list(tmp_path.iterdir()) == []


def test_other_lines_than_those_signed_are_refused(tmp_path: Path) -> None:
    """By their hash, and by their number."""
    raw = [text.encode() for text in LINES]
    for wrong in (target(raw[:-1]), target(raw, entries=49)):
        with pytest.raises(BuildRefused, match=r"not those that were signed|has 50 lines"):
            whole(tmp_path, Wanted(wrong, "2026-11-24T08:00:00Z"), raw, None)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_changes_nothing(box: Box, center: Center, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said before anything is written, and tried again."""
    center.publish([line(number, "other") for number in range(50)])
    monkeypatch.setattr("gated.lists.listwrite.missing_bytes", lambda *_: 5_000_000)
    monkeypatch.setattr(listbuild, "LAYER_MAX", 10)
    box.take(center)
    assert (box.version, box.sound) == ("1", True)
    assert "the disk is too full for the list: 6 MB more are needed" in box.flash.trouble
    monkeypatch.undo()
    center.later(hours=1)
    center.repository.renew(center.now)
    box.take(center)
    assert (box.version, box.idle) == ("2", True)


def test_documents_come_change_and_go(box: Box, center: Center) -> None:
    """Each as signed, all at once."""
    from gated.lists.trust_folder import documents  # noqa: PLC0415

    assert documents(box.folder) == {"policy.json": b'{"schedules":{}}'}
    center.publish(documents={"policy.json": b"{}", "operators.json": b'{"operators":[]}'})
    box.take(center)
    assert documents(box.folder) == {"policy.json": b"{}", "operators.json": b'{"operators":[]}'}
    assert box.idle


def test_a_lookup_in_a_layered_list_goes_through_it(box: Box, center: Center) -> None:
    """What the layer changed, took out and left alone; sorted among the others."""
    many = [line(number) for number in range(0, 4000, 2)]
    center.publish(many, shrinks=True)
    box.take(center)
    center.publish([*many[1:-1], line(3998, "other"), line(5)])
    box.take(center)
    info = read_info(box.folder)
    assert info is not None
    assert info.layer
    with closing(OpenList(box.folder, info)) as opened:
        rows = [row[0] for row in opened.rows()]
        assert rows == sorted(rows)
        assert opened.row("em:0000000000") is None
        assert opened.row("em:0000000005") == ("h", None)
        assert opened.row(f"em:{3998:010X}") == ("other", None)
        assert opened.row("em:0000000002") == ("h", None)
        assert isinstance(opened.db, sqlite3.Connection)


def test_orders_that_cannot_be_done_say_why(tmp_path: Path, center: Center) -> None:
    """No message, no root: words, not a crash."""
    assert flash_build.check(tmp_path, center.root, WHEN, WHEN).why == "there is no message"
    Depot(tmp_path).put_message(center.message)
    assert "not to be believed" in flash_build.check(tmp_path, b"{}", WHEN, WHEN).why
