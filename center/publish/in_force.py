"""What is in force, as the broker holds it: for whoever has no more of the site than a root to trust."""

from dataclasses import dataclass
from datetime import datetime

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Targets, Timestamp

from center.broker import Account
from center.publish import lists
from center.publish.metadata import PublishError, read
from center.publish.recovery import held, verified
from protocol import repository as names
from protocol import topics


@dataclass(frozen=True, slots=True)
class InForce:
    """The list's number, if there is a list, and the number of the repository's state."""

    version: int | None
    snapshot: int


async def in_force(account: Account, site: str, root: bytes, now: datetime) -> InForce:
    """What the broker holds, verified from this root. Raises BrokerAwayError, PublishError."""
    message = await held(account, topics.repository(site))
    if message is None:
        raise PublishError("the broker holds no list: nothing has been flashed yet, or the center does not publish")
    try:
        files, versions = verified([root], names.decode(message))
    except (names.MalformedError, RepositoryError, PublishError, KeyError) as error:
        raise PublishError("what the broker holds is not signed by this site's keys: gates refuse it, too") from error
    until = read(Timestamp, files["timestamp.json"]).signed.expires
    if now >= until:
        raise PublishError(
            f"the list's date, which the center signs each hour, has run out at {until:%Y-%m-%d %H:%M} UTC: gates take "
            "nothing new; see whether gated-center runs"
        )
    targets = read(Targets, files[f"{versions[Targets.type]}.targets.json"]).signed
    listed = targets.targets.get(names.WHITELIST)
    return InForce(lists.described(listed).version if listed is not None else None, versions["snapshot"])
