"""Word to systemd: ready, stopping, alive (sd_notify(3)): one datagram each."""

import os
import socket


class Notifier:
    """Tells the service manager, if there is one. `watchdog_s` is how often it wants to hear, None if never."""

    def __init__(self, environ: os._Environ[str] = os.environ) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        usec = environ.get("WATCHDOG_USEC", "")
        self.watchdog_s = int(usec) / 1e6 if usec.isdecimal() else None

    def __call__(self, *words: str) -> None:
        """Send e.g. `READY=1`. A manager that does not listen is no reason to stop."""
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as link:
            link.setblocking(False)
            try:
                link.sendto("\n".join(words).encode(), self._address)
            except OSError:
                return
