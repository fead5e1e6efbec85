"""A whole community for tests: posts with their real daemons, a real broker, a real center, each its own process.

What is compared in the end is what counts: each gate's journal with what the center holds, hash for hash.
"""

import asyncio
import resource
import shutil
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from center.records.store import Store
from center.records.tables import event, gate
from gated.talking import enrol
from protocol.enrolment import Enrolment
from protocol.signature import public_bytes
from tests.broker import Mosquitto
from tests.gatepost import Gatepost

SITE: Final = "demo"
WAIT_S: Final = 60.0
_POLL_S: Final = 0.02
_COME_S: Final = 0.03
_ROOM_BYTES: Final = 32 * 1024


class Community:
    """Enter it for a broker and a center; `add` posts. Leaving it kills what still runs.

    Gates that are added later use `port_for_gates`: a test may have put something between them and the broker. `root`
    is the whitelist repository's, for them as well.
    """

    def __init__(
        self, folder: Path, names: Sequence[str] = ("north",), database: str | None = None, *, workers: bool = False
    ) -> None:
        self.folder = folder
        self.broker = Mosquitto(folder / "broker")
        self.port_for_gates = self.broker.port
        self.posts: dict[str, Gatepost] = {}
        self.key = Ed25519PrivateKey.generate()
        self.root = b"{}"
        self.centers: list[asyncio.subprocess.Process] = []
        self._workers = workers
        self._names = names
        self.state = folder / "center"
        self.log = folder / "center.log"
        self.database = database or f"sqlite:///{self.state / 'center.db'}"
        self._stack = AsyncExitStack()
        self._comers = count()

    async def __aenter__(self) -> Self:
        self.state.mkdir(parents=True, exist_ok=True)
        await self._stack.enter_async_context(self.broker)
        key = self.state / "online.key"
        key.write_text(self.key.private_bytes_raw().hex())
        self.config.write_text(
            f'site = "{SITE}"\nbroker = "{self.broker.url}"\nstate = "{self.state}"\nkey = "file:{key}"\n'
            f'database = "{self.database}"\nworkers = {str(self._workers).lower()}\n'
        )
        for name in self._names:
            await self.add(name)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill_center()
        await self._stack.aclose()

    @property
    def config(self) -> Path:
        """The center's configuration."""
        return self.state / "center.toml"

    async def add(self, name: str, listed: Sequence[str] = ()) -> Gatepost:
        """A post that is set up with this center; its daemon does not run yet."""
        folder = self.folder / name
        folder.mkdir()
        post = Gatepost(folder, listed, lambda text: self._with_center(text, name, folder / "state"))
        self.posts[name] = await self._stack.enter_async_context(post)
        self.enrol(name, post)
        return post

    def enrol(self, name: str, post: Gatepost) -> None:
        """Give the post's box new keys, and let the center know the voucher for them."""
        voucher, now = Ed25519PrivateKey.generate(), datetime.now(UTC)
        until = now + timedelta(days=7)
        content = Enrolment(
            site=SITE,
            gate=name,
            broker=f"mqtt://127.0.0.1:{self.port_for_gates}",
            username=name,
            password="unused",  # noqa: S106 - the broker of the tests takes anybody
            ca="",
            center=(public_bytes(self.key).hex(),),
            root=self.root,
            pepper=bytes(32).hex(),
            voucher=voucher.private_bytes_raw().hex(),
            until=until,
        )
        enrol.install(post.state, content)
        with closing(Store.open(self.database, SITE)) as store:
            known = name in store.all_keys()
            put = store.replace_gate if known else store.add_gate
            put(name, public_bytes(voucher), until.timestamp(), now.timestamp())

    async def clone(self, name: str, board: str) -> Gatepost:
        """A second box from the disk image of that post, under the same name, on another board; not started yet."""
        folder = self.folder / f"{name}-{board}"
        folder.mkdir()
        post = Gatepost(folder, (), lambda text: self._with_center(text, name, folder / "state"))
        await self._stack.enter_async_context(post)
        shutil.copytree(self.posts[name].state, post.state, ignore=shutil.ignore_patterns("*.sock"), dirs_exist_ok=True)
        post.program = on_board(board)
        return post

    async def start_center(self, program: str = "ingest") -> None:
        """Start the center's worker; or `serve`, all of a center."""
        with self.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "center", program, "-c", str(self.config)), stdout=log, stderr=log
            )
        self.centers.append(process)

    async def start_gates(self) -> None:
        """Start every post's daemon, all at once; return when each answers and all its devices are online."""
        await asyncio.gather(*(post.start() for post in self.posts.values()))

    async def kill_worker(self) -> None:
        """Kill -9 of that worker which was started first."""
        process = self.centers.pop(0)
        process.send_signal(signal.SIGKILL)
        await process.wait()

    async def kill_center(self) -> None:
        """Kill -9 of all its workers that run."""
        processes, self.centers = self.centers, []
        for process in processes:
            if process.returncode is None:
                process.send_signal(signal.SIGKILL)
            await process.wait()

    async def stop_center(self) -> int:
        """Ask its one worker to end; the exit status."""
        process = self.centers.pop()
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(WAIT_S):
            return await process.wait()

    @asynccontextmanager
    async def traffic(self, every_s: float = _COME_S) -> AsyncIterator[None]:
        """People come to every post, one after the other, for as long as this lasts."""

        async def come(post: Gatepost) -> None:
            while True:
                post.walk_in(f"0A{next(self._comers):08X}")
                await asyncio.sleep(every_s)

        coming = [asyncio.create_task(come(post)) for post in self.posts.values()]
        try:
            yield
        finally:
            for task in coming:
                task.cancel()
            await asyncio.gather(*coming, return_exceptions=True)

    async def recorded(self, number: int) -> None:
        """Return when each post has recorded that many more events."""
        wanted = {name: len(journal_hashes(post.journal)) + number for name, post in self.posts.items()}
        await self.until(
            lambda: all(len(journal_hashes(self.posts[name].journal)) >= most for name, most in wanted.items()),
            f"every post has recorded {number} more events",
        )

    def limit_files(self) -> None:
        """Let no worker write a file further than a little beyond its log: a full disk that needs no disk."""
        self._limit(self.log.stat().st_size + _ROOM_BYTES)

    def unlimit_files(self) -> None:
        """Take that back."""
        self._limit(resource.RLIM_INFINITY)

    def _limit(self, most: int) -> None:
        for process in self.centers:
            _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (most, hard))

    def center_said(self, what: str) -> bool:
        """Whether the center's log has such a line."""
        return f'"event": "{what}"' in self.log.read_text()

    def held(self, name: str) -> list[bytes]:
        """The hashes that the center holds of a gate, in the order in which they were stored."""
        with closing(Store.open(self.database, SITE, read_only=True)) as store:
            return store_hashes(store, name)

    @property
    def database_file(self) -> Path:
        """The center's SQLite file."""
        return Path(self.database.removeprefix("sqlite:///"))

    def copy_database(self, to: Path) -> None:
        """A copy as a backup makes it; the center must not run."""
        to.unlink(missing_ok=True)
        with closing(sqlite3.connect(self.database_file)) as here, closing(sqlite3.connect(to)) as there:
            here.backup(there)

    async def agreed(self, what: str = "every journal is at the center") -> None:
        """Return when the center holds every event of every post, each once."""
        await self.until(self._agree, what)

    async def same(self) -> None:
        """Return when the center holds what every journal has, hash for hash, and nothing else."""
        await self.until(
            lambda: all(self.held(name) == journal_hashes(post.journal) for name, post in self.posts.items()),
            "center and journals are the same",
        )

    async def until(self, predicate: Callable[[], bool | Awaitable[bool]], what: str) -> None:
        """Return when it holds; fails with what everybody said last."""
        try:
            async with asyncio.timeout(WAIT_S):
                while True:
                    found = predicate()
                    if isinstance(found, Awaitable):
                        found = await found
                    if found:
                        return
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise AssertionError(f"not within {WAIT_S:.0f} s: {what}\n{self.last_words()}") from None

    def last_words(self) -> str:
        """The ends of all logs."""
        logs = [self.log, *(post.log for post in self.posts.values())]
        return "\n".join(f"--- {log}\n{log.read_text()[-2000:]}" for log in logs if log.exists())

    async def _agree(self) -> bool:
        return await asyncio.to_thread(lambda: all(self._holds(name, post) for name, post in self.posts.items()))

    def _holds(self, name: str, post: Gatepost) -> bool:
        mine, theirs = journal_hashes(post.journal), self.held(name)
        assert len(theirs) == len(set(theirs)), f"{name}: something is there twice"
        return set(mine) <= set(theirs)

    def _with_center(self, text: str, name: str, state: Path) -> str:
        head, _, lanes = text.partition("[schedules]")
        center = (
            f'[center]\nbroker = "mqtt://127.0.0.1:{self.port_for_gates}"\nusername = "{name}"\n'
            f'password = "file:{state / "center" / "password"}"\n'
        )
        return f"{head.replace('north', name)}{center}\n[schedules]{lanes}"


def on_board(board: str) -> list[str]:
    """The daemon's program for a post on that board."""
    other = f"board.identity = lambda: {board!r}"
    return ["-c", f"from gated import board, __main__; {other}; raise SystemExit(__main__.main())"]


def journal_hashes(journal: Path) -> list[bytes]:
    """The hashes of a gate's journal, oldest first."""
    if not journal.exists():
        return []
    with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as connection:
        return [bytes(row[0]) for row in connection.execute("SELECT CAST(hash AS BLOB) FROM event ORDER BY seq")]


def store_hashes(store: Store, name: str) -> list[bytes]:
    """The hashes that a center's database holds of a gate."""
    with store.reading() as connection:
        joined = select(event.c.hash).join(gate, gate.c.id == event.c.gate_id)
        rows = connection.execute(joined.where(gate.c.name == name).order_by(event.c.id))
        return [bytes(row.hash) for row in rows]
