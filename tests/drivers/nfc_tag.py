"""A chip played by nfcpy itself, as a process of its own: nfc_tag.py felica|ntag PORT IDM_OR_UID MESSAGE, all in hex.

nfcpy's UDP path is a driver of its own, with a reader's side and a chip's: this is the chip's. It has FeliCa whole
(`connect(card=…)`); for the others it gives the frames only.
"""

import sys

import nfc  # type: ignore[import-untyped]
import nfc.clf  # type: ignore[import-untyped]

from drivers.emulated.nfc import Type2


def felica(frontend: nfc.ContactlessFrontend, idm: bytes, message: bytes) -> None:
    """A FeliCa chip with this message, for one activation."""
    blocks = -(-len(message) // 16)
    head = bytes([0x10, 4, 1]) + blocks.to_bytes(2, "big") + bytes(6) + len(message).to_bytes(3, "big")
    memory = head + sum(head).to_bytes(2, "big") + message.ljust(16 * blocks, b"\0")

    def startup(target: nfc.clf.LocalTarget) -> nfc.clf.LocalTarget:
        target.brty = "212F"
        target.sensf_res = bytearray(b"\x01" + idm + b"\xff" * 8 + b"\x12\xfc")
        return target

    def connected(tag: object) -> bool:
        def read(block: int, *_: object) -> bytearray:
            return bytearray(memory[16 * block : 16 * block + 16])

        tag.add_service(0x000B, read, lambda *_: False)  # type: ignore[attr-defined]
        return True

    frontend.connect(card={"on-startup": startup, "on-connect": connected})


def ntag(frontend: nfc.ContactlessFrontend, uid: bytes, message: bytes) -> None:
    """A Type 2 chip with this message, for one activation."""
    chip = Type2(uid, message)
    target = frontend.listen(
        nfc.clf.LocalTarget("106A", sens_res=chip.sens, sdd_res=bytearray(uid), sel_res=bytearray(chip.sel)), 1.0
    )
    command = target and target.tt2_cmd
    while command is not None:
        try:
            command = frontend.exchange(bytearray(chip.command(bytes(command)) or b""), 1.0)
        except nfc.clf.CommunicationError:
            return


def main(kind: str, port: str, number: str, message: str) -> None:
    """Play it until killed."""
    frontend = nfc.ContactlessFrontend(f"udp:127.0.0.1:{port}")
    print("ready", flush=True)  # noqa: T201 - to whoever plays with it
    while True:
        {"felica": felica, "ntag": ntag}[kind](frontend, bytes.fromhex(number), bytes.fromhex(message))


if __name__ == "__main__":
    main(*sys.argv[1:])
