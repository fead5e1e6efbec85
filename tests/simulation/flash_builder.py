"""The building process of a flash, simulated: what `gated.lists.flash_build` promises, without TUF, SQLite and a disk.

Verified metadata is kept and never goes back. Documents and what is in force change as a whole, and only to what was
signed, hash for hash. Each order starts from what is on disk and may be killed between any two of its steps.
`tests/simulation/test_flash_contract.py` holds it against the real one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from gated.lists.flash_acts import Built, Checked, Need
from protocol import blob, delta
from protocol.blob import BlobError
from protocol.delta import DeltaError
from protocol.repository import DOCUMENTS, SUSPENSIONS, WHITELIST
from protocol.whitelist import LINE_MAX_BYTES
from tests.simulation.flash_disk import Disk, Pointer
from tests.simulation.repository import File, Lines, Metadata, UnbelievableError, hashed, name_of

STEPS: Final = ("begun", "trusted", "documents", "built", "switched")
"""Told to `Step`, one after the other."""
Step = Callable[[str], None]
"""Takes word of each step; may raise, which ends the order there."""


class TroubleError(Exception):
    """The order came to nothing; the message says why."""


@dataclass
class Job:
    """One order."""

    said: Metadata
    whole: bool
    refused: list[str] = field(default_factory=list)
    needs_whole: bool = False


class Builder:
    """The process of one gate, on its disk. Tests override its parts to plant a bug."""

    def __init__(self, disk: Disk, secret: bytes, step: Step = lambda _: None) -> None:
        self.disk = disk
        self._secret = secret
        self._step = step

    def check(self, validity: float, *, whole: bool = False) -> Checked:
        """See flash_build."""
        self._step("begun")
        message = self.disk.message()
        if message is None:
            return Checked(why="there is no message")
        try:
            said = self.refresh(message, validity)
        except UnbelievableError as error:
            return Checked(why=str(error))
        self._step("trusted")
        job = Job(said, whole)
        files = self._files(job)
        needs = tuple(self._need(name, file) for name, file in files.items())
        missing = tuple(need for need in needs if len(need.have) < blob.piece_count(need.length))
        self.disk.keep_only(file.sha256 for file in files.values())
        listed = said.files.get(WHITELIST)
        return Checked(
            snapshot=said.snapshot,
            vouched=said.signed,
            expires=said.expires,
            version=str(listed.custom["version"]) if listed else None,
            needs=missing,
            build=len(missing) < len(needs) or self._stale(said),
        )

    def build(self, validity: float, *, whole: bool = False) -> Built:
        """See flash_build. Raises TroubleError."""
        self._step("begun")
        try:
            said = self.refresh(self.disk.message() or b"", validity)
        except UnbelievableError as error:
            raise TroubleError(str(error)) from error
        self._step("trusted")
        job = Job(said, whole)
        documents = self._take_documents(job)
        self._step("documents")
        before = self.disk.pointer
        new = self._take_list(job) or before
        self._step("built")
        if new is not None:
            self.disk.pointer = Pointer(new.version, new.sha256, new.lines, self._over(job, new))
        self._step("switched")
        held = self.disk.pointer
        return Built(
            refused=tuple(job.refused),
            whole=job.needs_whole,
            version=held.version if held else None,
            entries=len(held.lines) if held else None,
            switched=held != before,
            documents=documents,
        )

    def refresh(self, message: bytes, validity: float) -> Metadata:
        """What the message says, if it is signed, not older than what is trusted, and has not run out; kept then."""
        said, held = Metadata.from_bytes(message, self._secret), self.disk.trusted
        if held is not None and (said.timestamp < held.timestamp or said.snapshot < held.snapshot):
            raise UnbelievableError("not to be believed: older than what is trusted")
        if validity >= said.expires:
            raise UnbelievableError("the signatures have run out")
        self.disk.believed()
        self.disk.trusted = said
        return said

    def file(self, job: Job, name: str, file: File) -> bytes | None:
        """A verified file; None where a piece is lacking. What is damaged is thrown away and lacking then."""
        if len(self.disk.have(file.sha256, file.length)) < blob.piece_count(file.length):
            return None
        data = self.disk.read(file.sha256, file.length)
        if name_of(data) != file.sha256:
            self.disk.drop(file.sha256)
            job.refused.append(f"{name} was not what the signers have signed; it is fetched again")
            return None
        return data

    def delta(self, job: Job, wanted: File) -> str:
        """The delta from the list in force to the wanted one; "" if there is none."""
        held = self.disk.pointer
        for name in () if job.whole or held is None else wanted.custom["deltas"]:
            said = job.said.files[name].custom
            if held and (str(said["base"]), said["base_sha256"]) == (held.version, held.sha256):
                return str(name)
        return ""

    def made(self, wanted: File, lines: Lines) -> Pointer | None:
        """The list that came out, if it is the one that was signed."""
        result = wanted.custom["result_sha256"]
        return Pointer(str(wanted.custom["version"]), result, lines, (0, b"")) if hashed(lines) == result else None

    def _take_list(self, job: Job) -> Pointer | None:
        wanted, held = job.said.files.get(WHITELIST), self.disk.pointer
        if wanted is None or self._in_force(wanted):
            return None
        name = self.delta(job, wanted)
        data = self.file(job, name or WHITELIST, job.said.files[name or WHITELIST])
        if data is None:
            return None
        try:
            if name and held is not None:
                changes = lines_of(data, job.said.files[name].custom["bytes"])
                new = self.made(wanted, tuple(delta.apply(held.lines, changes)))
                job.needs_whole = new is None
                return new
            new = self.made(wanted, tuple(lines_of(data, wanted.custom["bytes"])))
        except BlobError as error:
            job.refused.append(str(error))
        except DeltaError:
            job.needs_whole = True
        else:
            if new is None:
                job.refused.append("its lines are not those that were signed")
            return new
        return None

    def _in_force(self, wanted: File) -> bool:
        held, said = self.disk.pointer, wanted.custom
        return held is not None and (held.version, held.sha256) == (str(said["version"]), said["result_sha256"])

    def _files(self, job: Job) -> dict[str, File]:
        found: dict[str, File] = {}
        wanted = job.said.files.get(WHITELIST)
        if wanted is not None and not self._in_force(wanted):
            name = self.delta(job, wanted) or WHITELIST
            found[name] = job.said.files[name]
        held = {name: name_of(data) for name, data in self.disk.documents.items()}
        for name in DOCUMENTS:
            if name in job.said.files and job.said.files[name].sha256 != held.get(name):
                found[name] = job.said.files[name]
        return found | {name: file for name, (_, file) in job.said.roles.items() if file is not None}

    def _need(self, name: str, file: File) -> Need:
        have = frozenset(self.disk.have(file.sha256, file.length))
        return Need(name, file.sha256, file.length, have, last=name == WHITELIST)

    def _stale(self, said: Metadata) -> bool:
        if set(self.disk.documents) - set(said.files):
            return True
        held, (version, file) = self.disk.pointer, said.roles[SUSPENSIONS]
        return held is not None and file is None and version != held.over[0]

    def _take_documents(self, job: Job) -> bool:
        before, files = dict(self.disk.documents), self._files(job)
        after = {name: data for name, data in before.items() if name in job.said.files}
        for name in DOCUMENTS:
            if name in files and (data := self.file(job, name, files[name])) is not None:
                after[name] = data
        self.disk.documents = after
        return after != before

    def _over(self, job: Job, new: Pointer) -> tuple[int, bytes]:
        held, (version, file) = self.disk.pointer, job.said.roles[SUSPENSIONS]
        data = self.file(job, SUSPENSIONS, file) if file is not None else b""
        if data is None:
            return held.over if held is not None else new.over
        return version, data


def lines_of(data: bytes, most_bytes: int) -> Iterator[bytes]:
    """The lines of a blob. Raises BlobError."""
    return blob.lines(blob.decompress((data,), most_bytes), LINE_MAX_BYTES)
