"""Whether the list's signatures are young: the center signs the date each hour, and the state each day.

Nothing of TUF here: an ingest worker looks at what the broker holds as well, whose keys it need not know. It believes
none of that further than to say that it is old.
"""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from protocol import repository as names

UNSIGNED_TIME: Final = timedelta(hours=3)
"""The date is signed each hour."""
_SNAPSHOT_TIME: Final = timedelta(days=1) + UNSIGNED_TIME
_TIMESTAMP: Final = "timestamp.json"


def overdue(date: datetime, state: datetime | None, now: datetime) -> list[str]:
    """What has not been signed again in time, by when date and state were signed last."""
    found = list(_unsigned("date", date, UNSIGNED_TIME, now))
    return found if state is None else found + list(_unsigned("state", state, _SNAPSHOT_TIME, now))


def dated(until: datetime, life_s: float) -> datetime:
    """When something was signed that holds until then, by the clock on the wall here. Raises OverflowError."""
    return (until - timedelta(seconds=life_s)).astimezone()


def signed_last(message: bytes) -> tuple[datetime, datetime | None]:
    """When date and state were signed that a message on `whitelist/repo` has. Raises MalformedError."""
    files = names.decode(message)
    try:
        date = json.loads(files[_TIMESTAMP])["signed"]
        state = files.get(f"{date['meta']['snapshot.json']['version']}.snapshot.json")
        signed = None if state is None else _at(json.loads(state)["signed"], names.SNAPSHOT_LIFE_S)
        return _at(date, names.TIMESTAMP_LIFE_S), signed
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise names.MalformedError(f"when it was signed cannot be read: {error!r}") from error


def _at(signed: dict[str, str], life_s: float) -> datetime:
    return dated(datetime.fromisoformat(signed["expires"]), life_s)


def _unsigned(what: str, signed: datetime, allowed: timedelta, now: datetime) -> Iterator[str]:
    if now - signed > allowed:
        when = f"{signed:%Y-%m-%d %H:%M}"
        yield f"the list's {what} was last signed on {when}: is gated-center serve, or publish, running?"
