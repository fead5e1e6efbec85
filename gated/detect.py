"""Which device is on which port: carries out the probes of all drivers (`drivers.probe`), and prints nothing.

One port
- First it is asked: each family's questions, at its usual speed and then at the others, whatever has answered before:
  two families may share a line. Nothing else is ever sent.
- Then, where nothing was found, it is listened to, until `seconds` are over or somebody has held a card to it. What
  comes and makes no sense moves the listening on to the next speed.
- Whatever came that no family knows is kept by speed, to be told.

Ports are looked at side by side. Over the network one connection serves all questions; a device that greets and is
known by it is asked nothing else.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Self

from drivers.link import Link, LinkLost
from drivers.opener import opener
from drivers.port import DriverError
from drivers.probe import Found, Probe, Value
from drivers.quiet import PortHeld, QuietPort
from drivers.registry import Driver, Role, driver, names

HEARD_MAX_BYTES: Final = 4096
_GAP_S: Final = 0.06  # a silence that ends an answer
_LONGER_S: Final = 0.5  # an answer that has begun may take this long more
_STEP_S: Final = 0.25
_RUBBISH_BYTES: Final = 4
_PRINTABLE: Final = frozenset(b"\t\r\n") | frozenset(range(0x20, 0x7F))


@dataclass(frozen=True, slots=True)
class Way:
    """One way to find devices: a driver, and one of its probes."""

    driver: Driver
    probe: Probe


@dataclass(frozen=True, slots=True)
class Hit:
    """A device that was found. `baud` is 0 where there is no serial line of ours."""

    driver: Driver
    found: Found
    baud: int = 0

    def options(self, port: str) -> dict[str, Value]:
        """Its table for the configuration: what `gated check` wants, and no default."""
        table: dict[str, Value] = {"driver": self.driver.name, self.driver.place: port, **self.found.options}
        speed = self.driver.options.model_fields.get("baud")
        if self.baud and speed is not None and speed.default != self.baud:
            table["baud"] = self.baud
        return table


@dataclass(slots=True)
class Place:
    """One port, and what became of it. `trouble` says why it could not be asked; `held`: somebody else has it."""

    port: str
    hits: list[Hit] = field(default_factory=list)
    trouble: str = ""
    held: bool = False
    rubbish: dict[int, bytes] = field(default_factory=dict)
    """What came that nobody knows, by speed."""
    guessed: int = 0
    """The TCP port, where only a host was named: whoever is usual there is asked for, and nobody else."""

    @property
    def open(self) -> bool:
        """Whether it can be had, and nobody was found at it."""
        return not self.hits and not self.trouble

    @property
    def sense(self) -> tuple[int, bytes] | None:
        """The speed at which what came looks most like something, and what came then."""
        return max(self.rubbish.items(), key=lambda item: (readable(item[1]), len(item[1])), default=None)


Tell = Callable[[Place, str, int], None]
"""Hears of a place who is looked for there, and at which speed; 0 over the network."""


def ways(only: str | None = None) -> list[Way]:
    """The probes of all drivers, or of those of this name. Raises LookupError where none of that name has any."""
    found = [
        Way(known, probe)
        for role in Role
        for name in names(role)
        if only in (None, name)
        for known in [driver(name, role)]
        for probe in known.probes
    ]
    if only is not None and not found:
        raise LookupError(f"{only!r} cannot be detected")
    return found


def readable(data: bytes) -> float:
    """How much of it is text, 0 to 1: at a wrong speed little is."""
    return sum(byte in _PRINTABLE for byte in data) / max(len(data), 1)


class Search:
    """Asks and listens at all these ports at once, and fills the places in. `tell` hears what is being done where."""

    def __init__(self, places: Iterable[Place], known: Sequence[Way], tell: Tell) -> None:
        self._lines = [_Serial(place) if place.port.startswith("/") else _Network(place) for place in places]
        self._known = known
        self._tell = tell

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for line in self._lines:
            line.close()

    @property
    def quiet(self) -> list[Place]:
        """The ports at which nobody has answered, and a card could bring something."""
        return [line.place for line in self._lines if line.place.open and line.talkers(self._known)]

    async def ask(self) -> None:
        """Ask everybody everything."""
        async with asyncio.TaskGroup() as group:
            for line in self._lines:
                group.create_task(_ask_all(line, self._known, self._tell), name=f"ask[{line.place.port}]")

    async def listen(self, seconds: float) -> None:
        """Listen where nobody has answered, until something was held to each of them or the time is over."""
        async with asyncio.TaskGroup() as group:
            for line in self._lines:
                if line.place in self.quiet:
                    listening = _listen(line, self._known, seconds, self._tell)
                    group.create_task(listening, name=f"listen[{line.place.port}]")


class _Line:
    """One port, as it is asked."""

    def __init__(self, place: Place) -> None:
        self.place = place

    def usable(self, known: Iterable[Way]) -> Iterator[tuple[int, Way]]:
        """The speeds and ways for this port, in the order in which they are tried."""
        raise NotImplementedError

    async def at(self, baud: int) -> Link:
        """The port at this speed, with nothing received yet. Raises LinkLost."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of it."""
        raise NotImplementedError

    def talkers(self, known: Iterable[Way]) -> list[tuple[int, Way]]:
        """Those of them that only listen."""
        return [(baud, way) for baud, way in self.usable(known) if not way.probe.asks]


class _Serial(_Line):
    """A serial device: one opening for all speeds."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._port: QuietPort | None = None

    def usable(self, known: Iterable[Way]) -> Iterator[tuple[int, Way]]:
        """See _Line."""
        yield from _by_speed(known)

    async def at(self, baud: int) -> Link:
        """See _Line."""
        if self._port is None:
            self._port = await QuietPort.open(self.place.port)
        return await self._port.at(baud)

    def close(self) -> None:
        """See _Line."""
        if self._port is not None:
            self._port.close()


def _by_speed(known: Iterable[Way]) -> Iterator[tuple[int, Way]]:
    """Each family at its usual speed, then each at its next; those of one speed together."""
    serial = [way for way in known if way.probe.speeds]
    for rank in range(max((len(way.probe.speeds) for way in serial), default=0)):
        round_ = [(way.probe.speeds[rank], way) for way in serial if rank < len(way.probe.speeds)]
        yield from sorted(round_, key=lambda step: step[0])


class _Network(_Line):
    """A TCP connection, or a serial port behind a server that takes speeds (`rfc2217`)."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._speeds = place.port.startswith("rfc2217:")
        self._link: Link | None = None
        self._baud = 0

    def usable(self, known: Iterable[Way]) -> Iterator[tuple[int, Way]]:
        """See _Line: those that greet come first, for they are asked nothing else."""
        if self._speeds:
            yield from _by_speed(known)
            return
        guessed = self.place.guessed
        over_tcp = [way for way in known if way.probe.network and (not guessed or guessed in way.probe.tcp)]
        yield from ((0, way) for way in sorted(over_tcp, key=lambda way: not way.probe.greets))

    async def at(self, baud: int) -> Link:
        """See _Line."""
        if self._link is not None and self._baud == baud:
            try:
                await self._link.read_within(0)
            except LinkLost:
                self._link = None  # closed by the device, which did not like the last question
            else:
                self._link.discard()
                return self._link
        self.close()
        self._link, self._baud = await opener(self.place.port, baud).open(), baud
        return self._link

    def close(self) -> None:
        """See _Line."""
        if self._link is not None:
            self._link.close()
            self._link = None


async def _ask_all(line: _Line, known: Sequence[Way], tell: Tell) -> None:
    place = line.place
    plan = sorted(line.usable(known), key=lambda step: not step[1].probe.asks)
    try:
        if all(way.probe.card for _, way in plan):
            await line.at(next((baud for baud, _ in plan), 0))  # whether it can be had at all
        for baud, way in plan:
            if way.probe.card or (place.hits and not way.probe.asks):
                continue
            tell(place, way.driver.name, baud)
            talker = _take(place, known, way, baud, await _asked(await line.at(baud), way.probe))
            if talker or (way.probe.greets and place.hits):
                return  # who talks or greets by itself shares its line with nobody
    except PortHeld as held:
        place.held, place.trouble = True, str(held)
    except LinkLost as lost:
        if not place.hits:
            place.trouble = str(lost)


async def _asked(link: Link, probe: Probe) -> list[bytes]:
    """What was heard after each question, or while listening."""
    heard: list[bytes] = []
    with suppress(DriverError):  # it has closed the connection: what it said before counts
        if probe.greets:
            heard.append(await _heard(link, probe.answer_s))
            if not probe.recognise(heard):
                return heard
        elif not probe.asks:
            heard.append(await _heard(link, probe.answer_s, until=lambda data: bool(probe.recognise((data,)))))
        for ask in probe.asks:
            link.write(ask)
            heard.append(await _heard(link, probe.answer_s))
    return heard


async def _heard(link: Link, seconds: float, until: Callable[[bytes], bool] | None = None) -> bytes:
    """What comes: to its next silence, or, where somebody listens for something, until that or the time is over."""
    loop = asyncio.get_running_loop()
    ends, data = loop.time() + seconds, b""
    while len(data) < HEARD_MAX_BYTES and (left := ends - loop.time()) > 0:
        wait = left if until is not None or not data else min(left, _GAP_S)
        try:
            more = await link.read_within(wait)
        except LinkLost:
            if data:
                break  # its last words count; the next question finds it gone
            raise
        if not data and more:
            ends += _LONGER_S
        data += more
        if (until is None and data and not more) or (until is not None and until(data)):
            break
    return data


def _take(place: Place, known: Sequence[Way], way: Way, baud: int, heard: Sequence[bytes]) -> bool:
    """Note what this means; a talker's words count whoever was asked. Whether a talker spoke."""
    hits = [Hit(way.driver, found, baud) for found in way.probe.recognise(heard)]
    data = b"".join(heard)
    if data and not hits:
        talkers = [one for one in known if not one.probe.asks and (not baud or baud in one.probe.speeds)]
        hits = [Hit(one.driver, found, baud) for one in talkers for found in one.probe.recognise((data,))]
    if data and not hits:
        place.rubbish[baud] = (place.rubbish.get(baud, b"") + data)[:HEARD_MAX_BYTES]
    told = [(hit.driver, hit.found.options) for hit in place.hits]
    place.hits.extend(hit for hit in hits if (hit.driver, hit.found.options) not in told)
    return any(not probe.asks for hit in hits for probe in hit.driver.probes)


async def _listen(line: _Line, known: Sequence[Way], seconds: float, tell: Tell) -> None:
    """Until somebody holds a card to it, or the time is over."""
    talkers = line.talkers(known)
    speeds = list(dict.fromkeys(baud for baud, way in talkers if way.probe.card)) or [0]
    loop = asyncio.get_running_loop()
    ends, number = loop.time() + seconds, 0
    with suppress(LinkLost):  # unplugged, or closed: what it said before counts
        while talkers and not line.place.hits and loop.time() < ends:
            baud = speeds[number % len(speeds)]
            number += 1
            tell(line.place, "listening", baud)
            await _listen_at(line, known, [way for at, way in talkers if at == baud], baud, ends)


async def _listen_at(line: _Line, known: Sequence[Way], talkers: Sequence[Way], baud: int, ends: float) -> None:
    """Listen at one speed, until it is understood, makes no sense, or the time is over."""
    link = await line.at(baud)
    loop, data = asyncio.get_running_loop(), b""
    while (left := ends - loop.time()) > 0:
        more = await link.read_within(min(left, _STEP_S))
        data += more
        for way in talkers:
            if data and way.probe.recognise((data,)):
                _take(line.place, known, way, baud, (data,))
                return
        if not more and len(data) >= _RUBBISH_BYTES:
            break
    if data:
        line.place.rubbish[baud] = (line.place.rubbish.get(baud, b"") + data)[:HEARD_MAX_BYTES]
