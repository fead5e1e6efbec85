"""A site's whitelist repository: what is in force, what is proposed, and what the broker is to carry.

    propose(changes) → Bundle → sign(bundle, key), k of n times → accept(bundle)
    suspend, restore          at once, by the online key
    announce                  at once, by the same key: visitors, sealed to the gates
    propose_enrolments        → Bundle, signed by two registrars → accept
    renew                     hourly: timestamp; daily: snapshot, suspensions and what is announced
    publications              what is to be retained at the broker, and which topics are to be cleared

Whatever is written is written so that `timestamp.json` comes last: if it breaks off, the repository is what it was.
Time comes from outside. One process at a time changes a repository.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tuf.api.metadata import Metadata, Root, Snapshot, TargetFile, Targets, Timestamp

from center.publish import bundle as bundles
from center.publish import daily, lists
from center.publish.bundle import Bundle
from center.publish.lists import Published
from center.publish.metadata import (
    Keyring,
    PublishError,
    make_root,
    make_snapshot,
    make_timestamp,
    read,
    signer,
    until,
)
from center.publish.proposal import Changes, make_targets
from center.publish.publications import Publications, publications
from center.publish.vault import Vault
from protocol import blob, gates
from protocol import repository as names
from protocol.credential import Credential
from protocol.message import MessageError
from protocol.roles import Enrolment, Suspension

OFFLINE_ALARM: Final = timedelta(days=60)
_RENEW_AFTER: Final = timedelta(days=1)
_ONLINE: Final = frozenset({names.SUSPENSIONS, names.EXPECTED})
_TIMESTAMP: Final = "timestamp.json"
_PUBLISHED: Final = "published.json"
_REMEMBERED: Final = "remembered.json"
_ANNOUNCED: Final = "announced.json"


@dataclass(frozen=True, slots=True)
class Online:
    """The center's own private keys."""

    repository: Ed25519PrivateKey = field(repr=False)
    suspensions: Ed25519PrivateKey = field(repr=False)


class Repository:
    """The repository of a site, in a vault. It must hold `1.root.json` (`create`)."""

    def __init__(self, site: str, vault: Vault, online: Online) -> None:
        self._site = site
        self._vault = vault
        self._online = online

    @classmethod
    def create(cls, site: str, vault: Vault, online: Online, root: bytes) -> "Repository":
        """A new repository that starts from this signed root."""
        read(Root, root)
        vault.put({"1.root.json": root})
        return cls(site, vault, online)

    @property
    def roots(self) -> list[bytes]:
        """Every root since the first."""
        found: list[bytes] = []
        while (data := self._vault.get(f"{len(found) + 1}.root.json")) is not None:
            found.append(data)
        if not found:
            raise PublishError("there is no repository yet: it starts with a signed root")
        return found

    @property
    def held(self) -> dict[str, bytes]:
        """`targets` and the delegated roles in force."""
        data = self._current(Snapshot.type)
        if data is None:
            return {}
        meta = read(Snapshot, data).signed.meta
        found = {name.removesuffix(".json"): self._vault.get(f"{one.version}.{name}") for name, one in meta.items()}
        if lost := [role for role, file in found.items() if file is None]:
            raise PublishError(f"the repository is damaged: {', '.join(lost)} is lost")
        return {role: file for role, file in found.items() if file is not None}

    @property
    def whitelist(self) -> Published | None:
        """The list in force."""
        data = self.held.get(Targets.type)
        return lists.of(read(Targets, data).signed, self._blob) if data is not None else None

    def document(self, name: str) -> bytes | None:
        """A document in force; None where there is none."""
        data = self.held.get(Targets.type)
        target = read(Targets, data).signed.targets.get(name) if data is not None else None
        return self._blob(target.hashes["sha256"]) if target is not None else None

    @property
    def gate_list(self) -> gates.GatesDocument | None:
        """The list of gates in force; None before the first. Raises PublishError."""
        data = self.document(gates.DOCUMENT)
        try:
            return None if data is None else gates.parse(data)
        except MessageError as error:
            raise PublishError(f"the signers' list of gates cannot be read: {error}") from error

    @property
    def snapshot(self) -> int:
        """The number of the state in force; 0 before the first. Gates say it of what they have taken."""
        data = self._current(Snapshot.type)
        return read(Snapshot, data).signed.version if data is not None else 0

    @property
    def versions(self) -> dict[str, int]:
        """The number of each role's metadata; roles that there are not yet are left out."""
        found = {Root.type: len(self.roots)}
        if (data := self._vault.get(_TIMESTAMP)) is not None:
            found[Timestamp.type] = read(Timestamp, data).signed.version
            found[Snapshot.type] = self.snapshot
        return found | {role: read(Targets, data).signed.version for role, data in self.held.items()}

    @property
    def keyring(self) -> Keyring | None:
        """Whose signatures count; None before the first targets."""
        data = self.held.get(Targets.type)
        if data is None:
            return None
        return daily.keyring(read(Root, self.roots[-1]).signed, read(Targets, data).signed)

    def propose(self, changes: Changes, now: datetime) -> Bundle:
        """The bundle that makes these changes once enough signers have signed it. Raises PublishError."""
        root, held = self.roots[-1], self.held
        trusted = {Root.type: root} | {role: data for role, data in held.items() if role == Targets.type}
        proposed: dict[str, bytes] = {}
        if changes.keyring is not None and daily.changes_root(read(Root, root).signed, changes.keyring):
            version = read(Root, root).signed.version + 1
            proposed[Root.type] = make_root(changes.keyring, version, now).to_bytes()
        keyring = changes.keyring or self.keyring
        if keyring is None:
            raise PublishError("the first proposal says whose signatures are to count: give it a keyring")
        old = read(Targets, held[Targets.type]).signed if Targets.type in held else None
        targets, blobs = make_targets(changes, old, keyring, self._earlier(), now)
        if gates.DOCUMENT in changes.documents and (before := self.document(gates.DOCUMENT)) is not None:
            blobs[blob.sha256(before)] = before  # as well, so that signers can be shown the difference
        proposed[Targets.type] = targets.to_bytes()
        return Bundle(self._site, trusted, proposed, blobs, dict(changes.categories))

    def propose_enrolments(self, added: Iterable[Enrolment], now: datetime) -> Bundle:
        """The bundle that adds these entries once two registrars have signed it. Raises PublishError."""
        held = self.held
        if Targets.type not in held:
            raise PublishError("there is no signed list yet that entries could be added to")
        current = self._lines(held, names.ENROLMENTS)
        listed = self.whitelist.lines() if self.whitelist is not None else ()
        data = daily.enrolments(current, added, listed, now)
        made = self._role(held, names.ENROLMENTS, data, until(now, names.TARGETS_LIFE_S))
        return Bundle(
            self._site,
            {Root.type: self.roots[-1], Targets.type: held[Targets.type]},
            {names.ENROLMENTS: made.to_bytes()},
            {blob.sha256(data): data} if data else {},
        )

    def enrol(self, added: Iterable[Enrolment], by: Iterable[Ed25519PrivateKey], now: datetime) -> None:
        """Add entries at once, where the registrars' keys are at hand."""
        proposal = self.propose_enrolments(added, now)
        for key in by:
            proposal = bundles.sign(proposal, key)
        self.accept(proposal, now)

    def accept(self, bundle: Bundle, now: datetime) -> None:
        """Put into force what enough have signed. Raises PublishError, and then nothing has changed."""
        root, held = self.roots[-1], self.held
        if bundle.site != self._site:
            raise PublishError(f"the bundle is of the site {bundle.site}")
        if root not in {bundle.trusted[Root.type], bundle.proposed.get(Root.type)} or (
            held.get(Targets.type) != bundle.trusted.get(Targets.type)
        ):
            raise PublishError("something else was accepted since this was proposed; propose it again")
        bundles.check(bundle)
        files = {f"blob-{name}": data for name, data in bundle.blobs.items()}
        for role, data in bundle.proposed.items():
            if role != Root.type:
                self._complete(role, data, held, bundle)
                held[role] = data
            version = (read(Root, data) if role == Root.type else read(Targets, data)).signed.version
            files[f"{version}.{role}.json"] = data
        # Who signs suspensions may be another one from now on: what the former one signed would count no more.
        anew = set(bundle.proposed) != {names.ENROLMENTS}
        files |= self._refresh_suspensions(held, now, anew=anew or names.SUSPENSIONS not in held)
        files |= self._refresh_announced(held, now, anew=anew)
        self._publish(files, held, now, root=bundle.proposed.get(Root.type, root))
        self._forget()

    def suspend(self, credential: Credential, now: datetime) -> None:
        """Take a credential out of force at once. Raises PublishError where that needs the signers."""
        found = self.whitelist
        if found is None:
            raise PublishError("there is no signed list yet that anything could be suspended from")
        remembered = json.loads(self._vault.get(_REMEMBERED) or b"{}")
        suspensions = daily.suspend(self.suspensions, credential, found.target, remembered, now)
        remembered[credential] = next(one.since for one in suspensions if one.credential == credential)
        self._vault.put({_REMEMBERED: json.dumps(remembered).encode()})
        self._write_suspensions(suspensions, now)

    def restore(self, credential: Credential, now: datetime) -> None:
        """Take back a suspension."""
        self._write_suspensions([one for one in self.suspensions if one.credential != credential], now)

    def announce(self, sealed: bytes, mark: str, now: datetime) -> None:
        """Publish announced visitors, sealed to the gates, in place of those before, which are kept nowhere.

        `mark` says to `announced` what this is. Raises PublishError before the first list.
        """
        held = self.held
        if Targets.type not in held:
            raise PublishError("there is no signed list yet: visitors are announced to the gates with the first")
        before = json.loads(self._vault.get(_ANNOUNCED) or b"{}")
        version = read(Targets, held[names.EXPECTED]).signed.version if names.EXPECTED in held else 0
        name = blob.sha256(sealed)
        # The one before is named too, so that it is thrown away with the next one if power fails here.
        record = {"sha256": name, "mark": mark, "before": before.get("sha256")}
        files = {_ANNOUNCED: json.dumps(record).encode()} | self._by_online(held, names.EXPECTED, sealed, now)
        self._publish(files, held, now, root=self.roots[-1])
        for old in {before.get("sha256"), before.get("before")} - {None, name}:
            self._vault.drop(f"blob-{old}")
        self._vault.drop(f"{version}.{names.EXPECTED}.json")

    @property
    def announced(self) -> str:
        """The mark of what is announced; "" where nothing is, or something that this repository did not make."""
        target = self._target(self.held, names.EXPECTED)
        record = json.loads(self._vault.get(_ANNOUNCED) or b"{}")
        known = target is not None and record.get("sha256") == target.hashes["sha256"]
        return str(record["mark"]) if known else ""

    @property
    def suspensions(self) -> list[Suspension]:
        """What is suspended by the online key."""
        return daily.read_suspensions(self._lines(self.held, names.SUSPENSIONS))

    @property
    def enrolments(self) -> list[Enrolment]:
        """What registrars have added."""
        return daily.read_enrolments(self._lines(self.held, names.ENROLMENTS))

    def renew(self, now: datetime) -> None:
        """Sign again what the center signs: to be done hourly, and after a start."""
        held = self.held
        if not held:
            return
        files = self._refresh_suspensions(held, now) | self._refresh_announced(held, now)
        self._publish(files, held, now, root=self.roots[-1])

    def expiries(self) -> dict[str, datetime]:
        """Until when each role's signatures hold."""
        offline: dict[str, Root | Targets] = {Root.type: read(Root, self.roots[-1]).signed}
        offline |= {role: read(Targets, data).signed for role, data in self.held.items()}
        return {role: signed.expires for role, signed in offline.items()}

    def alarms(self, now: datetime) -> list[str]:
        """What people must do something about."""
        found = [text for one in self.suspensions if (text := daily.overdue(one, now))]
        offline: dict[str, Root | Targets] = {Root.type: read(Root, self.roots[-1]).signed}
        offline |= {role: read(Targets, data).signed for role, data in self.held.items() if role not in _ONLINE}
        for role, signed in offline.items():
            if signed.expires - now.astimezone(UTC) < OFFLINE_ALARM:
                found.append(f"{role} runs out on {signed.expires:%Y-%m-%d}; its signers must sign it again")
        return found

    def message(self) -> bytes:
        """What is said on `whitelist/repo`. Raises PublishError before the first list."""
        timestamp, snapshot = self._vault.get(_TIMESTAMP), self._current(Snapshot.type)
        if timestamp is None or snapshot is None:
            raise PublishError("nothing is in force yet")
        files = {f"{number}.root.json": data for number, data in enumerate(self.roots, start=1)}
        files[_TIMESTAMP] = timestamp
        files[f"{read(Snapshot, snapshot).signed.version}.snapshot.json"] = snapshot
        files |= {f"{read(Targets, data).signed.version}.{role}.json": data for role, data in self.held.items()}
        return names.encode(files)

    def publications(self) -> Publications:
        """What the broker is to hold now. When it does, say `published`."""
        before: dict[str, int] = json.loads(self._vault.get(_PUBLISHED) or b"{}")
        metadata = [read(Targets, data).signed for data in self.held.values()]
        return publications(self._site, metadata, self._blob, self.message(), before)

    def published(self, publications: Publications) -> None:
        """Take word that the broker holds this, and nothing that was to be cleared."""
        self._vault.put({_PUBLISHED: json.dumps(publications.blobs).encode()})

    def _earlier(self) -> list[Published]:
        """The lists that gates may still have, newest first."""
        data = self.held.get(Targets.type)
        number = read(Targets, data).signed.version if data is not None else 0
        found: dict[int, Published] = {}
        while number > 0 and len(found) < lists.DELTAS and (data := self._vault.get(f"{number}.targets.json")):
            published = lists.of(read(Targets, data).signed, self._blob)
            if published is None and found:
                break
            if published is not None:
                found.setdefault(published.target.version, published)
            number -= 1
        return list(found.values())

    def _complete(self, role: str, data: bytes, held: Mapping[str, bytes], bundle: Bundle) -> None:
        """Raises PublishError where metadata does not follow what is in force, or a file of it is missing."""
        new = read(Targets, data).signed
        version = read(Targets, held[role]).signed.version if role in held else 0
        if new.version != version + 1:
            raise PublishError(f"{role} {new.version} does not follow {role} {version}; propose it again")
        for target in new.targets.values():
            name = target.hashes["sha256"]
            if name not in bundle.blobs and self._blob(name) is None:
                raise PublishError(f"the file of {target.path} is missing")

    def _write_suspensions(self, suspensions: list[Suspension], now: datetime) -> None:
        held = self.held
        files = self._suspensions(held, suspensions, now)
        self._publish(files, held, now, root=self.roots[-1])

    def _refresh_suspensions(self, held: dict[str, bytes], now: datetime, *, anew: bool = False) -> dict[str, bytes]:
        """Sign suspensions again, as far as they may be, where that is due."""
        current = daily.read_suspensions(self._lines(held, names.SUSPENSIONS))
        renewed = daily.renewed(current, now)
        due = anew or _aged(held, names.SUSPENSIONS, now) or renewed != current
        return self._suspensions(held, renewed, now) if due else {}

    def _refresh_announced(self, held: dict[str, bytes], now: datetime, *, anew: bool = False) -> dict[str, bytes]:
        """Sign what is announced again, as it is, where that is due."""
        if names.EXPECTED not in held or not (anew or _aged(held, names.EXPECTED, now)):
            return {}
        return self._by_online(held, names.EXPECTED, self._file(held, names.EXPECTED), now)

    def _suspensions(self, held: dict[str, bytes], lines: list[Suspension], now: datetime) -> dict[str, bytes]:
        return self._by_online(held, names.SUSPENSIONS, daily.write_suspensions(lines), now)

    def _by_online(self, held: dict[str, bytes], role: str, data: bytes, now: datetime) -> dict[str, bytes]:
        """The files of a role that the center's own key signs, its only file being this."""
        made = self._role(held, role, data, until(now, names.SNAPSHOT_LIFE_S))
        made.sign(signer(self._online.suspensions))
        held[role] = made.to_bytes()
        files = {f"blob-{blob.sha256(data)}": data} if data else {}
        return files | {f"{made.signed.version}.{role}.json": held[role]}

    def _role(self, held: Mapping[str, bytes], role: str, data: bytes, expires: datetime) -> Metadata[Targets]:
        """A delegated role's metadata with its only file; with none where there is not a line in it."""
        version = read(Targets, held[role]).signed.version + 1 if role in held else 1
        name = names.FILE_OF[role]
        files = {name: lists.target_file(name, data)} if data else {}
        return Metadata(Targets(version=version, expires=expires, targets=files))

    def _publish(self, files: dict[str, bytes], held: Mapping[str, bytes], now: datetime, *, root: bytes) -> None:
        """Sign snapshot, where anything in it is new, and timestamp; write all of it, the timestamp last."""
        old_snapshot, old_timestamp = self._current(Snapshot.type), self._vault.get(_TIMESTAMP)
        snapshot = read(Snapshot, old_snapshot) if old_snapshot is not None else None
        new = make_snapshot(held, snapshot.signed.version + 1 if snapshot else 1, now)
        aged = snapshot is None or new.signed.expires - snapshot.signed.expires > _RENEW_AFTER
        if snapshot is None or aged or files or snapshot.signed.meta != new.signed.meta:
            self._sign(new, root)
            old_snapshot = new.to_bytes()
            files[f"{new.signed.version}.snapshot.json"] = old_snapshot
        assert old_snapshot is not None  # noqa: S101 - for mypy: one is there or was made
        version = read(Timestamp, old_timestamp).signed.version + 1 if old_timestamp is not None else 1
        timestamp = make_timestamp(old_snapshot, version, now)
        self._sign(timestamp, root)
        files[_TIMESTAMP] = timestamp.to_bytes()
        self._vault.put(files)
        if snapshot is not None and snapshot.signed.version != _version_in(timestamp):
            self._vault.drop(f"{snapshot.signed.version}.snapshot.json")

    def _forget(self) -> None:
        """Throw away the files of lists that no delta is made from any more; their metadata stays."""
        held = self.held
        current = read(Targets, held[Targets.type]).signed if Targets.type in held else Targets(version=1)
        kept = {blob.sha256(published.data) for published in self._earlier()}
        kept |= _blobs(read(Targets, data).signed for data in held.values())
        for number in range(current.version - 1, 0, -1):
            data = self._vault.get(f"{number}.targets.json")
            if data is None:
                continue
            old = read(Targets, data).signed
            list_ = _blobs([old], names.WHITELIST) - kept
            if list_ and all(self._blob(name) is None for name in list_):
                return  # and so with all before it
            for name in _blobs([old]) - kept:
                self._vault.drop(f"blob-{name}")

    def _sign(self, metadata: Metadata[Snapshot] | Metadata[Timestamp], root: bytes) -> None:
        made = signer(self._online.repository)
        role = read(Root, root).signed.roles[metadata.signed.type]
        if made.public_key.keyid not in role.keyids:
            raise PublishError("the center's repository key is not the one that the root names; give it the new one")
        metadata.sign(made)

    def _current(self, role: str) -> bytes | None:
        timestamp = self._vault.get(_TIMESTAMP)
        if timestamp is None:
            return None
        version = read(Timestamp, timestamp).signed.snapshot_meta.version
        return self._vault.get(f"{version}.{role}.json")

    def _lines(self, held: Mapping[str, bytes], role: str) -> list[bytes]:
        """The lines of a delegated role's only file."""
        return self._file(held, role).splitlines()

    def _file(self, held: Mapping[str, bytes], role: str) -> bytes:
        """A delegated role's only file; empty where it has none."""
        target = self._target(held, role)
        return (self._blob(target.hashes["sha256"]) if target is not None else None) or b""

    def _target(self, held: Mapping[str, bytes], role: str) -> TargetFile | None:
        return read(Targets, held[role]).signed.targets.get(names.FILE_OF[role]) if role in held else None

    def _blob(self, name: str) -> bytes | None:
        return self._vault.get(f"blob-{name}")


def _version_in(timestamp: Metadata[Timestamp]) -> int:
    return timestamp.signed.snapshot_meta.version


def _aged(held: Mapping[str, bytes], role: str, now: datetime) -> bool:
    """Whether a role of the online key was signed a day ago, or never."""
    expires = read(Targets, held[role]).signed.expires if role in held else now
    return expires - now.astimezone(UTC) < timedelta(seconds=names.SNAPSHOT_LIFE_S) - _RENEW_AFTER


def _blobs(metadata: Iterable[Targets], only: str = "") -> set[str]:
    files = (target for signed in metadata for target in signed.targets.values() if only in {"", target.path})
    return {target.hashes["sha256"] for target in files}
