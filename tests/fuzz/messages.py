"""Targets of what passes between gates, center and technicians: messages, batches, envelopes, documents, files."""

import base64
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final
from unittest.mock import patch

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from protocol import (
    batch,
    broker_url,
    dsse,
    enrolment,
    event,
    expected,
    gates,
    lockbox,
    message,
    operators,
    profile,
    sealed,
    signature,
    topics,
)
from protocol import credential as credentials
from protocol.credential import CredentialError
from protocol.dsse import DsseError
from protocol.event import ClockQuality, EventError, Stamp
from protocol.expected import ExpectedDocument, ExpectedError
from protocol.gates import GatesDocument
from protocol.message import Ack, Command, Header, Message, MessageError, Offline, Reply, Sent, Status, WhitelistStatus
from protocol.operators import OperatorsDocument
from protocol.policy import PolicyDocument
from protocol.sealed import SealedError
from protocol.topics import BlobAddress, GateAddress
from tests.fuzz.target import Target, cut, halves, numbered, pair, turned

_KEY: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
_OTHER: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
_SEAL: Final = X25519PrivateKey.from_private_bytes(bytes(range(2, 34)))
_HEX: Final = "ab" * 32
_TYPE: Final = dsse.COMMAND_TYPE
_TOPIC: Final = "gated/1/shenhang/gates/north/events"
_SENT: Final = Sent(at="2026-11-28T08:00:00+08:00", mono=1.5, boot="b", clock=ClockQuality.SYNCED)
_STAMP: Final = Stamp("2026-11-28T08:00:00.000+08:00", ClockQuality.SYNCED, "b", 1.5)
_UNTIL: Final = datetime(2026, 12, 1, 8, tzinfo=UTC)
_PASSPHRASE: Final = "2345-6789-fhkm-rtwx-y234"  # noqa: S105 - it opens nothing but this target's file
_HEADER: Final = Header(
    site="shenhang", gate="north", board="b", epoch="E1", begins=1, root=_HEX, oldest=1, first=1, count=2, prev=_HEX,
    sent=_SENT,
)  # fmt: skip
_VISITOR: Final = {
    "id": "k3f9x2ma", "name": "王明", "people": 2, "plate": "plate:沪A12345", "visits": "12-501",
    "from": "2026-11-24T06:00:00Z", "until": "2026-11-24T16:00:00Z",
}  # fmt: skip
_MODELS: Final[tuple[type[Message], ...]] = (
    Header,
    Ack,
    Status,
    Offline,
    WhitelistStatus,
    Command,
    Reply,
    GatesDocument,
    OperatorsDocument,
    PolicyDocument,
    ExpectedDocument,
    enrolment.Enrolment,
    profile.Profile,
)
_EXAMPLES: Final[tuple[dict[str, Any], ...]] = (
    json.loads(_HEADER.to_bytes()),
    {"epoch": "E1", "seq": 7, "hash": _HEX, "want": False},
    {
        "state": "online", "session": "s", "connection": 1, "number": 1, "sent": json.loads(_SENT.to_bytes()),
        "version": "1", "board": "b", "epoch": "E1", "mode": "automatic", "backlog": 0, "hours_left": 1.5,
        "list": {"version": "3", "age_s": 1.0}, "devices": {"a": {"what": "reader", "online": True, "heard_s_ago": 2}},
        "rivals": [{"epoch": "E2"}], "heard": ["x"], "refused": {"late": 1}, "key": _HEX,
    },
    {"state": "offline", "session": "s", "connection": 1},
    {"session": "s", "number": 1, "state": "idle", "version": "3", "done": 1},
    {
        "site": "shenhang", "gate": "north", "session": "s", "id": "i", "action": "hold", "lane": "in", "seconds": 2.5,
        "issued": "t", "expires": "t", "until": 3.5, "after": 1,
    },
    {"id": "i", "ok": True, "details": {"a": [1, 2.5, None, "x"]}},
    {"version": 1, "as_of": "2026-11-28T08:00:00Z", "center": [_HEX], "gates": [
        {"name": "north", "key": "cd" * 32, "seal": "ef" * 32}]},
    {"operators": [{"name": "li-wei", "key": _HEX, "may": ["open"], "gates": ["*"]}],
     "registrars": [{"name": "desk", "key": "cd" * 32, "retired": True}]},
    {"schedules": {"workdays": ["Mon-Fri 06:00-22:00"]}, "holidays": ["2026-10-01"], "lanes": {"in": {"repeat": 60}}},
    {"visitors": [_VISITOR]},
    {
        "site": "shenhang", "gate": "north", "broker": "mqtts://h", "username": "u", "password": "p", "ca": "",
        "center": [_HEX], "root": "e30=", "pepper": _HEX, "voucher": _HEX, "until": "2026-12-01T08:00:00Z",
    },
    {
        "site": "shenhang", "technician": "t", "made": "2026-12-01T08:00:00Z", "broker": "b", "password": "p",
        "ca": "", "root": "e30=", "machine": "m", "folder": "f", "gates": {"north": _HEX},
        "vouchers": {"south": {"key": _HEX, "until": "2026-12-01T08:00:00Z"}},
    },
)  # fmt: skip


def _message() -> Target:
    """Any bytes as each of the messages; what is read is written, and read again as the same."""

    def check(data: bytes) -> None:
        number, rest = cut(data)
        model = _MODELS[number % len(_MODELS)]
        with suppress(MessageError):
            message.gate_says(rest)
        with suppress(MessageError):
            operators.at_gate(rest, "north")
        with suppress(MessageError):
            operators.registrars(rest)
        try:
            found = model.from_bytes(rest)
        except MessageError:
            return
        assert model.from_bytes(found.to_bytes()) == found
        if isinstance(found, GatesDocument):
            assert gates.parse(gates.encode(found)) == found
        if isinstance(found, OperatorsDocument):
            assert OperatorsDocument.from_bytes(operators.encode(found)) == found

    def seeds() -> Iterator[bytes]:
        for number, values in enumerate(_EXAMPLES):
            data = json.dumps(values, separators=(",", ":"), ensure_ascii=False).encode()
            _MODELS[number].from_bytes(data)
            yield bytes([number]) + data

    return Target(check, seeds, 1024)


def _batch() -> Target:
    def check(data: bytes) -> None:
        try:
            found = batch.decode(data)
        except MessageError:
            return
        assert batch.decode(batch.encode(found.header, found.lines)) == found
        assert found.last == found.header.first + len(found.lines) - 1
        with suppress(MessageError):
            assert len(batch.hashes(found)) == len(found.lines)

    def seeds() -> Iterator[bytes]:
        lines = [event.line(seq, event.body(event.Kind.TEST, _STAMP, {"lane": "in"})) for seq in (1, 2)]
        yield batch.encode(_HEADER, lines)
        yield batch.encode(_HEADER.model_copy(update={"count": 0}), ())

    return Target(check, seeds, 1200)


def _signature() -> Target:
    """Any bytes; and any that are signed: they come back for their topic, and with one bit turned none do."""
    keys = (_OTHER.public_key(), _KEY.public_key())

    def check(data: bytes) -> None:
        number, rest = cut(data)
        found = signature.verified(_TOPIC, rest, keys)
        assert found is None or len(found) < len(rest)
        try:
            signed = signature.signed(_TOPIC, rest, _KEY)
        except ValueError:
            return
        assert signature.verified(_TOPIC, signed, keys) == rest
        assert signature.verified(_TOPIC + "x", signed, keys) is None
        assert signature.verified(_TOPIC, signed, keys[:1]) is None
        assert signature.verified(_TOPIC, turned(signed, number * 37), keys) in (None, rest)

    def seeds() -> Iterator[bytes]:
        yield b"\x01" + _HEADER.to_bytes() + b"\nline\n"
        yield b"\x02" + signature.signed(_TOPIC, b'{"a":1}\nline\n', _KEY)

    return Target(check, seeds, 600)


def _dsse() -> Target:
    """Any bytes; any payload, signed; and any bytes put around a signature: what counts is what was signed."""
    keys = {dsse.keyid(_KEY): _KEY.public_key()}
    body = b'{"action":"open"}'
    right = json.loads(dsse.sign(_TYPE, body, [_KEY]))

    def check(data: bytes) -> None:
        number, rest = cut(data)
        with suppress(DsseError):
            dsse.verify(rest, _TYPE, keys)
        envelope = dsse.sign(_TYPE, rest, [_OTHER, _KEY])
        assert dsse.verify(envelope, _TYPE, keys) == dsse.Opened(rest, (dsse.keyid(_KEY),))
        with suppress(DsseError):
            assert dsse.verify(turned(envelope, number * 37), _TYPE, keys).payload == rest
        name, value = halves(rest)
        with suppress(DsseError):
            changed = {**right, name.decode(errors="replace"): _json(value)}
            assert dsse.verify(json.dumps(changed).encode(), _TYPE, keys).payload == body

    def seeds() -> Iterator[bytes]:
        yield from numbered([dsse.sign(_TYPE, body, [_KEY]), body], 2)
        for name, value in right.items():
            yield b"\x00" + pair(name.encode(), json.dumps(value).encode())

    return Target(check, seeds, 600)


def _json(data: bytes) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return data.decode(errors="replace")


def _event() -> Target:
    """Any fields: the event's line is the same JSON within its bound, or it is said that there can be none."""

    def check(data: bytes) -> None:
        number, rest = cut(data)
        found = _json(rest)
        fields = found if isinstance(found, dict) else {"text": found, "more": number * rest.decode(errors="replace")}
        kind = tuple(event.Kind)[number % len(event.Kind)]
        try:
            line = event.line(2**63 - 1, event.body(kind, _STAMP, fields))
        except EventError:
            return
        assert b"\n" not in line
        assert len(line) <= (event.SALVAGED_MAX_BYTES if kind is event.Kind.SALVAGED else event.LINE_MAX_BYTES)
        read = json.loads(line)
        told = {key: value for key, value in fields.items() if value is not None}
        assert {key: value for key, value in read.items() if key in told} == told

    def seeds() -> Iterator[bytes]:
        yield '\0{"lane":"in","credential":"em:0A00A1B2C3","signal":-61.5,"also":["plate:沪A12345"],"x":null}'.encode()
        yield b'\x09{"original":"{}","epoch":null,"seq_was":7}'
        yield b"\x01{" + b'"a":{' * 900
        yield from numbered([b"x" * 900], len(event.Kind) * 4)

    return Target(check, seeds, 1024)


def _sealed() -> Target:
    """Any bytes as a file; any as what is in one that is whole; and a whole one after whatever mailers do to it."""
    kinds: tuple[sealed.Kind[Any], ...] = (enrolment.KIND, profile.KIND)
    contents = [
        kind.model.from_bytes(json.dumps(one).encode()) for kind, one in zip(kinds, _EXAMPLES[-2:], strict=True)
    ]
    soon = patch.object(sealed, "_SCRYPT_N", 2)  # scrypt takes its time on purpose

    @soon
    def check(data: bytes) -> None:
        number, rest = cut(data)
        kind, content = kinds[number % 2], contents[number % 2]
        _unsealed(kind, rest)
        head = kind.head(content)
        salt = bytes(16)
        for body in (rest, salt + sealed._cipher(_PASSPHRASE, salt).encrypt(bytes(12), rest, kind.covered(head))):
            text = base64.b64encode(body + kind.check(head, body)).decode()
            _unsealed(kind, "\n".join((kind.begin, *head, "", text, kind.end)).encode())
        file = sealed.seal(kind, content, _PASSPHRASE)
        assert sealed.unseal(kind, file.replace(b"\n", b"\r\n  \n"), _PASSPHRASE.upper().replace("-", " ")) == content
        with suppress(SealedError):
            assert sealed.unseal(kind, turned(file, number * 37 + len(rest)), _PASSPHRASE) == content

    @soon
    def seeds() -> list[bytes]:
        files = [sealed.seal(kind, content, _PASSPHRASE) for kind, content in zip(kinds, contents, strict=True)]
        return [bytes([number % 2]) + one for number, one in enumerate((*files, *(one.to_bytes() for one in contents)))]

    return Target(check, seeds, 1500)


def _unsealed(kind: sealed.Kind[Any], data: bytes) -> None:
    with suppress(SealedError):
        assert all(isinstance(one, str) for one in sealed.label(kind, data))
    with suppress(SealedError):
        sealed.unseal(kind, data, _PASSPHRASE)
    if kind is enrolment.KIND:
        with suppress(SealedError):
            enrolment.label(data)


def _expected() -> Target:
    """Any bytes as the sealed document, and as what is in one that is rightly sealed."""
    public = _SEAL.public_key().public_bytes_raw()
    purpose = lockbox.Purpose("expected", "site")

    def check(data: bytes) -> None:
        number, rest = cut(data)
        for file in (rest, lockbox.seal(len(rest).to_bytes(4) + rest, purpose, {"north": public})):
            try:
                visitors = expected.unseal(file, "site", "north", _SEAL)
            except ExpectedError:
                continue
            again = expected.seal(visitors, "site", {"north": public})
            assert expected.unseal(again, "site", "north", _SEAL) == visitors
        with suppress(ExpectedError):
            expected.unseal(lockbox.seal(rest, purpose, {"north": public}), "site", "north", _SEAL)
        with suppress(ExpectedError):
            expected.visitor({**_VISITOR, tuple(_VISITOR)[number % len(_VISITOR)]: _json(rest)})

    def seeds() -> Iterator[bytes]:
        yield b"\x00" + json.dumps({"visitors": [_VISITOR]}).encode()
        yield b"\x01" + json.dumps(_VISITOR).encode()
        yield from numbered([json.dumps(one).encode() for one in _VISITOR.values()], len(_VISITOR))

    return Target(check, seeds, 600)


def _topics() -> Target:
    """Topics, credentials and addresses of brokers: texts that are compared, and so have one writing."""
    of_gate: dict[str, Any] = {
        leaf: getattr(topics, leaf) for leaf in ("status", "events", "ack", "whitelist", "command")
    }

    def check(data: bytes) -> None:
        text = data.decode(errors="surrogateescape")
        match topics.parse(text):
            case GateAddress(site, gate, "reply", id_):
                assert topics.reply(site, gate, id_) == text
            case GateAddress(site, gate, leaf, ""):
                assert of_gate[leaf](site, gate) == text
            case BlobAddress(site, sha256, piece):
                written = topics.blob(site, sha256, piece)
                assert topics.parse(written) == topics.parse(text)
        with suppress(CredentialError):
            found = credentials.canonical(text)
            assert found == text
            assert credentials.strength(found)
            assert not credentials.masked(found).endswith(text.partition(":")[2])
        with suppress(ValueError):
            url = broker_url.parse(text)
            assert url.host
            assert 0 < url.port < 1 << 16
            assert url.local in (True, False)

    def seeds() -> Sequence[bytes]:
        written = [one("shenhang", "north") for one in of_gate.values()]
        written += [topics.reply("s", "g", "i-1"), topics.blob("s", _HEX, 12), topics.repository("s")]
        written += ["em:0A00A1B2C3", "plate:沪A12345", "wiegand:26:7:12345", "epc:E2801190", "pass:k3J9"]
        return [one.encode() for one in (*written, "mqtts://[::1]:8883", "mqtt://center.example")]

    return Target(check, seeds, 200)


MESSAGES: Final = {
    "message": _message(),
    "batch": _batch(),
    "signature": _signature(),
    "dsse": _dsse(),
    "event": _event(),
    "sealed": _sealed(),
    "expected": _expected(),
    "topics": _topics(),
}
