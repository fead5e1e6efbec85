"""What is said to an ETC unit: set up, one sighting a vehicle, and nothing that takes money."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.credential import Credential
from protocol.rsu import Cmd, Frame, Framing
from protocol.rsu_dialogue import LATE_S, UNREAD_MAX, VEHICLES_MAX, Dialogue, Seen, Setup, Timing, Wall
from protocol.rsu_tables import AUTO, BEIJING, GANTRY, JILIN, PARKING, SWITCHES, V2000, Reading, Tables, Vehicle
from protocol.sighting import PlateColour

ROOT = Path(__file__).parents[2]
ONE, TWO = b"\x63\xb6\xa1\xd2", b"\x63\xb6\xa1\xd3"
FACTOR = b"\xb1\xb1\xbe\xa9" * 2
WALL = Wall(1_795_862_400, "20261128160000")
TIMING = Timing(plate_s=0.5, quiet_s=5, answer_s=0.9, silence_s=2.5)
WE_SAY = {Cmd.SETUP, Cmd.CONTINUE, Cmd.STOP, *SWITCHES}


def dialogue(*regions: Tables, framing: Framing | None = None) -> Dialogue:
    """A dialogue that has begun now, at 0."""
    return Dialogue(Reading(regions), Setup(3, None, 10, 1), TIMING, framing or regions[0].framing, lambda: WALL, 0.0)


def ready(*regions: Tables) -> Dialogue:
    """One whose unit has answered."""
    talk = dialogue(*regions)
    (asked,) = talk.tick(0.0)
    assert isinstance(asked, Frame)
    talk.heard(asked.answered(Cmd.STATE, bytes(19)), 0.1)
    assert talk.ready
    return talk


def told(region: Tables, command: int, obu: bytes = ONE, plate: str = "沪A12345", error: int = 0) -> Frame:
    """A unit's frame of a vehicle."""
    layout = next(layout for layout in region.frames if layout.command == command)
    data = layout.data(Vehicle(obu, error, FACTOR, plate.encode("gbk")))
    return Frame(
        region.framing, {Framing.BCC: 0x18, Framing.CRC16: 0x01, Framing.PARK: 0}[region.framing], command, data
    )


def sent(acts: list[Frame | Seen]) -> list[tuple[int, int, bytes]]:
    """The frames among these: CMD, number and data."""
    return [(act.command, act.seq, act.data) for act in acts if isinstance(act, Frame)]


def seen(acts: list[Frame | Seen]) -> list[tuple[str, str | None]]:
    """The vehicles among these."""
    return [(act.obu, act.plate) for act in acts if isinstance(act, Seen)]


def test_c0_says_what_is_configured() -> None:
    """Time, BCD time, lane, the region's waiting time, power, channel, and the region's tail."""
    ((command, number, data),) = sent(dialogue(BEIJING).tick(0.0))
    assert (command, number) == (Cmd.SETUP, 0x81)
    assert data.hex() == f"{WALL.posix:08x}" + WALL.digits + "03" + "02" + "0a" + "01" + "02"
    ((_, _, short),) = sent(dialogue(PARKING).tick(0.0))
    assert short.hex() == f"{WALL.posix:08x}" + "0a" + "01" + "00"


def test_c0_is_repeated_and_then_given_up() -> None:
    """Within three seconds; nothing but B0 counts before the unit is ready."""
    talk = dialogue(BEIJING)
    assert [len(talk.tick(now)) for now in (0.0, 0.5, 0.9, 1.7, 1.8)] == [1, 0, 1, 0, 1]
    talk.heard(Frame(Framing.BCC, 0x18, Cmd.OBU, b"\xff\xff\xff\xff\x80"), 2.0)
    assert not talk.silent(2.4)
    assert talk.silent(2.5)
    assert Timing(0.5, 5).silence_s < 3


def test_b0_is_answered_as_the_region_has_it() -> None:
    """C1 for nobody and the antenna's switch; the answer's number is the question's, turned."""
    talk = dialogue(BEIJING)
    talk.tick(0.0)
    acts = talk.heard(Frame(Framing.BCC, 0x08, Cmd.STATE, bytes(28)), 0.1)
    assert sent(acts) == [(Cmd.CONTINUE, 0x80, bytes(12)), (Cmd.SWITCH, 0x82, b"\1")]
    talk = dialogue(PARKING)
    talk.tick(0.0)
    assert sent(talk.heard(Frame(Framing.PARK, 0, Cmd.STATE, bytes(12)), 0.1)) == [(Cmd.SWITCH, 0, b"\1")]


@pytest.mark.parametrize("heads", [1, 2])
def test_from_b2_to_b3_to_the_next(heads: int) -> None:
    """C1 with the factor, then one sighting of unit and plate, then search on; with as many FF as the unit has."""
    talk = ready(BEIJING)
    b2, b3 = told(BEIJING, Cmd.OBU), told(BEIJING, Cmd.VEHICLE)
    acts = talk.heard(Frame(b2.framing, 0x28, b2.command, b2.data, heads), 1.0)
    assert sent(acts) == [(Cmd.CONTINUE, 0x82, ONE + FACTOR)]
    assert [act.heads for act in acts if isinstance(act, Frame)] == [heads]
    acts = talk.heard(b3, 1.2)
    assert acts[0] == Seen(Vehicle(ONE).credential, 1.2, Credential("plate:沪A12345"), PlateColour.BLUE)
    assert seen(acts) == [("obu:63B6A1D2", "plate:沪A12345")]
    assert sent(acts) == [(Cmd.STOP, 0x81, ONE + b"\1")]
    assert talk.tick(4.0) == []
    talk.heard(Frame(Framing.BCC, 0x28, Cmd.OBU, b"\xff\xff\xff\xff\x80", heads), 5.0)
    assert [act.heads for act in talk.tick(10.0) if isinstance(act, Frame)] == [heads]


def test_a_pass_is_nobody() -> None:
    """One that a driver takes along is let go when its B4 shows that it has no plate, and nobody was there."""
    talk = ready(GANTRY)
    talk.heard(told(GANTRY, Cmd.OBU), 1.0)
    acts = talk.heard(Frame(Framing.CRC16, 1, Cmd.CARD, ONE + b"\0\x10" + bytes(57)), 1.1)
    assert seen(acts) == []
    assert [command for command, _, _ in sent(acts)] == [Cmd.STOP]
    assert seen(talk.tick(5.0)) == []
    assert (talk.unread, talk.counts.unknown) == ([], 0)


@pytest.mark.parametrize("data", [bytes(4) + b"\x80", bytes(4) + b"\x80" + bytes(29), b"\xff\xff\xff\xff\x80"])
def test_a_heartbeat_is_not_answered(data: bytes) -> None:
    """A B2 of nobody: all FF, or all 0 as a published serial protocol of lanes has it, short or as long as any."""
    talk = ready(BEIJING, V2000)
    assert talk.heard(Frame(Framing.BCC, 0x28, Cmd.OBU, data), 1.0) == []
    assert (talk.unread, talk.counts.unknown, talk.counts.refused) == ([], 0, 0)


def test_a_plate_that_does_not_come_is_not_waited_for() -> None:
    """The unit is told alone, as of B2; a plate that comes late is no second sighting, and much later it is one."""
    talk = ready(JILIN)
    talk.heard(told(JILIN, Cmd.OBU), 1.0)
    assert talk.wait(1.0) == pytest.approx(0.5)
    assert talk.tick(1.4) == []
    acts = talk.tick(1.5)
    assert acts[0] == Seen(Vehicle(ONE).credential, 1.0)
    assert sent(acts) == [(Cmd.STOP, 0x81, ONE + b"\1")]
    assert seen(talk.heard(told(JILIN, Cmd.VEHICLE), 1.6)) == []
    talk.tick(1.5 + LATE_S)
    assert seen(talk.heard(told(JILIN, Cmd.VEHICLE), 4.0)) == [("obu:63B6A1D2", "plate:沪A12345")]


def test_the_time_for_a_plate_is_not_begun_anew() -> None:
    """A unit that repeats B2 is answered, and cannot put the sighting off."""
    talk = ready(JILIN)
    for now in (1.0, 1.2, 1.4):
        assert [act[0] for act in sent(talk.heard(told(JILIN, Cmd.OBU), now))] == [Cmd.CONTINUE]
    assert seen(talk.tick(1.5)) == [("obu:63B6A1D2", None)]


def test_two_vehicles_at_once() -> None:
    """B2 B2 B3 B3: each has its own plate."""
    talk = ready(BEIJING)
    acts = [
        *talk.heard(told(BEIJING, Cmd.OBU, ONE), 1.0),
        *talk.heard(told(BEIJING, Cmd.OBU, TWO), 1.1),
        *talk.heard(told(BEIJING, Cmd.VEHICLE, TWO, "粤B67890"), 1.2),
        *talk.heard(told(BEIJING, Cmd.VEHICLE, ONE, "沪A12345"), 1.3),
    ]
    assert seen(acts) == [("obu:63B6A1D3", "plate:粤B67890"), ("obu:63B6A1D2", "plate:沪A12345")]
    assert [data[:4] for command, _, data in sent(acts) if command == Cmd.STOP] == [TWO, ONE]
    assert talk.tick(3.0) == []


def test_the_same_vehicle_again_after_a_stop() -> None:
    """Each time that the unit finds it, it is a sighting."""
    talk = ready(BEIJING)
    for now in (1.0, 3.0):
        talk.heard(told(BEIJING, Cmd.OBU), now)
        assert seen(talk.heard(told(BEIJING, Cmd.VEHICLE), now + 0.1)) == [("obu:63B6A1D2", "plate:沪A12345")]


@pytest.mark.parametrize("region", [BEIJING, GANTRY])
def test_an_error_in_b2_identifies_nobody(region: Tables) -> None:
    """The unit is told to search on; the plate's frame would not be believed either."""
    talk = ready(region)
    acts = talk.heard(told(region, Cmd.OBU, error=1), 1.0)
    assert [act[0] for act in sent(acts)] == [Cmd.STOP]
    assert seen(acts) == []
    assert seen(talk.tick(3.0)) == []
    assert talk.counts.refused == 1


def test_an_announcement_that_ends_in_an_error_is_taken_back() -> None:
    """B2 without, then B2 with an ErrorCode: a card that was pulled, or a unit that turned out to be false."""
    talk = ready(BEIJING)
    talk.heard(told(BEIJING, Cmd.OBU), 1.0)
    talk.heard(told(BEIJING, Cmd.OBU, error=1), 1.2)
    assert seen(talk.tick(3.0)) == []


def test_an_error_in_place_of_the_plate() -> None:
    """A card pulled between B2 and B3: the unit was good, and is told alone at once."""
    talk = ready(BEIJING)
    talk.heard(told(BEIJING, Cmd.OBU), 1.0)
    acts = talk.heard(told(BEIJING, Cmd.VEHICLE, error=3), 1.1)
    assert seen(acts) == [("obu:63B6A1D2", None)]
    assert [act[0] for act in sent(acts)] == [Cmd.STOP]
    assert seen(talk.heard(told(BEIJING, Cmd.VEHICLE, error=3), 1.2)) == [], "and without B2 nobody is"
    assert talk.counts.refused == 2


def test_a_plate_that_is_none_is_left_out() -> None:
    """It is counted, unless the field is empty."""
    talk = ready(BEIJING)
    for plate in ("默A00000", ""):
        talk.heard(told(BEIJING, Cmd.OBU), 1.0)
        assert seen(talk.heard(told(BEIJING, Cmd.VEHICLE, plate=plate), 1.1)) == [("obu:63B6A1D2", None)]
    assert talk.counts.plates == 1


def test_car_park_units_tell_all_at_once() -> None:
    """B4 is one sighting; a unit that was torn off, and an id of 0, are none."""
    talk = ready(PARKING)
    acts = talk.heard(told(PARKING, Cmd.CARD), 1.0)
    assert seen(acts) == [("obu:63B6A1D2", "plate:沪A12345")]
    assert sent(acts) == [(Cmd.STOP, 0, ONE)]
    assert seen(talk.heard(told(PARKING, Cmd.CARD, error=1), 2.0)) == []
    assert talk.heard(told(PARKING, Cmd.CARD, bytes(4)), 3.0) == []


def test_a_gantry_unit_has_the_plate_in_b4() -> None:
    """With the factor from its place in B2, and the time behind C2."""
    talk = ready(GANTRY)
    assert sent(talk.heard(told(GANTRY, Cmd.OBU), 1.0)) == [(Cmd.CONTINUE, 0x10, ONE + FACTOR)]
    acts = talk.heard(told(GANTRY, Cmd.CARD), 1.1)
    assert seen(acts) == [("obu:63B6A1D2", "plate:沪A12345")]
    assert sent(acts) == [(Cmd.STOP, 0x10, ONE + b"\1" + WALL.posix.to_bytes(4, "big"))]


@pytest.mark.parametrize("region", AUTO, ids=lambda region: region.name)
def test_auto_speaks_as_it_is_spoken_to(region: Tables) -> None:
    """Whatever framing it begins with, a unit that speaks by itself is set up in its own at once, and read."""
    talk = dialogue(*AUTO, framing=next(framing for framing in Framing if framing is not region.framing))
    talk.tick(0.0)
    talk.heard(Frame(region.framing, 0x18, Cmd.OBU, b"\xff\xff\xff\xff\x80"), 0.1)
    (asked,) = talk.tick(0.1)
    assert isinstance(asked, Frame)
    assert (asked.framing, asked.command) == (region.framing, Cmd.SETUP)
    talk.heard(asked.answered(Cmd.STATE, bytes(12)), 0.2)
    acts: list[Frame | Seen] = []
    for layout in region.frames[:2]:  # the on-board unit's, and the first with a plate
        acts += talk.heard(told(region, layout.command), 0.3)
    assert seen(acts) == [("obu:63B6A1D2", "plate:沪A12345")]


def test_a_ready_unit_does_not_change_its_framing() -> None:
    """A frame of another is noise that passed its check."""
    talk = ready(*AUTO)
    assert talk.heard(told(BEIJING, Cmd.OBU), 1.0) == []
    assert talk.framing is Framing.PARK


def test_a_unit_that_is_quiet_is_asked_whether_it_lives() -> None:
    """Heartbeats put it off; B0 is enough of an answer, and so is a heartbeat; silence is the end."""
    talk = ready(PARKING)
    talk.heard(Frame(Framing.PARK, 0, Cmd.OBU, bytes(3)), 4.0)
    assert talk.tick(8.9) == []
    (asked,) = talk.tick(9.0)
    assert isinstance(asked, Frame)
    assert asked.command == Cmd.SETUP
    talk.heard(asked.answered(Cmd.STATE, bytes(12)), 9.5)
    assert not talk.silent(12.0)
    talk.tick(14.5)
    talk.heard(Frame(Framing.PARK, 0, Cmd.OBU, bytes(3)), 16.0)
    assert not talk.silent(18.4)
    assert talk.silent(18.5)


def test_a_unit_that_restarts_is_set_up_again() -> None:
    """B0 that nobody asked for; the number 98 says so too, also while an answer is owed, but not for ever."""
    talk = ready(BEIJING)
    talk.heard(told(BEIJING, Cmd.OBU), 1.0)
    power_on = Frame(Framing.BCC, 0x98, Cmd.STATE, bytes(19))
    assert [act[:2] for act in sent(talk.heard(power_on, 1.1))] == [(Cmd.SETUP, 0x89)]
    assert [act[0] for act in sent(talk.heard(power_on, 1.2))] == [Cmd.CONTINUE, Cmd.SWITCH]
    assert seen(talk.tick(2.0)) == [], "what it announced before is forgotten"
    talk = dialogue(BEIJING)
    talk.tick(0.0)
    assert [act[0] for act in sent(talk.heard(power_on, 0.1))] == [Cmd.SETUP]
    assert not talk.ready
    talk.heard(Frame(Framing.BCC, 0x08, Cmd.STATE, bytes(19)), 0.2)
    assert talk.ready


@pytest.mark.parametrize("region", [PARKING, BEIJING], ids=lambda region: region.name)
def test_a_unit_that_answers_late_is_set_up_once(region: Tables) -> None:
    """Its answer to a C0 that was repeated meanwhile is no restart, else each would bring the next."""
    talk, answers, now, asked = dialogue(region), list[tuple[float, Frame]](), 0.0, 0
    while now < 20:
        while answers and answers[0][0] <= now:
            talk.heard(answers.pop(0)[1], now)
        if talk.ready:
            talk.heard(Frame(region.framing, 0x18, Cmd.OBU, b"\xff\xff\xff\xff\x80"), now)
        for act in talk.tick(now):
            assert isinstance(act, Frame)
            asked += act.command == Cmd.SETUP
            answers.append((now + 1.5, act.answered(Cmd.STATE, bytes(19))))
        now += 0.25
    assert asked == 2
    (again,) = sent(talk.heard(Frame(region.framing, 0x18, Cmd.STATE, bytes(19)), now))
    assert again[0] == Cmd.SETUP, "long after its answers it has restarted"


def test_a_unit_says_that_it_cannot_work() -> None:
    """In B0, and in a car-park unit's heartbeat."""
    talk = dialogue(BEIJING)
    talk.tick(0.0)
    talk.heard(Frame(Framing.BCC, 0x08, Cmd.STATE, b"\1" + bytes(18)), 0.1)
    assert talk.status == 1
    talk = ready(PARKING)
    talk.heard(Frame(Framing.PARK, 0, Cmd.OBU, b"\2\0\1"), 1.0)
    assert talk.status == 2
    talk.heard(Frame(Framing.PARK, 0, Cmd.OBU, b"\0\1\0"), 2.0)
    assert talk.status == 0


def test_frames_that_no_table_knows() -> None:
    """They identify nobody, are counted, and remembered until one comes that is known."""
    talk = ready(BEIJING)
    strange = Frame(Framing.BCC, 0x18, Cmd.OBU, ONE + bytes(47))
    for _ in range(5):
        assert talk.heard(strange, 1.0) == []
    assert (talk.counts.unknown, talk.unread) == (5, [strange] * UNREAD_MAX)
    talk.heard(told(BEIJING, Cmd.OBU), 1.1)
    assert talk.unread == []
    assert talk.heard(Frame(Framing.BCC, 0x18, Cmd.CARD, ONE + bytes(90)), 1.2) == []
    assert talk.counts.unknown == 5, "the card's frame is not for us"


def test_many_vehicles_are_bounded() -> None:
    """The oldest is told alone, none is lost."""
    talk = ready(BEIJING)
    acts: list[Frame | Seen] = []
    for number in range(1, VEHICLES_MAX + 11):
        acts += talk.heard(told(BEIJING, Cmd.OBU, number.to_bytes(4, "big")), 1.0)
    assert len(talk._announced) == VEHICLES_MAX
    acts += talk.tick(2.0)
    assert len({act.obu for act in acts if isinstance(act, Seen)}) == VEHICLES_MAX + 10


@given(
    st.sampled_from(AUTO),
    st.lists(
        st.tuples(
            st.sampled_from(list(Framing)),
            st.integers(0, 255),
            st.sampled_from([*Cmd, 0xB5, 0xB9, 0xD0]),
            st.one_of(
                st.binary(max_size=300), st.sampled_from([told(r, f.command).data for r in AUTO for f in r.frames])
            ),
            st.floats(0, 3),
        ),
        max_size=30,
    ),
)
def test_nothing_makes_it_take_money(region: Tables, heard: list[tuple[Framing, int, int, bytes, float]]) -> None:
    """Whatever a unit sends, nothing raises, and what we say is one of five commands."""
    talk, now = dialogue(region, *AUTO), 0.0
    said = talk.tick(now)
    for framing, seq, command, data, pause in heard:
        now += pause
        said += talk.heard(Frame(framing, seq, command, data), now)
        said += talk.tick(now)
        assert talk.wait(now) >= 0
    assert {act.command for act in said if isinstance(act, Frame)} <= WE_SAY


def test_the_command_that_takes_money_is_not_in_the_code() -> None:
    """Neither its name nor its number."""
    paths = [path for path in ROOT.glob("*/**/rsu*.py") if path.parts[len(ROOT.parts)] in {"protocol", "drivers"}]
    assert {path.name for path in paths} >= {"rsu.py", "rsu_tables.py", "rsu_dialogue.py", "rsu_file.py"}
    for path in paths:
        assert not re.search(r"c6|\b198\b|purchase|consume", path.read_text(), re.IGNORECASE), path
    assert not {0xC6} & (WE_SAY | set(Cmd))
