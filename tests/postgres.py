"""A PostgreSQL of the tests' own: a cluster in a folder, on a socket in it, gone with it."""

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final, Self

_PORT: Final = 5432
_WAIT_S: Final = 60


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
        options = f"-k {self.folder} -c listen_addresses= -c fsync={self._fsync} -c max_connections=40 -p {_PORT}"
        log = str(self.folder / "log")
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-l", log, "-o", options, "start")

    def stop(self) -> None:
        """Stop the server at once, as a crash would."""
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-m", "immediate", "stop")

    def new_database(self) -> str:
        """A fresh database; its URL."""
        self._databases += 1
        name = f"center{self._databases}"
        self._run("createdb", "-h", str(self.folder), "-p", str(_PORT), "-U", "gated", name)
        return f"postgresql://gated@/{name}?host={self.folder}&port={_PORT}"

    def _run(self, program: str, *arguments: str) -> None:
        # Its output goes to a file: the server inherits it, and a pipe would never end.
        with (self.folder / "output").open("ab") as output:
            subprocess.run(
                [str(self.bin / program), *arguments],
                check=True,
                stdout=output,
                stderr=output,
                timeout=_WAIT_S,
                user=self._user,
                group=self._user,
                extra_groups=[] if self._user else None,
                cwd=self.folder,
            )
