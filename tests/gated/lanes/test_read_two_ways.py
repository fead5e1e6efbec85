"""An `rsu` lane at a real daemon: on-board unit and plate are one vehicle, and the list may know it by either."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drivers.emulated.host import TcpHost
from drivers.emulated.rsu import EmulatedRsu
from gated.lanes.lane import REJUDGE_S
from gated.lanes.presence import restored
from gated.lists import listload
from gated.lists.whitelist import Whitelist, WhitelistError
from protocol.credential import Credential
from protocol.sighting import PlateColour, Sighting
from protocol.whitelist import Entry
from tests.gated.lanes.test_recorded_before_opened import LANES, FakeJournal, Rig, settled
from tests.gatepost import Event, Gatepost

OBU, PLATE = "63B6A1D2", "沪A12345"
EARLIER = "2026-01-01T00:00:00+08:00"
BY_PLATE = {"c": f"plate:{PLATE}", "h": "h-plate"}
BY_OBU = {"c": f"obu:{OBU}", "h": "h-obu"}


def listed(state: Path, lines: list[dict[str, Any]]) -> None:
    """Put this list in force."""
    source = state / "lines.jsonl"
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))
    listload.load(state, source, lambda *_: None, EARLIER)


@asynccontextmanager
async def antenna(folder: Path, lines: list[dict[str, Any]]) -> AsyncIterator[tuple[Gatepost, EmulatedRsu, TcpHost]]:
    """A gate whose `car-in` has an ETC antenna, with this list."""
    unit = EmulatedRsu()
    async with TcpHost(unit) as host:
        rsu = f'driver = "rsu", port = "{host.port}", profile = "parking"'

        def configure(text: str) -> str:
            return re.sub(r"(\[lanes\.car-in\](?:.*\n)*?readers = \[ \{) [^}]+", rf"\1 {rsu} ", text)

        async with Gatepost(folder, configure=configure) as post:
            listed(post.state, lines)
            await post.start()
            yield post, unit, host


async def comes(post: Gatepost, unit: EmulatedRsu, host: TcpHost) -> Event:
    """The vehicle drives before the antenna; its passage."""
    host.send(unit.enter(OBU, PLATE, PlateColour.YELLOW_GREEN))
    await post.until(lambda: post.passages("car-in"), "the vehicle is seen")
    return post.passages("car-in")[0]


async def test_a_plate_alone_lets_in_whose_unit_nobody_knows(tmp_path: Path) -> None:
    """The passage is the unit's, which was read first; it says that the plate's line decided."""
    async with antenna(tmp_path, [BY_PLATE]) as gate:
        passage = await comes(*gate)
        await gate[0].pulses("car-in", 1)
        assert (passage["verdict"], passage["reason"]) == ("admit", "listed")
        assert (passage["credential"], passage["also"]) == (f"obu:{OBU}", [f"plate:{PLATE}"])
        assert passage["colour"] == "yellow-green"
        assert (passage["matched"], passage["holder"]) == (f"plate:{PLATE}", "h-plate")


@pytest.mark.parametrize(
    ("lines", "reason", "matched"),
    [
        ([BY_PLATE, {**BY_OBU, "since": EARLIER}], "suspended", None),
        ([BY_PLATE, {"c": f"obu:{OBU}", "gone": True}], "unknown", None),
        ([BY_OBU, {**BY_PLATE, "since": EARLIER}], "suspended", f"plate:{PLATE}"),
        ([{**BY_PLATE, "with": "obu:00000000"}], "clone", f"plate:{PLATE}"),
    ],
)
async def test_what_takes_either_out_of_force_keeps_it_out(
    tmp_path: Path, lines: list[dict[str, Any]], reason: str, matched: str | None
) -> None:
    """Nobody is let in by the plate whose unit is suspended or revoked, nor the other way round."""
    async with antenna(tmp_path, lines) as gate:
        passage = await comes(*gate)
        assert (passage["verdict"], passage["reason"], passage.get("matched")) == ("flag", reason, matched)
        assert passage["credential"] == f"obu:{OBU}"
        assert gate[0].pulsed("car-in") == 0


async def test_what_was_read_stays_known_while_the_vehicle_stands_there(tmp_path: Path) -> None:
    """A suspended plate that is not read the next time is that vehicle's still."""
    listed(tmp_path, [BY_OBU, {**BY_PLATE, "since": EARLIER}])
    with closing(Whitelist(tmp_path)) as whitelist:
        rig = Rig(whitelist, FakeJournal())
        for also in ((Credential(f"plate:{PLATE}"),), ()):
            rig.post.see("car-in", Sighting("car-in/0", Credential(f"obu:{OBU}"), rig.clocks.seconds, also))
            rig.journal.settle()
            await settled()
            rig.clocks.seconds += REJUDGE_S
        assert [event["reason"] for event in rig.journal.events] == ["suspended"]
        assert rig.pulses("car-in") == 0


def test_a_colour_stays_with_its_plate() -> None:
    """While the vehicle stands there, and no plate is read anew; it is never another plate's."""
    first = Sighting(
        "car-in/0", Credential(f"obu:{OBU}"), 10.0, (Credential(f"plate:{PLATE}"),), colour=PlateColour.YELLOW
    )
    there = restored(LANES["car-in"], first, 1)
    there.away = False
    there.refresh(replace(first, at=11.0, also=(), colour=None), 11.0)
    assert (there.sighting.also, there.sighting.colour) == (first.also, PlateColour.YELLOW)
    there.refresh(replace(first, at=12.0, also=(Credential("plate:沪A54321"),), colour=None), 12.0)
    assert there.sighting.colour is None


@pytest.mark.parametrize("unreadable", [f"obu:{OBU}", f"plate:{PLATE}"])
async def test_an_error_of_the_list_is_never_a_yes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unreadable: str
) -> None:
    """Nor does the other one stand in for what could not be looked up."""
    listed(tmp_path, [BY_OBU, BY_PLATE])
    with closing(Whitelist(tmp_path)) as whitelist:
        sound = whitelist.entry

        def entry(credential: Credential) -> Entry | None:
            if credential == unreadable:
                raise WhitelistError("the disk is dying")
            return sound(credential)

        monkeypatch.setattr(whitelist, "entry", entry)
        rig = Rig(whitelist, FakeJournal())
        both = Sighting("car-in/0", Credential(f"obu:{OBU}"), rig.clocks.seconds, (Credential(f"plate:{PLATE}"),))
        rig.post.see("car-in", both)
        assert [(event["verdict"], event["reason"]) for event in rig.journal.events] == [("flag", "unknown")]
        assert [event["what"] for event in rig.journal.noted] == ["list-trouble"]
