"""Which of a gate's statuses count. They are retained and replayed by brokers, and a will may come late.

- Of one session, only a status with a higher number than the last, of the same connection or a later one.
- Another session replaces the one before, which never comes back.
- A will counts only for the latest connection of the session that is heard; after it, only a later connection.
"""

from dataclasses import dataclass

from protocol.message import Offline, Status


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a gate: its session, the latest connection and number of it, whether it is there."""

    session: str
    connection: int
    number: int
    online: bool


def heard(known: Standing | None, said: Status | Offline, *, departed: bool) -> Standing | None:
    """The gate's standing after what it said; None if it does not count. `departed`: that session was left before."""
    if isinstance(said, Offline):
        return _gone(known, said)
    new = Standing(said.session, said.connection, said.number, online=True)
    if known is None:
        return new
    if known.session != said.session:
        return None if departed else new
    connection_over = said.connection < known.connection or (said.connection == known.connection and not known.online)
    return None if said.number <= known.number or connection_over else new


def _gone(known: Standing | None, said: Offline) -> Standing | None:
    if known is None:
        return Standing(said.session, said.connection, 0, online=False)
    current = known.session == said.session and known.online and said.connection >= known.connection
    return Standing(said.session, said.connection, known.number, online=False) if current else None
