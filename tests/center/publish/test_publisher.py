"""The publisher between a site's folder and a real broker: what is retained is what the repository says."""

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from sqlalchemy import update
from tuf.api.metadata import Metadata, Targets, Timestamp

from center.broker import Account, BrokerAwayError, connected
from center.publish import expected
from center.publish import publisher as module
from center.publish.metadata import read
from center.publish.opened import changing, repository
from center.publish.proposal import Changes
from center.publish.publisher import Announce, Publisher
from center.publish.retained import Retained
from center.records import expected as visitors
from center.records import tables
from center.records.store import Store
from center.site.folder import Site
from protocol import blob, topics
from protocol import repository as names
from protocol.credential import Credential
from protocol.expected import ExpectedError, unseal
from tests.broker import Mosquitto
from tests.center.gatectl.workplace import Workplace
from tests.signers import line

SITE = "shenhang"
WAIT_S = 30.0
REPO = topics.repository(SITE)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker."""
    with Mosquitto(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    """A site with a list of 3,000 entries in force."""
    place = Workplace(tmp_path, signers=1)
    place.put_in_force([line(number) for number in range(3000)])
    return place


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes seconds by design takes less."""
    for name in ("LOOK_S", "RECONNECT_FIRST_S", "CONTRADICTED_S", "_STAND_BY_S", "ANNOUNCE_S"):
        monkeypatch.setattr(module, name, 0.05)


class Notes:
    """Alarms as they were raised."""

    def __init__(self) -> None:
        self.raised: list[tuple[str, str]] = []

    async def __call__(self, kind: str, texts: Sequence[str]) -> None:
        """Take them."""
        self.raised += [(kind, text) for text in texts]


async def nobody() -> bool:
    """No visitors to be announced."""
    return False


@asynccontextmanager
async def publishing(
    site: Site, broker: Mosquitto, notes: Notes | None = None, announce: Announce = nobody
) -> AsyncIterator[Publisher]:
    """A publisher at work."""
    publisher = Publisher(site, Account(broker.url), notes or Notes(), announce, structlog.get_logger())
    stop = asyncio.Event()
    task = asyncio.create_task(publisher.run(stop))
    try:
        yield publisher
    finally:
        stop.set()
        await task


async def retained(broker: Mosquitto) -> dict[str, bytes]:
    """All that the broker retains of the whitelist."""
    found: dict[str, bytes] = {}
    for _ in range(100):
        try:
            # What is published behind the subscription comes behind all that is retained.
            async with connected(Account(broker.url), [f"gated/1/{SITE}/whitelist/#", "end"]) as link:
                await link.publish("end", b"")
                async with asyncio.timeout(WAIT_S):
                    async for message in link.messages():
                        link.done(message)
                        if message.topic == "end":
                            return found
                        found[message.topic] = message.payload
        except BrokerAwayError:
            await asyncio.sleep(0.05)
    raise AssertionError("the broker does not come back")


async def holds(broker: Mosquitto, site: Site) -> None:
    """Return when the broker retains what the repository says, and nothing else."""
    async with asyncio.timeout(WAIT_S):
        while await retained(broker) != dict(repository(site).publications().retain):  # noqa: ASYNC110 - the same
            await asyncio.sleep(0.02)


async def until(condition: Callable[[], Any]) -> None:
    """Return when it holds."""
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 - conditions of others have no event
            await asyncio.sleep(0.01)


async def test_the_broker_holds_what_the_repository_says(broker: Mosquitto, place: Workplace) -> None:
    """All of it after the connect; after each change what is new, and what nobody names any more is gone."""
    async with publishing(place.site, broker):
        await holds(broker, place.site)
        before = await retained(broker)
        place.put_in_force([line(number, "other") for number in range(3500)])
        await holds(broker, place.site)
        after = await retained(broker)
        assert before.keys() - after.keys()
        with changing(place.site):
            repository(place.site).suspend(Credential("em:0000000001"), datetime.now(UTC))
        await holds(broker, place.site)


async def test_a_broker_that_forgets_is_told_again(broker: Mosquitto, place: Workplace) -> None:
    """After a restart without its memory it holds all of it again."""
    async with publishing(place.site, broker):
        await holds(broker, place.site)
        broker.kill()
        broker.forget()
        await asyncio.to_thread(broker.start)
        await holds(broker, place.site)


async def test_a_broker_that_says_something_else_is_told_again(broker: Mosquitto, place: Workplace) -> None:
    """An older message in the place of ours does not stay there."""
    old = repository(place.site).message()
    with changing(place.site):
        repository(place.site).renew(datetime.now(UTC))
    async with publishing(place.site, broker):
        await holds(broker, place.site)
        async with connected(Account(broker.url), []) as link:
            await link.publish(REPO, old, retain=True)
        await holds(broker, place.site)


@pytest.mark.parametrize("broken", [lambda _: b"", lambda piece: bytes(len(piece))], ids=["wiped", "overwritten"])
async def test_a_piece_that_somebody_breaks_is_said_again(
    broker: Mosquitto, place: Workplace, broken: Callable[[bytes], bytes]
) -> None:
    """Without a new connection; nothing else is said again."""
    said = []
    async with publishing(place.site, broker):
        await holds(broker, place.site)
        topic, piece = next(one for one in repository(place.site).publications().retain if "/blob/" in one[0])
        async with connected(Account(broker.url), [f"gated/1/{SITE}/whitelist/#"]) as link:
            await link.publish(topic, broken(piece), retain=True)
            async with asyncio.timeout(WAIT_S):
                async for message in link.messages():
                    link.done(message)
                    if not message.retained:
                        said.append((message.topic, message.payload))
                    if said[1:]:
                        break
        await holds(broker, place.site)
    assert said == [(topic, broken(piece)), (topic, piece)]


async def test_a_restored_folder_catches_up(broker: Mosquitto, place: Workplace, tmp_path: Path) -> None:
    """A folder from a backup takes back from the broker what it had published since; gates hear nothing older."""
    backup = tmp_path / "backup"
    shutil.copytree(place.site.repository, backup)
    place.put_in_force([line(number, os.urandom(9).hex()) for number in range(9000)])
    with changing(place.site):
        repository(place.site).suspend(Credential("em:0000000001"), datetime.now(UTC))
    async with publishing(place.site, broker):
        await holds(broker, place.site)
    before = repository(place.site).versions
    shutil.rmtree(place.site.repository)
    shutil.copytree(backup, place.site.repository)
    assert repository(place.site).versions["targets"] < before["targets"]
    async with publishing(place.site, broker):
        await until(lambda: repository(place.site).versions["targets"] == before["targets"])
        await holds(broker, place.site)
        after = repository(place.site).versions
        assert all(after[role] >= version for role, version in before.items())
        assert [one.credential for one in repository(place.site).suspensions] == ["em:0000000001"]
    place.put_in_force([line(1)], shrinks=True)


async def test_a_folder_that_went_on_is_not_mended(broker: Mosquitto, place: Workplace, tmp_path: Path) -> None:
    """Where both have something that the other has not, nothing is overwritten, and there is an alarm."""
    backup = tmp_path / "backup"
    shutil.copytree(place.site.repository, backup)
    place.put_in_force([line(number) for number in range(3001)])
    place.put_in_force([line(number) for number in range(3002)])
    async with publishing(place.site, broker):
        await holds(broker, place.site)
    shutil.rmtree(place.site.repository)
    shutil.copytree(backup, place.site.repository)
    with changing(place.site):
        for number in range(3):
            repository(place.site).suspend(Credential(f"em:{number:010X}"), datetime.now(UTC))
    held, notes = await retained(broker), Notes()
    async with publishing(place.site, broker, notes):
        await until(lambda: notes.raised)
        assert "restored from a backup" in notes.raised[0][1]
        assert await retained(broker) == held


async def test_what_broke_off_is_cleared_later(broker: Mosquitto, place: Workplace) -> None:
    """Pieces of a list that was overtaken while it was being said do not stay at the broker."""
    from center.publish import delivery  # noqa: PLC0415

    place.put_in_force([line(number, os.urandom(9).hex()) for number in range(9000)])
    assert len(repository(place.site).publications().retain) > 2

    class Torn:
        def __init__(self, link: Any) -> None:
            self.link, self.left = link, 1

        async def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
            self.left -= 1
            if self.left < 0:
                raise BrokerAwayError("torn")
            await self.link.publish(topic, payload, retain=retain)

    async with connected(Account(broker.url), []) as link:
        torn: Any = Torn(link)
        with pytest.raises(BrokerAwayError):
            await delivery.deliver(torn, repository(place.site), Retained(SITE), place.site.repository)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):  # which a half cancelled task would end by
                await asyncio.Event().wait()
    assert await retained(broker)
    place.put_in_force([line(number) for number in range(2900)], shrinks=True)
    async with publishing(place.site, broker):
        await holds(broker, place.site)


async def test_only_one_publishes(broker: Mosquitto, place: Workplace) -> None:
    """A second process waits, and takes over when the first has ended."""
    async with publishing(place.site, broker) as first:
        await holds(broker, place.site)
        async with publishing(place.site, broker) as second:
            await asyncio.sleep(0.3)
            assert second._retained._held == {}
            assert first._retained._held
        await asyncio.sleep(0)
    async with publishing(place.site, broker) as third:
        await until(lambda: third._retained._held)


async def test_signatures_stay_young(broker: Mosquitto, place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The timestamp is signed again at the start and each hour, also while another command changes the site."""
    monkeypatch.setattr(module, "RENEW_S", 0.2)

    def version() -> int:
        data = (place.site.repository / "timestamp.json").read_bytes()
        return Metadata[Timestamp].from_bytes(data).signed.version

    before = version()
    async with publishing(place.site, broker):
        await until(lambda: version() >= before + 1)
        with changing(place.site):
            held = version()
            await asyncio.sleep(0.3)
            assert version() == held
        await until(lambda: version() >= held + 2)
        files = names.decode((await retained(broker))[REPO])
        assert Metadata[Timestamp].from_bytes(files["timestamp.json"]).signed.version > before


async def test_people_are_told(broker: Mosquitto, tmp_path: Path) -> None:
    """60 days before signatures run out, 48 hours after a suspension and at its lapse there is an alarm."""
    place = Workplace(tmp_path / "old", signers=1)
    then = datetime.now(UTC) - timedelta(days=320)
    place.put_in_force([line(number) for number in range(10)], now=then)
    for number, hours in ((1, 50), (2, 160)):
        with changing(place.site):
            repository(place.site).suspend(Credential(f"em:{number:010X}"), datetime.now(UTC) - timedelta(hours=hours))
    notes = Notes()
    async with publishing(place.site, broker, notes):
        await until(lambda: any(kind == "lapsed" for kind, _ in notes.raised))
    told = "\n".join(f"{kind}: {text}" for kind, text in notes.raised)
    assert "signers: targets runs out on" in told
    assert "signers: em:…0001 is suspended until" in told
    assert "lapsed: the suspension of em:…0002 has lapsed" in told


async def test_a_center_that_cannot_sign_says_so(broker: Mosquitto, place: Workplace) -> None:
    """With the wrong key there is an alarm, and what was said stays."""
    (place.site.folder / "online" / "repository.pem").write_bytes(
        (place.site.folder / "online" / "center.pem").read_bytes()
    )
    notes = Notes()
    async with publishing(place.site, broker, notes):
        await until(lambda: notes.raised)
        assert notes.raised[0][0] == "unsigned"
        await holds(broker, place.site)


async def test_before_the_first_list(broker: Mosquitto, tmp_path: Path) -> None:
    """Without a list there is nothing to say; the first one is said when it is there."""
    place = Workplace(tmp_path / "new", signers=1)
    async with publishing(place.site, broker):
        await asyncio.sleep(0.2)
        assert await retained(broker) == {}
        place.put_in_force([line(1)])
        await holds(broker, place.site)


async def test_a_long_list_does_not_hold_up_the_loop(broker: Mosquitto, tmp_path: Path) -> None:
    """While 30 MB are said, whatever else shares the loop goes on: this is the ingest's loop too."""
    place = Workplace(tmp_path / "long", signers=1)
    place.put_in_force([line(1)])
    noise = os.urandom(30 * 1024 * 1024)
    held = repository(place.site)
    wanted = held.publications()
    name = blob.sha256(noise)
    many = [(topics.blob(SITE, name, n), part) for n, part in enumerate(blob.pieces(noise))]
    wanted.retain[:0] = many

    class Long:
        def publications(self) -> object:
            return wanted

        def published(self, _: object) -> None: ...

    from center.publish import delivery  # noqa: PLC0415

    worst, stop = 0.0, asyncio.Event()

    async def tick() -> None:
        nonlocal worst
        while not stop.is_set():
            before = time.monotonic()
            await asyncio.sleep(0.001)
            worst = max(worst, time.monotonic() - before)

    async with connected(Account(broker.url), []) as link:
        ticking = asyncio.create_task(tick())
        long: Any = Long()
        started = time.monotonic()
        length = await delivery.deliver(link, long, Retained(SITE), place.site.repository)
        stop.set()
        await ticking
    assert length > len(noise)
    print(f"{length:,} bytes in {time.monotonic() - started:.2f} s, loop held up {worst * 1000:.0f} ms at most")  # noqa: T201
    assert worst < 1.0
    assert await _count(broker) == len(wanted.retain)


async def _count(broker: Mosquitto) -> int:
    return len(await retained(broker))


def test_changing_waits(place: Workplace) -> None:
    """A command waits for another one that is changing the site, and says so where it takes too long."""
    from center.site.files import SiteError  # noqa: PLC0415

    with place.site.changing(), pytest.raises(SiteError, match="another command"), changing(place.site, 0.1):
        pytest.fail("two at once")


def test_no_changes_is_a_proposal_too(place: Workplace) -> None:
    """The helper of these tests proposes as commands do."""
    bundle = repository(place.site).propose(Changes(lines=[line(1)], shrinks=True), datetime.now(UTC))
    assert bundle.site == SITE


async def test_who_is_announced_follows_the_database(broker: Mosquitto, place: Workplace) -> None:
    """A gate that is set up later is told as well; whose time is over is erased, at the broker too."""
    seals = {"north": X25519PrivateKey.generate(), "south": X25519PrivateKey.generate()}
    assert place.run("gate", "add", *seals) == 0
    moment = time.time()
    with closing(Store.open(place.site.database, SITE)) as store:

        def announced(gate: str) -> list[str] | None:
            """Who is announced there, by what is in force; None where it is not told."""
            role = read(Targets, repository(place.site).held[names.EXPECTED]).signed
            target = role.targets[names.FILE_OF[names.EXPECTED]]
            data = (place.site.repository / f"blob-{target.hashes['sha256']}").read_bytes()
            try:
                return [one.name for one in unseal(data, SITE, gate, seals[gate])]
            except ExpectedError:
                return None

        def set_up(gate: str) -> None:
            with store.database.transaction() as connection:
                public = seals[gate].public_key().public_bytes_raw()
                connection.execute(update(tables.gate).where(tables.gate.c.name == gate).values(seal=public))

        async def announce() -> bool:
            return await asyncio.to_thread(expected.publish, store, place.site, datetime.now(UTC))

        set_up("north")
        with store.database.transaction() as connection:
            for name, left_s in (("王明", 3600.0), ("李红", 2.0)):
                least: dict[str, Any] = {"people": 1, "plate": None, "visits": "", "note": "", "begins": moment}
                visitor = visitors.made(name, **least, until=moment + left_s, now=moment)
                visitors.add(connection, visitor, "li-wei", moment)
        async with publishing(place.site, broker, announce=announce):
            await until(lambda: names.EXPECTED in repository(place.site).held)
            assert (sorted(announced("north") or []), announced("south")) == (["李红", "王明"], None)
            await holds(broker, place.site)
            first = await retained(broker)
            set_up("south")
            await until(lambda: announced("south") is not None)
            await until(lambda: announced("south") == ["王明"])
            with store.reading() as connection:
                assert [row.name for row in visitors.rows(connection, moment)] == ["王明"]
            await holds(broker, place.site)
            left = {topic for topic in first if "/blob/" in topic} & (await retained(broker)).keys()
            assert len(left) == 1  # the list; nothing that was sealed before
