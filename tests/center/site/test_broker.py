"""The broker as it is set up: a real mosquitto with the files that were made, and what it lets whom do."""

import asyncio
import os
import pwd
import socket
import ssl
import stat
from pathlib import Path

import aiomqtt
import pytest

from center.gatectl.__main__ import main
from center.site import broker as text
from center.site import export, gates, passwords, technicians
from center.site.files import SiteError
from protocol import topics
from tests.center.site.conftest import NOW, SiteBroker, new_site, opened, profile

ROOT = Path(__file__).parents[3]
SITE = "shenhang"
WAIT_S = 10.0
BLOB = topics.blob(SITE, "ab" * 32, 0)
ALL = "gated/1/shenhang/#"


def client(broker: SiteBroker, name: str | None, password: str | None = None) -> aiomqtt.Client:
    """A connection, over TLS with the site's own authority."""
    context = ssl.create_default_context(cafile=str(broker.ca))
    if name is not None and password is None:
        password = broker.passwords[name]
    return aiomqtt.Client("127.0.0.1", broker.port, username=name, password=password, tls_context=context, timeout=5)


async def publish(broker: SiteBroker, name: str, topic: str, payload: str = "x", *, retain: bool = False) -> None:
    """Publish under this name; a broker that hangs up on what is forbidden is as good as one that keeps silent."""
    try:
        async with client(broker, name) as connection:
            await connection.publish(topic, payload, qos=1, retain=retain, timeout=2)
    except aiomqtt.MqttError:
        pass


async def die(broker: SiteBroker, name: str, topic: str, *, retain: bool) -> None:
    """Connect with a last will there, and break the connection off."""
    connection = client(broker, name)
    connection._client.will_set(topic, "wrong", qos=1, retain=retain)
    try:
        async with connection:
            socket_of(connection).shutdown(socket.SHUT_RDWR)
            async with asyncio.timeout(WAIT_S):
                await anext(aiter(connection.messages))
    except aiomqtt.MqttError:
        pass


def socket_of(connection: aiomqtt.Client) -> socket.socket:
    """The connection's socket."""
    found = connection._client.socket()
    assert isinstance(found, socket.socket)
    return found


async def heard(
    broker: SiteBroker, name: str, subscriptions: list[str], sent: list[tuple[str, str]], last: str
) -> set[str]:
    """On which topics `name` hears something when all of `sent` (name, topic) is published; `last` ends the wait."""
    found: set[str] = set()
    async with asyncio.timeout(WAIT_S), client(broker, name) as listener:
        for subscription in subscriptions:
            await listener.subscribe(subscription, qos=1)
        for who, topic in sent:
            await publish(broker, who, topic)
        await publish(broker, "center" if name != "center" else "north", last, "last")
        async for message in listener.messages:
            found.add(message.topic.value)
            if message.payload == b"last":
                return found
    raise AssertionError


def of_gate(gate: str) -> list[str]:
    """All topics of a gate."""
    plain = [of(SITE, gate) for of in (topics.status, topics.events, topics.ack, topics.whitelist, topics.command)]
    return [*plain, topics.reply(SITE, gate, "7f")]


EVERYTHING = [*of_gate("north"), *of_gate("south"), topics.repository(SITE), BLOB, "gated/1/other/gates/north/status"]


async def test_a_gate_writes_its_own_only(broker: SiteBroker) -> None:
    """Of all there is, a gate may write its status, events, whitelist and replies, and nothing of another gate."""
    tried = [("north", topic) for topic in EVERYTHING]
    found = await heard(broker, "center", [ALL], tried, topics.status(SITE, "north"))
    own = (topics.status, topics.events, topics.whitelist)
    assert found == {of(SITE, "north") for of in own} | {topics.reply(SITE, "north", "7f")}


@pytest.mark.parametrize(
    "subscriptions", [["#"], [ALL], ["gated/1/shenhang/gates/+/+"], EVERYTHING], ids=["#", "all", "+", "each"]
)
async def test_a_gate_reads_its_own_only(broker: SiteBroker, subscriptions: list[str]) -> None:
    """However it subscribes, a gate hears its answers, its orders and the whitelist, and nothing of another gate."""
    sent = [("south", topic) for topic in of_gate("south")]
    sent += [("center", topic) for topic in EVERYTHING]
    found = await heard(broker, "north", subscriptions, sent, topics.ack(SITE, "north"))
    own = {topics.ack(SITE, "north"), topics.command(SITE, "north")}
    assert found == own | (
        {topics.repository(SITE), BLOB} if subscriptions != ["gated/1/shenhang/gates/+/+"] else set()
    )


async def test_the_center_hears_every_gate(broker: SiteBroker) -> None:
    """The center hears all that gates say."""
    sent = [(gate, topic) for gate in ("north", "south") for topic in of_gate(gate)]
    found = await heard(broker, "center", [ALL], sent, topics.status(SITE, "north"))
    assert found == {
        topic for topic in (*of_gate("north"), *of_gate("south")) if "ack" not in topic and "command" not in topic
    }


async def test_a_shared_subscription_hears_the_same(broker: SiteBroker) -> None:
    """So does one of several workers that share a subscription."""
    events = topics.events(SITE, "north")
    found = await heard(broker, "center", [f"$share/ingest/{topics.events(SITE, '+')}"], [], events)
    assert found == {events}


@pytest.mark.parametrize(
    "subscriptions",
    [["#"], [ALL], ["gated/1/shenhang/gates/+/+", "gated/1/shenhang/gates/+/reply/+", "+/+/+/whitelist/#"], EVERYTHING],
    ids=["#", "all", "+", "each"],
)
async def test_what_a_technician_reads(broker: SiteBroker, subscriptions: list[str]) -> None:
    """However it subscribes: how gates are, which list they have and are to have, what became of orders; no more.

    No passage, no piece of the list, no answer of the center, no order of anybody, nothing of another site.
    """
    sent = [(gate, topic) for gate in ("north", "south") for topic in of_gate(gate)]
    sent += [("center", topic) for topic in EVERYTHING]
    found = await heard(broker, "li-wei", subscriptions, sent, topics.repository(SITE))
    expected = {of(SITE, gate) for of in (topics.status, topics.whitelist) for gate in ("north", "south")}
    expected |= {topics.reply(SITE, gate, "7f") for gate in ("north", "south")}
    assert found == expected | {topics.repository(SITE)}


async def test_what_a_technician_hears_of_the_broker(broker: SiteBroker) -> None:
    """Not how many clients there are either; nor does sharing a subscription get around the rules."""
    subscriptions = ["$SYS/#", f"$share/mine/{topics.events(SITE, '+')}", f"$share/mine/{ALL}"]
    async with asyncio.timeout(WAIT_S), client(broker, "li-wei") as listener:
        for subscription in (*subscriptions, topics.repository(SITE)):
            await listener.subscribe(subscription, qos=1)
        await publish(broker, "north", topics.events(SITE, "north"), "secret")
        await publish(broker, "center", topics.repository(SITE), "last")
        async for message in listener.messages:
            assert message.payload != b"secret"
            assert not message.topic.value.startswith("$SYS")
            if message.payload == b"last":
                break


async def test_a_technician_writes_orders_only(broker: SiteBroker) -> None:
    """Of all there is, orders: not the list, no answer, no status, no events, no reply; not as a last will either.

    What was retained stays as it was: nothing is put in its place, and nothing is cleared.
    """
    kept = {topics.repository(SITE), BLOB, topics.ack(SITE, "north"), topics.status(SITE, "north")}
    for topic in kept:
        await publish(broker, "north" if "status" in topic else "center", topic, "right", retain=True)
    for topic in EVERYTHING:
        order = "command" in topic
        for payload in ("wrong", ""):
            await publish(broker, "li-wei", topic, payload, retain=not order)
        await die(broker, "li-wei", topic, retain=not order)
    found: dict[str, set[bytes]] = {}
    last = topics.ack(SITE, "south")
    async with asyncio.timeout(WAIT_S), client(broker, "center") as listener:
        await listener.subscribe(ALL, qos=1)
        await publish(broker, "center", last, "last")
        async for message in listener.messages:
            found.setdefault(message.topic.value, set()).add(bytes(message.payload))
            if message.payload == b"last":
                break
    for topic in kept:
        await publish(broker, "north" if "status" in topic else "center", topic, "", retain=True)
    assert found == {**{topic: {b"right"} for topic in kept}, last: {b"last"}}
    tried = [("li-wei", topic) for topic in EVERYTHING]
    orders = await heard(broker, "north", [topics.command(SITE, "north")], tried, topics.command(SITE, "north"))
    assert orders == {topics.command(SITE, "north")}


async def test_a_technician_who_is_removed(broker: SiteBroker) -> None:
    """From the reload on the password opens nothing, and a connection that was open ends."""
    content = profile(technicians.add(broker.site, "wang", {}, NOW))
    broker.passwords["wang"] = content.password
    broker.install()
    broker.reload()
    async with asyncio.timeout(WAIT_S), client(broker, "wang") as still_there:
        technicians.remove(broker.site, "wang")
        broker.install()
        broker.reload()
        with pytest.raises(aiomqtt.MqttError):
            await anext(aiter(still_there.messages))
    with pytest.raises(aiomqtt.MqttError, match=r"(?i)not authori[sz]ed"):
        async with client(broker, "wang"):
            pass


@pytest.mark.parametrize(
    ("name", "password"), [("north", "wrong"), ("north", ""), ("nobody", "x"), (None, None), ("south", "of north")]
)
async def test_nobody_else_is_let_in(broker: SiteBroker, name: str | None, password: str | None) -> None:
    """A wrong password, another gate's, an unknown name and no name at all are refused."""
    if password == "of north":  # noqa: S105 - stands for what is not known before
        password = broker.passwords["north"]
    with pytest.raises(aiomqtt.MqttError, match=r"(?i)not authori[sz]ed"):
        async with client(broker, name, password):
            pass


async def test_another_authority_is_not_trusted(broker: SiteBroker, tmp_path: Path) -> None:
    """A broker whose certificate is from another site's authority is not talked to."""
    other = new_site(tmp_path / "other")
    context = ssl.create_default_context(cadata=other.authority.certificate.decode())
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncio.open_connection("127.0.0.1", broker.port, ssl=context)


async def test_without_tls_there_is_nothing(broker: SiteBroker) -> None:
    """No password is ever taken in clear."""
    with pytest.raises(aiomqtt.MqttError):
        async with aiomqtt.Client("127.0.0.1", broker.port, username="north", password="x", timeout=2):  # noqa: S106
            pass


async def test_a_new_gate_after_a_reload(broker: SiteBroker) -> None:
    """After a reload a new gate is let in, a removed one is not, one with a new box is by its new password only."""
    content = opened(gates.add(broker.site, "east", broker.registry, NOW))
    broker.passwords["east"] = content.password
    broker.install()
    broker.reload()
    async with client(broker, "east"):
        pass
    new = opened(gates.replace(broker.site, "east", broker.registry, NOW))
    broker.install()
    broker.reload()
    async with client(broker, "east", new.password):
        pass
    with pytest.raises(aiomqtt.MqttError):
        async with client(broker, "east", content.password):
            pass
    gates.remove(broker.site, "east", broker.registry)
    broker.install()
    broker.reload()
    with pytest.raises(aiomqtt.MqttError):
        async with client(broker, "east", new.password):
            pass


async def test_a_renewed_certificate_after_a_reload(broker: SiteBroker) -> None:
    """A renewed certificate is shown after a reload, and gates trust it as they did the old."""
    before = await certificate(broker)
    broker.site.renew_certificate(NOW)
    broker.install()
    broker.reload()
    assert await certificate(broker) != before
    async with client(broker, "north"):
        pass


async def test_another_password_of_the_center(broker: SiteBroker, capsys: pytest.CaptureFixture[str]) -> None:
    """From the reload on the new one opens and the old one does not; it is said who must read it."""
    before = broker.passwords["center"]
    assert main(["-s", str(broker.site.folder), "site", "broker-password"]) == 0
    said = "".join(capsys.readouterr())
    assert "systemctl reload mosquitto" in said
    assert "systemctl restart gated-center" in said
    broker.passwords["center"] = broker.site.center_password
    assert broker.passwords["center"] not in said
    broker.install()
    broker.reload()
    async with client(broker, "center"):
        pass
    with pytest.raises(aiomqtt.MqttError, match=r"(?i)not authori[sz]ed"):
        async with client(broker, "center", before):
            pass
    async with client(broker, "north"):
        pass


async def certificate(broker: SiteBroker) -> bytes:
    """What the broker shows."""
    context = ssl.create_default_context(cafile=str(broker.ca))
    _, writer = await asyncio.open_connection("127.0.0.1", broker.port, ssl=context)
    found: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return found


def test_the_broker_has_no_more_than_it_needs(broker: SiteBroker) -> None:
    """In the broker's folder are its own files, for its own user alone: none of the site's keys."""
    folder = broker.folder / "broker"
    assert {path.name for path in folder.iterdir()} == {"mosquitto.conf", "mosquitto.acl", "passwords", "server.pem"}
    for path in (folder, *folder.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
        assert path.stat().st_uid == folder.stat().st_uid
    if os.geteuid() == 0:
        assert folder.stat().st_uid != 0
    assert "BEGIN" not in (folder / "mosquitto.conf").read_text()


def test_a_broker_that_is_not_installed(tmp_path: Path) -> None:
    """Without the broker's user there is a word on what to install."""
    with pytest.raises(SiteError, match="apt install mosquitto"):
        export.export(new_site(tmp_path / "site"), tmp_path / "b", user="no-such-user", state=tmp_path)


def test_the_folder_that_outlives_a_restart(tmp_path: Path) -> None:
    """It is made, for the broker's user alone; one that is there already is left as it is."""
    state = tmp_path / "state"
    user = pwd.getpwuid(os.getuid()).pw_name
    site = new_site(tmp_path / "site")
    export.export(site, tmp_path / "b", user=user, state=state)
    assert (state.stat().st_uid, stat.S_IMODE(state.stat().st_mode)) == (os.getuid(), 0o700)
    state.chmod(0o750)
    export.export(site, tmp_path / "b", user=user, state=state)
    assert stat.S_IMODE(state.stat().st_mode) == 0o750


def test_samples() -> None:
    """The samples in config/ are what the same code makes: they run."""
    sample = text.configuration(
        SITE, folder=Path("/etc/mosquitto/gated"), state=Path("/var/lib/mosquitto"), port=8883, tls=True
    )
    assert (ROOT / "config" / "mosquitto.conf").read_text() == sample
    rules = text.rules(SITE, gates=["north", "south"], technicians=["li-wei"])
    assert (ROOT / "config" / "mosquitto.acl").read_text() == rules


def test_hashes() -> None:
    """A hash fits its password and no other, and no two of one password are the same."""
    kept = passwords.hashed("secret")
    assert kept.startswith("$7$101$")
    assert passwords.fits("secret", kept)
    assert not passwords.fits("Secret", kept)
    assert passwords.hashed("secret") != kept
    assert passwords.fits(
        "secret",
        "$7$101$1Sw/I8zlGKpdbgbG$j2KwP3ncOD6EMSoophoQ0dmLUGL7gUeLK6wwNv7SQaaXuuU3v/VFIji6+5/Sb7gX5an7PZnkFB5mjB3sCJxy+A==",
    )
