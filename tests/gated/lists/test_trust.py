"""What the gate believes: the attacks that the TUF specification names, at the level of metadata.

Each with real keys in real roles. The attacker holds the broker, and in some tests keys below the threshold.
"""

import shutil
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from center.publish.metadata import make_snapshot, make_timestamp, signer
from center.publish.proposal import Changes
from gated.lists import trust, trust_folder
from gated.lists.trust import Trusted, TrustError
from protocol import repository as names
from protocol.credential import Credential
from protocol.repository import decode, encode
from protocol.roles import Enrolment
from protocol.whitelist import Entry
from tests.attacks import driven_up, forged
from tests.flashbox import days
from tests.signers import Center, Committee, line, new_keys

LINES = [line(number) for number in range(20)]


@pytest.fixture
def center() -> Center:
    """A site with a list."""
    made = Center()
    made.publish(LINES)
    return made


class Gate:
    """The trust of one gate."""

    def __init__(self, state: Path, center: Center) -> None:
        self.state = state
        self.root = center.root
        self.center = center

    def take(self, message: bytes | None = None, later_s: float = 0.0) -> Trusted:
        """Take up a message, or what the center has."""
        when = self.center.now.timestamp() + later_s
        return trust.refresh(self.state, self.root, message or self.center.message, when)

    def refuses(self, message: bytes, match: str, later_s: float = 0.0) -> TrustError:
        """It is not believed, and what was believed before still is."""
        before = self.take(later_s=later_s if later_s < 0 else 0.0)
        with pytest.raises(TrustError, match=match) as caught:
            self.take(message, later_s)
        assert self.take().targets == before.targets
        return caught.value


@pytest.fixture
def gate(tmp_path: Path, center: Center) -> Gate:
    """A gate that has taken up what the site has."""
    made = Gate(tmp_path, center)
    made.take()
    return made


def test_what_the_center_signs_is_believed(gate: Gate, center: Center) -> None:
    """List, version of the snapshot, when it was signed and how long that counts."""
    found = gate.take()
    assert set(found.targets) == {names.WHITELIST}
    assert found.snapshot == 1
    assert found.vouched == center.now.timestamp()
    assert found.expires == center.now.timestamp() + days(1)
    assert found.troubles == ()


def test_a_message_that_is_none_is_refused(gate: Gate) -> None:
    """Whatever the broker sends; nested without end, too."""
    for message in (b"{", b"[]", b"[" * 100_000, b'{"timestamp.json":1}', b'{"timestamp.json":"{}"}', b" " * 2_000_000):
        gate.refuses(message, "repository|not to be believed")


def test_arbitrary_software(gate: Gate, center: Center) -> None:
    """A repository signed by other keys is not believed."""
    gate.refuses(forged(center, Committee()), "not to be believed: timestamp was signed by 0/1 keys")


@pytest.mark.parametrize("others", [1, 2])
def test_key_compromise_below_the_threshold(gate: Gate, center: Center, others: int) -> None:
    """Who holds the center's own key and one of the signers' two still makes no list."""
    thief = Committee(repository=center.committee.repository)
    thief.signers = [center.committee.signers[0], *new_keys(others)]
    with pytest.raises(TrustError, match="targets was signed by 1/2 keys"):
        gate.take(forged(center, thief, version=2))
    for number in range(2):  # the center's own versions go on, and past the thief's
        center.publish([*LINES, line(20 + number)])
    assert gate.take().targets


def test_a_root_signed_below_the_threshold_is_no_root(gate: Gate, center: Center) -> None:
    """Nor one that its own new keys alone have signed."""
    thief = Committee()
    for keys in (thief.signers, [center.committee.signers[0], *thief.signers]):
        root = Root.from_dict(Metadata[Root].from_bytes(center.root).signed.to_dict())
        evil = Metadata(Root.from_dict({**root.to_dict(), "version": 2}))
        for key in keys:
            evil.sign(signer(key), append=True)
        gate.refuses(
            encode(decode(center.message) | {"2.root.json": evil.to_bytes()}), "root was signed by [01]/2 keys"
        )


def test_rollback(gate: Gate, center: Center) -> None:
    """What was current yesterday is refused today, in whole and in parts."""
    old = center.message
    center.later(hours=1)
    center.publish([*LINES, line(20)])
    gate.take()
    gate.refuses(old, "New timestamp version 1 must be >= 2")
    old_files = decode(old)
    part = encode(decode(center.message) | {"2.targets.json": old_files["1.targets.json"]})
    fresh = Gate(gate.state.parent / "fresh", center)
    fresh.state.mkdir()
    with pytest.raises(TrustError, match=r"length|hash"):
        fresh.take(part)


def test_rollback_by_whoever_holds_the_online_key(gate: Gate, center: Center) -> None:
    """A snapshot that names an older list is refused, although the center's own key has signed it."""
    old = decode(center.message)["1.targets.json"]
    center.publish([*LINES, line(20)])
    gate.take()
    snapshot = make_snapshot({"targets": old}, 9, center.now)
    snapshot.sign(signer(center.committee.repository))
    timestamp = make_timestamp(snapshot.to_bytes(), 9, center.now)
    timestamp.sign(signer(center.committee.repository))
    files = decode(center.message)
    files |= {"9.snapshot.json": snapshot.to_bytes(), "timestamp.json": timestamp.to_bytes(), "1.targets.json": old}
    with pytest.raises(TrustError, match=r"missing info|Expected targets.json version"):
        gate.take(encode(files))


def test_indefinite_freeze(gate: Gate, center: Center) -> None:
    """A center that is kept away is noticed after a day, by the gate's own time; the metadata stays."""
    found = gate.take(later_s=days(1) - 1)
    assert found.targets
    error = gate.refuses(center.message, "have run out: timestamp", days(1))
    assert error.expired
    center.later(days=8)
    center.repository.renew(center.now)
    assert gate.take().vouched == center.now.timestamp()


def test_expiry_is_judged_by_the_gates_time_and_not_by_the_machines(tmp_path: Path) -> None:
    """Signed in another century, taken up in another century."""
    for number, year in enumerate((1999, 2090)):
        center = Center()
        center.later(days=365.25 * (year - 2026))
        center = Center(now=center.now)
        center.publish(LINES)
        gate = Gate(tmp_path / str(number), center)
        gate.state.mkdir()
        assert gate.take().targets
        gate.refuses(center.message, "run out", days(2))


def test_endless_data(gate: Gate, center: Center) -> None:
    """A file of the metadata is read no further than its bound, nor are roots without end."""
    for name, size in (("timestamp.json", 10_000), ("2.root.json", 70_000)):
        endless = decode(center.message) | {name: b" " * size}
        gate.refuses(encode(endless), "exceeding the maximum")
    files = decode(center.message)
    files["timestamp.json"] += b" " * 10_000
    gate.refuses(encode(files), "exceeding the maximum")


def test_mix_and_match(tmp_path: Path, center: Center) -> None:
    """Files that were never current together are refused: each snapshot fixes them all by hash."""
    center.repository.suspend(Credential("em:0000000001"), center.now)
    first = decode(center.message)
    center.later(minutes=1)
    center.repository.suspend(Credential("em:0000000002"), center.now)
    center.publish([*LINES, line(20)])
    second = decode(center.message)
    gate = Gate(tmp_path, center)
    mixed = second | {"2.targets.json": first["1.targets.json"]}
    with pytest.raises(TrustError):
        gate.take(encode(mixed))
    role = next(name for name in second if name.endswith("suspensions.json"))
    old_role = next(name for name in first if name.endswith("suspensions.json"))
    found = gate.take(encode(second | {role: first[old_role]}))
    assert "suspensions" not in found.roles
    assert "suspensions" in found.troubles[0]


def test_wrong_software(tmp_path: Path) -> None:
    """Another site's repository, well signed, is not this site's."""
    ours, theirs = Center(), Center()
    for center in (ours, theirs):
        center.publish(LINES)
    with pytest.raises(TrustError, match="signed by 0/1 keys"):
        Gate(tmp_path, ours).take(theirs.message)


def test_malicious_mirror(gate: Gate, center: Center) -> None:
    """A broker that withholds files stops nothing that is in force, and what is whole again is taken up."""
    center.publish([*LINES, line(20)])
    center.repository.suspend(Credential("em:0000000001"), center.now)
    whole = center.message
    for missing in set(decode(whole)) - {"1.root.json"}:
        victim = Gate(gate.state.with_name(missing), center)
        shutil.copytree(gate.state, victim.state, symlinks=True)
        message = encode({name: data for name, data in decode(whole).items() if name != missing})
        if "suspensions" in missing:
            assert victim.take(message).troubles
        else:
            with pytest.raises(TrustError, match="is not in the repository's message"):
                victim.take(message)
        assert not victim.take(whole).troubles
    assert not gate.take(whole).troubles


def test_revoked_keys_are_revoked_although_the_rest_is_kept_away(gate: Gate, center: Center) -> None:
    """A new root counts as soon as it is there, list or no list."""
    thief = Committee(center.committee.signers, 2, center.committee.registrars, center.committee.repository)
    evil = forged(center, thief, version=5)
    old = center.committee
    center.committee = Committee(registrars=old.registrars, repository=old.repository, suspensions=old.suspensions)
    bundle = center.repository.propose(_keyring(center), center.now)
    center.repository.accept(center.signed(bundle, *old.signers[:2]), center.now)
    only_root = encode({"2.root.json": decode(center.message)["2.root.json"]})
    with pytest.raises(TrustError):
        gate.take(only_root)
    files = decode(evil) | {"2.root.json": decode(center.message)["2.root.json"]}
    with pytest.raises(TrustError, match="targets was signed by 0/2 keys"):
        gate.take(encode(files))
    with pytest.raises(TrustError, match="targets was signed by 0/2 keys"):
        gate.take(evil)  # without the new root: the gate has it


def test_fast_forward_recovery(gate: Gate, center: Center) -> None:
    """A thief of the online key drove the versions up; once it is replaced, the center's own low ones count again."""
    highest = 2**31
    assert gate.take(driven_up(center, highest)).snapshot == highest
    with pytest.raises(TrustError, match=f"must be >= {highest}"):
        gate.take()
    old = center.committee
    center.committee = Committee(old.signers, 2, old.registrars)
    bundle = center.repository.propose(_keyring(center), center.now)
    center.repository = type(center.repository)("shenhang", center.vault, center.committee.online)
    center.repository.accept(center.signed(bundle), center.now)
    assert gate.take().snapshot == 2


def test_a_thief_of_the_suspensions_key_alone_changes_no_list(gate: Gate, center: Center) -> None:
    """What that key signs is looked for under one name; a list in it is nothing to the gate."""
    files = decode(center.message)
    targets: Metadata[Targets] = Metadata.from_bytes(files["1.targets.json"])
    role = Metadata(Targets(version=2, expires=targets.signed.expires, targets=dict(targets.signed.targets)))
    role.signed.targets[names.WHITELIST].length = 1
    role.sign(signer(center.committee.suspensions))
    held = {"targets": files["1.targets.json"], "suspensions": role.to_bytes()}
    snapshot = make_snapshot(held, 2, center.now)
    snapshot.sign(signer(center.committee.repository))
    timestamp = make_timestamp(snapshot.to_bytes(), 2, center.now)
    timestamp.sign(signer(center.committee.repository))
    files |= {
        "2.snapshot.json": snapshot.to_bytes(),
        "timestamp.json": timestamp.to_bytes(),
        "2.suspensions.json": role.to_bytes(),
    }
    found = gate.take(encode(files))
    assert found.roles["suspensions"] == (2, None)
    assert found.targets[names.WHITELIST].length > 1


def test_a_delegation_wider_than_it_is_meant_is_not_taken(tmp_path: Path) -> None:
    """One registrar instead of two, or more than the one file, and the role has no say; the list stands."""
    for number, (role, widen) in enumerate({"enrolments": _one_signature, "suspensions": _any_file}.items()):
        center = Center()
        bundle = center.repository.propose(_keyring(center, lines=LINES), center.now)
        targets: Metadata[Targets] = Metadata.from_bytes(bundle.proposed["targets"])
        widen(targets.signed)
        bundle.proposed["targets"] = targets.to_bytes()
        center.repository.accept(center.signed(bundle), center.now)
        entry = Enrolment(Entry(Credential("em:00000000FF"), "h"), center.now.date())
        center.repository.enrol([entry], center.committee.registrars[: 1 if role == "enrolments" else 2], center.now)
        gate = Gate(tmp_path / str(number), center)
        gate.state.mkdir()
        found = gate.take()
        assert set(found.targets) == {names.WHITELIST}
        assert [trouble.partition(":")[0] for trouble in found.troubles] == [role]
        assert role not in found.roles


def test_half_a_change_of_the_folder_is_none(gate: Gate, center: Center, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk fails before the rename, what was believed is as it was, and nothing is left."""
    before = sorted(path.name for path in gate.state.iterdir())
    center.later(hours=1)
    center.repository.renew(center.now)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("gated.lists.trust_folder._sync", fail)
        with pytest.raises(OSError, match="No space"):
            gate.take()
    assert sorted(path.name for path in gate.state.iterdir()) == before
    assert gate.take().vouched == center.now.timestamp()


def test_unchanged_metadata_writes_nothing(gate: Gate) -> None:
    """The same message again leaves the folder alone."""
    before = trust_folder.current(gate.state)
    gate.take()
    assert trust_folder.current(gate.state) == before


def test_metadata_is_not_mixed_up_with_another_kind(gate: Gate, center: Center) -> None:
    """A snapshot in the timestamp's place is no timestamp."""
    snapshot = decode(center.message)["1.snapshot.json"]
    assert Metadata[Snapshot].from_bytes(snapshot).signed.type != Timestamp.type
    gate.refuses(encode(decode(center.message) | {"timestamp.json": snapshot}), "Expected 'timest")


def _keyring(center: Center, lines: list[str] | None = None) -> Changes:
    return Changes(lines=lines, keyring=center.committee.keyring)


def _one_signature(targets: Targets) -> None:
    assert targets.delegations is not None
    assert targets.delegations.roles is not None
    targets.delegations.roles["enrolments"].threshold = 1


def _any_file(targets: Targets) -> None:
    assert targets.delegations is not None
    assert targets.delegations.roles is not None
    targets.delegations.roles["suspensions"].paths = ["*"]
