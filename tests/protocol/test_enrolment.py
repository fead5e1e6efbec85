"""The enrolment file: survives a stick and an editor, opens with its passphrase alone, and says what is wrong."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import broker_url
from protocol.enrolment import (
    Enrolment,
    ExpiredError,
    Label,
    label,
    seal,
    unseal,
    vouch,
    vouched,
    voucher_public,
    voucher_text,
)
from protocol.sealed import (
    ALPHABET,
    DamagedError,
    NewerVersionError,
    SealedError,
    WrongPassphraseError,
    new_passphrase,
)

UNTIL = datetime(2026, 12, 1, 8, tzinfo=UTC)
PASSPHRASE = "2345-6789-fhkm-rtwx-y234"  # noqa: S105 - it opens nothing but this test
CONTENT = Enrolment(
    site="shenhang",
    gate="north",
    broker="mqtts://mqtt.center.example:8883",
    username="north",
    password="secret-password",  # noqa: S106 - the same
    ca="-----BEGIN CERTIFICATE-----\n…\n",
    center=("ab" * 32,),
    root=b'{"signed":{}}\xff',
    pepper="cd" * 32,
    voucher="12" * 32,
    until=UNTIL,
)
FILE = seal(CONTENT, PASSPHRASE)


def test_there_and_back() -> None:
    """What is sealed is unsealed, to the byte."""
    assert unseal(FILE, PASSPHRASE) == CONTENT


def test_never_the_same_twice() -> None:
    """Sealing twice gives two files: no salt, and so no key, is used again."""
    assert seal(CONTENT, PASSPHRASE) != FILE


def test_nothing_shows() -> None:
    """Nothing secret is in the file, nor in what a log shows of its content."""
    text = FILE.decode() + repr(CONTENT) + base64.b64decode("".join(FILE.decode().splitlines()[6:-1])).hex()
    for secret in (CONTENT.password, CONTENT.pepper, CONTENT.voucher, CONTENT.password.encode().hex()):
        assert secret not in text


@pytest.mark.parametrize(
    "changed",
    [
        FILE.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + FILE,
        b"Dear colleague,\n\n" + FILE + b"\nregards\n",
        FILE.replace(b"\n\n", b"\n"),
        b"\n".join(b"  " + line + b"\t" for line in FILE.splitlines()),
        FILE.replace(b"\n", b"\n\n"),
        FILE.rstrip(),
    ],
    ids=["CRLF", "BOM", "mail", "no empty line", "indented", "double spaced", "no last newline"],
)
def test_survives_the_way(changed: bytes) -> None:
    """What mailers and editors do to a text does no harm."""
    assert unseal(changed, PASSPHRASE) == CONTENT


@pytest.mark.parametrize(
    "typed",
    [PASSPHRASE.upper(), PASSPHRASE.replace("-", ""), " 2345 6789 fhkm rtwx y234\n", "２３４５-6789-fhkm-rtwx-y234"],
)
def test_the_passphrase_as_people_type_it(typed: str) -> None:
    """Case, spaces, hyphens and full-width characters do not matter."""
    assert unseal(FILE, typed) == CONTENT


def test_wrong_passphrase() -> None:
    """A wrong passphrase is told from a damaged file."""
    with pytest.raises(WrongPassphraseError, match="letter by letter"):
        unseal(FILE, PASSPHRASE[:-1] + "5")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (FILE[:-40], "end is missing"),
        (FILE[:200] + FILE[264:], "(checksum|characters are missing)"),  # as the base64 of this Python sees it
        (FILE.replace(b"Gate: north", b"Gate: south"), "checksum"),
        (FILE.replace(b"Version: 1\n", b""), "version is missing"),
        (FILE.replace(b"Site: shenhang\n", b""), "first lines"),
        (FILE[:200] + b"!" + FILE[201:], "do not belong"),
        (FILE * 2000, "far too long"),
    ],
)
def test_damaged(damage: bytes, said: str) -> None:
    """A damaged file says so, and what to do."""
    with pytest.raises(DamagedError, match=f"{said}.*copy it to the stick again"):
        unseal(damage, PASSPHRASE)


def test_every_bit_counts() -> None:
    """A file with one bit turned over is either refused or, where the bit meant nothing, still the same."""
    refused = 0
    for at in range(0, len(FILE), 7):
        turned = FILE[:at] + bytes([FILE[at] ^ 1]) + FILE[at + 1 :]
        try:
            label(turned)
        except SealedError:
            refused += 1
        else:
            assert unseal(turned, PASSPHRASE) == CONTENT
    assert refused > 0.95 * len(FILE) / 7


def test_newer_version() -> None:
    """A file of a newer program says that this one is to be updated."""
    with pytest.raises(NewerVersionError, match=r"version 2.*update gated"):
        unseal(FILE.replace(b"Version: 1", b"Version: 2"), PASSPHRASE)


def test_something_else() -> None:
    """Any other file is told which one is wanted."""
    with pytest.raises(SealedError, match="gatectl gate add makes one"):
        unseal(b"%PDF-1.4", PASSPHRASE)


def test_a_header_that_was_swapped_is_found_out() -> None:
    """The lines in clear are sealed with the rest: a checksum that fits does not make another gate's name pass."""
    import hashlib  # noqa: PLC0415 - here only

    other = FILE.replace(b"Gate: north", b"Gate: south")
    lines = other.decode().splitlines()
    body = base64.b64decode("".join(lines[6:-1]))[:-8]
    check = hashlib.sha256("\n".join(("gated enrolment", *lines[1:5])).encode() + b"\n" + body).digest()[:8]
    forged = "\n".join((*lines[:6], base64.b64encode(body + check).decode(), lines[-1])).encode()
    assert label(forged) == Label("shenhang", "south")
    with pytest.raises(WrongPassphraseError):
        unseal(forged, PASSPHRASE)


def test_expired() -> None:
    """Up to its time the file counts; from then on it says so, with both times."""
    CONTENT.check(UNTIL - timedelta(seconds=1))
    with pytest.raises(ExpiredError, match=r"until 2026-12-01T08:00\+00:00.*clock says.*gatectl gate replace"):
        CONTENT.check(UNTIL)


def test_label() -> None:
    """For whom the file is can be seen without the passphrase."""
    assert label(FILE) == Label("shenhang", "north")


@settings(max_examples=300)
@given(st.binary(max_size=400), st.integers(0, len(FILE)), st.integers(0, len(FILE)), st.text(max_size=30))
def test_any_bytes(noise: bytes, start: int, end: int, passphrase: str) -> None:
    """Whatever the file and the passphrase are, nothing but SealedError ever comes out."""
    for data in (noise, FILE[:start] + noise + FILE[end:]):
        try:
            found = unseal(data, passphrase)
        except SealedError:
            continue
        assert found == CONTENT


@settings(max_examples=20)
@given(st.text(st.characters(codec=None), max_size=40))
def test_any_passphrase(passphrase: str) -> None:
    """A passphrase of any characters, broken ones too, either opens the file or is wrong."""
    with pytest.raises(WrongPassphraseError):
        unseal(FILE, "x" + passphrase)


def test_passphrases_can_be_read_over_the_telephone() -> None:
    """Five groups of four, no character that looks or sounds like another, never the same."""
    found = {new_passphrase() for _ in range(50)}
    assert len(found) == 50
    for passphrase in found:
        assert [len(group) for group in passphrase.split("-")] == [4] * 5
        assert set(passphrase) <= set(ALPHABET) | {"-"}
    assert not set("01ol") & set(ALPHABET)


def test_voucher() -> None:
    """The one-time key vouches for exactly these keys of exactly this gate."""
    one_time = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(CONTENT.voucher))
    key, seal_key = b"k" * 32, b"s" * 32
    assert voucher_text("shenhang", "north", key, seal_key) == b"gated voucher\nshenhang\nnorth\n" + key + seal_key
    signature = vouch(one_time, site="shenhang", gate="north", key=key, seal=seal_key)
    public = voucher_public(CONTENT)

    def holds(text: str = signature, site: str = "shenhang", gate: str = "north", key: bytes = key) -> bool:
        return vouched(public, text, site=site, gate=gate, key=key, seal=seal_key)

    assert holds()
    assert not holds(gate="south")
    assert not holds(site="other")
    assert not holds(key=b"x" * 32)
    assert not holds("")
    assert not holds("沪" + signature)
    assert not vouched(b"short", signature, site="shenhang", gate="north", key=key, seal=seal_key)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("mqtts://mqtt.center.example", ("mqtt.center.example", 8883, True)),
        ("mqtts://10.0.0.1:1234", ("10.0.0.1", 1234, True)),
        ("mqtt://localhost", ("localhost", 1883, False)),
        ("mqtts://[fd00::1]:8883", ("fd00::1", 8883, True)),
    ],
)
def test_broker_urls(url: str, found: tuple[str, int, bool]) -> None:
    """Host, port by the scheme's default, and whether there is TLS."""
    address = broker_url.parse(url)
    assert (address.host, address.port, address.tls) == found
    assert address.local == (found[0] == "localhost")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mqtts://",
        "broker",
        "http://x",
        "mqtt://u:p@x",
        "mqtts://x/y",
        "mqtts://x:99999",
        "mqtts://x:0",
        "mqtts://[x",
        "mqtts://a b",
    ],
)
def test_no_broker_urls(url: str) -> None:
    """Anything else is refused with what would be right."""
    with pytest.raises(ValueError, match="would be right"):
        broker_url.parse(url)
