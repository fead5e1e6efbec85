"""Announced visitors: what is sealed comes back, how many there are does not show, and nothing else is raised."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from protocol import expected, lockbox
from protocol.expected import (
    AHEAD_S,
    DOCUMENT_MAX_BYTES,
    PADDED_BYTES,
    SEALED_MAX_BYTES,
    VISITORS_MAX,
    ExpectedError,
    Visitor,
)
from protocol.lockbox import Purpose

SITE = "shenhang"
NORTH = X25519PrivateKey.generate()
GATES = {"north": NORTH.public_key().public_bytes_raw()}


def visitor(number: int = 1, **more: object) -> Visitor:
    """An invented visitor."""
    values: dict[str, object] = {
        "id": f"id{number}",
        "name": "王明",
        "people": 2,
        "plate": "plate:沪A12345",
        "visits": "12-501",
        "note": "带工具",
        "from": "2026-11-24T08:00:00+08:00",
        "until": "2026-11-24T18:00:00+08:00",
    }
    return expected.visitor({key: value for key, value in {**values, **more}.items() if value is not None})


def sealed_json(document: object) -> bytes:
    """A document of any kind, sealed as it should be."""
    data = json.dumps(document).encode()
    return lockbox.seal(len(data).to_bytes(4) + data, Purpose("expected", SITE), GATES)


def opened(data: bytes) -> tuple[Visitor, ...]:
    """What the north gate finds in it."""
    return expected.unseal(data, SITE, "north", NORTH)


def test_what_is_sealed_comes_back() -> None:
    """One who brings all, one who brings the least, and nobody."""
    least = visitor(2, people=1, plate=None, visits="", note="")
    assert opened(expected.seal([visitor(), least], SITE, GATES)) == (visitor(), least)
    assert opened(expected.seal([], SITE, GATES)) == ()
    assert (visitor().begins_s, visitor().until_s) == (1795478400.0, 1795514400.0)


def test_how_many_there_are_does_not_show() -> None:
    """Nobody and a hundred have the same length; what is longer goes by doublings."""
    lengths = {count: len(expected.seal(map(visitor, range(count)), SITE, GATES)) for count in (0, 1, 100, 200, 250)}
    assert lengths[0] == lengths[1] == lengths[100]
    assert lengths[200] == lengths[250] == lengths[0] + PADDED_BYTES


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"name": "王" * 61}, "name"),
        ({"name": "王\x1b[2J"}, "name"),
        ({"name": "\ud800"}, "no visitor"),
        ({"people": 0}, "people"),
        ({"people": 100}, "people"),
        ({"plate": "沪A12345"}, "plate"),
        ({"plate": "em:0000000001"}, "plate"),
        ({"plate": "plate:沪a12345"}, "plate"),
        ({"visits": "x" * 101}, "visits"),
        ({"note": "two\nlines"}, "note"),
        ({"from": "2026-11-24"}, "from"),
        ({"until": "2026-11-24T18:00:00"}, "until"),
        ({"until": "2026-11-24T08:00:00+08:00"}, "until is not after from"),
        ({"id": "../x"}, "id"),
    ],
)
def test_what_cannot_be_announced_is_named(changed: Mapping[str, Any], field: str) -> None:
    """By its field, and without what stands there."""
    with pytest.raises(ExpectedError, match=field) as caught:
        visitor(**changed)
    assert "王" not in str(caught.value)
    assert "沪" not in str(caught.value)


def test_bounds() -> None:
    """So many visitors, so many bytes, and no longer ahead than thirty days."""
    with pytest.raises(ExpectedError, match=f"{VISITORS_MAX + 1} visitors"):
        expected.encode(map(visitor, range(VISITORS_MAX + 1)))
    long = [visitor(number, name="王" * 60, visits="王" * 100, note="王" * 200) for number in range(600)]
    with pytest.raises(ExpectedError, match=f"gates take {DOCUMENT_MAX_BYTES}"):
        expected.encode(long)
    most = {f"g{number}": GATES["north"] for number in range(lockbox.RECIPIENTS_MAX)}
    assert len(expected.seal(long[:400], SITE, most)) <= SEALED_MAX_BYTES
    expected.refuse_ahead([visitor()], visitor().until_s - AHEAD_S)
    with pytest.raises(ExpectedError, match="30 days"):
        expected.refuse_ahead([visitor(), visitor(2, until="2026-11-24T18:00:01+08:00")], visitor().until_s - AHEAD_S)


def test_a_gate_that_it_is_not_for() -> None:
    """It says so; a lockbox of another site does not open either."""
    data = expected.seal([visitor()], SITE, GATES)
    for site, gate, key in (
        (SITE, "north", X25519PrivateKey.generate()),
        (SITE, "south", NORTH),
        ("another", "north", NORTH),
    ):
        with pytest.raises(ExpectedError, match="not sealed to this gate's key"):
            expected.unseal(data, site, gate, key)
    with pytest.raises(ExpectedError, match="the key of south"):
        expected.seal([], SITE, {"south": bytes(32)})


def test_what_a_newer_center_adds_is_passed_over() -> None:
    """Of the document and of a visitor."""
    assert opened(sealed_json({"visitors": [{**json.loads(visitor().to_bytes()), "badge": 7}], "more": 1})) == (
        visitor(),
    )


@pytest.mark.parametrize(
    "document",
    [
        [],
        "x",
        {"visitors": {}},
        {"visitors": [1]},
        {"visitors": [{}]},
        {"visitors": [json.loads(visitor().to_bytes())] * 2},
    ],
)
def test_sealed_rightly_and_no_document(document: object) -> None:
    """What somebody with the gates' public keys may make: the module's own error."""
    with pytest.raises(ExpectedError):
        opened(sealed_json(document))


@given(st.binary(max_size=400))
def test_whatever_the_bytes_are(data: bytes) -> None:
    """As the file, and as what is sealed in it."""
    for sealed in (data, lockbox.seal(data, Purpose("expected", SITE), GATES)):
        try:
            assert opened(sealed) == ()
        except ExpectedError:
            continue


def test_too_long_is_refused_unread() -> None:
    """Before anything is worked out."""
    with pytest.raises(ExpectedError, match="are taken"):
        opened(bytes(SEALED_MAX_BYTES + 1))
