"""The attacks that the TUF specification names, by a client with full rights on a real broker, against a real gate.

Each is refused, named in the log and at the center, and the list in force stays; once the attacker is gone, the true
repository is taken up again.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from center.publish.proposal import Changes
from center.publish.repository import Repository
from protocol import topics
from protocol.repository import decode, encode
from tests.attacks import driven_up, forged
from tests.community import SITE, Community
from tests.signers import Center, Committee, line, new_keys
from tests.taught import LI, WANG, Publisher, in_force, taught

Retained = list[tuple[str, bytes]]
Attack = Callable[[Center, bytes], Retained]
REPOSITORY: Final = topics.repository(SITE)


def arbitrary_software(center: Center, _earlier: bytes) -> Retained:
    """A repository of the attacker's own."""
    return [(REPOSITORY, forged(center, Committee()))]


def rollback(_center: Center, earlier: bytes) -> Retained:
    """Yesterday's list again."""
    return [(REPOSITORY, earlier)]


def indefinite_freeze(center: Center, _earlier: bytes) -> Retained:
    """What was signed two days ago, as if nothing had happened since."""
    frozen = Center(center.committee, now=datetime.now(UTC) - timedelta(days=2), site=SITE)
    frozen.vault.files = dict(center.vault.files)
    frozen.repository = Repository(SITE, frozen.vault, center.committee.online)
    frozen.repository.renew(frozen.now)
    return [(REPOSITORY, frozen.message)]


def endless_data(center: Center, _earlier: bytes) -> Retained:
    """Metadata, and pieces, without end."""
    files = decode(center.message) | {"timestamp.json": b" " * 500_000}
    blobs = [(topic, bytes(200_000)) for topic, _ in center.repository.publications().retain if "/blob/" in topic]
    return [*blobs, (REPOSITORY, encode(files))]


def extraneous_dependencies(center: Center, _earlier: bytes) -> Retained:
    """Files that nobody has signed for: nothing asks for them, and one in the place of another is none."""
    _more(center)
    files = decode(center.message)
    return [(REPOSITORY, encode(files | {"extra.json": b"{}", "3.targets.json": files["1.root.json"]}))]


def mix_and_match(center: Center, earlier: bytes) -> Retained:
    """Files that were never current together."""
    _more(center)
    return [(REPOSITORY, encode(decode(center.message) | {"3.targets.json": decode(earlier)["1.targets.json"]}))]


def wrong_software(center: Center, _earlier: bytes) -> Retained:
    """Another site's repository, well signed."""
    other = Center(now=center.now, site=SITE)
    other.publish([line(LI + 2)])
    return other.repository.publications().retain


def malicious_mirror(center: Center, _earlier: bytes) -> Retained:
    """A new list's message, and none of its pieces but a damaged one."""
    _more(center)
    retain = center.repository.publications().retain
    return [(topic, bytes(len(data)) if "/blob/" in topic else data) for topic, data in retain]


def key_compromise_below_the_threshold(center: Center, _earlier: bytes) -> Retained:
    """The center's own key and one of the signers' two are the attacker's."""
    thief = Committee(repository=center.committee.repository)
    thief.signers = [center.committee.signers[0], *new_keys(2)]
    return [(REPOSITORY, forged(center, thief, version=3))]


ATTACKS: Final[tuple[Attack, ...]] = (
    arbitrary_software,
    rollback,
    indefinite_freeze,
    endless_data,
    extraneous_dependencies,
    mix_and_match,
    wrong_software,
    malicious_mirror,
    key_compromise_below_the_threshold,
)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
async def test_refused(attack: Attack, tmp_path: Path) -> None:
    """Refused whole, named in the log; the list in force stays, and the center's next one is taken."""
    async with taught(tmp_path, "north") as (community, center, publisher):
        (post,) = community.posts.values()
        earlier = center.message
        center.publish([line(LI), line(WANG)])
        await publisher.publish(center)
        await in_force(community, "2")
        for topic, payload in attack(center, earlier):
            await publisher.retain(topic, payload)
        await community.until(lambda: bool(post.said("flash.trouble")), "the attack is named in the log")
        assert (await post.status())["list"]["version"] == "2"
        await _true_again(community, center, publisher)


async def test_fast_forward_recovery(tmp_path: Path) -> None:
    """A thief of the center's own key drives the versions up; the signers replace it, and the center is heard again."""
    async with taught(tmp_path, "north") as (community, center, publisher):
        (post,) = community.posts.values()
        await publisher.retain(REPOSITORY, driven_up(center, 2**31))
        await publisher.publish(center)
        await community.until(lambda: bool(post.said("flash.trouble")), "the center's own word is refused")
        old = center.committee
        center.committee = Committee(old.signers, 2, old.registrars)
        bundle = center.repository.propose(Changes(lines=None, keyring=center.committee.keyring), center.now)
        center.repository = Repository(SITE, center.vault, center.committee.online)
        center.repository.accept(center.signed(bundle), center.now)
        await _true_again(community, center, publisher)


def _more(center: Center) -> None:
    """The next list: nobody less, somebody more."""
    assert center.repository.whitelist is not None
    entries = center.repository.whitelist.target.entries
    center.publish([line(LI + number) for number in range(entries + 1)])


async def _true_again(community: Community, center: Center, publisher: Publisher) -> None:
    """The center goes on: twice, so that its versions are past any that a thief has used."""
    for _ in range(2):
        _more(center)
    await publisher.publish(center)
    assert center.repository.whitelist is not None
    await in_force(community, str(center.repository.whitelist.target.version))
