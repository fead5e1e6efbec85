"""`gated setup`: give this box what it needs to talk to its center, from the file that `gatectl gate add` made."""

import argparse
import getpass
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gated.commands.options import Subparsers, add_config, add_json, command, configuration
from gated.commands.output import Failure, Status, complain, say, say_json

if TYPE_CHECKING:
    from gated.config import Config
    from protocol.enrolment import Enrolment

TRIES: Final = 3


def add(subparsers: Subparsers) -> None:
    """The command's own part of the command line."""
    parser = command(
        subparsers,
        "setup",
        "Set this gate up with its center, from an enrolment file; again with a new file to replace it.",
        "sudo gated setup /media/stick/north.enrolment    # asks for the passphrase that came another way",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the enrolment file that gatectl gate add has made")
    parser.add_argument(
        "--passphrase-file", type=Path, metavar="FILE", help="a file with the passphrase; without it, it is asked"
    )
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Unseal, check, install, and say what to do next."""
    from gated.talking import enrol  # noqa: PLC0415 - not for --help

    config = configuration(args)
    if not config.state.is_dir():
        make = f"sudo install -d -o gated -g gated -m 0750 {config.state}"
        raise Failure(f"there is no state folder {config.state}; start the daemon once, or: {make}")
    content = _content(args, config)
    _refuse_expired(content)
    try:
        enrol.install(config.state, content)
    except OSError as error:
        why = f"{error.filename or config.state}: {error.strerror or error}"
        raise Failure(
            f"it could not be installed: {why}; once that is mended, or with sudo, again", Status.UNREACHABLE
        ) from error
    wanted = enrol.center_table(config.state, content)
    todo = _configure(args.config, config, wanted)
    if args.json:
        say_json({"site": content.site, "gate": content.gate, "folder": config.state / "center", "change": todo})
    else:
        _tell(content, todo)
    return Status.FAILED if todo else Status.OK


def _content(args: argparse.Namespace, config: "Config") -> "Enrolment":
    """What is in the file; refused if it is not for this gate, before anyone types a passphrase."""
    from protocol.enrolment import label  # noqa: PLC0415 - not for --help
    from protocol.sealed import FILE_MAX_BYTES, SealedError  # noqa: PLC0415 - the same

    try:
        with args.file.open("rb") as file:
            data = file.read(FILE_MAX_BYTES + 1)
    except OSError as error:
        raise Failure(f"{args.file} cannot be read: {error.strerror}", Status.UNREACHABLE) from error
    try:
        found = label(data)
        if (found.site, found.gate) != (config.site, config.gate):
            raise Failure(
                f"{args.file} is for gate {found.gate!r} of {found.site!r}, and {args.config} says gate "
                f"{config.gate!r} of {config.site!r}; take the right file, or correct the configuration"
            )
        return _unsealed(data, args.passphrase_file)
    except SealedError as error:
        raise Failure(f"{args.file}: {error}") from error


def _unsealed(data: bytes, file: Path | None) -> "Enrolment":
    from protocol.enrolment import unseal  # noqa: PLC0415 - not for --help
    from protocol.sealed import WrongPassphraseError  # noqa: PLC0415 - the same

    if file is not None:
        try:
            return unseal(data, file.read_text(encoding="utf-8", errors="replace"))
        except OSError as error:
            raise Failure(f"{file} cannot be read: {error.strerror}", Status.UNREACHABLE) from error
    if not sys.stdin.isatty():
        raise Failure("the passphrase is asked on a terminal; elsewhere name a --passphrase-file", Status.USAGE)
    for _ in range(TRIES - 1):
        try:
            return unseal(data, getpass.getpass("Passphrase: "))
        except WrongPassphraseError as error:
            complain(str(error))
    return unseal(data, getpass.getpass("Passphrase: "))


def _refuse_expired(content: "Enrolment") -> None:
    from protocol.enrolment import ExpiredError  # noqa: PLC0415 - not for --help

    try:
        content.check(datetime.now(UTC))
    except ExpiredError as error:
        raise Failure(str(error)) from error


def _configure(path: Path, config: "Config", wanted: dict[str, str]) -> str:
    """Bring the configuration in line; what is left for the technician to change there, "" for nothing."""
    from gated.talking import enrol  # noqa: PLC0415 - not for --help

    if config.center is None:
        text = enrol.as_toml(wanted)
        try:
            enrol.append(path, text)
        except OSError as error:
            return f"{path} cannot be written ({error.strerror}); add these lines to it:\n\n{text}"
        return ""
    there = config.center.model_dump(mode="json", exclude_none=True)
    if all(there.get(key) == wanted.get(key) for key in (*wanted, "ca")):
        return ""
    return f"{path} has another [center]; make it say:\n\n{enrol.as_toml(wanted)}"


def _tell(content: "Enrolment", todo: str) -> None:
    say(f"This box is set up as gate {content.gate} of {content.site}; its keys were made here and never leave it.")
    if todo:
        complain(f"\nOne thing is left: {todo}")
    complain("\nNext:")
    complain("  sudo -u gated gated check      # the configuration is right")
    complain("  sudo systemctl restart gated   # it now talks to the center")
    complain("  sudo -u gated gated doctor     # nothing is wrong")
    complain(
        f"The center takes this box's keys until {content.until:%Y-%m-%d %H:%M}. Then destroy the file on the stick."
    )
