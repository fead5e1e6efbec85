"""The key schedule of OSDP's secure channel (annex D), by plain AES: what to hold libosdp's words on a line against."""

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


def session_keys(scbk: bytes, cp_random: bytes) -> dict[str, bytes]:
    """S-ENC, S-MAC1 and S-MAC2 (OSDP, annex D): each a block of zeros with two bytes and half of the panel's random."""
    halves = {"s_enc": b"\x01\x82", "s_mac1": b"\x01\x01", "s_mac2": b"\x01\x02"}
    return {name: aes(scbk, half + cp_random[:6] + bytes(8)) for name, half in halves.items()}


def aes(key: bytes, block: bytes) -> bytes:
    """One block, encrypted."""
    return Cipher(algorithms.AES128(key), modes.ECB()).encryptor().update(block)  # noqa: S305 - the standard's


def cryptograms(scbk: bytes, cp_random: bytes, pd_random: bytes) -> tuple[bytes, bytes]:
    """The panel's and the reader's proof that they have the same key."""
    session = session_keys(scbk, cp_random)["s_enc"]
    return aes(session, pd_random + cp_random), aes(session, cp_random + pd_random)
