"""A PostgreSQL of the tests' own: a cluster in a folder, on a socket in it, gone with it."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final, Self, TypedDict

_PORT: Final = 5432
_WAIT_S: Final = 60
_POLL_S: Final = 0.02


class Postgres:
    """One cluster. Enter it to make and start it; leaving stops and removes it. Only a `durable` one fsyncs."""

    def __init__(self, *, durable: bool = False) -> None:
        versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
        if not versions:
            raise RuntimeError("these tests need a PostgreSQL server: sudo apt-get install postgresql")
        self.bin = versions[-1].parent
        # A socket's path has 107 bytes, and the folder must be the server's own: neither is so in pytest's tmp_path.
        self.folder = Path(tempfile.mkdtemp(prefix="gated-pg-"))
        self._user = "postgres" if os.geteuid() == 0 else None
        self._databases = 0
        self._server: subprocess.Popen[bytes] | None = None
        self._fsync = "on" if durable else "off"

    def __enter__(self) -> Self:
        if self._user is not None:
            entry = pwd.getpwnam(self._user)
            os.chown(self.folder, entry.pw_uid, entry.pw_gid)
        self._run("initdb", "-D", str(self.folder / "data"), "-U", "gated", "-A", "trust", "-E", "UTF8", "--no-sync")
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Start the server, and wait until it serves."""
        settings = ("listen_addresses=", f"fsync={self._fsync}", "max_connections=40", f"port={_PORT}")
        options = [word for setting in settings for word in ("-c", setting)]
        program = [str(self.bin / "postgres"), "-D", str(self.folder / "data"), "-k", str(self.folder)]
        with self._output() as output:
            # A child of ours, not of pg_ctl: one that was killed is then gone for good, whoever adopts orphans here.
            self._server = subprocess.Popen([*program, *options], stdout=output, stderr=output, **self._as())
        until = time.monotonic() + _WAIT_S
        while not self._serves():
            if self._server.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"PostgreSQL does not start:\n{(self.folder / 'output').read_text()[-2000:]}")
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """Stop the server at once; it says goodbye to its clients."""
        if self._server is not None:
            self._server.send_signal(signal.SIGQUIT)
            self._server.wait(_WAIT_S)

    def kill(self) -> None:
        """Kill -9 of the server and of every process that serves a client."""
        assert self._server is not None
        children = Path(f"/proc/{self._server.pid}/task/{self._server.pid}/children").read_text().split()
        self._server.kill()
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)
        self._server.wait(_WAIT_S)

    def new_database(self) -> str:
        """A fresh database; its URL."""
        self._databases += 1
        name = f"center{self._databases}"
        self._run("createdb", "-h", str(self.folder), "-p", str(_PORT), "-U", "gated", name)
        return f"postgresql://gated@/{name}?host={self.folder}&port={_PORT}"

    def copy_database(self, name: str, to: str) -> None:
        """Make `to` a copy of that database, in place of what it was. Nobody may be connected to either for long."""
        at = ("-h", str(self.folder), "-p", str(_PORT), "-U", "gated")
        self._run("dropdb", *at, "--if-exists", "--force", to)
        # By files, between two checkpoints: a copied sequence may else fall back at the next crash.
        self._run("createdb", *at, "-T", name, "--strategy", "file_copy", to)

    def _serves(self) -> bool:
        asked = [str(self.bin / "pg_isready"), "-q", "-h", str(self.folder), "-p", str(_PORT)]
        return subprocess.run(asked, check=False, timeout=_WAIT_S, cwd=self.folder).returncode == 0

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.bin / program), *arguments]
        with self._output() as output:
            subprocess.run(command, check=True, stdout=output, stderr=output, timeout=_WAIT_S, **self._as())

    def _output(self) -> BinaryIO:
        return (self.folder / "output").open("ab")

    def _as(self) -> "_As":
        """The user that the server wants to run as: not root."""
        return {"user": self._user, "group": self._user, "extra_groups": [] if self._user else None, "cwd": self.folder}


class _As(TypedDict):
    user: str | None
    group: str | None
    extra_groups: list[str] | None
    cwd: Path
