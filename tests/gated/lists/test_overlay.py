"""How far the delegated roles may go on the box, and what lies over the list."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from gated.lists import overlay as overlays
from gated.lists.overlay import Enrolled, Held, Overlay, OverlayRefused, take_enrolments, take_suspensions
from protocol.credential import Credential
from protocol.roles import ADDED_A_DAY, Enrolment, Suspension, write_enrolment, write_suspension
from protocol.whitelist import SUSPENSION_S, Entry

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC).timestamp()
DAY_S = 86400.0
TODAY = date(2026, 11, 24)


def card(number: int) -> Credential:
    """A credential."""
    return Credential(f"em:{number:010X}")


def enrolment(number: int, added: date = TODAY) -> bytes:
    """A line."""
    return write_enrolment(Enrolment(Entry(card(number), "h"), added))


def suspension(number: int, since: float = NOW, signed: float | None = None) -> bytes:
    """A line."""
    return write_suspension(Suspension(card(number), since, since if signed is None else signed))


def enrolled(lines: Iterable[bytes], floor: float = NOW, today: float = NOW) -> set[Credential]:
    """What is taken of an enrolments file."""
    return set(take_enrolments(Overlay(), 1, lines, today=today, floor=floor)[0].enrolments)


def suspended(
    lines: Iterable[bytes], before: Overlay | None = None, floor: float = NOW, as_of: float = 0.0
) -> tuple[Overlay, list[str]]:
    """What comes of a suspensions file, at a list of 20,000 entries."""
    return take_suspensions(before or Overlay(), 1, lines, entries=20_000, as_of=as_of, floor=floor)


def test_a_hundred_enrolments_a_day_and_no_more() -> None:
    """By their dates; with one too many the whole file is refused."""
    two_days = [enrolment(n, TODAY - timedelta(days=n % 2)) for n in range(2 * ADDED_A_DAY)]
    assert len(enrolled(two_days)) == 2 * ADDED_A_DAY
    with pytest.raises(OverlayRefused, match="101 enrolments of 2026-11-24"):
        enrolled([*two_days, enrolment(999)])


def test_an_enrolment_lapses_after_two_weeks_by_the_floor() -> None:
    """Not by a wall clock ahead of it; a gate that knows no time lets none lapse."""
    line = enrolment(1, TODAY - timedelta(days=14))
    assert enrolled([line], floor=NOW - DAY_S) == {card(1)}
    assert enrolled([line], floor=NOW) == set()
    assert enrolled([line], floor=0.0) == {card(1)}


def test_an_enrolment_of_a_day_to_come_counts_for_nothing() -> None:
    """Else two registrars could give themselves more days; a day of grace for clocks and zones."""
    lines = [enrolment(n, TODAY + timedelta(days=n)) for n in range(4)]
    assert enrolled(lines) == {card(0), card(1)}
    _, troubles = take_enrolments(Overlay(), 1, lines, today=NOW, floor=NOW)
    assert "a day that has not come" in troubles[0]


def test_a_gate_without_a_clock_takes_the_centers_word_for_the_day() -> None:
    """`today` is the later of validity time and the center's last signature."""
    assert enrolled([enrolment(1)], today=0.0, floor=0.0) == set()
    assert enrolled([enrolment(1)], today=NOW, floor=0.0) == {card(1)}


def test_a_line_that_is_none_is_left_out() -> None:
    """The others count; what is wrong is told, and a thousand wrong lines do not make a long story."""
    assert enrolled([b"nonsense", enrolment(1), b'{"c":"em:0000000002","gone":true,"added":"2026-11-24"}']) == {card(1)}
    overlay, troubles = suspended([suspension(1), *[b"nonsense"] * 1000])
    assert set(overlay.suspensions) == {card(1)}
    assert len(troubles) == 5


def test_more_suspensions_than_one_in_a_hundred_are_refused_as_a_whole() -> None:
    """What was suspended before stays so."""
    overlay, _ = suspended([suspension(n) for n in range(200)])
    assert len(overlay.suspensions) == 200
    with pytest.raises(OverlayRefused, match="201 suspensions; more than 200 take the signers"):
        suspended([suspension(n) for n in range(201)])


def test_a_suspension_is_not_prolonged_by_another_since() -> None:
    """The box remembers the first; 72 hours after it nobody but the signers can go on."""
    overlay, _ = suspended([suspension(1)])
    day = NOW + 3.5 * DAY_S
    later, troubles = suspended([suspension(1, day)], overlay, floor=day)
    assert later.suspensions == {}
    assert "first suspended more than 72 h before" in troubles[0]
    in_time = NOW + SUSPENSION_S
    renewed, _ = suspended([suspension(1, NOW, in_time)], overlay, floor=in_time)
    assert renewed.suspensions[card(1)] == Held(NOW, in_time)


def test_a_since_is_remembered_through_a_restoration() -> None:
    """To take a suspension back and begin it again is to go on with it."""
    overlay, _ = suspended([suspension(1)])
    overlay, _ = suspended([], overlay)
    assert overlay.suspensions == {}
    overlay, _ = suspended([suspension(1, NOW + DAY_S)], overlay, floor=NOW + DAY_S)
    assert overlay.suspensions[card(1)].since == NOW


def test_after_a_newer_list_a_suspension_is_a_new_one() -> None:
    """The signers have had their say; thirty days do as well."""
    overlay, _ = suspended([suspension(1)])
    day = NOW + 4 * DAY_S
    anew, _ = suspended([suspension(1, day)], overlay, floor=day, as_of=NOW + 1)
    assert anew.suspensions[card(1)].since == day
    month = NOW + 30 * DAY_S
    anew, _ = suspended([suspension(1, month)], overlay, floor=month)
    assert anew.suspensions[card(1)].since == month


def test_who_suspends_everybody_in_turn_is_stopped() -> None:
    """What is remembered is bounded too."""
    overlay = Overlay()
    for turn in range(10):
        overlay, _ = suspended([suspension(turn * 200 + n) for n in range(200)], overlay)
    with pytest.raises(OverlayRefused, match="one after the other"):
        suspended([suspension(5000)], overlay)


def test_a_suspension_lapses_three_days_after_it_was_signed_by_the_floor() -> None:
    """Before that it is there, after that it is not; which ones, is told once."""
    overlay, _ = suspended([suspension(1), suspension(2, NOW, NOW + DAY_S)])
    assert overlays.next_lapse(overlay) == NOW + SUSPENSION_S
    assert overlays.lapse(overlay, NOW + SUSPENSION_S - 1) == (overlay, [])
    left, lapsed = overlays.lapse(overlay, NOW + SUSPENSION_S)
    assert lapsed == [("suspension", card(1))]
    assert set(left.suspensions) == {card(2)}
    assert overlays.next_lapse(left) == NOW + DAY_S + SUSPENSION_S
    assert overlays.next_lapse(Overlay()) == float("inf")


ENTRY = Entry(card(1), "listed")
OVERLAY = Overlay(
    enrolments={card(1): Enrolled(Entry(card(1), "enrolled"), NOW), card(2): Enrolled(Entry(card(2), "new"), NOW)},
    suspensions={card(3): Held(NOW, NOW + 1), card(4): Held(NOW, NOW + 1)},
)


def test_the_list_counts_more_than_an_enrolment() -> None:
    """An enrolment changes no entry, and brings back nothing that is gone."""
    gone = replace(ENTRY, gone=True)
    for entry in (ENTRY, gone):
        assert overlays.over(OVERLAY, card(1), entry) == entry
    assert overlays.over(OVERLAY, card(2), None) == Entry(card(2), "new")
    assert overlays.over(OVERLAY, card(9), None) is None


def test_a_suspension_takes_out_of_force_and_does_nothing_else() -> None:
    """Not even lift or shorten what the signers have suspended; of what no list has, it makes no entry."""
    entry = Entry(card(3), "h", ends=NOW)
    assert overlays.over(OVERLAY, card(3), entry) == replace(entry, since=NOW, signed=NOW + 1)
    for_good = replace(entry, since=NOW - 5)
    assert overlays.over(OVERLAY, card(3), for_good) == for_good
    longer = replace(entry, since=NOW - 5, signed=NOW + 5)
    assert overlays.over(OVERLAY, card(3), longer) == longer
    shorter = replace(entry, since=NOW - 5, signed=NOW - 5)
    assert overlays.over(OVERLAY, card(3), shorter) == replace(entry, since=NOW - 5, signed=NOW + 1)
    unlisted = overlays.over(OVERLAY, card(4), None)
    assert unlisted is not None
    assert unlisted.gone


def test_an_enrolled_card_can_be_suspended() -> None:
    """Both lie over the list."""
    both = replace(OVERLAY, suspensions={card(2): Held(NOW, NOW)})
    assert overlays.over(both, card(2), None) == Entry(card(2), "new", since=NOW, signed=NOW)


def test_the_file_gives_the_overlay_back() -> None:
    """Every field; what is no such file is an error."""
    entry = Entry(card(1), "h", NOW, NOW + 1.5, "workdays", ("a", "b"), "E2003412", card(2))
    overlay = Overlay(3, {card(1): Enrolled(entry, NOW)}, 5, {card(2): Held(NOW, NOW)}, {card(2): NOW})
    assert Overlay.from_bytes(overlay.to_bytes()) == overlay
    for data in (b"", b"{}", b"[]", overlay.to_bytes()[:-20]):
        with pytest.raises((ValueError, TypeError, KeyError)):
            Overlay.from_bytes(data)
