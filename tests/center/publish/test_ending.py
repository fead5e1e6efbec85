"""Before something of the site runs out, whoever asks how it is, or looks at the alarms, is told what to do."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog

from center.__main__ import main
from center.broker import Account
from center.publish import ending, publisher, signed
from center.publish.opened import changing, repository
from center.publish.publisher import Publisher
from center.records.alarms import ENDING
from center.records.store import Store
from center.site import authority, files
from tests.center.gatectl.workplace import Workplace

NOW = datetime.now(UTC)
WAIT_S = 30.0
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    """A new site, with a list in force and a broker that has TLS."""
    place = Workplace(tmp_path / "place", signers=1, broker="mqtts://mqtt.center.example")
    place.put_in_force(['{"c":"em:0000000001","h":"h1"}'])
    return place


def certificate_of(place: Workplace, made: datetime) -> None:
    """Let the broker have a certificate that was made then, for two years."""
    pair = authority.make_server(place.site.authority, ["mqtt.center.example"], made)
    files.write(place.site.folder / "broker" / "server.pem", pair.both)


def status(place: Workplace) -> int:
    """`gated-center status`."""
    return main(["status", "-c", str(place.site.folder / "center.toml")])


def test_a_new_site(place: Workplace) -> None:
    """Nothing runs out; nor after some hours, while somebody signs."""
    assert ending.everything(place.site, NOW) == []
    later = NOW + timedelta(days=100)
    with changing(place.site):
        repository(place.site).renew(later)
    assert ending.everything(place.site, later + timedelta(hours=2)) == []


@pytest.mark.parametrize(
    ("days", "hours", "told"),
    [
        (0, 4, ["the list's date was last signed on"]),
        (2, 0, ["the list's date was last signed", "the list's state was last signed"]),
        (310, 0, ["targets runs out on", "the list's date", "the list's state"]),
        (2 * 365 - 59, 0, ["the broker's certificate ends on", "root runs out on", "targets", "date", "state"]),
        (2 * 365 + 1, 0, ["the broker's certificate has ended on", "root", "targets", "date", "state"]),
        (19 * 365, 0, ["certificate has ended", "authority ends on", "root", "targets", "date", "state"]),
    ],
)
def test_what_runs_out(place: Workplace, days: int, hours: int, told: Sequence[str]) -> None:
    """In its time, and with what is to be done."""
    found = ending.everything(place.site, NOW + timedelta(days=days, hours=hours))
    assert len(found) == len(told), found
    for text, words in zip(found, told, strict=True):
        assert words in text


def test_a_worker_sees_the_same_at_the_broker(place: Workplace) -> None:
    """Of the list's signatures, what is published says as much as the site's folder."""
    message = repository(place.site).message()
    for hours in (2, 4, 26, 28):
        later = NOW + timedelta(hours=hours)
        assert signed.overdue(*signed.signed_last(message), later) == ending.everything(place.site, later)


def test_the_sentence_is_the_same_each_day(place: Workplace) -> None:
    """One alarm comes of it, not one a day."""
    certificate_of(place, NOW - timedelta(days=700))
    [text] = ending.certificates(place.site, NOW)
    assert [text] == ending.certificates(place.site, NOW + timedelta(days=5))
    assert "gatectl site renew-certificate" in text
    assert place.run("site", "renew-certificate") == 0
    assert ending.certificates(place.site, NOW) == []


def test_what_cannot_be_read_is_told(place: Workplace) -> None:
    """A certificate that is gone, or is none, is no reason to be silent."""
    path = place.site.folder / "broker" / "server.pem"
    path.write_bytes(b"none")
    assert "is no certificate" in ending.certificates(place.site, NOW)[0]
    path.unlink()
    assert "cannot be read" in ending.certificates(place.site, NOW)[0]


def test_the_status_of_the_center(place: Workplace, capsys: Captured) -> None:
    """It says so, and its status is 1."""
    Store.open(place.site.database, place.site.name).close()
    capsys.readouterr()
    assert status(place) == 0
    certificate_of(place, NOW - timedelta(days=700))
    assert status(place) == 1
    assert "the broker's certificate ends on" in capsys.readouterr().out
    assert main(["status", "-c", str(place.site.folder / "center.toml"), "--json"]) == 1
    assert len(json.loads(capsys.readouterr().out)["ending"]) == 1


def test_the_status_of_the_gates(place: Workplace, capsys: Captured) -> None:
    """`gatectl status` says so as well, where the site's folder is; to standard error."""
    Store.open(place.site.database, place.site.name).close()
    certificate_of(place, NOW - timedelta(days=700))
    capsys.readouterr()
    assert place.run("status") == 1
    assert "gatectl: the broker's certificate ends on" in capsys.readouterr().err


async def test_it_becomes_an_alarm(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever only looks at the alarms sees it, too; counted each hour, not raised anew."""
    monkeypatch.setattr(publisher, "FIRST_S", 0.01)
    certificate_of(place, NOW - timedelta(days=700))
    raised: asyncio.Queue[tuple[str, list[str]]] = asyncio.Queue()

    async def note(kind: str, texts: Sequence[str]) -> None:
        raised.put_nowait((kind, list(texts)))

    async def nobody() -> bool:
        return False

    stop = asyncio.Event()
    working = Publisher(place.site, Account("mqtt://127.0.0.1:9"), note, nobody, structlog.get_logger())
    task = asyncio.create_task(working.run(stop))
    async with asyncio.timeout(WAIT_S):
        kind, texts = await raised.get()
    stop.set()
    await task
    assert (kind, texts) == (ENDING, ending.certificates(place.site, NOW))
