"""A broker, a publishing center and somebody with every right on the broker, for simulated flashes."""

from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from protocol import topics
from tests.simulation import flash_lists
from tests.simulation.repository import SITE, Repository, quickly_packed
from tests.simulation.timeline import Timeline

REPO: Final = topics.repository(SITE)
SECRET: Final = b"center"
CONTRADICTED_S: Final = 5.0
"""So long the publisher waits before it tells a broker again that says something else."""


class Client(Protocol):
    """Somebody who is connected to the broker; `link` is another number with each connection, 0 for none."""

    link: int
    topics: set[str]

    def hear(self, topic: str, payload: bytes) -> None:
        """Take a message."""

    def unlink(self) -> None:
        """The connection has ended."""


class Broker:
    """Delivers as far as it likes. A message of the repository is lost only with the connection: QoS 1 promises that.

    A piece may be lost silently: it was not there when it was asked for.
    """

    def __init__(self, world: Timeline, *, lost: float, doubled: float, slow: float) -> None:
        self.retained: dict[str, bytes] = {}
        self.clients: list[Client] = []
        self.delivered = self.under_way = 0
        self._world = world
        self._lost, self._doubled, self._slow = lost, doubled, slow

    def publish(self, topic: str, payload: bytes) -> None:
        """Retain a message, or clear its topic, and tell all who have subscribed."""
        if payload:
            self.retained[topic] = payload
        else:
            self.retained.pop(topic, None)
        for client in self.clients:
            if topic in client.topics:
                self._deliver(client, topic, payload)

    def subscribe(self, client: Client, topic: str) -> None:
        """Tell them what is retained, and what comes."""
        client.topics.add(topic)
        if topic in self.retained:
            self._deliver(client, topic, self.retained[topic])

    def wipe(self) -> None:
        """Lose some of what is retained, without a word."""
        for topic in [topic for topic in self.retained if self._world.rand.random() < 0.5]:
            del self.retained[topic]

    def forget(self) -> None:
        """Lose everything that is retained, and all connections."""
        self.retained.clear()
        for client in self.clients:
            client.unlink()

    def _deliver(self, client: Client, topic: str, payload: bytes) -> None:
        world = self._world
        if world.chance(self._lost):
            if topic == REPO:
                client.unlink()
            return
        for _ in range(2 if world.chance(self._doubled) else 1):
            delay = world.rand.uniform(0.001, 0.05)
            if world.chance(self._slow):
                delay = world.rand.expovariate(1 / 8)
            self.under_way += 1
            world.after(delay, partial(self._arrive, client, client.link, topic, payload))

    def _arrive(self, client: Client, link: int, topic: str, payload: bytes) -> None:
        self.under_way -= 1
        if link and link == client.link:
            self.delivered += 1
            client.hear(topic, payload)


class Center:
    """Publishes, and keeps the broker's retained topics equal to its repository, as `center.publish.publisher` does.

    At each connect everything is said; after that what has changed: files, the message, and then what is to be cleared.
    """

    def __init__(self, world: Timeline, broker: Broker, wall: Callable[[], float]) -> None:
        self.link = 0
        self.topics: set[str] = set()
        self.repository = Repository(SECRET, deltas=3, pack=quickly_packed)
        self.lists: dict[str, tuple[bytes, ...]] = {}
        self.policies: dict[bytes, int] = {}
        self.suspensions: dict[int, bytes] = {0: b""}
        self.history: list[list[tuple[str, bytes]]] = []
        self._world, self._broker, self._wall = world, broker, wall
        self._family = world.rand.randrange(len(flash_lists.FAMILIES))
        self._named: set[str] = set()
        self._held: dict[str, bytes] = {}
        self._saying: list[tuple[str, bytes]] = []
        broker.clients.append(self)
        self.publish(first=True)
        self.connect()

    def publish(self, *, first: bool = False) -> None:
        """Another list, another policy, other suspensions: one of them at least."""
        rand, repository = self._world.rand, self.repository
        what = rand.choice(("list", "list", "policy", "suspensions", "all")) if not first else "all"
        if what in {"list", "all"}:
            version = len(self.lists) + 1
            lines = self.lists[str(version)] = flash_lists.lines(self._family, version)
            repository.publish(self._wall(), lines=lines, unfit=rand.random() < 0.1)
        if what in {"policy", "all"}:
            policy = b'{"policy":%04d}' % (len(self.policies) + 1)
            self.policies[policy] = len(self.policies) + 1
            repository.publish(self._wall(), policy=policy)
        if what in {"suspensions", "all"}:
            number = self._world.next_id()
            repository.suspend(self._wall(), *([b'{"s":%04d}' % number] if rand.random() < 0.8 else []))
        self.suspensions[repository.suspensions[0]] = repository.suspensions[1]
        self._changed()

    def renew(self) -> None:
        """Sign again what there is."""
        self.repository.renew(self._wall())
        self._changed()

    def connect(self) -> None:
        """A connection that knows nothing of what the broker holds."""
        if not self.link:
            self.link = self._world.next_id()
            self._held.clear()
            self.topics.clear()
            self._broker.subscribe(self, REPO)
            self._look()

    def unlink(self) -> None:
        """See Client; it comes back a little later."""
        self.link = 0
        self._saying.clear()
        self._world.after(self._world.rand.uniform(0.1, 8), self.connect)

    def hear(self, topic: str, payload: bytes) -> None:
        """See Client: what the broker holds that we did not say is said again after a while."""
        if topic == REPO and payload != self._held.get(REPO, payload):
            link = self.link
            self._world.after(CONTRADICTED_S, lambda: self._contradict() if link == self.link else None)

    @property
    def contradicted(self) -> bool:
        """Whether the broker holds something else than it should."""
        return any(self._broker.retained.get(topic) != payload for topic, payload in self.repository.retain)

    @property
    def current(self) -> bool:
        """Whether all is said."""
        return bool(self.link) and not self._saying

    def _contradict(self) -> None:
        if self._broker.retained.get(REPO) != self._held.get(REPO):
            self._held.pop(REPO, None)
            self._look()

    def _changed(self) -> None:
        self.history.append(self.repository.retain)
        self._look()

    def _look(self) -> None:
        """Begin to say what is to be said, unless that is under way."""
        if self._saying or not self.link:
            return
        wanted = self.repository.retain
        names = {topic for topic, _ in wanted}
        self._saying = [(topic, payload) for topic, payload in wanted if self._held.get(topic) != payload]
        self._saying += [(topic, b"") for topic in sorted(self._named - names)]
        self._named |= names
        self._next()

    def _next(self) -> None:
        if self._saying:
            link = self.link
            self._world.after(self._world.rand.uniform(0.005, 0.1), lambda: self._say() if link == self.link else None)

    def _say(self) -> None:
        topic, payload = self._saying.pop(0)
        self._broker.publish(topic, payload)
        if payload:
            self._held[topic] = payload
        else:
            self._held.pop(topic, None)
            self._named.discard(topic)
        if self._saying:
            self._next()
        else:
            self._look()


class Hostile:
    """Says whatever it likes to the broker, but has no key."""

    def __init__(self, world: Timeline, broker: Broker, center: Center) -> None:
        self._world, self._broker, self._center = world, broker, center

    def act(self) -> None:
        """One thing that must not harm more than a while."""
        rand = self._world.rand
        match rand.choice(("old", "old", "forged", "noise", "piece", "piece", "clear")):
            case "old":
                for topic, payload in rand.choice(self._center.history):
                    self._broker.publish(topic, payload)
            case "forged":
                said = Repository(b"nobody", pack=quickly_packed)
                said.publish(0.0, lines=flash_lists.lines(0, 9), policy=b'{"policy":6666}')
                self._broker.publish(REPO, said.message)
            case "noise":
                self._broker.publish(REPO, rand.choice((b"", b"{}", b"\xff" * 100)))
            case "piece":
                topic, data = rand.choice(self._center.repository.retain[:-1])
                self._broker.publish(topic, self._other(data))
            case _:
                self._broker.publish(rand.choice(self._center.repository.retain)[0], b"")

    def _other(self, data: bytes) -> bytes:
        """Something of the same length: of this site, if there is something."""
        rand, center = self._world.rand, self._center
        others = (*center.policies, *center.suspensions.values(), *center.repository.blobs.values())
        found = [other for other in others if len(other) == len(data) and other != data]
        return rand.choice(found) if found else rand.randbytes(1) + data[1:]
