"""Cars at a real daemon with emulated sensors: turned back, standing on the loop, and behind one another."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.gatepost import Event, Gatepost

CAR, STRANGER = "E2000017221101441890AB01", "E2000017221101441890AB02"
TIMEOUT_S = 0.5
GONE_S = 0.4


@asynccontextmanager
async def post(folder: Path) -> AsyncIterator[Gatepost]:
    """A gate whose turns are short, and which has run for longer than one."""
    short = f"timeout = {TIMEOUT_S}\ngone = {GONE_S}"
    async with Gatepost(folder, [f"epc:{CAR}"], lambda text: text.replace("timeout = 5.0", short)) as post:
        await post.start()
        # An admission that nobody uses: when it is over, so are the first moments, in which nobody is a tailgater.
        await turns_back(post, 1)
        yield post


async def turns_back(post: Gatepost, times: int) -> None:
    """The car comes, is let through, and goes back."""
    post.uhf["car-in"].enter(CAR)
    await post.ordered("car-in", times)
    post.uhf["car-in"].leave(CAR)
    await told(post, "passed", times)


async def told(post: Gatepost, kind: str, number: int) -> list[Event]:
    """That many events of this kind, at least."""

    def found() -> list[Event]:
        return [event for event in post.events() if event["kind"] == kind and event.get("lane") == "car-in"]

    await post.until(lambda: len(found()) >= number, f"{number} {kind}")
    return found()


async def test_turned_back_and_come_again(tmp_path: Path) -> None:
    """One passage; the arm opens each time; gone through is who went in the end. One more behind is a tailgater."""
    async with post(tmp_path) as gate:
        await turns_back(gate, 2)
        gate.uhf["car-in"].enter(CAR)
        await gate.ordered("car-in", 3)
        gate.devices.passed("car-in")
        gate.devices.passed("car-in")
        passed = await told(gate, "passed", 4)
        (alarm,) = await told(gate, "alarm", 1)
        (passage,) = gate.passages("car-in")
        assert [(event["result"], event.get("of")) for event in passed] == [
            ("turned-back", passage["seq"]),
            ("turned-back", passage["seq"]),
            ("through", passage["seq"]),
            ("through", None),
        ]
        assert alarm["what"] == "tailgater"


async def test_standing_on_the_loop(tmp_path: Path) -> None:
    """The turn lasts as long as the car stands there; when it goes, it has gone through. A stranger then is named."""
    async with post(tmp_path) as gate:
        host, sensor = gate.devices.sensor_hosts["car-in"], gate.devices.sensors["car-in"]
        gate.uhf["car-in"].enter(CAR)
        await gate.ordered("car-in", 2)
        host.send(sensor.level(True))
        gate.uhf["car-in"].leave(CAR)
        # Another lane's car turns back meanwhile: by then this one's time-out is over as well.
        gate.uhf["car-out"].enter(CAR)
        await gate.ordered("car-out", 1)
        gate.uhf["car-out"].leave(CAR)
        await gate.until(lambda: any(e["kind"] == "passed" and e["lane"] == "car-out" for e in gate.events()), "back")
        assert (await gate.status())["lanes"]["car-in"]["turn"] == f"epc:{CAR}"
        host.send(sensor.level(False))
        passed = await told(gate, "passed", 2)
        assert (passed[-1]["result"], passed[-1]["of"]) == ("through", passed[0]["of"])
        gate.uhf["car-in"].enter(STRANGER)
        await gate.until(lambda: len(gate.passages("car-in")) == 2, "the stranger is flagged")
        gate.devices.passed("car-in")
        (alarm,) = await told(gate, "alarm", 1)
        assert (alarm["what"], alarm["credential"]) == ("tailgater", f"epc:{STRANGER}")
        assert alarm["of"] == gate.passages("car-in")[-1]["seq"]
