"""How the gate is, as the center is told: the state that `gated status` shows, cut down to what the center needs.

No credential is in it, and nobody who waits at a lane.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gated.talking.keys import Keys
from gated.talking.line import Line
from protocol.message import DeviceStatus, ListStatus, Rivals, Status

_WHY_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class Supply:
    """How long ago the center vouched for the list (s; None if it never has), and what is wrong with what it sends."""

    age_s: float | None
    trouble: str


def status(
    state: Mapping[str, Any],
    line: Line,
    introduced: Keys | None,
    board: str,
    supply: Supply,
    refused: Mapping[str, int],
) -> Status:
    """The message; `state` as `gated.state.Describer` gives it, `introduced` the keys that the center may not know."""
    journal, whitelist, fire = state["journal"], state["list"] or {}, state["fire"]
    line.status_number += 1
    return Status(
        session=line.session,
        connection=max(line.connection_number, 1),
        number=line.status_number,
        sent=line.sent(),
        version=state["version"],
        board=board,
        epoch=journal["epoch"],
        mode=state["mode"],
        fire=fire and fire["state"],
        backlog=line.uplink.backlog,
        hours_left=journal["hours_left"],
        free_bytes=journal["free_bytes"],
        list=ListStatus(
            version=whitelist.get("version"),
            entries=whitelist.get("entries"),
            age_s=supply.age_s,
            trouble="; ".join(part for part in (whitelist.get("trouble"), supply.trouble) if part)[:_WHY_MAX],
        ),
        devices={
            name: DeviceStatus(
                what=device["what"],
                online=device["online"],
                why=device["why"][:_WHY_MAX],
                heard_s_ago=device.get("heard_s_ago"),
            )
            for name, device in state["devices"].items()
        },
        rivals=tuple(Rivals(epoch=epoch) for epoch in line.rivals.epochs),
        heard=line.rivals.heard,
        refused=dict(refused),
        key=introduced and introduced.sign_public.hex(),
        seal=introduced and introduced.seal_public.hex(),
        voucher=introduced and introduced.voucher,
    )
