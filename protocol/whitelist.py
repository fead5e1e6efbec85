"""A line of the whitelist: one credential and when, where and how it is in force.

A list is JSON lines, sorted by `c` once published:

    {"c":"epc:E280…","h":"h7Qk2…","from":…,"until":…,"when":"always","lanes":["*"],"tid":…,"with":"plate:…"}

Only `c` and `h` are required. Times are RFC 3339 with offset and half-open: in force from `from` on and before
`until`. `with` demands a second credential in the same sighting. `since` suspends from that time on; with `signed`
the suspension lapses `SUSPENSION_S` after it. `gone` marks a credential taken off the list for good.
`h` is a random name for the holder, nothing more.
"""

from dataclasses import dataclass
from typing import Final

from protocol.credential import Credential

SUSPENSION_S: Final = 72 * 3600.0


@dataclass(frozen=True, slots=True)
class Entry:
    """What the list says of a credential. Times are POSIX seconds; `lanes` holds names or `*` for all of them."""

    credential: Credential
    holder: str
    begins: float | None = None
    ends: float | None = None
    when: str = "always"
    lanes: tuple[str, ...] = ("*",)
    tid: str | None = None
    partner: Credential | None = None
    since: float | None = None
    signed: float | None = None
    gone: bool = False
