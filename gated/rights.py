"""What the daemon's user may do, by the mode bits: for root, who asks on its behalf.

Root may open everything, so the kernel's own answer says nothing about the daemon. Access lists beyond the mode bits
are not looked at.
"""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

USER: Final = "gated"


@dataclass(frozen=True, slots=True)
class Account:
    """A user with all groups. Rights are `os.R_OK`, `os.W_OK`, `os.X_OK`, or several of them."""

    name: str
    uid: int
    groups: frozenset[int]

    @classmethod
    def of_daemon(cls) -> Self | None:
        """The user that the unit runs as; None on a box that has none."""
        try:
            user = pwd.getpwnam(USER)
        except KeyError:
            return None
        return cls(user.pw_name, user.pw_uid, frozenset(os.getgrouplist(user.pw_name, user.pw_gid)))

    @classmethod
    def of_process(cls) -> Self:
        """Who we are."""
        uid = os.geteuid()
        return cls(f"uid {uid}", uid, frozenset((*os.getgroups(), os.getegid())))

    def may(self, facts: os.stat_result, rights: int) -> bool:
        """Whether the mode bits grant all these rights. The first class that fits counts, as in the kernel."""
        if self.uid == 0:
            return True
        mode = stat.S_IMODE(facts.st_mode)
        if facts.st_uid == self.uid:
            mode >>= 6
        elif facts.st_gid in self.groups:
            mode >>= 3
        return mode & rights == rights

    def hindrance(self, folder: Path) -> str:
        """Why no file can be made in `folder`, which is there; "" where nothing is in the way. Raises OSError."""
        whole = Path(os.path.realpath(folder))
        for above in reversed(whole.parents):
            if not self.may(above.stat(), os.X_OK):
                return f"{above} may not be entered by {self.name}"
        return "" if self.may(whole.stat(), os.W_OK | os.X_OK) else f"{folder} may not be written by {self.name}"
