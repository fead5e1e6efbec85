"""Credentials: one canonical form each; everything else is refused with what would be right."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.credential import SCHEMES, CredentialError, Strength, canonical, masked, strength


@pytest.mark.parametrize(
    ("text", "how_strong"),
    [
        ("em:0A00A1B2C3", Strength.CLONABLE),
        ("uid:04A2B3C4", Strength.CLONABLE),
        ("uid:04A2B3C4D5E6F7", Strength.CLONABLE),
        ("epc:E28011700000020F12340001", Strength.CLONABLE),
        ("obu:A1B2C3D4", Strength.BOUND),
        ("plate:沪A12345", Strength.CLONABLE),
        ("plate:沪AD12345", Strength.CLONABLE),
        ("plate:沪A1234学", Strength.CLONABLE),
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
    "text",
    [
        "",
        "0A00A1B2C3",
        "EM:0A00A1B2C3",
        "em:0a00a1b2c3",
        "em:0A00A1B2C",
        "em:0A00A1B2C3 ",
        "em:0A00A1B2C3\n",
        "epc:E280117",
        "plate:沪a12345",
        "plate:沪A１２３４５",
        "wiegand:26:١٢٣:45678",
        "wiegand:26:0123:45678",
        "uid:04A2B3",
        "nfc:04A2B3C4",
    ],
)
def test_refused(text: str) -> None:
    """Another case, length, digit or scheme is another writing, and none of ours."""
    with pytest.raises(CredentialError, match=r"known are|come"):
        canonical(text)


@given(st.one_of(st.text(), st.builds("{}:{}".format, st.sampled_from(SCHEMES), st.text(max_size=30))))
def test_any_text(text: str) -> None:
    """A credential or CredentialError; what is taken is taken unchanged."""
    try:
        assert canonical(text) == text
    except CredentialError:
        return


def test_masked() -> None:
    """Logs show the last four."""
    assert masked(canonical("em:0A00A1B2C3")) == "em:…B2C3"
