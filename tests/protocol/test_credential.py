"""Credentials: one canonical form each; everything else is refused with what would be right."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.credential import SCHEMES, Credential, CredentialError, Strength, canonical, masked, strength

_HEX_SCHEMES = ("em", "uid", "epc", "obu", "eid")


@pytest.mark.parametrize(
    ("text", "how_strong"),
    [
        ("em:0A00A1B2C3", Strength.CLONABLE),
        ("uid:04A2B3C4", Strength.CLONABLE),
        ("uid:04A2B3C4D5E6F7", Strength.CLONABLE),
        ("epc:E28011700000020F12340001", Strength.CLONABLE),
        ("obu:A1B2C3D4", Strength.BOUND),
        ("plate:沪A12345", Strength.CLONABLE),
        ("wiegand:26:123:45678", Strength.CLONABLE),
        ("wiegand:26:0:7", Strength.CLONABLE),
        ("eid:0123456789ABCDEF", Strength.SIGNED),
        ("pass:k3J9", Strength.SIGNED),
    ],
)
def test_canonical(text: str, how_strong: Strength) -> None:
    """The one form of each scheme is taken as it is."""
    assert canonical(text) == text
    assert strength(canonical(text)) is how_strong


@pytest.mark.parametrize(
    "plate",
    [
        *("沪A12345", "沪AD12345", "沪A1234学", "沪A1234警", "粤Z1234港", "粤Z1234澳", "沪A1234挂", "沪A1234领"),
        *("沪1234使", "使014578", "沪X1234应急", "WJ沪1234X", "ABC1234", "VA12345", "军A12345"),
    ],
)
def test_plates(plate: str) -> None:
    """A car's, an electric one's, a school's, the police's, a trailer's, a consulate's, a foreign one, the army's."""
    assert canonical(f"plate:{plate}") == f"plate:{plate}"


@pytest.mark.parametrize(
    "text",
    [
        *("", ":", "em", "em:", "0A00A1B2C3", "EM:0A00A1B2C3", "nfc:04A2B3C4", " em:0A00A1B2C3"),
        *("em:0a00a1b2c3", "em:0A00A1B2C", "em:0A00A1B2C3F", "em:0A00A1B2C3 ", "em:0A00A1B2C3\n", "em:0A:00:A1:B2:C3"),
        *("uid:04A2B3", "uid:04A2B3C4D", "epc:E280117", "epc:" + "E280" * 32, "obu:A1B2C3", "eid:" + "00" * 33),
        *("plate:沪a12345", "plate:沪A１２３４５", "plate:沪A12٣45", "plate:沪Å12345", "plate:滬A12345"),
        *("plate:沪A·12345", "plate:沪A 12345", "plate:A沪12345", "plate:沪沪12345", "plate:沪A12", "plate:沪学学学学"),
        *("wiegand:26:١٢٣:45678", "wiegand:26:0123:45678", "wiegand:26:123:045678", "wiegand:26:123", "wiegand:6:1:2"),
        *("pass:k3J", "pass:k3 J9", "pass:" + "a" * 65),
    ],
)
def test_refused(text: str) -> None:
    """Another case, length, digit, character or scheme is another writing, and none of ours."""
    with pytest.raises(CredentialError, match=r"known are|come"):
        canonical(text)


@given(st.one_of(st.text(), st.builds("{}:{}".format, st.sampled_from(SCHEMES), st.text(max_size=30))))
def test_any_text(text: str) -> None:
    """A credential or CredentialError; what is taken is taken unchanged."""
    try:
        assert canonical(text) == text
    except CredentialError:
        return


@given(st.sampled_from(_HEX_SCHEMES), st.binary(min_size=4, max_size=10))
def test_bytes_have_one_writing(scheme: str, value: bytes) -> None:
    """Of the ways to write bytes only upper-case hex is taken, if the scheme takes their number at all."""
    text = f"{scheme}:{value.hex().upper()}"
    try:
        assert canonical(text) == text
    except CredentialError:
        assert scheme in {"em", "epc"}  # five bytes, whole words
    others = {f"{scheme}:{value.hex()}", f"{scheme}:{value.hex(' ').upper()}", f"{scheme}:0x{value.hex().upper()}"}
    for other in others - {text}:
        with pytest.raises(CredentialError):
            canonical(other)


digits_of_the_world = st.characters(categories=["Nd"], exclude_characters="0123456789")


@given(st.sampled_from(SCHEMES), st.integers(0, 9), digits_of_the_world)
def test_no_other_digits(scheme: str, place: int, digit: str) -> None:
    """A digit that is not one of 0 to 9 is refused wherever it stands."""
    value = "26:123:45678" if scheme == "wiegand" else "1234567890"
    with pytest.raises(CredentialError):
        canonical(f"{scheme}:{value[:place]}{digit}{value[place + 1 :]}")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("em:0A00A1B2C3", "em:…B2C3"),
        ("epc:E28011700000020F12340001", "epc:…0001"),
        ("plate:沪A12345", "plate:…345"),
        ("epc:E280", "epc:…80"),
        ("pass:k3J9", "pass:…J9"),
    ],
)
def test_masked(text: str, shown: str) -> None:
    """Logs show the last four characters, of a short one no more than half."""
    assert masked(canonical(text)) == shown


@given(st.from_regex(r"\A(pass:[0-9A-Za-z_-]{4,64}|epc:([0-9A-F]{4}){1,31}|plate:沪[A-Z][0-9]{5})\Z"))
def test_masked_says_too_little(text: str) -> None:
    """At least half of the value is hidden, whatever the credential."""
    credential = canonical(text)
    scheme, _, value = credential.partition(":")
    found = re.fullmatch(r"(\w+):…(.+)", masked(Credential(credential)))
    assert found is not None
    assert found[1] == scheme
    assert len(found[2]) <= min(4, len(value) // 2)
    assert value.endswith(found[2])


@pytest.mark.parametrize("text", ["em:" + "[" * 4000, "x" * 4000])
def test_what_is_said_of_a_long_text_is_short(text: str) -> None:
    """It may come to stand in a log, or on a terminal."""
    with pytest.raises(CredentialError) as caught:
        canonical(text)
    assert text[:100] in str(caught.value)
    assert len(str(caught.value)) < 400
