"""Targets of what a list travels by: lines, deltas, blobs, the repository's message and what it says of its targets."""

import json
import math
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from typing import Any, Final
from unittest.mock import patch

from protocol import blob, delta, repository, roles, spelling, whitelist
from protocol.blob import BlobError
from protocol.card_number import Writing, read_card
from protocol.credential import CredentialError, canonical
from protocol.delta import DeltaError
from protocol.plate import read_plate, split_plates
from protocol.repository import DeltaTarget, ListTarget, MalformedError
from protocol.spelling import SpellingError
from protocol.whitelist import LineError
from tests.fuzz.target import Target, cut, halves, numbered, pair

_LINES: Final = (
    b'{"c":"em:0A00A1B2C3","h":"h7Qk2"}',
    (
        '{"c":"epc:E2801190","h":"h7","from":"2026-11-24T08:00:00+08:00","until":"2027-11-24T08:00:00.25Z","when":'
        '"workdays","lanes":["walk-in"],"tid":"E2801190","with":"plate:沪A12345","since":"2026-12-01T00:00:00Z",'
        '"signed":"2026-12-02T00:00:00Z"}'
    ).encode(),
    b'{"c":"eid:0011223344556677","gone":true,"until":"2027-11-24T08:00:00Z"}',
)
_ENROLMENT: Final = b'{"c":"eid:0011223344556677","h":"h7Qk2","until":"2027-11-24T08:00:00Z","added":"2026-11-24"}'
_SUSPENSION: Final = b'{"c":"em:0A00A1B2C3","since":"2026-11-24T08:00:00Z","signed":"2026-11-24T09:00:00Z"}'
_DEEP: Final = b'{"c":' + b"[" * 1000 + b"]" * 1000 + b"}"


def _whitelist() -> Target:
    def check(data: bytes) -> None:
        try:
            entry = whitelist.parse(data)
        except LineError as error:
            _short(error)
            return
        line = whitelist.encode(entry)
        assert whitelist.parse(line) == entry
        assert delta.key(line).decode() == entry.credential
        assert not delta.removes(line) or entry.gone

    return Target(check, lambda: (*_LINES, _DEEP), 1200)


def _short(error: LineError) -> None:
    """What is said of a line is not the line."""
    assert 0 < len(str(error)) < 1000


def _roles() -> Target:
    def check(data: bytes) -> None:
        try:
            enrolment = roles.parse_enrolment(data)
        except LineError as error:
            _short(error)
        else:
            assert roles.parse_enrolment(roles.write_enrolment(enrolment)) == enrolment
            assert not enrolment.entry.gone
            assert math.isfinite(enrolment.lapses)
        try:
            suspension = roles.parse_suspension(data)
        except LineError as error:
            _short(error)
        else:
            assert roles.parse_suspension(roles.write_suspension(suspension)) == suspension
            assert suspension.since <= suspension.signed < suspension.lapses

    def seeds() -> Iterator[bytes]:
        yield from (_ENROLMENT, _SUSPENSION, _DEEP)
        for depth in range(930, 1000, 2):  # about as deep as the decoder goes
            yield b'{"added":"2026-11-24","c":' + b"[" * depth + b"]" * depth + b"}"

    return Target(check, seeds, 2100)


def _delta() -> Target:
    """Any lines as a list and a delta; and as two lists, of which the delta makes the one from the other."""

    def check(data: bytes) -> None:
        base, other = (tuple(half.split(b"\n")) for half in halves(data))
        with suppress(DeltaError):
            assert _rises(list(delta.apply(base, other)))
        try:
            difference = list(delta.make(base, other))
        except DeltaError:
            return
        assert _rises(difference)
        made = list(delta.apply(base, difference))
        assert made == list(other)
        assert delta.hashed(made) == delta.hashed(other)

    def seeds() -> Iterator[bytes]:
        one, two = sorted(_LINES)[:2], sorted(_LINES)[1:]
        for base, other in ((one, two), (one, one), (two, [delta.removal(b"em:0A00A1B2C3")])):
            yield pair(b"\n".join(base), b"\n".join(other))
        yield pair(b'{"c":"a"}', b'{"c":"b"}')
        yield pair(b'{"c":"\xff"}', b'{"c":"\xff","gone":true}')

    return Target(check, seeds, 1200)


def _rises(lines: list[bytes]) -> bool:
    return all(delta.key(one) < delta.key(two) for one, two in pairwise(lines))


def _blob() -> Target:
    """Any bytes as a compressed blob, or one that is compressed first; it comes in pieces of any length."""
    most = 4096

    @patch.object(blob, "_LEVEL", 1)  # as it is published takes a thousand times as long
    def check(data: bytes) -> None:
        number, more = cut(data)
        step, rest = cut(more)
        for packed in (rest,) if number % 2 else (rest, blob.compress([rest])):
            chunks = [packed[at : at + step] for at in range(0, len(packed), step)] if step else [b"", packed, b""]
            found, total = b"", 0
            try:
                for out in blob.decompress(chunks, most):
                    total += len(out)
                    assert total <= most
                    found += out
            except BlobError:
                assert packed is rest or len(rest) > most
            else:
                assert packed is rest or found == rest
            with suppress(BlobError):
                whole = list(blob.lines(iter([rest[: step * 2], rest[step * 2 :]]), 100))
                assert b"".join(line + b"\n" for line in whole) == rest

    def seeds() -> Iterator[bytes]:
        packed = [blob.compress([b"\n".join(_LINES * 3)]), blob.compress([]), blob.compress([bytes(5000)])]
        for step in (0, 1, 7, 255):
            every = [*packed, packed[0] + b"x", packed[0][:-4], packed[0] * 2]
            yield from (bytes([7, step]) + one for one in every)
        yield b"\x00\x07line\nline\n"

    return Target(check, seeds, 600)


def _repository() -> Target:
    def check(data: bytes) -> None:
        number, rest = cut(data)
        try:
            files = repository.decode(rest)
        except MalformedError:
            files = {}
        if files:
            with suppress(UnicodeDecodeError, UnicodeEncodeError):  # half a surrogate is text to JSON, and no UTF-8
                assert repository.decode(repository.encode(files)) == files
        try:
            custom: Any = json.loads(rest)
        except (ValueError, RecursionError):
            return
        kind = (ListTarget, DeltaTarget)[number % 2]
        try:
            said = kind.read(custom)
        except MalformedError:
            return
        assert kind.read(json.loads(json.dumps(said.custom()))) == said

    def seeds() -> Iterator[bytes]:
        sha = "ab" * 32
        listed = ListTarget(
            version=2, as_of="2026-11-24", result_sha256=sha, entries=3, bytes=90, previous=1, deltas=("a", "b")
        )
        change = DeltaTarget(version=2, base=1, base_sha256=sha, result_sha256=sha, bytes=9)
        message = repository.encode({"1.root.json": b'{"signed":{}}', "timestamp.json": "岗".encode()})
        objects = (message, json.dumps(listed.custom()).encode(), json.dumps(change.custom()).encode())
        yield from numbered([*objects, b'{"a":"\\ud800"}', b"[" * 900, b"9" * 900], 2)

    return Target(check, seeds, 1024)


def _spelling() -> Target:
    """Any text as a card or a plate in a community's list, or typed at a desk; what is spelled in full means itself."""

    def check(data: bytes) -> None:
        number, rest = cut(data)
        text = rest.decode(errors="replace")
        version = None if number % 2 else "0A"
        for read in (*(read_card(text, writing, version) for writing in Writing), read_plate(text)):
            assert (read.credential is None) is not (read.trouble is None)
            assert read.credential is None or "em:" in read.credential or canonical(read.credential)
        assert all(part.strip() for part in split_plates(text))
        for one in spelling.readings(text):
            assert "?" in one.credential or canonical(one.credential)
        with suppress(SpellingError):
            assert canonical(spelling.new(text))
        with suppress(SpellingError):
            assert spelling.listed(text, ["em:0A00A1B2C3"]) == "em:0A00A1B2C3"
        try:
            credential = canonical(text)
        except CredentialError:
            return
        assert spelling.new(text) == spelling.listed(text, [text, "em:0A00A1B2C3"]) == credential

    def seeds() -> Iterator[bytes]:
        texts = ("em:0a 00 a1 b2 c3", "0013961168", "213,02000", "0B3E3636", "E2801160600002000000ABCD", "沪A·12345")
        more = (
            "plate:沪A12345",
            "wiegand:26:7:12345",
            "1.3E+9",
            '="0013"',
            "０Ａ00",
            "粤Z1234港",
            "pass:k3J9",
            "eid:00112233",
        )
        return numbered([one.encode() for one in texts + more], 2)

    return Target(check, seeds, 80)


LISTS: Final = {
    "whitelist": _whitelist(),
    "roles": _roles(),
    "delta": _delta(),
    "blob": _blob(),
    "repository": _repository(),
    "spelling": _spelling(),
}
