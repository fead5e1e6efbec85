"""The building process of a flash: checks what was received, and builds from it what is to be in force.

    python -m gated.lists.flash_build STATE ROOT

An order is one line of JSON on standard input, its answer one line on standard output; the process ends with its
input. It runs at the lowest priority, and alone has tuf in memory.

    {"do":"check","validity":…,"floor":…,"whole":false}  →  the fields of flash_acts.Checked
    {"do":"build","validity":…,"floor":…,"whole":false}  →  the fields of flash_acts.Built
    either                                               →  {"failed":"why"}, and it may be asked again later

Each order starts from what is on disk: it may be killed at any time and asked again. One pointer switches list and
overlay together; documents and metadata have their own folder.
"""

import json
import os
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import TargetFile

from gated.lists import listbuild, trust, trust_folder
from gated.lists import overlay as overlays
from gated.lists.depot import Depot
from gated.lists.flash_acts import Built, Checked, Need
from gated.lists.listbuild import BuildRefused, DeltaUnfit, Wanted
from gated.lists.listfile import (
    OVERLAYS,
    POINTER,
    ListInfo,
    OpenList,
    Pointer,
    WhitelistError,
    pointer_text,
    read_pointer,
)
from gated.lists.listload import LoadError, alone, step_back
from gated.lists.overlay import Overlay, OverlayRefused
from gated.lists.trust import Trusted, TrustError
from gated.lists.whitelist import read_overlay
from gated.recording import durable
from protocol import blob
from protocol import repository as names
from protocol.blob import PIECE_BYTES, BlobError
from protocol.repository import DeltaTarget, ListTarget, MalformedError
from protocol.whitelist import LINE_MAX_BYTES


@dataclass
class _Job:
    """One order: what is trusted, what is here, and what has come of it so far."""

    state: Path
    trusted: Trusted
    validity: float
    floor: float
    whole: bool
    depot: Depot
    pointer: Pointer | None
    held: ListInfo | None
    """The list in force, if it can be opened."""
    refused: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    needs_whole: bool = False


def check(state: Path, root: bytes, validity: float, floor: float, *, whole: bool = False) -> Checked:
    """Whether the message in the depot is to be believed, and what of it is lacking here. Raises OSError."""
    depot = Depot(state)
    message = depot.message()
    if message is None:
        return Checked(why="there is no message")
    try:
        trusted = trust.refresh(state, root, message, validity, depot.believed)
        job = _job(state, trusted, validity, floor, whole=whole)
        wanted = _wanted_list(job)
        files = _files(job)
    except (TrustError, BuildRefused) as error:
        return Checked(why=str(error))
    needs = tuple(_need(job.depot, name, target) for name, target in files.items())
    missing = tuple(need for need in needs if len(need.have) < blob.piece_count(need.length))
    job.depot.keep_only(target.hashes["sha256"] for target in files.values())
    complete = len(missing) < len(needs)
    return Checked(
        snapshot=trusted.snapshot,
        vouched=trusted.vouched,
        expires=trusted.expires,
        version=str(wanted.version) if wanted is not None else None,
        needs=missing,
        build=complete or _stale(job),
        troubles=(*trusted.troubles, *job.troubles),
    )


def build(state: Path, root: bytes, validity: float, floor: float, *, whole: bool = False) -> Built:
    """Put into force all that is here and was signed. Raises OSError, LoadError, TrustError."""
    with alone(state):
        trusted = trust.refresh(state, root, Depot(state).message() or b"", validity)
        job = _job(state, trusted, validity, floor, whole=whole)
        documents = _take_documents(job)
        info = _take_list(job) or job.held
        switched = info is not None and _switch(job, info)
    return Built(
        refused=tuple(job.refused),
        whole=job.needs_whole,
        version=info.version if info else None,
        entries=info.entries if info else None,
        switched=switched,
        documents=documents,
        troubles=(*trusted.troubles, *job.troubles),
    )


def _job(state: Path, trusted: Trusted, validity: float, floor: float, *, whole: bool) -> _Job:
    pointer = held = None
    with suppress(WhitelistError):  # what cannot be opened is to be built again
        pointer = read_pointer(state)
        if pointer is not None:
            OpenList(state, pointer.now).close()
            held = pointer.now
    return _Job(state, trusted, validity, floor, whole, Depot(state), pointer, held)


def _wanted_list(job: _Job) -> ListTarget | None:
    """What is said of the list; None where the repository has none. Raises BuildRefused."""
    target = job.trusted.targets.get(names.WHITELIST)
    if target is None:
        return None
    try:
        return ListTarget.read(target.custom)
    except MalformedError as error:
        raise BuildRefused("what the signers say of the list cannot be read") from error


def _in_force(job: _Job, wanted: ListTarget) -> bool:
    held, version = job.held, str(wanted.version)
    if held is None:
        return False
    # A list that was loaded by hand in place of this one stays until there is another.
    return held.instead == version or (held.version, held.sha256) == (version, wanted.result_sha256)


def _files(job: _Job) -> dict[str, TargetFile]:
    """The files that the gate needs to be as the metadata says, by name. Raises BuildRefused."""
    found: dict[str, TargetFile] = {}
    wanted = _wanted_list(job)
    if wanted is not None and not _in_force(job, wanted):
        name = names.WHITELIST if (delta := _delta(job, wanted)) is None else delta[0]
        found[name] = job.trusted.targets[name]
    documents = {name: blob.sha256(data) for name, data in trust_folder.documents(job.state).items()}
    for name in names.DOCUMENTS:
        target = job.trusted.targets.get(name)
        if target is not None and target.hashes.get("sha256") != documents.get(name):
            found[name] = target
    # Their files stay in the depot: how far a role may go depends on the list, which changes.
    found |= {name: target for name, (_, target) in job.trusted.roles.items() if target and name != names.EXPECTED}
    for name, target in found.items():
        _bounded(name, target)
    announced = _announced(job)
    if announced is not None and announced.hashes["sha256"] != documents.get(names.FILE_OF[names.EXPECTED]):
        found[names.EXPECTED] = announced
    return found


def _announced(job: _Job) -> TargetFile | None:
    """The sealed file of announced visitors, where there is one that can be taken: nothing else waits for it."""
    _, target = job.trusted.roles.get(names.EXPECTED, (0, None))
    if target is None:
        return None
    try:
        _bounded(names.EXPECTED, target)
    except BuildRefused as error:
        job.troubles.append(f"{names.EXPECTED}: {error}")
        return None
    return target


def _withdrawn(job: _Job) -> set[str]:
    """The documents that are held and named no more, and may go.

    The list of gates stays until there is another: else keys that were taken out, or those of the enrolment, would
    count again. Of a role that could not be verified, what it had stays.
    """
    held = set(trust_folder.documents(job.state)) - {names.GATES, names.FILE_OF[names.EXPECTED]}
    gone = held - set(job.trusted.targets)
    version, announced = job.trusted.roles.get(names.EXPECTED, (0, None))
    return gone | ({names.FILE_OF[names.EXPECTED]} if version and announced is None else set())


def _delta(job: _Job, wanted: ListTarget) -> tuple[str, DeltaTarget] | None:
    """The delta from the list in force to the wanted one, if there is one."""
    held = job.held
    for name in () if job.whole or held is None else wanted.deltas:
        target = job.trusted.targets.get(name)
        with suppress(MalformedError):  # of a newer kind: not for us
            said = DeltaTarget.read(target.custom if target is not None else None)
            if held is not None and (str(said.base), said.base_sha256) == (held.version, held.sha256):
                return name, said
    return None


def _bounded(name: str, target: TargetFile) -> None:
    """Raises BuildRefused for a file that the gate does not take, before a byte of it is fetched."""
    most = names.LIST_MAX_BYTES if name.startswith("whitelist.") else names.DOCUMENT_MAX_BYTES
    most = names.ROLE_MAX_BYTES if name in names.FILE_OF else most
    if name == names.EXPECTED:
        from protocol.expected import SEALED_MAX_BYTES  # noqa: PLC0415 - see _readable

        most = SEALED_MAX_BYTES
    if not 0 < target.length <= most:
        raise BuildRefused(f"{name} has {target.length} bytes; 1 to {most} are taken")
    if len(target.hashes.get("sha256", "")) != 2 * 32:
        raise BuildRefused(f"{name} has no sha256")


def _need(depot: Depot, name: str, target: TargetFile) -> Need:
    sha256 = target.hashes["sha256"]
    have = frozenset(depot.have(sha256, target.length))
    return Need(name, sha256, target.length, have, last=name == names.WHITELIST)


def _stale(job: _Job) -> bool:
    """Whether there is something to take away, for which nothing is fetched."""
    if _withdrawn(job) & set(trust_folder.documents(job.state)):
        return True
    return job.held is not None and any(
        target is None and version != _version(_overlay(job), name)
        for name, (version, target) in job.trusted.roles.items()
        if name != names.EXPECTED
    )


def _version(overlay: Overlay, role: str) -> int:
    return {
        names.ENROLMENTS: overlay.enrolments_version,
        names.SUSPENSIONS: overlay.suspensions_version,
    }.get(role, 0)


def _overlay(job: _Job) -> Overlay:
    """The overlay in force; an empty one where it cannot be read, so that it is made again."""
    with suppress(WhitelistError):
        return read_overlay(job.state, job.pointer.over if job.pointer else "")
    return Overlay()


def _file(job: _Job, name: str, target: TargetFile) -> IO[bytes] | None:
    """A verified file; None where a piece of it is lacking. What is damaged is thrown away and lacking then."""
    sha256 = target.hashes["sha256"]
    if len(job.depot.have(sha256, target.length)) < blob.piece_count(target.length):
        return None
    file = job.depot.open(sha256, target.length)
    try:
        target.verify_length_and_hashes(file)
    except (RepositoryError, OSError):
        file.close()
        job.depot.drop(sha256)
        job.refused.append(f"{name} was not what the signers have signed; it is fetched again")
        return None
    file.seek(0)
    return file


def _take_documents(job: _Job) -> bool:
    """Put new documents in the others' place; whether any has changed.

    A list of gates that cannot be read is refused.
    """
    new = {name: target for name, target in _files(job).items() if name in {*names.DOCUMENTS, names.EXPECTED}}
    before = trust_folder.documents(job.state)
    withdrawn = _withdrawn(job) & set(before)
    if not new and not withdrawn:
        return False
    with trust_folder.changing(job.state) as folder:
        for name, target in new.items():
            if (file := _file(job, name, target)) is not None:
                with file:
                    data = file.read()
                if _readable(job, name, data):
                    trust_folder.put_document(folder, names.FILE_OF.get(name, name), data)
        for name in withdrawn:
            trust_folder.drop_document(folder, name)
    return trust_folder.documents(job.state) != before


def _readable(job: _Job, name: str, data: bytes) -> bool:
    """Whether a document may come into force: a list of gates that cannot be read may not, and is refused."""
    if name != names.GATES:
        return True
    # pydantic takes as long to import as all else together, and a flash of a card or two needs none of it.
    from protocol import gates  # noqa: PLC0415
    from protocol.message import MessageError  # noqa: PLC0415

    try:
        gates.parse(data)
    except MessageError as error:
        job.refused.append(f"{name}: {error}")
        return False
    return True


def _take_list(job: _Job) -> ListInfo | None:
    """The wanted list, built; None where it is in force, cannot be, or is not here yet."""
    wanted = _wanted_list(job)
    if wanted is None or _in_force(job, wanted):
        return None
    made = Wanted(wanted, datetime.now(UTC).isoformat(timespec="seconds"))
    try:
        found = _delta(job, wanted)
        if found is not None and job.held is not None:
            name, said = found
            lines = _lines(job, name, said.bytes)
            return listbuild.layered(job.state, made, said, lines, job.held) if lines is not None else None
        lines = _lines(job, names.WHITELIST, wanted.bytes)
        return listbuild.whole(job.state, made, lines, job.held) if lines is not None else None
    except DeltaUnfit:
        job.needs_whole = True
    except (BuildRefused, BlobError) as error:
        job.refused.append(str(error))
    return None


def _lines(job: _Job, name: str, most_bytes: int) -> Iterator[bytes] | None:
    file = _file(job, name, job.trusted.targets[name])
    if file is None:
        return None
    return blob.lines(blob.decompress(_chunks(file), most_bytes), LINE_MAX_BYTES)


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while chunk := file.read(PIECE_BYTES):
            yield chunk


def _switch(job: _Job, info: ListInfo) -> bool:
    """Write the overlay and the pointer, where they differ from what is in force; whether they do."""
    overlay = _judged(job, info)
    over = job.pointer.over if job.pointer else ""
    if not over or overlay != _overlay(job):
        over = _next_over(job.state)
        durable.write(job.state / over, overlay.to_bytes())
    pointer = Pointer(info, _before(job.pointer, info), over)
    if pointer == job.pointer:
        return False
    durable.write(job.state / POINTER, pointer_text(pointer))
    return True


def _before(pointer: Pointer | None, new: ListInfo) -> ListInfo | None:
    """What serves if the new list's file does not open: a list in another file."""
    if pointer is None:
        return None
    return pointer.now if pointer.now.file != new.file else pointer.before


def _next_over(state: Path) -> str:
    newest = max((path.name for path in state.glob(OVERLAYS)), default="list-over-000000000.json")
    number = int(newest.removeprefix("list-over-").removesuffix(".json")) + 1
    return f"list-over-{number:09d}.json"


def _judged(job: _Job, info: ListInfo) -> Overlay:
    """The overlay as the roles' files make it, as far as they are here and do not go too far."""
    overlay = _overlay(job)
    today = max(job.validity, job.trusted.vouched)
    for name, (version, target) in job.trusted.roles.items():
        lines = None if name == names.EXPECTED else _role_lines(job, name, target)
        if lines is None:
            continue
        try:
            if name == names.ENROLMENTS:
                overlay, troubles = overlays.take_enrolments(overlay, version, lines, today=today, floor=job.floor)
            else:
                overlay, troubles = overlays.take_suspensions(
                    overlay, version, lines, entries=info.entries, as_of=info.as_of or 0.0, floor=job.floor
                )
        except OverlayRefused as error:
            job.refused.append(f"{name}: {error}")
        else:
            job.troubles += [f"{name}: {trouble}" for trouble in troubles]
    return overlay


def _role_lines(job: _Job, name: str, target: TargetFile | None) -> Iterable[bytes] | None:
    if target is None:
        return ()
    file = _file(job, name, target)
    if file is None:
        return None
    with file:
        return file.read().splitlines()


def main(argv: list[str]) -> int:
    """Answer orders until there are no more."""
    state, root = Path(argv[0]), Path(argv[1]).read_bytes()
    step_back()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_answer(state, root, json.loads(line)), default=list) + "\n")
        sys.stdout.flush()
    return 0


def _answer(state: Path, root: bytes, order: dict[str, Any]) -> dict[str, Any]:
    validity, floor, whole = order["validity"], order["floor"], order["whole"]
    try:
        if order["do"] == "check":
            return asdict(check(state, root, validity, floor, whole=whole))
        return asdict(build(state, root, validity, floor, whole=whole))
    except (OSError, LoadError, TrustError, sqlite3.Error) as error:
        return {"failed": str(error) or type(error).__name__}
    except Exception as error:  # noqa: BLE001 - whatever a message brings about: the gate goes on, and says so
        return {"failed": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    # All that counts is on disk by each answer: to end in order would only take time from the gate's word that it is.
    os._exit(main(sys.argv[1:]))
