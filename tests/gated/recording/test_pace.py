"""How fast the journal grows today, and for how long the disk will do."""

import math
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gated.recording import pace
from gated.recording.store import FILE_NAME, Store
from protocol.event import ClockQuality, Kind, Stamp, body

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=SHANGHAI)
MIDNIGHT = NOON.replace(hour=0)
MANY = 20_000


def written(folder: Path, times: Iterable[datetime]) -> Path:
    """A journal of events that happened then."""
    path = folder / FILE_NAME
    stamps = (Stamp(at.isoformat(timespec="milliseconds"), ClockQuality.SYNCED, "9f2c", 1.0) for at in times)
    with closing(Store(path)) as store:
        store.begin_epoch(board="serial:a", began="", why="a new journal")
        if rests := [body(Kind.TEST, stamp, {}) for stamp in stamps]:
            store.commit(rests)
    return path


def rate(path: Path, now: datetime = NOON) -> float:
    """Events an hour."""
    found = pace.look(path, now)
    assert found is not None
    return found.events_per_hour


@pytest.mark.parametrize("yesterday", [0, 1, 500])
@pytest.mark.parametrize("today", [0, 1, 36])
def test_today_counts(tmp_path: Path, yesterday: int, today: int) -> None:
    """From local midnight to now; whatever was before does not."""
    before = [MIDNIGHT - timedelta(minutes=number) for number in range(yesterday, 0, -1)]
    since = [MIDNIGHT + timedelta(minutes=number) for number in range(today)]
    assert rate(written(tmp_path, [*before, *since])) == today / 12


def test_midnight_is_the_gates_own(tmp_path: Path) -> None:
    """Events have the offset of their time; the day is that of the zone."""
    path = written(tmp_path, [MIDNIGHT.astimezone(UTC) + timedelta(hours=hour) for hour in range(-12, 12)])
    assert rate(path) == 1
    assert rate(path, NOON.astimezone(ZoneInfo("America/New_York"))) == 1  # 23 o'clock of the day before


def test_a_day_of_23_hours(tmp_path: Path) -> None:
    """Where the clocks are put forward at night, noon is eleven hours after midnight."""
    noon = datetime(2026, 3, 29, 12, 0, tzinfo=ZoneInfo("Europe/Berlin"))
    assert rate(written(tmp_path, [noon - timedelta(hours=1)] * 11), noon) == 1


def test_soon_after_midnight(tmp_path: Path) -> None:
    """Three events within a minute are no busy day."""
    path = written(tmp_path, [MIDNIGHT + timedelta(seconds=number) for number in range(3)])
    assert rate(path, MIDNIGHT + timedelta(minutes=1)) == 3


def test_few_rows_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The beginning of the day is found by halving: about as many rows as the number of events has binary digits."""
    path = written(tmp_path, (MIDNIGHT + timedelta(seconds=number - MANY // 2) for number in range(MANY)))
    read: list[bytes] = []
    before = pace._before

    def counted(line: bytes, start: datetime) -> bool:
        read.append(line)
        return before(line, start)

    monkeypatch.setattr(pace, "_before", counted)
    assert rate(path) == MANY / 2 / 12
    assert len(read) <= math.ceil(math.log2(MANY)) + 1


@pytest.mark.parametrize("order", [range(40), range(40, 0, -1), [1, 30, 2, 29, 3, 28], [36_500, -36_500, 0, 36_500]])
def test_a_clock_that_was_set(tmp_path: Path, order: Iterable[int]) -> None:
    """Times that go back and forth by years give an estimate of no more than there are events, and no error."""
    times = [NOON + timedelta(days=days - 20) for days in order]
    assert 0 <= rate(written(tmp_path, times)) <= len(times) / 12


@pytest.mark.parametrize(
    "line", ["NULL", "''", "'{'", "'[]'", "'{\"at\":7}'", '\'{"at":"2026-11-24T09:00"}\'', "printf('%.*c', 90000, '[')"]
)
def test_damaged_lines(tmp_path: Path, line: str) -> None:
    """A line that says no time, or says it without offset, is no error."""
    path = written(tmp_path, [NOON] * 7)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE other AS SELECT * FROM event")
        connection.execute("DROP TABLE event")
        connection.execute("ALTER TABLE other RENAME TO event")
        connection.execute(f"UPDATE event SET line = {line} WHERE seq > 2")  # noqa: S608 - the parameters above
    assert rate(path) <= 7 / 12


def test_nothing_to_read(tmp_path: Path) -> None:
    """An empty journal has no pace; one that is not there, or is none, tells none."""
    found = pace.look(written(tmp_path, []), NOON)
    assert found is not None
    assert (found.events_per_hour, found.hours_left) == (0, math.inf)
    (tmp_path / "none.db").write_bytes(b"no database at all" * 1000)
    assert pace.look(tmp_path / "none.db", NOON) is None
    assert pace.look(tmp_path / "missing.db", NOON) is None
    assert pace.free_bytes(tmp_path / "missing") == 0


def test_how_long_the_disk_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Free disk, by what an event takes and how many there are; what was pruned does not count as held."""
    path = written(tmp_path, [NOON] * 24)
    monkeypatch.setattr(pace, "free_bytes", lambda _: 69_000)
    found = pace.look(path, NOON)
    assert found is not None
    assert found.hours_left == pytest.approx(69_000 / (2 * found.bytes_per_event))
    monkeypatch.setattr(pace, "bytes_per_event", lambda _, events: float(events))
    with closing(Store(path)) as store:
        store.acknowledge(10, store._connection.execute("SELECT hash FROM event WHERE seq = 10").fetchone()[0])
        store.prune(NOON + timedelta(days=1), limit=10)
    found = pace.look(path, NOON)
    assert found is not None
    assert found.bytes_per_event == 14


def test_it_only_reads(tmp_path: Path) -> None:
    """The journal stays as it is, byte for byte."""
    path = written(tmp_path, [NOON])
    before = path.read_bytes()
    assert rate(path) == 1 / 12
    assert path.read_bytes() == before
