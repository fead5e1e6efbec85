"""CBOR: each value has one writing, and whatever is none is refused in words."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.cbor import DEPTH_MAX, ITEM_MAX_BYTES, CborError, Tagged, Value, decode, encode

keys = st.one_of(st.integers(-(2**64), 2**64 - 1), st.text(max_size=5), st.binary(max_size=5))
leaves = st.one_of(keys, st.floats(allow_nan=False), st.booleans(), st.none())
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(keys, inner, max_size=4),
        st.builds(Tagged, st.integers(0, 2**64 - 1), inner),
    ),
    max_leaves=8,
)
almost = st.builds(
    lambda data, place, byte: data[: place % len(data)] + bytes([byte]) + data[place % len(data) + 1 :],
    values.map(encode),
    st.integers(0, 10_000),
    st.integers(0, 255),
)

APPENDIX_A: list[tuple[str, Any]] = [
    ("00", 0),
    ("17", 23),
    ("1818", 24),
    ("1903e8", 1000),
    ("1a000f4240", 1_000_000),
    ("1b000000e8d4a51000", 1_000_000_000_000),
    ("1bffffffffffffffff", 18446744073709551615),
    ("3bffffffffffffffff", -18446744073709551616),
    ("20", -1),
    ("3903e7", -1000),
    ("f90000", 0.0),
    ("f98000", -0.0),
    ("fb3ff199999999999a", 1.1),
    ("f97bff", 65504.0),
    ("fa47c35000", 100000.0),
    ("fb7e37e43c8800759c", 1.0e300),
    ("f90001", 5.960464477539063e-8),
    ("f9c400", -4.0),
    ("f97c00", math.inf),
    ("f9fc00", -math.inf),
    ("f4", False),
    ("f5", True),
    ("f6", None),
    ("c11a514b67b0", Tagged(1, 1363896240)),
    ("40", b""),
    ("4401020304", bytes([1, 2, 3, 4])),
    ("60", ""),
    ("62c3bc", "ü"),
    ("63e6b0b4", "水"),
    ("64f0908591", "𐅑"),
    ("80", ()),
    ("8301820203820405", (1, (2, 3), (4, 5))),
    ("a0", {}),
    ("a201020304", {1: 2, 3: 4}),
    ("a26161016162820203", {"a": 1, "b": (2, 3)}),
]
"""RFC 8949, appendix A: what of it is deterministic."""


@pytest.mark.parametrize(("written", "value"), APPENDIX_A)
def test_the_standards_own_examples(written: str, value: Value) -> None:
    """Read, of the same type, and written byte for byte."""
    read = decode(bytes.fromhex(written))
    assert repr(read) == repr(value)
    assert encode(value).hex() == written


VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "cbor.json").read_text())


def plain(value: Any) -> Any:
    """A value as JSON writes it."""
    if isinstance(value, tuple):
        return [plain(one) for one in value]
    return {key: plain(one) for key, one in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["hex"][:24])
def test_the_whole_appendix(vector: dict[str, Any]) -> None:
    """Each example is read and written again byte for byte, or refused: unknown lengths, simple values, long floats."""
    data, meaning = bytes.fromhex(vector["hex"]), vector["meaning"]
    if vector.get("expect") == "bad":
        with pytest.raises(CborError, match=r"beforehand|not known|longer"):
            decode(data)
        return
    value = decode(data)
    assert encode(value) == data
    assert "decoded" not in meaning or isinstance(value, Tagged) or plain(value) == meaning["decoded"]


def test_one_not_a_number() -> None:
    """There is one writing of it."""
    assert math.isnan(decode(bytes.fromhex("f97e00")))  # type: ignore[arg-type]
    assert encode(math.nan).hex() == "f97e00"


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("", "breaks off"),
        ("1817", "longer"),
        ("190018", "longer"),
        ("1a0000ffff", "longer"),
        ("fb3ff8000000000000", "longer"),
        ("fa7fc00000", "longer"),
        ("f97e01", "longer"),
        ("5f41004100ff", "beforehand"),
        ("9fff", "beforehand"),
        ("bfff", "beforehand"),
        ("1c", "beforehand"),
        ("ff", "not known"),
        ("f7", "not known"),
        ("f8ff", "not known"),
        ("a2020301ff", "order"),
        ("a201020103", "twice"),
        ("a1f400", "key"),
        ("a18000", "key"),
        ("61ff", "UTF-8"),
        ("0000", "behind"),
        ("9bffffffffffffffff00", "breaks off"),
        ("5bffffffffffffffff00", "breaks off"),
        ("81" * DEPTH_MAX + "00", "deep"),
        ("c1" * 4000 + "00", "deep"),
        ("59ffff" + "00" * ITEM_MAX_BYTES, "at most"),
    ],
)
def test_refused(written: str, why: str) -> None:
    """Longer writings, unknown lengths, keys out of order, depth, size: each in words."""
    with pytest.raises(CborError, match=why):
        decode(bytes.fromhex(written))


@given(values)
def test_a_value_comes_back(value: Value) -> None:
    """Whatever can be written is read again as the same."""
    assert encode(decode(encode(value))) == encode(value)
    assert decode(encode(value)) == value


@given(st.one_of(st.binary(max_size=60), almost))
def test_any_bytes(data: bytes) -> None:
    """Any bytes: the one error or a value whose only writing they are."""
    try:
        value = decode(data)
    except CborError:
        return
    assert encode(value) == data


@pytest.mark.parametrize("value", [2**64, -(2**64) - 1, "\ud800", (2**64,), {"\ud800": 1}])
def test_what_has_no_writing(value: Value) -> None:
    """More than 64 bits, and what is no Unicode."""
    with pytest.raises(CborError):
        encode(value)
