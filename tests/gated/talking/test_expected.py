"""Announced visitors at a gate: in memory only, for whoever asks; what is not right is refused and named."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from center.publish.repository import Online, Repository
from gated import diagnostics
from gated.talking.expected import TOLD_MAX, ExpectedVisitors
from protocol.credential import Credential
from protocol.expected import SEALED_MAX_BYTES, Visitor, seal, visitor
from protocol.whitelist import write_time
from tests.flashbox import GATE, Box
from tests.signers import NOW, SITE, Center, line, new_keys

LINES = [line(number) for number in range(20)]
KEY = X25519PrivateKey.generate()
GATES = {
    GATE: KEY.public_key().public_bytes_raw(),
    "south": X25519PrivateKey.generate().public_key().public_bytes_raw(),
}


def someone(number: int, begins: timedelta, until: timedelta, **more: object) -> Visitor:
    """An invented visitor, expected from then until then after NOW."""
    times = {"from": write_time((NOW + begins).timestamp()), "until": write_time((NOW + until).timestamp())}
    return visitor({"id": f"id{number}", "name": f"Visitor-{number}", **times, **more})


HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SOON = someone(1, HOUR, 2 * HOUR, name="王明", plate="plate:沪A12345", visits="12-501")
LATER = someone(2, -HOUR, 5 * HOUR, note="Tools, 2 boxes")


@pytest.fixture
def center() -> Center:
    """A site with a list of twenty."""
    made = Center()
    made.publish(LINES)
    return made


@pytest.fixture
def box(tmp_path: Path, center: Center) -> Box:
    """A gate that has that list."""
    made = Box(tmp_path, center.root, center.now)
    made.take(center)
    return made


def announce(center: Center, visitors: Iterable[Visitor], gates: dict[str, bytes] | None = None) -> None:
    """Publish it."""
    center.repository.announce(seal(visitors, SITE, GATES if gates is None else gates), "", center.now)


def held(box: Box, key: X25519PrivateKey = KEY) -> ExpectedVisitors:
    """What a daemon that starts now on the box's folder holds."""
    keys = cast("Any", SimpleNamespace(site=SITE, gate=GATE, seal=key))
    keeper = cast("Any", SimpleNamespace(now=lambda: box.now))
    found = ExpectedVisitors(box.folder, keys, keeper, lambda: box.flash.vouched, structlog.get_logger())
    found.refresh()
    return found


def names(found: ExpectedVisitors, text: str = "") -> list[object]:
    """Who is told."""
    return [one["name"] for one in cast("list[dict[str, object]]", found.find(text)["visitors"])]


def test_the_gate_has_them_and_finds_them(box: Box, center: Center) -> None:
    """By any part, in the order in which they come; with no center, after a restart too; withdrawn, they are gone."""
    announce(center, [SOON, LATER])
    box.take(center)
    found = held(box)
    assert (names(found), found.count, found.trouble, box.idle) == (["Visitor-2", "王明"], 2, "", True)
    for text in ("王明", "沪a·12345", "１２３４５", "12-501", "12501"):
        assert names(found, text) == ["王明"]
    assert names(found, "tools") == ["Visitor-2"]
    assert names(found, "nobody") == []
    (told,) = cast("list[dict[str, object]]", found.find("王明")["visitors"])
    assert told == {
        "name": "王明",
        "people": 1,
        "plate": "plate:沪A12345",
        "visits": "12-501",
        "note": "",
        "from": "2026-11-24T09:00:00Z",
        "until": "2026-11-24T10:00:00Z",
    }
    box.start()
    assert names(held(box)) == ["Visitor-2", "王明"]
    announce(center, [LATER])
    box.take(center)
    found.refresh()
    assert names(found) == ["Visitor-2"]


def test_they_are_on_no_disk_in_clear(box: Box, center: Center) -> None:
    """Nowhere in the state folder; who is over is in memory no longer either, by validity time."""
    announce(center, [SOON, LATER])
    box.take(center)
    found = held(box)
    files = [path.read_bytes() for path in box.folder.rglob("*") if path.is_file()]
    assert not any("王明".encode() in data or b"Visitor-2" in data for data in files)
    box.time(NOW + 2 * HOUR)
    assert (names(found), found.count) == (["Visitor-2"], 1)
    box.time(NOW + 5 * HOUR)
    found.forget()
    assert "Visitor" not in repr(vars(found))


def test_no_more_are_told_than_fit_into_an_answer(box: Box, center: Center) -> None:
    """The rest is counted."""
    many = [
        someone(number, HOUR, 2 * HOUR, name="王" * 60, visits="王" * 100, note="王" * 200)
        for number in range(TOLD_MAX + 7)
    ]
    announce(center, many)
    box.take(center)
    answer = held(box).find("")
    assert answer["more"] == 7
    assert len(json.dumps(answer)) < 1024 * 1024


def _wrong_key(center: Center) -> None:
    right = center.repository
    (thief,) = new_keys(1)
    center.repository = Repository(SITE, center.vault, Online(center.committee.repository, thief))
    announce(center, [LATER])
    center.repository = right


def _too_big(center: Center) -> None:
    center.repository.announce(bytes(SEALED_MAX_BYTES + 1), "", center.now)


def _for_others(center: Center) -> None:
    announce(center, [LATER], {"south": GATES["south"]})


def _too_far(center: Center) -> None:
    announce(center, [LATER, someone(3, HOUR, 31 * DAY)])


def _damaged(center: Center) -> None:
    center.repository.announce(b"\1no such thing", "", center.now)


@pytest.mark.parametrize(
    ("deed", "why", "keeps"),
    [
        (_wrong_key, "expected was signed by 0/1 keys", True),
        (_too_big, "expected has 573441 bytes; 1 to ", True),
        (_for_others, "not sealed to this gate's key", False),
        (_too_far, "until is more than 30 days ahead", False),
        (_damaged, "it is damaged", False),
    ],
)
def test_what_is_not_right_is_refused_alone(
    box: Box,
    center: Center,
    deed: Callable[[Center], None],
    why: str,
    keeps: bool,  # noqa: FBT001 - a row's column
) -> None:
    """Named with its reason; all else of the same update is in force. What could not be verified leaves what was."""
    announce(center, [SOON])
    box.take(center)
    center.repository.suspend(Credential("em:0000000001"), center.now)
    deed(center)
    box.take(center)
    found = held(box)
    assert why.replace("573441", str(SEALED_MAX_BYTES + 1)) in f"{box.flash.trouble} {found.trouble}"
    assert names(found) == (["王明"] if keeps else [])
    entry = box.entry("em:0000000001")
    assert entry is not None
    assert entry.since is not None
    announce(center, [LATER])
    box.take(center)
    assert (names(held(box)), held(box).trouble, box.flash.trouble) == (["Visitor-2"], "", "")


def test_signatures_that_have_run_out_leave_what_was(box: Box, center: Center) -> None:
    """Who was announced is expected until their time is over, for as long as there is no center."""
    announce(center, [LATER])
    box.take(center)
    box.time(NOW + timedelta(hours=3))
    box.now = replace(box.now, validity=(NOW + 8 * DAY).timestamp())
    box.start()
    box.flash_from(center.pieces)
    assert "run out" in box.flash.trouble
    box.time(NOW + timedelta(hours=3))
    assert names(held(box)) == ["Visitor-2"]


def test_no_support_bundle_has_them() -> None:
    """Not even how many there are."""
    assert "expected" not in diagnostics.of_state({"expected": 3, "center": {"online": True}})
