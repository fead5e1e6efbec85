"""The center's repository: what it takes to change a list, and what the broker is to hold."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from center.publish import bundle as bundles
from center.publish.bundle import Bundle
from center.publish.diff import diff
from center.publish.metadata import PublishError, first_root, read
from center.publish.proposal import Changes
from center.publish.repository import Online, Repository
from center.publish.vault import FolderVault
from protocol import blob, delta, topics
from protocol import repository as names
from protocol.credential import Credential
from protocol.repository import decode
from protocol.roles import ADDED_A_DAY, Enrolment
from protocol.whitelist import SUSPENSION_S, Entry
from tests.signers import NOW, SITE, Center, Committee, line, new_keys

LINES = [line(number) for number in range(100)]


@pytest.fixture
def center() -> Center:
    """A site with a list of a hundred."""
    made = Center()
    made.publish(LINES)
    return made


def card(number: int) -> Credential:
    """A credential."""
    return Credential(f"em:{number:010X}")


def enrolment(center: Center, number: int, days: int = 0) -> Enrolment:
    """A new card of so many days ago."""
    return Enrolment(Entry(card(number), "new"), (center.now - timedelta(days=days)).date())


def expiry(center: Center, kind: type[Root | Targets | Snapshot | Timestamp], name: str) -> timedelta:
    """How long a file of the repository is valid from now on."""
    return read(kind, decode(center.message)[name]).signed.expires - center.now  # type: ignore[type-var]


def test_a_list_is_published_with_what_gates_must_know_of_it(center: Center) -> None:
    """Under the signers' signatures, in the target's `custom`."""
    published = center.repository.whitelist
    assert published is not None
    lines = [text.encode() for text in LINES]
    assert list(published.lines()) == lines
    said = published.target
    assert (said.version, said.entries, said.bytes) == (1, 100, sum(map(len, lines)) + 100)
    assert said.result_sha256 == delta.hashed(lines)
    assert (said.as_of, said.previous, said.shrinks, said.deltas) == ("2026-11-24T08:00:00Z", None, False, ())


def test_what_runs_out_when(center: Center) -> None:
    """Root two years, targets one, snapshot a week, timestamp a day."""
    assert expiry(center, Root, "1.root.json") == timedelta(days=730)
    assert expiry(center, Targets, "1.targets.json") == timedelta(days=365)
    assert expiry(center, Snapshot, "1.snapshot.json") == timedelta(days=7)
    assert expiry(center, Timestamp, "timestamp.json") == timedelta(days=1)


def test_lines_are_published_canonical_and_sorted_however_they_come(center: Center) -> None:
    """Bad ones and doubled ones are named."""
    center.publish([text.replace(":", ": ", 1) for text in reversed(LINES)])
    assert center.repository.whitelist is not None
    assert list(center.repository.whitelist.lines()) == [text.encode() for text in LINES]
    for lines, why in (
        (["{"], "line 1: not JSON"),
        ([LINES[0], LINES[0]], "line 2: .* is on the list already"),
        (['{"c":"em:0000000001","gone":true}'], "line 1: a card is kept as gone until it expires"),
    ):
        with pytest.raises(PublishError, match=why):
            center.repository.propose(Changes(lines=lines), center.now)


def test_each_signer_signs_alone(center: Center) -> None:
    """One file, by any means, in any order, or each a copy that is merged; below the threshold nothing happens."""
    one, two, three = center.committee.signers
    bundle = center.repository.propose(Changes(lines=[*LINES, line(200)]), center.now)
    assert bundles.missing(bundle) == {"targets": 2}
    with pytest.raises(PublishError, match="2 more for targets"):
        center.repository.accept(bundle, center.now)
    carried = Bundle.from_bytes(bundles.sign(bundle, three).to_bytes())
    assert bundles.missing(carried) == {"targets": 1}
    with pytest.raises(PublishError, match="1 more for targets"):
        center.repository.accept(carried, center.now)
    with pytest.raises(PublishError, match="signed it already"):
        bundles.sign(carried, three)
    copy = bundles.sign(bundle, one)
    both = bundles.merge(carried, copy)
    assert bundles.missing(both) == {}
    center.repository.accept(both, center.now)
    assert center.repository.whitelist is not None
    assert center.repository.whitelist.target.version == 2
    assert two is center.committee.signers[1]


def test_a_foreign_key_signs_nothing(center: Center) -> None:
    """Nor does the center's own, nor a registrar's."""
    bundle = center.repository.propose(Changes(lines=[*LINES, line(200)]), center.now)
    for key in (Ed25519PrivateKey.generate(), center.committee.repository, center.committee.registrars[0]):
        with pytest.raises(PublishError, match="may sign nothing"):
            bundles.sign(bundle, key)


def test_signatures_of_another_proposal_are_not_merged(center: Center) -> None:
    """Word for word the same, or not at all."""
    one = center.repository.propose(Changes(lines=[*LINES, line(200)]), center.now)
    other = center.repository.propose(Changes(lines=[*LINES, line(201)]), center.now)
    with pytest.raises(PublishError, match="different proposals"):
        bundles.merge(one, bundles.sign(other, center.committee.signers[0]))


def test_a_proposal_that_was_overtaken_is_not_accepted(center: Center) -> None:
    """Another was accepted since: what was shown to the signers is no longer what would change."""
    late = center.signed(center.repository.propose(Changes(lines=[*LINES, line(200)]), center.now))
    center.publish([*LINES, line(201)])
    with pytest.raises(PublishError, match="propose it again"):
        center.repository.accept(late, center.now)


def test_a_bundle_that_lacks_a_file_is_not_accepted(center: Center) -> None:
    """Nor a damaged one, nor one of another site, nor what is none."""
    bundle = center.signed(center.repository.propose(Changes(lines=[*LINES, line(200)]), center.now))
    without = Bundle(bundle.site, bundle.trusted, bundle.proposed)
    with pytest.raises(PublishError, match="is missing"):
        center.repository.accept(without, center.now)
    with pytest.raises(PublishError, match="of the site elsewhere"):
        center.repository.accept(Bundle("elsewhere", bundle.trusted, bundle.proposed, bundle.blobs), center.now)
    for data in (b"", b"[]", b'{"format":"gated-bundle/2"}', bundle.to_bytes()[:-100]):
        with pytest.raises(PublishError):
            Bundle.from_bytes(data)
    name = next(iter(bundle.blobs))
    with pytest.raises(PublishError, match="damaged"):
        Bundle.from_bytes(Bundle(SITE, bundle.trusted, bundle.proposed, {name: b"other"}).to_bytes())


def test_a_signer_checks_what_is_said_to_be_in_force(center: Center) -> None:
    """Against the root that they hold: another site's or a made-up one is found out."""
    bundle = center.repository.propose(Changes(lines=[*LINES, line(200)]), center.now)
    bundles.checked(bundle, center.root)
    with pytest.raises(PublishError, match="another root"):
        bundles.checked(bundle, Center().root)
    targets: Metadata[Targets] = Metadata.from_bytes(bundle.trusted["targets"])
    targets.signatures.clear()
    with pytest.raises(PublishError, match="is not signed"):
        bundles.checked(Bundle(SITE, {**bundle.trusted, "targets": targets.to_bytes()}, bundle.proposed), center.root)


def test_the_diff_shows_what_changes(center: Center) -> None:
    """Added, removed, changed, documents, and who may sign."""
    lines = [*LINES[2:], line(1, "moved"), line(200)]
    keyring = Committee(center.committee.signers, 3, new_keys(3)).keyring
    bundle = center.repository.propose(
        Changes(lines=lines, documents={"policy.json": b"{}"}, keyring=keyring), center.now
    )
    found = diff(Bundle.from_bytes(bundle.to_bytes()))
    assert found.added == [line(200).encode()]
    assert found.removed == [line(0).encode()]
    assert found.changed == [(line(1).encode(), line(1, "moved").encode())]
    assert found.documents == ["policy.json: new"]
    text = found.text()
    for said in ("100 entries before, 100 after", "added: 1", "removed: 1", "changed: 1", "root: 3 signatures instead"):
        assert said in text
    assert text.count("enrolments: key") == 6


def test_a_loss_of_more_than_a_tenth_needs_the_signers_word(center: Center) -> None:
    """A tenth does not. The word is under the signatures and in the diff."""
    center.repository.propose(Changes(lines=LINES[10:]), center.now)
    with pytest.raises(PublishError, match="takes out 11% of the one in force"):
        center.repository.propose(Changes(lines=LINES[11:]), center.now)
    bundle = center.repository.propose(Changes(lines=LINES[11:], shrinks=True), center.now)
    assert "THE LIST SHRINKS" in diff(bundle).text()
    center.repository.accept(center.signed(bundle), center.now)
    assert center.repository.whitelist is not None
    assert center.repository.whitelist.target.shrinks


def test_different_treatment_of_categories_needs_the_signers_word(center: Center) -> None:
    """The diff shows hours and lanes by category, and says it in capitals."""
    lines = [line(1, "a"), line(2, "b", when="workdays", lanes=["walk-in"])]
    categories = {"a": "resident", "b": "migrant"}
    with pytest.raises(PublishError, match="treated differently"):
        center.repository.propose(Changes(lines=lines, categories=categories, shrinks=True), center.now)
    bundle = center.repository.propose(
        Changes(lines=lines, categories=categories, shrinks=True, unequal=True), center.now
    )
    found = diff(bundle)
    assert found.unequal
    for said in ("migrant: 1 × workdays, walk-in", "resident: 1 × always, *", "CATEGORIES ARE TREATED DIFFERENTLY"):
        assert said in found.text()
    equal = {"a": "resident", "b": "resident"}
    assert not diff(center.repository.propose(Changes(lines=lines, categories=equal, shrinks=True), center.now)).unequal


def test_deltas_lead_from_the_last_lists_to_this_one(center: Center) -> None:
    """As long as they are worth it, and each makes it exactly."""
    many = [line(number, f"h{number * 7919 % 1009}") for number in range(2000)]
    before = None
    for turn in range(9):
        center.publish([*many, line(5000 + turn)])
        before = before or center.repository.whitelist
    published = center.repository.whitelist
    assert published is not None
    assert published.target.deltas == tuple(names.delta_name(base, 10) for base in (9, 8, 7, 6, 5, 4))
    assert before is not None
    targets = read(Targets, center.repository.held["targets"]).signed.targets
    data = center.vault.files[f"blob-{targets[names.delta_name(9, 10)].hashes['sha256']}"]
    assert len(data) < len(published.data) / 10


def test_a_root_is_replaced_by_old_and_new_keys_together(center: Center) -> None:
    """Version n + 1 has the signatures of both, and the message every root since the first."""
    old = center.committee
    center.committee = Committee(registrars=old.registrars, repository=old.repository, suspensions=old.suspensions)
    bundle = center.repository.propose(Changes(keyring=center.committee.keyring), center.now)
    for some in ((), old.signers[:2], center.committee.signers[:2]):
        partly = bundle
        for key in some:
            partly = bundles.sign(partly, key)
        with pytest.raises(PublishError, match="signatures are missing"):
            center.repository.accept(partly, center.now)
    center.repository.accept(center.signed(bundle, *old.signers[:2]), center.now)
    assert len(center.repository.roots) == 2
    assert {"1.root.json", "2.root.json"} <= set(decode(center.message))
    assert center.repository.keyring == center.committee.keyring
    with pytest.raises(PublishError, match="may sign nothing"):
        bundles.sign(center.repository.propose(Changes(lines=LINES), center.now), old.signers[0])


def test_the_centers_own_key_is_replaced_by_the_signers(center: Center) -> None:
    """From then on only the new one signs; with the old one nothing is published."""
    old = center.committee
    center.committee = Committee(old.signers, 2, old.registrars)
    bundle = center.signed(center.repository.propose(Changes(keyring=center.committee.keyring), center.now))
    with pytest.raises(PublishError, match="give it the new one"):
        center.repository.accept(bundle, center.now)
    center.repository = Repository(SITE, center.vault, center.committee.online)
    center.repository.accept(bundle, center.now)
    center.repository.renew(center.now)
    snapshot = read(Snapshot, center.vault.files["2.snapshot.json"])
    read(Root, center.repository.roots[-1]).signed.verify_delegate(
        "snapshot", snapshot.signed_bytes, snapshot.signatures
    )


def test_an_enrolment_takes_two_registrars(center: Center) -> None:
    """Each alone; the list is as it was."""
    bundle = center.repository.propose_enrolments([enrolment(center, 500)], center.now)
    one, two, _ = center.committee.registrars
    half = bundles.sign(bundle, one)
    with pytest.raises(PublishError, match="1 more for enrolments"):
        center.repository.accept(half, center.now)
    center.repository.accept(bundles.sign(half, two), center.now)
    assert center.repository.enrolments == [enrolment(center, 500)]
    with pytest.raises(PublishError, match="signatures are missing"):
        center.repository.enrol([enrolment(center, 501)], [one], center.now)


def test_enrolments_keep_to_what_gates_take(center: Center) -> None:
    """A hundred a day, nothing that the list has; what lapsed or was taken up is left out."""
    registrars = center.committee.registrars[:2]
    center.repository.enrol([enrolment(center, 500 + n) for n in range(ADDED_A_DAY)], registrars, center.now)
    with pytest.raises(PublishError, match="more than 100 entries of 2026-11-24"):
        center.repository.propose_enrolments([enrolment(center, 900)], center.now)
    with pytest.raises(PublishError, match="is on the list"):
        center.repository.propose_enrolments([enrolment(center, 1)], center.now)
    center.publish([*LINES, line(500)])
    center.later(days=1)
    center.repository.enrol([enrolment(center, 900)], registrars, center.now)
    assert len(center.repository.enrolments) == ADDED_A_DAY
    center.later(days=13)
    center.repository.enrol([enrolment(center, 901)], registrars, center.now)
    assert [one.entry.credential for one in center.repository.enrolments] == [card(900), card(901)]


def test_a_suspension_is_published_at_once_and_taken_back(center: Center) -> None:
    """By the online key alone."""
    center.repository.suspend(card(1), center.now)
    [held] = center.repository.suspensions
    assert (held.credential, held.since, held.signed) == (card(1), center.now.timestamp(), center.now.timestamp())
    center.repository.restore(card(1), center.now)
    assert center.repository.suspensions == []


def test_suspensions_keep_to_what_gates_take(center: Center) -> None:
    """Fifty at a list of a hundred."""
    for number in range(50):
        center.repository.suspend(card(number), center.now)
    with pytest.raises(PublishError, match="50 are suspended already"):
        center.repository.suspend(card(60), center.now)


def test_a_suspension_is_signed_again_for_72_hours_then_lapses(center: Center) -> None:
    """With an alarm at 48: from there on it is the signers' business, under another `since` too."""
    center.repository.suspend(card(1), center.now)
    began = center.now.timestamp()
    seen = []
    for _ in range(24 * 7):
        center.later(hours=1)
        center.repository.renew(center.now)
        hours = (center.now.timestamp() - began) / 3600
        if center.repository.suspensions:
            assert center.repository.suspensions[0].signed <= began + SUSPENSION_S
            seen.append(hours)
            assert bool(center.repository.alarms(center.now)) == (hours >= 48)
    assert max(seen) == 24 * 3 + 71
    with pytest.raises(PublishError, match="from here on it takes the signers"):
        center.repository.suspend(card(1), center.now)
    center.publish(LINES)
    center.later(hours=1)
    center.repository.suspend(card(1), center.now)


def test_renewing_keeps_everything_fresh_and_changes_no_list(center: Center) -> None:
    """For a year of hours it would; here for ten days."""
    whitelist = center.repository.whitelist
    for _ in range(240):
        center.later(hours=1)
        center.repository.renew(center.now)
        files = decode(center.message)
        for name, data in files.items():
            kind: Metadata[Timestamp] = Metadata.from_bytes(data)
            assert kind.signed.expires - center.now >= timedelta(days=1), name
    assert center.repository.whitelist == whitelist
    assert sum(name.endswith(".snapshot.json") for name in center.vault.files) == 1


def test_people_are_told_before_an_offline_signature_runs_out(center: Center) -> None:
    """Sixty days before."""
    center.later(days=304)
    assert center.repository.alarms(center.now) == []
    center.later(days=2)
    assert center.repository.alarms(center.now) == ["targets runs out on 2027-11-24; its signers must sign it again"]


def test_what_the_broker_is_to_hold(center: Center) -> None:
    """Every file in pieces of 64 KiB, then the message; and afterwards what is no longer named is cleared."""
    big = [line(number, f"h{number * 0x9E3779B97F4A7C15 % 2**64:016x}") for number in range(20_000)]
    center.publish(big, shrinks=True)
    first = center.repository.publications()
    assert first.clear == []
    assert first.retain[-1] == (topics.repository(SITE), center.message)
    assert all(0 < len(payload) <= blob.PIECE_BYTES for _, payload in first.retain[:-1])
    whole = [payload for topic, payload in first.retain[:-1]]
    assert center.repository.whitelist is not None
    assert center.repository.whitelist.data in b"".join(whole)
    center.repository.published(first)
    center.publish([*big[1:], line(30_000)])
    second = center.repository.publications()
    old = {topic for topic, _ in first.retain} - {topic for topic, _ in second.retain}
    assert set(second.clear) == old
    assert old
    center.repository.published(second)
    assert center.repository.publications().clear == []


def test_lists_of_long_ago_are_thrown_away(center: Center) -> None:
    """As many are kept as deltas are made from, and what is in force."""
    for turn in range(20):
        center.publish([*LINES, line(300 + turn)])
    blobs = [name for name in center.vault.files if name.startswith("blob-")]
    assert len(blobs) < 14
    center.repository.publications()


def test_a_repository_on_disk_is_the_same_after_a_restart(tmp_path: Path) -> None:
    """Whatever is written, the timestamp comes last: broken off before it, the repository is what it was."""
    committee = Committee()
    center = Center(committee)
    vault = FolderVault(tmp_path / "vault")
    root = first_root(committee.keyring, committee.signers[:2], center.now)
    center.repository = Repository.create(SITE, vault, committee.online, root)
    center.publish(LINES)
    again = Repository(SITE, vault, committee.online)
    assert again.message() == center.message
    broken = _BrokenVault(tmp_path / "vault")
    bundle = center.signed(again.propose(Changes(lines=[*LINES, line(200)]), center.now))
    with pytest.raises(OSError, match="broken off"):
        Repository(SITE, broken, committee.online).accept(bundle, center.now)
    assert again.message() == center.message
    again.accept(bundle, center.now)
    assert again.whitelist is not None
    assert again.whitelist.target.version == 2


class _BrokenVault(FolderVault):
    """Fails before the last file."""

    def put(self, files: Mapping[str, bytes]) -> None:
        """All but the last."""
        *most, _ = files.items()
        super().put(dict(most))
        raise OSError("broken off")


def test_what_is_announced_replaces_what_was(center: Center) -> None:
    """By the online key; neither the vault nor the broker keeps what was announced before. Its mark says what it is."""
    assert center.repository.announced == ""
    for sealed, mark in ((b"first", "a"), (b"second", "b"), (b"third", "c")):
        center.repository.announce(sealed, mark, center.now)
        assert center.repository.announced == mark
        assert announced(center) == sealed
        kept = {content for name, content in center.vault.files.items() if name.startswith("blob-")}
        assert {b"first", b"second", b"third"} & kept == {sealed}
    assert [name for name in center.vault.files if name.endswith(".expected.json")] == ["3.expected.json"]
    before = center.repository.publications()
    center.repository.published(before)
    center.repository.announce(b"fourth", "d", center.now)
    assert topics.blob(SITE, blob.sha256(b"third"), 0) in center.repository.publications().clear


def test_what_is_announced_is_signed_again(center: Center) -> None:
    """Each day, and when another key is to count; it stays what it is. It causes no alarm of the signers."""
    center.repository.announce(b"sealed", "a", center.now)
    for _ in range(10):
        center.later(days=1, hours=1)
        center.repository.renew(center.now)
        assert expiry(center, Targets, expected_file(center)) > timedelta(days=5)
    (key,) = new_keys(1)
    center.committee.suspensions = key
    center.repository = Repository(SITE, center.vault, center.committee.online)
    changes = Changes(keyring=center.committee.keyring)
    center.repository.accept(center.signed(center.repository.propose(changes, center.now)), center.now)
    metadata = read(Targets, decode(center.message)[expected_file(center)])
    top = read(Targets, center.repository.held["targets"]).signed
    top.verify_delegate(names.EXPECTED, metadata.signed_bytes, metadata.signatures)
    assert (announced(center), center.repository.announced) == (b"sealed", "a")
    assert center.repository.alarms(center.now) == []


def test_before_the_first_list_nothing_is_announced() -> None:
    """There is nothing that could say whose key counts."""
    with pytest.raises(PublishError, match="no signed list yet"):
        Center().repository.announce(b"sealed", "a", NOW)


def announced(center: Center) -> bytes:
    """The file that the role names, as the broker is to have it."""
    target = read(Targets, decode(center.message)[expected_file(center)]).signed.targets["expected.bin"]
    return center.pieces[topics.blob(SITE, target.hashes["sha256"], 0)]


def expected_file(center: Center) -> str:
    """Where the role's metadata is."""
    return next(name for name in decode(center.message) if name.endswith(".expected.json"))


def test_secrets_are_not_shown() -> None:
    """Keys do not stand in what is printed."""
    committee = Committee()
    assert "PrivateKey" not in repr(Online(committee.repository, committee.suspensions))
