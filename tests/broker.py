"""A mosquitto of the tests' own: on a free port, with a folder for what it keeps; killed and started again at will."""

import asyncio
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

PROGRAM: Final = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
PASSWD: Final = shutil.which("mosquitto_passwd") or "/usr/bin/mosquitto_passwd"
_WAIT_S: Final = 10.0
_PORTS: Final = (10_000, 32_000)
"""Below what Linux gives to whoever does not say which one he wants."""


class Mosquitto:
    """One broker. Enter it to start it; leaving kills it.

    `users` (name: password) closes it to all others; `acl` is the text of an access file; `tls` is the three files ca,
    certificate and key; `extra` are further lines of configuration. In the place of all these, `made` is a site's own
    configuration, which says it all (it speaks TLS); `user` is whom mosquitto is to become where root starts it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        users: Mapping[str, str] | None = None,
        acl: str = "",
        tls: tuple[Path, Path, Path] | None = None,
        extra: str = "",
        made: Path | None = None,
        user: str = "root",
    ) -> None:
        self.folder = folder
        self.port = free_port() if made is None else int(made.read_text().partition("\nlistener ")[2].split()[0])
        self.process: subprocess.Popen[bytes] | None = None
        self.url = f"{'mqtts' if tls or made else 'mqtt'}://127.0.0.1:{self.port}"
        self.log = folder / "mosquitto.log"
        self._state = folder / "mosquitto"
        self._state.mkdir(parents=True)
        self._config = folder / "mosquitto.conf"
        text = self._configuration(users, acl, tls) if made is None else made.read_text()
        self._config.write_text("\n".join([text, f"user {user}", "log_dest stderr", extra, ""]))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start it, and wait until it listens."""
        if not Path(PROGRAM).exists():
            raise RuntimeError("these tests need a broker: sudo apt-get install mosquitto")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([PROGRAM, "-c", str(self._config)], stdout=log, stderr=log)
        until = time.monotonic() + _WAIT_S
        while time.monotonic() < until:
            if self.process.poll() is not None:
                break
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.01)
        raise RuntimeError(f"mosquitto does not start:\n{self.log.read_text()}")

    def stop(self) -> None:
        """Stop it in order: it writes down what it retains."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it: what it has not written down is gone."""
        self._end(signal.SIGKILL)

    def reload(self) -> None:
        """Let it read its rules and passwords again; return when it says that it does."""
        assert self.process is not None
        before = self.log.read_text().count("Reloading config")
        self.process.send_signal(signal.SIGHUP)
        until = time.monotonic() + _WAIT_S
        while self.log.read_text().count("Reloading config") == before and time.monotonic() < until:
            time.sleep(0.01)

    def forget(self) -> None:
        """Delete all that it has written down. Only while it does not run."""
        shutil.rmtree(self._state)
        self._state.mkdir()

    def _end(self, how: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(_WAIT_S)
            self.process = None

    def _configuration(self, users: Mapping[str, str] | None, acl: str, tls: tuple[Path, Path, Path] | None) -> str:
        lines = [
            f"listener {self.port} 127.0.0.1",
            "persistence true",
            f"persistence_location {self._state}/",
            "max_queued_messages 0",
            "set_tcp_nodelay true",
            f"allow_anonymous {'false' if users else 'true'}",
        ]
        if users:
            path = self.folder / "passwords"
            path.write_text("".join(f"{name}:{password}\n" for name, password in users.items()))
            path.chmod(0o600)
            subprocess.run([PASSWD, "-U", str(path)], check=True)
            lines.append(f"password_file {path}")
        if acl:
            path = self.folder / "acl"
            path.write_text(acl)
            lines.append(f"acl_file {path}")
        if tls:
            lines += [f"{key} {file}" for key, file in zip(("cafile", "certfile", "keyfile"), tls, strict=True)]
        return "\n".join(lines)


def free_port() -> int:
    """A port that nobody listens on, and that the system gives to no one: it is still free when a broker comes back."""
    while True:
        port = random.SystemRandom().randrange(*_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
