"""The simulated building process against the real one: the same steps on both sides, the same answers."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from gated.lists.flash_acts import Built, Checked
from protocol import repository as names
from protocol import topics
from protocol.blob import PIECE_BYTES
from tests.signers import SITE, line
from tests.simulation.flash_sides import HOUR, MANY, Real, Side, Simulated

RANDOM_SCRIPTS: Final = 3
RANDOM_STEPS: Final = 40
DAY: Final = 24 * HOUR
REPO: Final = topics.repository(SITE)


class Both:
    """The same on both sides; every answer compared."""

    def __init__(self, folder: Path) -> None:
        self.sides: tuple[Side, Side] = (Real(folder), Simulated())
        self._same: set[str] = set()
        """Files that are the same on both sides: all but a role's."""

    def do(self, step: Callable[[Side], object]) -> None:
        """A step."""
        for side in self.sides:
            step(side)

    def hear(self, *, pieces: Callable[[bytes], bytes | None] = lambda data: data) -> None:
        """All that the broker holds, each piece as `pieces` makes it; None is one that does not come."""
        for side in self.sides:
            for topic, payload in side.retain.items():
                found = payload if topic == REPO else pieces(payload)
                if found is not None:
                    side.put(topic, found)

    def check(self, after_s: float = 0.0, *, whole: bool = False) -> Checked:
        """What both say of the message, that long after the center's own time."""
        real, simulated = (side.check(side.now + after_s, whole=whole) for side in self.sides)
        assert _checked(real) == _checked(simulated)
        self._same |= {need.sha256 for need in real.needs if need.name not in names.FILE_OF}
        one, other = (side.kept & self._same for side in self.sides)
        assert one == other
        return real

    def build(self, after_s: float = 0.0, *, whole: bool = False) -> Built | None:
        """What both make of what is there."""
        real, simulated = (side.build(side.now + after_s, whole=whole) for side in self.sides)
        assert _built(real) == _built(simulated)
        return real

    def take(self) -> Built:
        """All that the broker holds, checked and built."""
        self.hear()
        self.check()
        built = self.build()
        assert built is not None
        return built


def _nature(why: str) -> str:
    """What kind of refusal it is; the words are each side's own."""
    for words in (
        "there is no message",
        "have run out",
        "not what the signers have signed",
        "not those that were signed",
    ):
        if words in why:
            return words
    return "refused" if why else ""


def _checked(said: Checked) -> object:
    if said.why:
        return _nature(said.why)
    needs = sorted(
        (need.name, need.last, need.have, need.length if need.name not in names.FILE_OF else 0) for need in said.needs
    )
    return said.snapshot, said.vouched, said.expires, said.version, needs, said.build


def _built(said: Built | None) -> object:
    if said is None:
        return None
    refused = [_nature(why) for why in said.refused]
    return refused, said.whole, said.version, said.entries, said.switched, said.documents


@pytest.fixture
def both(tmp_path: Path) -> Both:
    """A center that has published a list and a policy, and a gate that was never flashed."""
    made = Both(tmp_path)
    made.do(lambda side: side.publish(MANY, b'{"schedules":{}}'))
    return made


def test_from_nothing_to_the_newest(both: Both) -> None:
    """Nothing, a message, some pieces, all of them; then a delta, suspensions, and what is stale."""
    assert both.check().why == "there is no message"
    both.hear(pieces=lambda _: None)
    assert {(need.name, need.last) for need in both.check().needs} == {
        (names.WHITELIST, True),
        ("policy.json", False),
    }
    both.hear(pieces=lambda data: data if len(data) < 100 else None)
    assert [need.name for need in both.check().needs] == [names.WHITELIST]
    built = both.build()
    assert built is not None
    assert (built.version, built.documents, built.switched) == (None, True, False)
    assert both.take().version == "1"
    assert both.check().needs == ()
    both.do(lambda side: side.publish([*MANY[:-1], line(9000).encode()]))
    both.hear(pieces=lambda _: None)
    assert [(need.name, need.last) for need in both.check().needs] == [("whitelist.1-2.jsonl.zst", False)]
    assert [need.name for need in both.check(whole=True).needs] == [names.WHITELIST]
    assert both.take().version == "2"
    both.do(lambda side: side.suspend())
    assert both.take().switched
    both.do(lambda side: side.restore())
    both.hear()
    assert both.check().build
    assert both.take().switched
    assert not both.take().switched
    both.do(lambda side: side.renew())
    assert not both.take().switched


def test_what_is_not_to_be_believed(both: Both) -> None:
    """Noise, somebody else's, an older one, one that has run out: and never is what was trusted given up."""
    old = [side.retain for side in both.sides]
    both.take()
    for noise in (b"", b"{}", b"\xff", b"[]"):
        both.do(lambda side, noise=noise: side.put(REPO, noise))  # type: ignore[misc]
        assert both.check().why
        assert both.build() is None
    both.do(lambda side: side.put(REPO, side.forged()))
    assert both.check().why
    both.do(lambda side: side.publish([*MANY, line(9000).encode()]))
    both.take()
    for side, retained in zip(both.sides, old, strict=True):
        for topic, payload in retained.items():
            side.put(topic, payload)
    assert "not to be believed" in both.check().why
    assert both.build() is None
    both.hear()
    assert "run out" in both.check(DAY).why
    assert both.build(DAY) is None
    assert both.check(-30 * DAY).why == ""
    both.do(lambda side: side.renew())
    both.hear()
    both.check(2 * DAY)  # what had run out when it came is not what older ones are measured by
    assert both.take().version == "2"


def test_what_is_damaged_on_its_way(both: Both) -> None:
    """Pieces that are empty or short are asked for again, others of the right length are found out and dropped."""
    both.hear(pieces=lambda data: data[:-1])
    assert all(not need.have for need in both.check().needs)
    both.hear(pieces=lambda data: bytes(len(data)))
    assert both.check().needs == ()
    built = both.build()
    assert built is not None
    assert len(built.refused) == 2
    assert (built.version, built.documents) == (None, False)
    assert all(not need.have for need in both.check().needs)
    assert both.take().version == "1"


def test_a_list_of_several_pieces(both: Both) -> None:
    """Those that are here are not asked for again; nothing is built before all are."""
    rand = random.Random(1)
    large = [line(number, rand.randbytes(20).hex()).encode() for number in range(4000)]
    both.do(lambda side: side.publish(large))
    both.hear(pieces=lambda data: data if len(data) == PIECE_BYTES else None)
    needs = {need.name: need for need in both.check().needs}
    assert needs[names.WHITELIST].have == {0}
    built = both.build()
    assert built is not None
    assert built.version is None
    both.hear(pieces=lambda data: data if len(data) == PIECE_BYTES else bytes(len(data)))
    assert both.check().needs == ()
    built = both.build()
    assert built is not None
    assert built.version is None
    assert both.take().version == "2"


def test_a_delta_that_does_not_fit(both: Both) -> None:
    """The list in force is damaged: the delta's result is another, and the whole list is asked for."""
    both.take()
    both.do(lambda side: side.damage())
    both.do(lambda side: side.publish([*MANY, line(9000).encode()]))
    built = both.take()
    assert built.whole
    assert built.version == "1"
    assert [need.name for need in both.check(whole=True).needs] == [names.WHITELIST]
    both.hear()
    both.check(whole=True)
    again = both.build(whole=True)
    assert again is not None
    assert again.version == "2"


def test_many_missed(both: Both) -> None:
    """More than there are deltas for; and a list so different that there is none."""
    both.take()
    for number in range(8):
        both.do(lambda side, number=number: side.publish([*MANY, line(9000 + number).encode()]))  # type: ignore[misc]
    both.hear(pieces=lambda _: None)
    assert [need.name for need in both.check().needs] == [names.WHITELIST]
    assert both.take().version == "9"
    both.do(lambda side: side.publish([line(number, "other").encode() for number in range(400)]))
    both.hear(pieces=lambda _: None)
    assert [need.name for need in both.check().needs] == [names.WHITELIST]
    assert both.take().version == "10"


@pytest.mark.parametrize("seed", range(RANDOM_SCRIPTS))
def test_whatever_comes(both: Both, seed: int) -> None:
    """Steps by the seed."""
    rand = random.Random(seed)
    held, number = list(MANY), 9000
    for _ in range(RANDOM_STEPS):
        match rand.choice(("list", "policy", "suspend", "restore", "renew", "hear", "hear", "some", "evil", "order")):
            case "list":
                number += 1
                held = [*held[: rand.randrange(len(held) - 10, len(held))], line(number).encode()]
                both.do(lambda side, lines=tuple(held): side.publish(lines))  # type: ignore[misc]
            case "policy":
                number += 1
                both.do(lambda side, number=number: side.publish(policy=b"%d" % number))  # type: ignore[misc]
            case "suspend":
                both.do(lambda side: side.suspend())
            case "restore":
                both.do(lambda side: side.restore())
            case "renew":
                both.do(lambda side: side.renew())
            case "hear":
                both.hear()
            case "some":
                most = rand.choice((0, 10, 1000))
                both.hear(pieces=lambda data, most=most: data if len(data) < most else None)  # type: ignore[misc]
            case "evil":
                both.hear(pieces=lambda data: bytes(len(data)))
            case _:
                pass
        both.check(rand.choice((0.0, 0.0, 2 * DAY)), whole=rand.random() < 0.2)
        both.build(whole=rand.random() < 0.2)
