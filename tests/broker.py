"""A mosquitto of the tests' own: on a free port, with a folder for what it keeps; killed and started again at will."""

import asyncio
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


class Mosquitto:
    """One broker. Enter it to start it; leaving kills it.

    `users` (name: password) closes it to all others; `acl` is the text of an access file; `tls` is the three files ca,
    certificate and key; `extra` are further lines of configuration.
    """

    def __init__(
        self,
        folder: Path,
        *,
        users: Mapping[str, str] | None = None,
        acl: str = "",
        tls: tuple[Path, Path, Path] | None = None,
        extra: str = "",
    ) -> None:
        self.folder = folder
        self.port = _free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.url = f"{'mqtts' if tls else 'mqtt'}://127.0.0.1:{self.port}"
        self.log = folder / "mosquitto.log"
        self._state = folder / "mosquitto"
        self._state.mkdir(parents=True)
        self._config = folder / "mosquitto.conf"
        self._config.write_text(self._configuration(users, acl, tls, extra))

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

    def forget(self) -> None:
        """Delete all that it has written down. Only while it does not run."""
        shutil.rmtree(self._state)
        self._state.mkdir()

    def _end(self, how: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(_WAIT_S)
            self.process = None

    def _configuration(
        self, users: Mapping[str, str] | None, acl: str, tls: tuple[Path, Path, Path] | None, extra: str
    ) -> str:
        lines = [
            f"listener {self.port} 127.0.0.1",
            "persistence true",
            f"persistence_location {self._state}/",
            "user root",
            "max_queued_messages 0",
            "set_tcp_nodelay true",
            "log_dest stdout",
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
        return "\n".join([*lines, extra, ""])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
