"""OSDP readers at a gate: the real daemon, a secured reader on a pty, what the journal has and what the lamp shows."""

import re
from pathlib import Path

from drivers.emulated.host import PtyHost
from drivers.emulated.osdp import EmulatedOsdp
from tests.gatepost import Gatepost

KEY = bytes.fromhex("0f1e2d3c4b5a69788796a5b4c3d2e1f0")


async def test_a_card_passes(tmp_path: Path) -> None:
    """Shown, it is one passage in the journal, the barrier opens, the reader's lamp is green; a stranger's is red."""
    shown: list[str] = []
    device = EmulatedOsdp(5, KEY)
    device.on_show = lambda colour, _: shown.append(colour)
    key = tmp_path / "osdp.key"
    key.write_text(KEY.hex())
    async with PtyHost(device) as host:
        reader = f'driver = "osdp", port = "{host.port}", address = 5, key = "file:{key}"'

        def configure(text: str) -> str:
            return re.sub(r'driver = "em4100", port = "[^"]*"', reader, text)

        async with Gatepost(tmp_path, ["wiegand:26:123:45678"], configure) as post:
            await post.start()
            device.present("26:123:45678")
            await post.pulses("walk-in", 1)
            await post.until(lambda: shown[:1] == ["green"], "the lamp is green")
            device.present("26:9:9")
            await post.until(lambda: "red" in shown, "the lamp is red")
            admitted, flagged = post.passages("walk-in")
            assert (admitted["credential"], admitted["verdict"]) == ("wiegand:26:123:45678", "admit")
            assert (flagged["credential"], flagged["reason"]) == ("wiegand:26:9:9", "unknown")
            assert await post.stop() == 0
            said = post.log.read_text()
            assert "45678" not in said
            assert KEY.hex() not in said
