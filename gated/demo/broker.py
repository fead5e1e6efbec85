"""The broker of the demonstration, in a process of its own: `python -m gated.demo.broker CONFIGURATION`.

iotcore is an MQTT broker in a wheel: nothing is to be installed on the machine. It has passwords and no rules who may
say what, keeps nothing over a restart, and hands over at most a hundred retained messages for one wildcard. A site
runs mosquitto with the rules that `gatectl site broker` makes.
"""

import json
import logging
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from protocol.repository import MESSAGE_MAX_BYTES

HOST: Final = "127.0.0.1"
_CONNECTIONS: Final = 100
_PAYLOAD_MAX_BYTES: Final = MESSAGE_MAX_BYTES + 64 * 1024  # the longest message there is, and its topic


def free_port() -> int:
    """A TCP port of this machine that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def configuration(port: int, passwords: Mapping[str, str]) -> str:
    """What iotcore reads: one listener without TLS on the loopback address, and who is let in."""
    lines = [
        "id = 0",
        "[router]",
        "id = 0",
        f"max_connections = {_CONNECTIONS}",
        "max_outgoing_packet_count = 200",
        "max_segment_size = 104857600",
        "max_segment_count = 10",
        "[v4.1]",
        'name = "gates"',
        f'listen = "{HOST}:{port}"',
        "next_connection_delay_ms = 1",
        "[v4.1.connections]",
        "connection_timeout_ms = 60000",
        f"max_payload_size = {_PAYLOAD_MAX_BYTES}",
        "max_inflight_count = 100",
        "dynamic_filters = true",
        "[v4.1.connections.auth]",
        *(f"{json.dumps(name)} = {json.dumps(password)}" for name, password in passwords.items()),
    ]
    return "\n".join([*lines, ""])


def main(path: Path) -> None:
    """Run the broker of this configuration until it is killed."""
    from iotcore import IotCoreBroker  # noqa: PLC0415 - an extra; whoever only imports this module needs it not

    logging.basicConfig(level=logging.CRITICAL)  # else it writes an error for each packet
    IotCoreBroker(config_path=str(path)).run_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
