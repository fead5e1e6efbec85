"""A gate's flash without a broker: the machine, its folder, and a shell that does the acts one after the other."""

import json
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gated.lanes.decide import Now
from gated.lists import flash_build
from gated.lists.depot import Depot
from gated.lists.flash import Flash, Phase
from gated.lists.flash_acts import Act, Build, Check, KeepMessage, KeepPiece, Publish, Subscribe, Switched, Unsubscribe
from gated.lists.whitelist import Whitelist, verify
from protocol import topics
from protocol.credential import Credential
from protocol.event import ClockQuality
from protocol.topics import BlobAddress
from protocol.whitelist import Entry
from tests.signers import SITE, Center

GATE = "north"
Broker = Callable[[str], bytes | None]
"""What is retained at a topic."""


def unsigned(_: str, message: bytes) -> bytes:
    """No signature: what is said is looked at here."""
    return message


def at(moment: datetime, mono: float = 0.0) -> Now:
    """A gate's time, with a clock that is right."""
    posix = moment.timestamp()
    return Now(mono, posix, posix, moment, ClockQuality.SYNCED)


class Box:
    """One gate. Its life can be ended at any time; `start` begins the next on what is on disk."""

    def __init__(self, folder: Path, root: bytes, now: datetime) -> None:
        self.folder = folder
        self.root = root
        self.now = at(now)
        self.said: list[dict[str, Any]] = []
        self.subscribed: list[str] = []
        self.builds = 0
        self.start()

    def start(self) -> None:
        """A new life."""
        self.depot = Depot(self.folder)
        self.flash = Flash(SITE, GATE, "session", sign=unsigned, kept=self.depot.begin())
        self.acts: deque[Act] = deque(self.flash.start(self.now))
        self.wanted: set[str] = set()

    def time(self, moment: datetime) -> None:
        """It is now this time."""
        self.now = replace(at(moment), mono=self.now.mono + max(moment.timestamp() - self.now.validity, 0.0))

    def flash_from(self, broker: Mapping[str, bytes] | Broker) -> None:
        """Connect, and do what is to be done until nothing is."""
        fetch = broker if callable(broker) else broker.get
        self.acts += self.flash.connected(self.now)
        self.run(fetch)

    def run(self, fetch: Broker) -> None:
        """Do acts until there are none."""
        while self.acts:
            self._do(self.acts.popleft(), fetch)

    def _do(self, act: Act, fetch: Broker) -> None:
        match act:
            case Subscribe(topic):
                self.wanted.add(topic)
                self.subscribed.append(topic)
                if (payload := fetch(topic)) is not None:
                    self.hear(topic, payload)
            case Unsubscribe(topic):
                self.wanted.discard(topic)
            case KeepMessage(message):
                self.depot.put_message(message)
            case KeepPiece(sha256, piece, data):
                self.depot.put(sha256, piece, data)
            case Check() | Build():
                self._ask(act)
            case Publish(_, payload):
                self.said.append(json.loads(payload))
            case Switched():
                self.acts += self.flash.holding(self.version, self.entries, self.now)
            case _:
                pass

    def _ask(self, order: Check | Build) -> None:
        arguments = (self.folder, self.root, order.validity, order.floor)
        try:
            if isinstance(order, Check):
                self.acts += self.flash.checked(flash_build.check(*arguments, whole=order.whole), self.now)
            else:
                self.builds += 1
                self.acts += self.flash.built(flash_build.build(*arguments, whole=order.whole), self.now)
        except Exception as error:  # noqa: BLE001 - as the process does
            self.acts += self.flash.failed(str(error), self.now)

    def hear(self, topic: str, payload: bytes) -> None:
        """Something arrives."""
        address = topics.parse(topic)
        if isinstance(address, BlobAddress):
            self.acts += self.flash.piece(address.sha256, address.piece, payload, self.now)
        elif topic == topics.repository(SITE):
            self.acts += self.flash.message(payload, self.now)

    def take(self, center: Center) -> None:
        """Flash what the center has now, at the center's time."""
        self.time(center.now)
        self.flash_from(center.pieces)

    @property
    def version(self) -> str | None:
        """The list in force."""
        with closing(Whitelist(self.folder)) as held:
            return held.info.version if held.info else None

    @property
    def entries(self) -> int | None:
        """How many entries it has."""
        with closing(Whitelist(self.folder)) as held:
            return held.info.entries if held.info else None

    def entry(self, credential: str) -> Entry | None:
        """What counts for a credential at the gate's floor."""
        with closing(Whitelist(self.folder)) as held:
            held.lapse(self.now.floor)
            return held.entry(Credential(credential))

    @property
    def sound(self) -> bool:
        """Whether the list in force is whole, or there never was one."""
        return verify(self.folder) in {"", "no list was ever loaded"}

    @property
    def idle(self) -> bool:
        """Whether there is nothing left to do, and nothing wrong."""
        return self.flash.phase is Phase.IDLE and not self.flash.trouble


def days(count: float) -> float:
    """Seconds."""
    return count * 86400.0


def utc(*parts: int) -> datetime:
    """A moment."""
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]
