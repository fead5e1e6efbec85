"""The chips of the tags in a field: when one is to be read, and when a sighting goes without."""

from drivers.chips import AWAY_S, RETRY_S, TAGS_MAX, WAIT_S, Chips, Wanted
from protocol.gen2 import TID_WORDS, credential
from protocol.sighting import Sighting

EPC = bytes.fromhex("E284361100001000094944AA")
OTHER = bytes.fromhex("E200001D7315016521408FC6")
TID = bytes.fromhex("E280116020001234567890AB")
CHIP = Wanted(EPC, TID_WORDS)


def see(chips: Chips, at: float, epc: bytes = EPC) -> list[Sighting]:
    """A sighting at this time; what there is to report then."""
    chips.see(epc, Sighting("r", credential(epc), at))
    return chips.take(at)


def test_a_sighting_waits_for_its_chip_and_no_longer() -> None:
    """It goes with the TID as soon as that is read; where it is not, without, after a short time."""
    chips = Chips()
    assert see(chips, 0.0) == []
    assert chips.wanted(0.0) == CHIP
    chips.read(CHIP, TID, 0.1)
    assert [one.tid for one in chips.take(0.1)] == [TID.hex().upper()]
    assert chips.wanted(0.1) is None
    chips = Chips()
    assert see(chips, 0.0) == []
    assert chips.wait(0.1) == WAIT_S - 0.1
    assert chips.take(WAIT_S - 0.01) == []
    assert [(one.at, one.tid) for one in chips.take(WAIT_S)] == [(0.0, None)]
    assert chips.take(WAIT_S) == []


def test_a_chip_is_read_once_for_as_long_as_the_tag_stays() -> None:
    """All its sightings have the TID; gone and back, it is read anew."""
    chips = Chips()
    see(chips, 0.0)
    chips.read(CHIP, TID, 0.0)
    chips.take(0.0)
    at = 0.0
    for _ in range(5):
        at += AWAY_S
        assert [one.tid for one in see(chips, at)] == [TID.hex().upper()]
        assert chips.wanted(at) is None
    at += AWAY_S + 0.01
    assert see(chips, at) == []
    assert chips.wanted(at) == CHIP


def test_a_chip_that_does_not_answer_is_asked_again() -> None:
    """At once while the sighting waits, then now and then while the tag stays; what comes late goes with the next."""
    chips = Chips()
    see(chips, 0.0)
    chips.failed(CHIP, 0.1)
    assert chips.wanted(0.1) == CHIP
    chips.failed(CHIP, WAIT_S)
    assert chips.wanted(WAIT_S) is None
    assert [one.tid for one in see(chips, WAIT_S)] == [None], "the newer one in place of the one that waited"
    assert [one.tid for one in see(chips, RETRY_S)] == [None]
    assert chips.wanted(WAIT_S + RETRY_S) == CHIP
    chips.read(CHIP, TID, WAIT_S + RETRY_S)
    assert [one.tid for one in see(chips, 1.5)] == [TID.hex().upper()]


def test_nobody_asks_the_chip_of_a_tag_that_has_gone() -> None:
    """It could only be in vain."""
    chips = Chips()
    see(chips, 0.0)
    assert chips.wanted(AWAY_S + 0.01) is None


def test_what_is_no_whole_number_is_none() -> None:
    """Fewer bytes than were asked for are a reading that failed; else a part of a TID would be another's."""
    chips = Chips()
    see(chips, 0.0)
    for data in (TID[:8], TID + b"\0\0", b""):
        chips.read(CHIP, data, 0.0)
    assert chips.take(0.0) == []
    assert chips.wanted(0.0) == CHIP


def test_a_short_bank_is_read_by_fewer_words() -> None:
    """Where the chip itself says that it has no more; down to the two that each has."""
    chips = Chips()
    see(chips, 0.0)
    asked = []
    for _ in range(4):
        chip = chips.wanted(0.0)
        assert chip is not None
        asked.append(chip.words)
        chips.failed(chip, 0.0, short=True)
    assert asked == [6, 4, 2, 2]
    chips.read(Wanted(EPC, 2), bytes.fromhex("E2001234"), 0.0)
    assert [one.tid for one in chips.take(0.0)] == ["E2001234"]


def test_many_tags_take_turns() -> None:
    """Who waits longest is next; one that failed comes after those that were not asked yet."""
    chips = Chips()
    see(chips, 0.0)
    see(chips, 0.05, OTHER)
    chips.failed(CHIP, 0.1)
    assert chips.wanted(0.1) == Wanted(OTHER, TID_WORDS)


def test_a_crowd_goes_without() -> None:
    """What is kept is bounded: beyond that nobody waits, and whoever has gone makes room."""
    chips = Chips()
    for number in range(TAGS_MAX):
        assert see(chips, 0.0, number.to_bytes(12, "big")) == []
    assert len(see(chips, 0.0)) == 1
    crowd = see(chips, AWAY_S + 0.01)
    assert len(crowd) == TAGS_MAX, "those that waited, where nobody took them in time"
    assert chips.wanted(AWAY_S + 0.01) == CHIP
