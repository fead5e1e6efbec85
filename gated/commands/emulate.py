"""`gated emulate`: one emulated device, fed from the keyboard or a file, to try a gate without hardware."""

import argparse
import os
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gated.commands.options import Subparsers, command
from gated.commands.output import Failure, Status, complain, say_now

if TYPE_CHECKING:
    from drivers.emulated.host import PtyHost, TcpHost, UdpHost

    Line = PtyHost | TcpHost | UdpHost

FREE: Final = 0
PORT_MAX: Final = 65_535
PRESENT_S: Final = 0.5
DEVICES: Final = {
    "em4100": "a tag's 10 hex digits: it is held before the reader for half a second",
    "llrp": "as uhf18, at antenna 1, or EPC@ANTENNA; always on TCP",
    "m100": "as uhf18",
    "nfc": "as uhf18, a chip's UID or UID MESSAGE, both in hex (8 bytes: FeliCa); on UDP, with --link a PN532",
    "osdp": "as wiegand, or uid:HEX, keys 12#, tamper, power, well; what its lamp and beeper are told is printed",
    "rsu": "an on-board unit's 8 hex digits and its plate: they stand before the antenna for two seconds",
    "uhf18": "+EPC enters the field, -EPC leaves it, EPC passes through it for two seconds; EPC/TID is a copy of it",
    "wiegand": "a card as 26:FACILITY:NUMBER, 34:… or 37:…, or the bits as they come, such as 0011…",
    "lcus": "nothing; each relay that moves is printed",
    "contact": "1 closes the contact, 0 opens it",
    "modbus": "+N closes input N of unit 1, -N opens it; each relay that moves is printed (RTU, or TCP with --tcp)",
}
_MORE: Final = {"osdp": ", insecure = true"}
"""What the configuration needs besides driver and port."""
_ON_TCP: Final = "llrp"
_ON_UDP: Final = "nfc"
_THROUGH_S: Final = 2.0


def add(subparsers: Subparsers) -> None:
    """The command's own part of the command line."""
    words = "\n".join(f"  {name:<8} {what}" for name, what in DEVICES.items())
    parser = command(
        subparsers,
        "emulate",
        "Run one emulated device on a new pty or TCP port, and feed it by lines.",
        "gated emulate em4100 --link /tmp/walk-in    # then type 0A00A1B2C3\n"
        "gated emulate uhf18 --tcp                   # on a free TCP port, which it prints\n"
        f"gated emulate uhf18 --tcp 6000\n\nlines it takes:\n{words}",
    )
    parser.add_argument("driver", choices=sorted(DEVICES), metavar="DRIVER", help=", ".join(sorted(DEVICES)))
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--tcp",
        nargs="?",
        type=_port,
        const=FREE,
        metavar="PORT",
        help="on this TCP port of this machine instead of a pty; without PORT, on a free one, which it prints",
    )
    where.add_argument(
        "--udp", nargs="?", type=_port, const=FREE, metavar="PORT", help="nfc: on this UDP port, or on a free one"
    )
    where.add_argument("--link", type=Path, metavar="PATH", help="a symlink that stands for the pty")
    parser.add_argument("--file", type=Path, metavar="FILE", help="take the lines from here instead of the keyboard")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run until the lines end, or Ctrl-C."""
    if args.driver == _ON_TCP and args.link is not None:
        raise Failure(f"{_ON_TCP} is on TCP only: leave out --link", Status.USAGE)
    if args.driver == _ON_TCP and args.tcp is None:
        args.tcp = FREE
    if (args.driver == _ON_UDP) < (args.udp is not None) or (args.driver == _ON_UDP and args.tcp is not None):
        raise Failure(f"{_ON_UDP} is on UDP, the others are not: --udp PORT is for it alone", Status.USAGE)
    if args.driver == _ON_UDP and args.link is None and args.udp is None:
        args.udp = FREE
    try:
        lines = args.file.open() if args.file is not None else sys.stdin
    except OSError as error:
        raise Failure(f"{args.file} cannot be read: {error.strerror}", Status.UNREACHABLE) from error
    import asyncio  # noqa: PLC0415 - not for --help

    with lines:
        asyncio.run(_emulate(args, lines.fileno()))
    return Status.OK


async def _emulate(args: argparse.Namespace, source: int) -> None:
    import asyncio  # noqa: PLC0415 - not for --help

    from drivers.emulated import emulated  # noqa: PLC0415 - not for --help
    from drivers.emulated.host import PtyHost, TcpHost, UdpHost  # noqa: PLC0415 - the same
    from drivers.emulated.lcus import EmulatedLcus  # noqa: PLC0415 - the same
    from drivers.emulated.llrp import EmulatedLlrp  # noqa: PLC0415 - the same
    from drivers.emulated.m100 import EmulatedM100  # noqa: PLC0415 - the same
    from drivers.emulated.modbus import EmulatedModbus  # noqa: PLC0415 - the same
    from drivers.emulated.nfc import EmulatedNfc  # noqa: PLC0415 - the same
    from drivers.emulated.osdp import EmulatedOsdp  # noqa: PLC0415 - the same
    from drivers.port import DriverError  # noqa: PLC0415 - the same

    try:
        device = emulated(args.driver)
    except DriverError as error:
        raise Failure(str(error), Status.UNREACHABLE) from error
    if isinstance(device, EmulatedOsdp):
        device.on_show = lambda colour, much: say_now(f"lamp {colour} {much:g} s" if colour else f"{much:g} beeps")
    if isinstance(device, EmulatedLcus | EmulatedModbus):
        device.on_change = lambda channel, on: say_now(f"relay {channel} {'closed' if on else 'open'}")
    host: Line
    if args.udp is not None and isinstance(device, EmulatedNfc):
        host = UdpHost(device, args.udp)
    else:
        host = PtyHost(device, args.link) if args.tcp is None else TcpHost(device, args.tcp)
    try:
        await host.plug()
    except OSError as error:
        ports = (("TCP", args.tcp), ("UDP", args.udp))
        where = next((f"{kind} port {port}" for kind, port in ports if port is not None), args.link)
        why = os.strerror(error.errno or 0)
        raise Failure(f"{where or 'a pty'} cannot be had: {why}", Status.UNREACHABLE) from error
    async with host, asyncio.TaskGroup() as group:
        say_now(f'{{ driver = "{args.driver}", port = "{host.port}"{_MORE.get(args.driver, "")} }}')
        unasked = device.run(host) if isinstance(device, EmulatedLlrp | EmulatedM100) else None
        rounds = group.create_task(unasked, name="rounds") if unasked is not None else None
        async for line in _lines(source):
            await _feed(device, host, line)
        if rounds is not None:
            rounds.cancel()


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and 0 < int(text) <= PORT_MAX:
        return int(text)
    raise argparse.ArgumentTypeError(
        f"{text!r} is no TCP port; 1 to {PORT_MAX} would be right, and DRIVER before --tcp"
    )


async def _feed(device: object, host: "Line", line: str) -> None:
    import asyncio  # noqa: PLC0415 - not for --help

    from drivers.emulated.contact import EmulatedContact  # noqa: PLC0415 - the same
    from drivers.emulated.em4100 import EmulatedEm4100  # noqa: PLC0415 - the same
    from drivers.emulated.llrp import EmulatedLlrp  # noqa: PLC0415 - the same
    from drivers.emulated.m100 import EmulatedM100  # noqa: PLC0415 - the same
    from drivers.emulated.modbus import EmulatedModbus  # noqa: PLC0415 - the same
    from drivers.emulated.nfc import EmulatedNfc  # noqa: PLC0415 - the same
    from drivers.emulated.osdp import EmulatedOsdp  # noqa: PLC0415 - the same
    from drivers.emulated.rsu import EmulatedRsu  # noqa: PLC0415 - the same
    from drivers.emulated.uhf18 import EmulatedUhf18  # noqa: PLC0415 - the same
    from drivers.emulated.wiegand import EmulatedWiegand  # noqa: PLC0415 - the same

    try:
        match device:
            case EmulatedEm4100():
                await device.present(host, line, PRESENT_S)
            case EmulatedRsu():
                await device.present(host, line, _THROUGH_S)
            case EmulatedWiegand() | EmulatedOsdp():
                host.send(device.line(line))
            case EmulatedUhf18() | EmulatedM100() | EmulatedLlrp() | EmulatedNfc() if line.startswith("+"):
                device.enter(line[1:])
            case EmulatedUhf18() | EmulatedM100() | EmulatedLlrp() | EmulatedNfc() if line.startswith("-"):
                device.leave(line[1:])
            case EmulatedUhf18() | EmulatedM100() | EmulatedLlrp() | EmulatedNfc():
                device.enter(line)
                await asyncio.sleep(_THROUGH_S)
                device.leave(line)
            case EmulatedModbus() if line[:1] in {"+", "-"}:
                device.wire(int(line[1:]), closed=line[0] == "+")
            case EmulatedContact() if line in {"0", "1"}:
                host.send(device.level(line == "1"))
            case _:
                complain(f"{line!r} means nothing to it")
    except ValueError as error:
        complain(f"{line!r}: {error}")


async def _lines(source: int) -> AsyncIterator[str]:
    """Lines without blanks, from a terminal, a pipe or a file, none of which may block the device."""
    import asyncio  # noqa: PLC0415 - not for --help

    mode = os.fstat(source).st_mode
    if stat.S_ISREG(mode) or (stat.S_ISCHR(mode) and not os.isatty(source)):  # such as /dev/null: none tells of input
        for line in os.fdopen(os.dup(source)).read().splitlines():
            if line.strip():
                yield line.strip()
        return
    reader = asyncio.StreamReader()
    pipe = os.fdopen(os.dup(source), "rb", buffering=0)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe
    )
    try:
        while line_bytes := await reader.readline():
            if text := line_bytes.decode(errors="replace").strip():
                yield text
    finally:
        transport.close()
