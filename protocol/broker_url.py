"""A broker's address: `mqtts://HOST[:PORT]` (TLS) or `mqtt://HOST[:PORT]` (none)."""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
BROKER_URL_RIGHT: Final = '"mqtts://HOST" or "mqtts://HOST:PORT" (mqtt:// without TLS) would be right'


@dataclass(frozen=True, slots=True)
class BrokerUrl:
    """Where a broker listens."""

    host: str
    port: int
    tls: bool

    @property
    def local(self) -> bool:
        """Whether it is this machine: nothing said to it goes over a wire."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse(url: str) -> BrokerUrl:
    """The address that `url` writes; raises ValueError that says what would be right."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(BROKER_URL_RIGHT) from error
    rest = parts.path.strip("/") or parts.query or parts.fragment or parts.username or parts.password
    if parts.scheme not in PORTS or not host or rest or port == 0 or any(map(str.isspace, url)):
        raise ValueError(BROKER_URL_RIGHT)
    return BrokerUrl(host, port or PORTS[parts.scheme], parts.scheme == "mqtts")
