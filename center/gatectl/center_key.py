"""`gatectl keys rotate center`: another key for what the center says to gates, in three steps of one command.

1. Both keys are proposed; the signers sign, and it is flashed.
2. When every gate has that, the center's key is switched, and the new one alone is proposed; again to be signed.
3. When that is in force, the key before counts nowhere any more.

The command finds out itself which step is next.
"""

import argparse
import time
from typing import TYPE_CHECKING, Final

from center.gatectl import asking, gate_list, list_work
from center.gatectl.reach import center_account
from center.output import Failure, Status, complain, say, say_json

if TYPE_CHECKING:
    from center.site.folder import Site

WAIT_S: Final = 3.0
"""How long gates are listened to; the broker says at once what each said last."""
_RESTART: Final = (
    "gated-center takes the new key by itself within seconds (ingest.key in its log). Where its configuration names a "
    "copy of online/center.pem, as on other machines: copy it there; with credential: restart it, too"
)


def rotate(site: "Site", args: argparse.Namespace) -> int:
    """Take the step that is next. Raises Failure."""
    from center.publish.opened import changing  # noqa: PLC0415 - not for --help
    from center.site import rotation  # noqa: PLC0415 - the same

    listed = _listed(site)
    if rotation.under_way(site) and not rotation.to_switch(site) and listed == set(rotation.meant(site)):
        with changing(site):
            rotation.settle(site, listed)
        return _done(args)
    with changing(site):
        if not rotation.under_way(site) or rotation.to_switch(site):
            rotation.begin(site)
    if not rotation.to_switch(site):
        return _propose(site, args, "alone", "The center signs with its new key. The list with that key alone:")
    if not set(rotation.meant(site)) <= listed:
        return _propose(site, args, "both", "The center signs with its key as before. The list with both keys:")
    waiting = _waiting(site)
    if waiting and not args.anyway:
        return _not_yet(args, waiting)
    with changing(site):
        rotation.switch(site)
    complain(f"The center's key is switched. {_RESTART}.")
    return _propose(site, args, "alone", "The list with the new key alone:")


def _listed(site: "Site") -> set[str]:
    from center.publish.metadata import PublishError  # noqa: PLC0415 - not for --help

    try:
        document = list_work.held(site).gate_list
    except PublishError as error:
        raise Failure(str(error)) from error
    return set() if document is None else set(document.center)


def _waiting(site: "Site") -> dict[str, str]:
    """The gates that have not taken what is in force, and why. Raises Failure."""
    import asyncio  # noqa: PLC0415 - not for --help

    from center.broker import BrokerAwayError  # noqa: PLC0415 - the same
    from center.gatectl.registry import keys  # noqa: PLC0415 - the same
    from center.publish import flashing  # noqa: PLC0415 - the same
    from center.publish.taking import State, Taking  # noqa: PLC0415 - the same

    snapshot, names = list_work.held(site).snapshot, sorted(site.accounts.of("gate"))
    taking = Taking.of(site.name, snapshot, names, keys(site), time.monotonic())
    try:
        asyncio.run(flashing.watch(center_account(site), taking, WAIT_S, flashing.Screen()))
    except BrokerAwayError as error:
        raise Failure(str(error), Status.UNREACHABLE) from error
    # One that is not set up yet is given both keys by its enrolment file, or by the list.
    through = {State.TAKEN, State.UNKNOWN}
    return {gate.name: taking.why(gate) for gate in taking.gates.values() if taking.state(gate) not in through}


def _not_yet(args: argparse.Namespace, waiting: dict[str, str]) -> int:
    if args.json:
        say_json({"step": "waiting", "waiting": waiting})
        return Status.FAILED
    say("The list with both keys is in force, but not at every gate; nothing is switched:")
    for name, why in waiting.items():
        say(asking.plain(f"  {name}  {why}"))
    complain("Again when they have it: gatectl keys rotate center. With --anyway it goes on without them: such a gate")
    complain("keeps all it records, and believes the new key when it is back and has taken the list.")
    return Status.FAILED


def _propose(site: "Site", args: argparse.Namespace, step: str, words: str) -> int:
    found = gate_list.propose(site, args, "center-key", always=True)
    assert isinstance(found, gate_list.Proposal)  # noqa: S101 - for mypy: always
    if args.json:
        say_json({"step": step, "bundle": found.bundle})
        return Status.OK
    say(words)
    for line in found.text.splitlines():
        say(asking.plain(line))
    list_work.next_steps(found.bundle)
    if step == "both":
        complain("And when every gate has taken it, again: gatectl keys rotate center")
    else:
        complain("With that the key before counts nowhere any more. Until then gates believe both.")
    return Status.OK


def _done(args: argparse.Namespace) -> int:
    if args.json:
        say_json({"step": "done"})
    else:
        say("The center's new key is in force alone. For yet another one, again: gatectl keys rotate center")
    return Status.OK
