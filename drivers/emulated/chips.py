"""The chips of the tags before an emulated UHF reader, by EPC."""

from typing import Final

_MODEL: Final = "E28011602000"  # a chip with XTID and 48 bits of serial number
_SERIAL_DIGITS: Final = 12


class EmulatedChips:
    """Which TID each tag has: its own, made of its EPC, or another that it was said to have, as a clone has."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}

    def tag(self, text: str) -> str:
        """The EPC in `EPC` or `EPC/TID`, whose chip is remembered. Raises ValueError where it is no hex."""
        epc, slash, tid = text.upper().partition("/")
        bytes.fromhex(epc + tid)
        if slash:
            self._said[epc] = tid
        else:
            self._said.pop(epc, None)
        return epc

    def tid(self, epc: str) -> str:
        """The TID of a tag, as hex."""
        return self._said.get(epc, _MODEL + epc[-_SERIAL_DIGITS:].rjust(_SERIAL_DIGITS, "0"))

    def read(self, epc: str, words: int) -> bytes | None:
        """So many words of the bank; None where it has not as many."""
        bank = bytes.fromhex(self.tid(epc))
        return bank[: 2 * words] if len(bank) >= 2 * words else None
