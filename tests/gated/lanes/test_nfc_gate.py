"""NFC cards at a gate: the real daemon, a reader over UDP, and what the journal has of it."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from drivers.emulated.host import UdpHost
from drivers.emulated.nfc import EmulatedNfc, Type2
from gated import control
from gated.commands import doctor_box
from gated.talking import enrol
from protocol import eid
from protocol.credential import Credential
from protocol.eid import Card, Holder
from protocol.enrolment import Enrolment
from protocol.operators import OperatorsDocument, RegistrarEntry, encode
from protocol.signature import public_bytes
from tests.flashbox import Box
from tests.gatepost import Gatepost
from tests.signers import SITE, Center, line

UID = bytes.fromhex("04A2B3C4D5E680")
NUMBER, COPIED = Credential("eid:0123456789ABCDEF"), Credential("eid:0123456789ABCDF0")
CENTER = '\n[center]\nbroker = "mqtts://127.0.0.1:9"\nusername = "north"\npassword = "file:{state}/password"\n'


@asynccontextmanager
async def gate(
    folder: Path, listed: Iterable[str] = (), more: Callable[[str], str] = str
) -> AsyncIterator[tuple[Gatepost, EmulatedNfc, UdpHost]]:
    """A gate post whose walk-in reader is one for NFC, before its daemon is started; the field and its process."""
    field = EmulatedNfc()
    async with UdpHost(field) as host:
        reader = f'driver = "nfc", port = "{host.port}"'

        def configure(text: str) -> str:
            return more(re.sub(r'driver = "em4100", port = "[^"]*"', reader, text))

        async with Gatepost(folder, listed, configure) as post:
            yield post, field, host


async def test_a_chip_passes_by_its_number(tmp_path: Path) -> None:
    """Shown, it is one passage in the journal and the barrier opens; the daemon ends while a look goes unanswered."""
    async with gate(tmp_path, ["uid:04A2B3C4D5E680"]) as (post, field, host):
        await post.start()
        field.enter(Type2(UID))
        await post.pulses("walk-in", 1)
        (passage,) = post.passages("walk-in")
        assert (passage["credential"], passage["verdict"]) == ("uid:04A2B3C4D5E680", "admit")
        assert passage["reason"] == "listed"
        host.unplug()
        assert await post.stop() == 0
        assert "04A2B3C4" not in post.log.read_text()


async def test_a_signed_card_passes_by_its_record(tmp_path: Path) -> None:
    """Issued since the list was made it is let in as `card`; a record on another chip than its own is a clone."""
    desk = Ed25519PrivateKey.generate()
    now = datetime.now(UTC)
    center = Center(now=now - timedelta(minutes=2))
    entry = RegistrarEntry(name="desk-1", key=public_bytes(desk).hex())
    center.publish([line(1)], documents={"operators.json": encode(OperatorsDocument(registrars=(entry,)))})
    issued = now.timestamp() - 60
    registry = X25519PrivateKey.generate().public_key().public_bytes_raw()
    card, other = (
        eid.make(Card(SITE, number, "h7Qk2", UID, issued, issued, issued + 3600), Holder("王小明"), registry, desk)
        for number in (NUMBER, COPIED)
    )

    def with_center(text: str) -> str:
        return text.replace('site = "demo"', f'site = "{SITE}"') + CENTER.format(state=tmp_path / "state")

    async with gate(tmp_path, more=with_center) as (post, field, _):
        enrolled = Enrolment(
            site=SITE,
            gate="north",
            broker="mqtts://127.0.0.1:9",
            username="north",
            password="of-the-broker",  # noqa: S106 - of nobody
            ca="",
            center=(public_bytes(desk).hex(),),
            root=center.root,
            pepper="cd" * 32,
            voucher="01" * 32,
            until=now + timedelta(days=1),
        )
        enrol.install(post.state, enrolled)
        Box(post.state, center.root, center.now).take(center)
        (post.state / "password").write_text("of-the-broker")
        await post.start()
        await asyncio.to_thread(control.ask, post.state, {"op": "clock-accept"})
        field.enter(Type2(UID, card))
        await post.pulses("walk-in", 1)
        field.leave(UID)
        field.enter(Type2(UID[::-1], other))
        await post.until(lambda: len(post.passages("walk-in")) > 1, "the copy is seen")
        passages = post.passages("walk-in")
        assert [(one["credential"], one["reason"]) for one in passages] == [(NUMBER, "card"), (COPIED, "clone")]
        assert passages[0]["holder"] == "h7Qk2"
        assert "王" not in str(passages)


def test_what_the_doctor_says_of_a_reader_on_usb() -> None:
    """It is not on the network, and whether it answers only the daemon knows."""
    said = [
        doctor_box._port("lanes.walk-in.readers[0]", port).said for port in ("usb:072f:2200", "socket://10.0.0.9:1")
    ]
    assert ["network" in what for what in said] == [False, True]
    assert all("gated status says if it answers" in what for what in said)
