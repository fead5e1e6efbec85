"""What is said to an LLRP reader when: one connection's dialogue, without the connection. `drivers.llrp` runs it.

- The reader speaks first, and says whether it takes us: it takes one client at a time.
- Then, each answered before the next: what it can do; our inventory, should it still be there, is deleted; keepalives
  and events; how its antennas are set; our inventory is added, enabled and started. A refusal ends the connection.
- With `tid` at one lane the reading of chips is added and enabled as well, before the inventory is.
- Reports count from the start on: what the reader still had from before is none, nor what another's inventory has seen.
- A keepalive is acknowledged at once. An inventory that ends by itself, or for another's, ends the connection: on the
  next one it is started anew.
"""

from collections.abc import Sequence
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from drivers import bands
from drivers.firmware import LeastDotted
from drivers.link import LinkLost
from drivers.opener import checked
from drivers.options import PortOptions
from drivers.port import About
from protocol.llrp import Kind, Message
from protocol.llrp_replies import (
    SUCCESS,
    Attempt,
    Capabilities,
    Event,
    RoSpecEvent,
    Settings,
    Tag,
    capabilities,
    event,
    settings,
    status,
    tags,
)
from protocol.llrp_requests import (
    ALL_ANTENNAS,
    ROSPEC_ID,
    Antenna,
    add_accessspec,
    add_rospec,
    get_capabilities,
    get_config,
    of_accessspec,
    of_rospec,
    set_config,
)

KEEPALIVE_S: Final = 1.0

_ANTENNA_MAX: Final = 255
_RESPONSE: Final = 10  # more than its request's type
_STEPS: Final = (
    Kind.GET_READER_CAPABILITIES,
    Kind.DELETE_ACCESSSPEC,
    Kind.DELETE_ROSPEC,
    Kind.SET_READER_CONFIG,
    Kind.GET_READER_CONFIG,
    Kind.ADD_ROSPEC,
    Kind.ADD_ACCESSSPEC,
    Kind.ENABLE_ACCESSSPEC,
    Kind.ENABLE_ROSPEC,
    Kind.START_ROSPEC,
)
SAID: Final = frozenset((*_STEPS, Kind.KEEPALIVE_ACK, Kind.CLOSE_CONNECTION))
"""What only we say: from the other side it is an echo."""
_OF_CHIPS: Final = frozenset((Kind.DELETE_ACCESSSPEC, Kind.ADD_ACCESSSPEC, Kind.ENABLE_ACCESSSPEC))
_MAY_FAIL: Final = frozenset(  # there is none; it does not tell
    (Kind.DELETE_ACCESSSPEC, Kind.DELETE_ROSPEC, Kind.GET_READER_CONFIG)
)
_REFUSED: Final = {
    Kind.GET_READER_CAPABILITIES: "to say what it can do",
    Kind.SET_READER_CONFIG: "to send keepalives and events",
    Kind.ADD_ROSPEC: "the inventory as configured (antennas, antenna_power or power_index, session)",
    Kind.ADD_ACCESSSPEC: "to read chips; leave out tid",
    Kind.ENABLE_ACCESSSPEC: "to read chips; leave out tid",
    Kind.ENABLE_ROSPEC: "to enable the inventory; another program's may be on it: delete that, or restart the reader",
    Kind.START_ROSPEC: "to start the inventory; another program's may run: stop that, or restart the reader",
}
ATTEMPTS: Final[dict[int, str]] = {
    Attempt.READER_CALLED_ALREADY: "the reader has itself called another program, and takes one at a time: look on its"
    " own pages where it calls to, and switch that off",
    Attempt.CLIENT_CONNECTED_ALREADY: "another client is connected to the reader already, and it takes one at a time:"
    " find that program and stop it, or restart the reader if it holds on to one that is gone",
}
_FAILED: Final = "the reader takes no connection now; restart it if that lasts"
_DEFAULT_BAND: Final = (1, 1)  # of a reader that does not tell; where one of both counts, 1 is there
_CLOSES: Final = "the reader has closed the connection by itself: it restarts, or somebody has set it anew"
_ENDED: Final = "the reader's inventory has ended by itself: another program has stopped it, or put its own before it"
_BANDS: Final = {  # LLRP 1.1, CommunicationsStandard; 1.0.1 ends at 9, and has none for China
    1: bands.US,
    2: bands.EU,
    3: bands.EU,
    9: bands.KOREA,
    11: bands.EU,
    13: bands.CHINA_840,
    14: bands.CHINA_920,
}
_MAKERS: Final = {161: "Motorola", 25882: "Impinj"}  # IANA, private enterprise numbers


def model(can: Capabilities) -> str:
    """What a reader is, in words: maker and the maker's number of the model, as far as it tells."""
    maker = _MAKERS.get(can.maker, f"maker {can.maker}" if can.maker else "LLRP reader")
    return f"{maker}, model {can.model}" if can.model else maker


def _network(port: str) -> str:
    if not port.startswith(("socket://", "listen://")):
        raise ValueError(f"{port!r} is no place for an LLRP reader: write socket://host:5084, or listen://0.0.0.0:port")
    return port


def _each_once(antennas: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(antennas)) < len(antennas):
        raise ValueError("each antenna is named once")
    return tuple(sorted(antennas))


class Options(PortOptions):
    """Options of one lane's antennas at an LLRP reader."""

    port: Annotated[str, AfterValidator(checked), AfterValidator(_network)] = Field(
        description="where the reader is: socket://host:5084, or listen://host:port where it calls this box"
    )
    antennas: Annotated[
        tuple[Annotated[int, Field(strict=True, ge=1, le=_ANTENNA_MAX)], ...], AfterValidator(_each_once)
    ] = Field(default=(), description="the reader's antennas that are this lane's; none named: all there are")
    antenna_power: float | None = Field(
        default=None, ge=-10, le=36, description="dBm, set with the inventory; by default as the reader is set"
    )
    power_index: int | None = Field(
        default=None, ge=0, le=0xFFFF, description="the reader's own number of a power level, in place of antenna_power"
    )
    session: int = Field(
        default=0, ge=0, le=3, description="Gen2 session; above 0 a tag that stays is silent for a while"
    )
    tid: bool = Field(
        default=False, description="read each tag's chip, so that a copy of a tag shows; it costs air time"
    )
    firmware_least: LeastDotted = None

    @model_validator(mode="after")
    def _one_power(self) -> Self:
        if self.antenna_power is not None and self.power_index is not None:
            raise ValueError("power is said once: antenna_power or power_index")
        return self


class Conversation:
    """One connection's dialogue, for the lanes that share the reader. `faults` says of each lane why it cannot read."""

    def __init__(self, port: str, lanes: Sequence[Options]) -> None:
        self.greeted = False
        self.faults = [""] * len(lanes)
        self._port = port
        self._lanes = lanes
        self._chips = any(lane.tid for lane in lanes)
        self._steps = [step for step in _STEPS if self._chips or step not in _OF_CHIPS]
        self._number = 0
        self._can = Capabilities()
        self._set = Settings({}, {})
        self._complaint = ""
        self._plugged: dict[int, bool] = {}

    @property
    def running(self) -> bool:
        """Whether the inventory runs."""
        return not self._steps

    @property
    def left(self) -> int:
        """How many questions are still to be answered before the inventory runs, the greeting among them."""
        return len(self._steps) + (not self.greeted)

    def heard(self, message: Message) -> list[Message]:
        """Take a message; what to send for it. Raises LinkLost where this connection will come to nothing."""
        match message.kind:
            case Kind.KEEPALIVE:
                return [Message(Kind.KEEPALIVE_ACK, message.number)]
            case Kind.READER_EVENT_NOTIFICATION:
                return self._told(event(message))
            case Kind.ERROR_MESSAGE if self.greeted and self._steps and self._steps[0] in _MAY_FAIL:
                return self._answered(message)
            case Kind.ERROR_MESSAGE if (said := status(message)) is not None and said.code != SUCCESS:
                raise LinkLost(f"{self._port}: the reader cannot make sense of what it is sent: {said.words}")
            case kind if self.greeted and self._steps and kind == self._steps[0] + _RESPONSE:
                return self._answered(message)
        return []

    def tags(self, message: Message) -> tuple[Tag, ...]:
        """The tags that are seen now."""
        found = [tag for tag in tags(message) if tag.rospec in (None, ROSPEC_ID)] if self.running else []
        self._plugged.update((tag.antenna, True) for tag in found if tag.antenna is not None)
        return tuple(found)

    def fault(self, lane: int) -> str:
        """Why the lane of this number cannot read; "" where it can."""
        return self.faults[lane] or self._unplugged(self._lanes[lane].antennas)

    def about(self, lane: int, clock_off_s: float | None) -> About:
        """What the reader says of itself, with the power of the strongest of the lane's antennas."""
        options, can = self._lanes[lane], self._can
        levels = [self._antenna(options, antenna).power for antenna in options.antennas or (ALL_ANTENNAS,)]
        own = [self._set.levels.get(antenna) for antenna in options.antennas or self._set.levels]
        indices = [level[2] for level in levels if level is not None] or own
        powers = [dbm for index, dbm in can.powers if index in indices]
        region = _BANDS.get(can.standard, f"standard {can.standard}" if can.standard else "")
        return About(
            model(can), can.firmware, region, max(powers, default=None), clock_off_s, complaint=self._complaint
        )

    def leave(self) -> list[Message]:
        """What to send at the end."""
        farewell = [of_accessspec(Kind.DELETE_ACCESSSPEC)] if self._chips else []
        farewell += [of_rospec(Kind.DELETE_ROSPEC), Message(Kind.CLOSE_CONNECTION)]
        return [self._numbered(message) for message in farewell] if self.greeted else []

    def _told(self, news: Event) -> list[Message]:
        if news.closing:
            raise LinkLost(f"{self._port}: {_CLOSES}")
        if self.running and any(what != RoSpecEvent.BEGUN and number == ROSPEC_ID for what, number in news.rospecs):
            raise LinkLost(f"{self._port}: {_ENDED}")
        self._plugged.update(news.antennas)
        self._complaint = news.complaint or self._complaint
        if self.greeted or news.attempt is None:
            return []
        if news.attempt != Attempt.SUCCESS:
            raise LinkLost(f"{self._port}: {ATTEMPTS.get(news.attempt, _FAILED)}")
        self.greeted = True
        return [self._ask()]

    def _answered(self, message: Message) -> list[Message]:
        step, said = self._steps.pop(0), status(message)
        if step not in _MAY_FAIL and (said is None or said.code != SUCCESS):
            words = "without a word why" if said is None else said.words
            raise LinkLost(f"{self._port}: the reader refuses {_REFUSED[step]}: {words}")
        match step:
            case Kind.GET_READER_CAPABILITIES:
                self._can = capabilities(message)
            case Kind.GET_READER_CONFIG:
                self._set = settings(message)
                self._plugged = {**self._set.plugged, **self._plugged}
        return [self._ask()] if self._steps else []

    def _ask(self) -> Message:
        step = self._steps[0]
        match step:
            case Kind.GET_READER_CAPABILITIES:
                asked = get_capabilities()
            case Kind.SET_READER_CONFIG:
                asked = set_config(round(KEEPALIVE_S * 1000))
            case Kind.GET_READER_CONFIG:
                asked = get_config()
            case Kind.ADD_ROSPEC:
                asked = add_rospec(self._plan())
            case Kind.ADD_ACCESSSPEC:
                asked = add_accessspec()
            case Kind.DELETE_ACCESSSPEC | Kind.ENABLE_ACCESSSPEC:
                asked = of_accessspec(step)
            case _:
                asked = of_rospec(step)
        return self._numbered(asked)

    def _numbered(self, message: Message) -> Message:
        self._number += 1
        return Message(message.kind, self._number, message.body)

    def _plan(self) -> tuple[Antenna, ...]:
        """The antennas of all lanes that can read. Raises LinkLost where none can."""
        planned: list[Antenna] = []
        for number, lane in enumerate(self._lanes):
            self.faults[number] = self._fault(lane)
            if not self.faults[number]:
                planned += [self._antenna(lane, antenna) for antenna in lane.antennas or (ALL_ANTENNAS,)]
        if not planned:
            raise LinkLost(f"{self._port}: {next(filter(None, self.faults), 'no lane reads here')}")
        return tuple(planned)

    def _fault(self, lane: Options) -> str:
        """What is configured that the reader does not have."""
        missing = [antenna for antenna in lane.antennas if self._can.antennas and antenna > self._can.antennas]
        if missing:
            return f"the reader has antennas 1 to {self._can.antennas}; correct antennas = {list(lane.antennas)}"
        powers = dict(self._can.powers)
        if lane.power_index is not None and powers and lane.power_index not in powers:
            return f"the reader's power levels are {min(powers)} to {max(powers)}; correct power_index"
        if lane.antenna_power is not None and not powers:
            return "the reader does not say how strong its power levels are; write power_index, not antenna_power"
        if lane.antenna_power is not None and not min(powers.values()) <= lane.antenna_power <= max(powers.values()):
            levels = powers.values()
            return f"the reader gives {min(levels):g} to {max(levels):g} dBm; correct antenna_power"
        return ""

    def _antenna(self, lane: Options, antenna: int) -> Antenna:
        index = lane.power_index
        if lane.antenna_power is not None:
            fitting = [(dbm, number) for number, dbm in self._can.powers if dbm <= lane.antenna_power]
            index = max(fitting)[1]  # the strongest that is not above what is allowed
        if index is None:
            return Antenna(antenna, lane.session)
        any_band = next(iter(self._set.bands.values()), _DEFAULT_BAND)
        return Antenna(antenna, lane.session, (*self._set.bands.get(antenna, any_band), index))

    def _unplugged(self, antennas: tuple[int, ...]) -> str:
        known = [self._plugged.get(antenna, True) for antenna in antennas or self._plugged]
        if not known or any(known):
            return ""
        return f"no antenna is plugged in at {', '.join(map(str, antennas)) or 'any port'}: look at its cable"
