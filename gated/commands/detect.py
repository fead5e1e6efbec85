"""`gated detect`: which device is on which port, with the lines to write into the configuration."""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from gated.commands.options import Subparsers, add_config, add_json, command
from gated.commands.output import Failure, Status, complain, say, say_json

if TYPE_CHECKING:
    from gated.detect import Hit, Place, Way
    from gated.detect_ports import Port

LISTEN_S: Final = 20
_KEYS: Final = {"reader": "readers = [{}]", "output": "barrier = {}", "input": "passed = {}"}
_BY_NAME: Final = ("nfc", "gpio")  # known by their names alone
_SHOWN_BYTES: Final = 16
_CALLS_US: Final = "the device itself calls there; write it down, start the daemon and look at gated status"


def add(subparsers: Subparsers) -> None:
    """The command's own part of the command line."""
    parser = command(
        subparsers,
        "detect",
        "Find out which device is on which port, and print the lines to write.",
        "sudo -u gated gated detect                     # all serial ports of this box\n"
        "sudo -u gated gated detect 192.168.1.40        # a reader on the network\n"
        "sudo -u gated gated detect socket://192.168.1.21:6000 --only uhf18",
    )
    parser.add_argument(
        "addresses",
        nargs="*",
        metavar="ADDRESS",
        help="look here only: /dev/…, HOST, HOST:PORT, socket://HOST:PORT, rfc2217://HOST:PORT",
    )
    parser.add_argument("--only", metavar="DRIVER", help="look for this driver's devices only")
    parser.add_argument(
        "--seconds",
        type=_seconds,
        default=LISTEN_S,
        metavar="N",
        help=f"listen for N s where nothing answers, while somebody holds a card there (default: {LISTEN_S})",
    )
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run, root=Path("/"))


def run(args: argparse.Namespace) -> int:
    """Look, and print what was found; status 1 where that is nothing."""
    import asyncio  # noqa: PLC0415 - not for --help

    from gated import detect, detect_ports  # noqa: PLC0415 - the same

    try:
        known = detect.ways(args.only) if args.only not in _BY_NAME else []
    except LookupError as error:
        can = ", ".join(dict.fromkeys(way.driver.name for way in detect.ways()))
        raise Failure(f"{args.only!r} is no driver that can be found; there are {can}", Status.USAGE) from error
    ports = [] if args.addresses or not known else detect_ports.ports(args.root)
    places = [detect.Place(port.name) for port in ports if not port.console]
    places += [place for address in args.addresses for place in _places(address, known)]
    _mark_held(places, args.config)
    asyncio.run(_search(places, known, args.seconds))
    nfc = detect_ports.nfc_readers(args.root) if not args.addresses and args.only in (None, "nfc") else {}
    chips = detect_ports.gpio_chips(args.root) if not args.addresses and args.only in (None, "gpio") else []
    found = bool(nfc) or any(place.hits for place in places)
    advice = [] if found else list(_advice(args, places, ports))
    if args.json:
        say_json(_result(places, nfc, chips, advice))
    else:
        for line in _lines(places, nfc, chips, ports):
            say(line)
        for line in advice:
            complain(line)
    return Status.OK if found else Status.FAILED


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 3600:  # noqa: PLR2004 - an hour
        raise argparse.ArgumentTypeError(f"{text!r} is no time; 0 to 3600 s would be right")
    return number


def _places(address: str, known: "Sequence[Way]") -> "list[Place]":
    """The places that an address names; a bare host is asked where its kind of device usually listens."""
    from drivers.opener import checked  # noqa: PLC0415 - not for --help
    from gated.detect import Place  # noqa: PLC0415 - the same

    if address.startswith("listen:"):
        raise Failure(f"{address}: {_CALLS_US}", Status.USAGE)
    try:
        if address.startswith("/") or "://" in address:
            return [Place(checked(address))]
        if urlsplit(f"//{address}").port is not None:
            return [Place(checked(f"socket://{address}"))]
        numbers = sorted({number for way in known for number in way.probe.tcp})
        if not numbers:
            raise Failure(f"{address}: say at which TCP port: {address}:PORT", Status.USAGE)
        return [Place(checked(f"socket://{address}:{number}"), guessed=number) for number in numbers]
    except ValueError as error:
        right = "/dev/…, HOST, HOST:PORT, socket://HOST:PORT or rfc2217://HOST:PORT would be right"
        raise Failure(f"{address!r} is no address; {right}", Status.USAGE) from error


def _mark_held(places: "Iterable[Place]", file: Path) -> None:
    """Leave alone what the running daemon has; where it cannot be asked, its locks still keep serial ports."""
    from gated import control  # noqa: PLC0415 - not for --help
    from gated.config import ConfigError, load  # noqa: PLC0415 - the same
    from gated.config_check import default_state  # noqa: PLC0415 - the same

    try:
        state = load(file, check_state=False).state
    except ConfigError:
        state = default_state()  # no configuration yet, or one that is being written
    try:
        devices = control.ask(state, {"op": "status"}).get("devices")
    except control.NotRunning:
        return
    except PermissionError:
        complain("this user may not ask the daemon which ports it has; better: sudo -u gated gated detect")
        return
    held = {os.path.realpath(port) for port in _told(devices)} | set(_told(devices))
    for place in places:
        if place.port in held or os.path.realpath(place.port) in held:
            place.held, place.trouble = True, f"{place.port} is held by the daemon; sudo gated status says how it fares"


def _told(devices: object) -> list[str]:
    tables = devices.values() if isinstance(devices, dict) else ()
    return [str(table["port"]) for table in tables if isinstance(table, dict) and table.get("port")]


async def _search(places: "list[Place]", known: "Sequence[Way]", seconds: float) -> None:
    from gated.commands.detect_progress import Progress  # noqa: PLC0415 - not for --help
    from gated.detect import Search  # noqa: PLC0415 - the same

    with Progress(sys.stderr) as progress:
        async with Search([place for place in places if not place.held], known, progress.tell) as search:
            await search.ask()
            if search.quiet and seconds:
                async with progress.counting(seconds, len(search.quiet)):
                    await search.listen(seconds)


def _lines(
    places: "Sequence[Place]", nfc: Mapping[str, str], chips: Sequence[str], ports: "Sequence[Port]"
) -> Iterator[str]:
    """The result for a person."""
    nodes = {port.name: port.node for port in ports}
    for place in _told_of(places):
        node = nodes.get(place.port, place.port)
        yield f"{place.port}{f'  ({Path(node).name})' if node != place.port else ''}: {_state(place)}"
        for hit in place.hits:
            yield f"  {_said(hit)}"
            yield f"    {_line(hit, place.port)}"
    for port in ports:
        if port.console:
            yield f"{port.name}: the system's console; left alone"
    for usb, model in nfc.items():
        yield f"{usb}: {model}, an NFC reader by its number; it was not opened"
        yield f"    {_nfc_line(usb)}"
    for chip in chips:
        yield f'{chip}: GPIO lines of the box (gpioinfo {chip} shows them), such as line = "{chip}/17"'


def _told_of(places: "Sequence[Place]") -> "list[Place]":
    """All but the usual TCP ports of a host at which nobody is."""
    return [place for place in places if place.hits or not place.guessed or not place.trouble or place.held]


def _state(place: "Place") -> str:
    if place.hits:
        return "found" if len(place.hits) == 1 else f"{len(place.hits)} answer"
    if place.held or place.trouble:
        return place.trouble.removeprefix(f"{place.port}: ").removeprefix(f"{place.port} ")
    if place.sense is None:
        return "nothing answers"
    baud, data = place.sense
    shown = f"{data[:_SHOWN_BYTES].hex(' ')}{' …' if len(data) > _SHOWN_BYTES else ''}"
    at = f" at {baud}, where they make most sense" if baud else ""
    return f"{len(data)} bytes came{at}, and no driver knows them: {shown} ({_text(data[:_SHOWN_BYTES])})"


def _text(data: bytes) -> str:
    return "".join(chr(byte) if chr(byte).isprintable() and byte < 0x7F else "." for byte in data)  # noqa: PLR2004 - ASCII


def _said(hit: "Hit") -> str:
    words = [hit.found.model, hit.found.firmware and f"firmware {hit.found.firmware}", hit.found.remark]
    at = f" at {hit.baud}" if hit.baud else ""
    return f"{hit.driver.name}{at}: {', '.join(filter(None, words)) or 'it answers'}"


def _line(hit: "Hit", port: str) -> str:
    """The line to paste into a lane."""
    return _KEYS[hit.driver.role].format(_toml(hit.options(port)))


def _nfc_line(port: str) -> str:
    return _KEYS["reader"].format(_toml({"driver": "nfc", "port": port}))


def _toml(table: dict[str, str | int | float | bool]) -> str:
    import json  # noqa: PLC0415 - its strings, numbers and booleans are TOML's

    return "{ " + ", ".join(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in table.items()) + " }"


def _result(
    places: "Sequence[Place]", nfc: Mapping[str, str], chips: Sequence[str], advice: Sequence[str]
) -> dict[str, object]:
    """The result for a program."""
    return {
        "ports": [
            {
                "port": place.port,
                "held": place.held,
                "trouble": place.trouble,
                "heard": {str(baud): data.hex() for baud, data in place.rubbish.items()} if not place.hits else {},
                "devices": [
                    {
                        "driver": hit.driver.name,
                        "role": str(hit.driver.role),
                        "baud": hit.baud or None,
                        "model": hit.found.model,
                        "firmware": hit.found.firmware,
                        "remark": hit.found.remark,
                        "table": hit.options(place.port),
                        "line": _line(hit, place.port),
                    }
                    for hit in place.hits
                ],
            }
            for place in places
        ],
        "nfc": [{"port": port, "model": model, "line": _nfc_line(port)} for port, model in nfc.items()],
        "gpio": list(chips),
        "advice": list(advice),
    }


def _advice(args: argparse.Namespace, places: "Sequence[Place]", ports: "Sequence[Port]") -> Iterator[str]:
    """What to do where nothing was found."""
    from gated.detect_ports import running, usb_devices  # noqa: PLC0415 - not for --help

    yield "nothing was found; what to do:"
    if not args.addresses and not ports:
        yield "- there is no serial port: plug the adapter in, and see what dmesg | tail says of it"
    lost = [device.serial_chip for device in usb_devices(args.root) if device.serial_chip and not device.ports]
    if lost:
        yield f"- {lost[0]} is plugged in and has no port: brltty takes it; sudo apt remove brltty, and plug it in anew"
    elif "brltty" in running(args.root):
        yield "- brltty runs, and takes CH340 and CP210x adapters away: sudo apt remove brltty"
    if "ModemManager" in running(args.root):
        yield "- ModemManager speaks on new ports: sudo systemctl disable --now ModemManager, or install 70-gated.rules"
    if any("permission denied" in place.trouble for place in places):
        yield "- ports may not be opened: sudo -u gated gated detect, or sudo usermod -aG dialout $USER, log in again"
    if any(place.held for place in places):
        yield "- what the daemon or another program holds was left alone: to look there, stop it first"
    if any(place.open for place in places):
        yield "- where nothing answers: power? TX and RX crossed? A and B the right way round? ground joined?"
        yield "- a reader that only talks wants a card held to it while this listens (--seconds 60)"
        yield '- an LCUS relay board may answer nothing: write { driver = "lcus", port = "…" } and try it'
    if any(place.port.startswith("socket:") and not place.held for place in places):
        yield "- on the network: power, cable, address and TCP port; most readers take one client at a time"
