"""`gatectl sign`: one signer, alone, on a machine of their own: a key, a bundle, and nothing else."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from center.gatectl import asking, passphrases
from center.gatectl.options import Subparsers, add_json, command
from center.output import Failure, Status, complain, say, say_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from center.publish.bundle import Bundle

SHRINKS: Final = "shrinks"
UNEQUAL: Final = "unequal"
AGREED: Final = "sign"
BUNDLE_MAX_BYTES: Final = 1024 * 1024 * 1024


def add(subparsers: Subparsers) -> None:
    """The command's own part of the command line."""
    parser = command(
        subparsers,
        "sign",
        "Show what a bundle changes, and sign it. Needs the bundle and your key, and no site.",
        "gatectl sign /media/stick/list.bundle --key /media/stick/3.pem",
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="the bundle; the signature is added to it")
    parser.add_argument(
        "--key", type=Path, required=True, metavar="FILE", help="your key: signers/N.pem as you took it"
    )
    parser.add_argument(
        "--all", action="store_true", help="show every line that changes, not the first 50 of each kind"
    )
    parser.add_argument("--yes", action="store_true", help="sign without being asked, after you have read it before")
    parser.add_argument(
        "--word",
        action="append",
        default=[],
        choices=[SHRINKS, UNEQUAL],
        help="what is asked besides: the list shrinks by more than a tenth, or categories are treated differently",
    )
    parser.add_argument("--passphrase-file", type=Path, metavar="FILE", help="the key's passphrase (default: asked)")
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Show, ask, sign."""
    from center.publish import bundle as bundles  # noqa: PLC0415 - not for --help
    from center.publish.metadata import PublishError  # noqa: PLC0415 - the same
    from center.publish.shown import show  # noqa: PLC0415 - the same
    from center.publish.signer import Memory  # noqa: PLC0415 - the same
    from center.site import files, keys  # noqa: PLC0415 - the same

    bundle = load(args.bundle)
    if not args.key.exists():
        raise Failure(f"there is no key {args.key}", Status.USAGE)
    try:
        shown = show(bundle, None if args.all else 50)
        memory = Memory.beside(args.key)
        warning = memory.judge(bundle)
    except PublishError as error:
        raise Failure(f"{args.bundle} is not to be signed: {error}") from error
    for line in shown.text.splitlines():
        complain(asking.plain(line))
    complain(counted(bundles.signatures(bundle)))
    _ask(args, shown.shrinks, shown.unequal, warning)
    key = keys.read(args.key, passphrases.known(str(args.key), args.passphrase_file))
    try:
        signed = bundles.sign(bundle, key)
    except PublishError as error:
        raise Failure(str(error)) from error
    files.write(args.bundle, signed.to_bytes())
    memory.remember(signed)
    _tell(args, bundles.signatures(signed))
    return Status.OK


def load(path: Path) -> "Bundle":
    """The bundle in a file. Raises Failure."""
    from center.publish.bundle import Bundle  # noqa: PLC0415 - not for --help
    from center.publish.metadata import PublishError  # noqa: PLC0415 - the same

    if path.stat().st_size > BUNDLE_MAX_BYTES:
        raise Failure(f"{path} is far too long for a bundle")
    try:
        return Bundle.from_bytes(path.read_bytes())
    except PublishError as error:
        raise Failure(f"{path}: {error}") from error


def counted(signatures: "Mapping[str, tuple[int, int]]") -> str:
    """How many signatures there are, in words."""
    return "\n".join(
        f"{role}: {have} of {need} signatures are there" + (f", {need - have} more needed" if have < need else "")
        for role, (have, need) in signatures.items()
    )


def _ask(args: argparse.Namespace, shrinks: str, unequal: str, warning: str) -> None:
    """Everything that is asked comes before the passphrase."""
    for why, word in ((shrinks, SHRINKS), (unequal, UNEQUAL)):
        if why:
            asking.agreed(why, word, args.word, f"--word {word}")
    if warning:
        complain(warning)
    asking.agreed("Is all of this meant?", AGREED, [AGREED] if args.yes else [], "--yes")


def _tell(args: argparse.Namespace, signatures: "Mapping[str, tuple[int, int]]") -> None:
    enough = all(have >= need for have, need in signatures.values())
    if args.json:
        say_json(
            {
                "bundle": args.bundle,
                "signatures": {role: {"there": have, "needed": need} for role, (have, need) in signatures.items()},
                "enough": enough,
            }
        )
        return
    say(counted(signatures))
    done = "It is signed enough; at the center: gatectl flash" if enough else "Pass it on to the next signer:"
    complain(f"{done} {args.bundle.name}")
