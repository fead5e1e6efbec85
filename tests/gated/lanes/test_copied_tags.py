"""A tag that was copied, at a gate that reads chips: the real daemon and emulated UHF readers."""

import json
from pathlib import Path
from typing import Any

from gated.lists import listload
from tests.gatepost import Event, Gatepost

OWN, COPIED, LATE = (f"E28011700000020000000{number:03X}" for number in (1, 2, 3))
LANE = "car-in"
OTHER_CHIP = "E2003412AAAABBBBCCCCDDDD"


def bound(post: Gatepost, folder: Path) -> None:
    """A list that knows the chip of each tag."""
    chips = post.uhf[LANE].chips
    source = folder / "chips.jsonl"
    source.write_text(
        "".join(
            json.dumps({"c": f"epc:{epc}", "h": f"h{number}", "tid": chips.tid(epc)}) + "\n"
            for number, epc in enumerate((OWN, COPIED, LATE))
        )
    )
    listload.load(post.state, source, lambda *_: None, "2026-11-25T00:00:00+08:00")


def told(passage: Event) -> tuple[Any, ...]:
    """What a passage is about, and how it was decided."""
    return tuple(passage.get(key) for key in ("credential", "verdict", "reason", "chip"))


async def test_of_tags_with_one_epc_the_list_knows_the_chip(tmp_path: Path) -> None:
    """The right one is admitted, another is a clone; one not read is said to be so, and judged again once it is."""

    def reads_chips(text: str) -> str:
        return text.replace('driver = "uhf18"', 'driver = "uhf18", tid = true')

    async with Gatepost(tmp_path, configure=reads_chips) as post:
        reader = post.uhf[LANE]
        bound(post, tmp_path)
        await post.start()

        async def recorded(number: int) -> None:
            await post.until(lambda: len(post.passages(LANE)) >= number, f"{number} passages")

        reader.enter(f"{COPIED}/{OTHER_CHIP}")
        await recorded(1)
        reader.leave(COPIED)
        reader.enter(OWN)
        await post.pulses(LANE, 1)
        reader.leave(OWN)
        post.devices.passed(LANE)
        reader.deaf = True
        reader.enter(f"{LATE}/{OTHER_CHIP}")
        await recorded(3)
        reader.deaf = False
        await recorded(4)
        assert [told(passage) for passage in post.passages(LANE)] == [
            (f"epc:{COPIED}", "flag", "clone", None),
            (f"epc:{OWN}", "admit", "listed", None),
            (f"epc:{LATE}", "admit", "listed", "unread"),
            (f"epc:{LATE}", "flag", "clone", None),
        ]
        assert post.pulsed(LANE) == 2
