"""Another box under our name: how two that run at the same time find each other out. No I/O.

Each box hears what is said on its own status topic, and says which sessions but its own it has heard there (`heard`).

- A status of another session proves nothing: it may be of years ago, replayed by anybody who was there.
- One that names our session was signed, with this gate's key, by somebody who has heard us. A session's id is random
  and new at each start, so no status from before can name it: another box is running now. That is told once.
"""

from typing import Final

from protocol.message import Status

HEARD_MAX: Final = 4
"""Sessions that are named: the latest. Somebody who replays statuses does not make ours grow."""


class Rivals:
    """What one session knows of others under its name."""

    def __init__(self, session: str) -> None:
        self._session = session
        self._heard: tuple[str, ...] = ()
        self._found: dict[str, str] = {}

    @property
    def heard(self) -> tuple[str, ...]:
        """Sessions to name in our statuses."""
        return self._heard

    @property
    def epochs(self) -> tuple[str, ...]:
        """The epochs of the boxes that certainly run beside us."""
        return tuple(sorted(set(self._found.values())))

    def hear(self, said: Status) -> str | None:
        """Take a status that bears our gate's signature; the epoch of another box, where it is news that it runs."""
        if said.session == self._session:
            return None
        if said.session not in self._heard:
            self._heard = (*self._heard, said.session)[-HEARD_MAX:]
        if self._session not in said.heard or not said.epoch or said.session in self._found:
            return None
        self._found[said.session] = said.epoch
        return said.epoch
