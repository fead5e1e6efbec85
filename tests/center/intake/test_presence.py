"""Which statuses count, whatever a broker replays; who is silent; whose keys are believed."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from center.intake.presence import Standing, heard
from center.records import reading
from center.records.store import SILENT_S, Store
from protocol.enrolment import vouch
from protocol.message import Offline, Status
from protocol.signature import public_bytes
from tests.chain import FakeGate
from tests.desk import Desk

NOW = 1_800_000_000.0
ONLINE = Standing("s1", 3, 7, online=True)
GONE = Standing("s1", 3, 7, online=False)


@pytest.fixture
def desk(store: Store) -> Desk:
    """A store and what feeds it, on a clock that tests set."""
    return Desk(store, lambda: NOW)


@pytest.fixture
def north(desk: Desk) -> FakeGate:
    """A gate that the site has."""
    return desk.add(FakeGate().passages(2))


def status(session: str, connection: int, number: int) -> Status:
    """A status."""
    fake = FakeGate(session=session)
    bare, _, _ = fake.status(number, connection).rpartition(b',"sig"')
    return Status.from_bytes(bare + b"}")


@pytest.mark.parametrize(
    ("known", "said", "departed", "counts"),
    [
        (None, status("s1", 1, 1), False, True),
        (ONLINE, status("s1", 3, 8), False, True),
        (ONLINE, status("s1", 3, 7), False, False),  # retained, or doubled
        (ONLINE, status("s1", 3, 6), False, False),
        (ONLINE, status("s1", 2, 8), False, False),  # an older connection with a newer number: no such gate
        (ONLINE, status("s1", 4, 8), False, True),
        (ONLINE, status("s2", 1, 1), False, True),  # started anew
        (ONLINE, status("s0", 9, 99), True, False),  # a session that was left never comes back
        (GONE, status("s1", 3, 8), False, False),  # said before the will that is known already
        (GONE, status("s1", 4, 8), False, True),
        (None, Offline(session="s1", connection=2), False, True),
        (ONLINE, Offline(session="s1", connection=3), False, True),
        (ONLINE, Offline(session="s1", connection=4), False, True),  # it never got to say that it was there
        (ONLINE, Offline(session="s1", connection=2), False, False),  # a will that came late
        (ONLINE, Offline(session="s0", connection=9), True, False),
        (ONLINE, Offline(session="s2", connection=1), False, False),
        (GONE, Offline(session="s1", connection=3), False, False),
    ],
)
def test_what_counts(known: Standing | None, said: Status | Offline, departed: bool, counts: bool) -> None:  # noqa: FBT001
    """The rules, one by one."""
    new = heard(known, said, departed=departed)
    assert (new is not None) == counts
    if new is not None:
        assert new.online == isinstance(said, Status)
        assert (new.session, new.connection) == (said.session, said.connection)


def test_a_session_that_was_left_never_comes_back(desk: Desk, north: FakeGate) -> None:
    """Not even with a higher number than it ever had, nor its will."""
    assert desk.say(north, north.status(5))
    old = FakeGate(key=north.key)
    north.session = "s2"
    assert desk.say(north, north.status(1))
    assert not desk.say(north, old.status(6, connection=2))
    assert not desk.say(north, old.offline(2))
    assert desk.say(north, north.status(2))
    assert not desk.say(north, north.status(2))


def test_only_the_gates_own_word_counts(desk: Desk, north: FakeGate) -> None:
    """Another's signature, another gate's topic, a batch: nothing."""
    assert not desk.say(north, FakeGate().status(1))
    assert not desk.say(north, north.batch())
    assert not desk.say(north, b"")
    south = desk.add(FakeGate(name="south", key=north.key))
    assert not desk.say(south, north.status(1))
    assert desk.say(north, north.status(1))


def test_silence_is_an_alarm_until_the_gate_is_back(desk: Desk, north: FakeGate) -> None:
    """Raised once, after three minutes without status and batch; a gate never heard of is not missing."""
    desk.add(FakeGate(name="new"))
    desk.say(north, north.status(1))
    look = desk.store.look_for_silent
    assert look(NOW + SILENT_S - 1, since=0) == []
    assert look(NOW + SILENT_S + 1, since=NOW + 60) == []  # we have not listened for long enough ourselves
    assert look(NOW + SILENT_S + 1, since=0) == ["north"]
    assert look(NOW + SILENT_S + 9, since=0) == []
    assert desk.alarms() == [("silent", 1)]
    desk.now = lambda: NOW + 400
    assert desk.say(north, north.status(2))
    with desk.store.reading() as connection:
        [alarm] = reading.alarms(connection)
    assert alarm.ended == NOW + 400
    assert look(NOW + 400 + SILENT_S + 1, since=0) == ["north"]


def test_a_batch_breaks_the_silence_too(desk: Desk, north: FakeGate) -> None:
    """A gate whose events arrive is not missing."""
    desk.say(north, north.status(1))
    desk.now = lambda: NOW + 170
    desk.send(north)
    assert desk.store.look_for_silent(NOW + SILENT_S + 1, since=0) == []


def test_a_one_time_key_vouches_once(desk: Desk) -> None:
    """For that gate of that site, before its end, for the first keys that it signs; and it may say so again."""
    one_time = Ed25519PrivateKey.generate()
    south, thief = FakeGate(name="south"), FakeGate(name="south")
    desk.store.add_gate("south", public_bytes(one_time), NOW + 100, NOW)

    def voucher(of: FakeGate = south, *, site: str = "shenhang", gate: str = "south", seal: bytes = south.seal) -> str:
        return vouch(one_time, site=site, gate=gate, key=of.public, seal=seal)

    vouched = desk.store.vouch
    assert not vouched("south", south.public, south.seal, voucher(gate="north"), NOW)
    assert not vouched("south", south.public, south.seal, voucher(site="other"), NOW)
    assert not vouched("south", south.public, bytes(32), voucher(), NOW)
    assert not vouched("south", south.public[:31], south.seal, voucher(), NOW)
    assert not vouched("south", south.public, south.seal, "", NOW)
    assert not vouched("south", south.public, south.seal, voucher(), NOW + 100)
    assert desk.store.keys("south") == ()
    assert vouched("south", south.public, south.seal, voucher(), NOW + 99)
    assert vouched("south", south.public, south.seal, voucher(), NOW + 1000)
    assert not vouched("south", thief.public, south.seal, voucher(thief), NOW)
    assert desk.store.keys("south") == (south.public,)


def test_a_status_must_be_signed_with_the_key_that_it_brings(desk: Desk) -> None:
    """Who copies a new gate's keys and voucher into a message of his own gets nothing; the gate itself is believed."""
    one_time = Ed25519PrivateKey.generate()
    south, thief = FakeGate(name="south"), FakeGate(name="south")
    desk.store.add_gate("south", public_bytes(one_time), NOW + 100, NOW)
    voucher = vouch(one_time, site="shenhang", gate="south", key=south.public, seal=south.seal)
    brought = {"key": south.public.hex(), "seal": south.seal.hex(), "voucher": voucher}
    assert not desk.say(south, thief.status(1, 1, **brought))
    assert not desk.say(south, south.status(1))
    assert desk.say(south, south.status(1, 1, **brought))
    assert desk.say(south, south.status(2))


def test_a_box_is_replaced(desk: Desk, north: FakeGate) -> None:
    """The old box is believed no more, what it sent stays, and the new one is vouched for anew."""
    desk.send(north)
    desk.say(north, north.status(1))
    one_time = Ed25519PrivateKey.generate()
    desk.store.replace_gate("north", public_bytes(one_time), NOW + 100, NOW)
    assert desk.store.keys("north") == ()
    assert not desk.say(north, north.status(2))
    new = FakeGate(session="n1", epoch="E2", board="serial:b").passages(1)
    voucher = vouch(one_time, site="shenhang", gate="north", key=new.public, seal=new.seal)
    assert desk.say(new, new.status(1, 1, key=new.public.hex(), seal=new.seal.hex(), voucher=voucher))
    desk.send(new)
    assert desk.count() == 3
    assert desk.lines(north) == north.lines
    assert desk.alarms() == [("epoch", 1)]
