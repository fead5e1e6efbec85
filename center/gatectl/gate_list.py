"""Proposing the signers' list of gates: whose keys are whose, as the center knows it."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from center.gatectl import list_work
from center.gatectl.options import now
from center.output import Failure

if TYPE_CHECKING:
    from center.site.folder import Site

NEXT: Final = "The signers' list of gates is to say it too: gatectl gate propose"


@dataclass(frozen=True, slots=True)
class Proposal:
    """What was proposed: the text that signers see, the bundle; the gates that are let in and not set up yet."""

    text: str
    bundle: Path
    lacking: tuple[str, ...]


def propose(site: "Site", args: argparse.Namespace, kind: str, *, always: bool = False) -> Proposal | tuple[str, ...]:
    """Keep a bundle with the list as it is to be; where that says nothing new, only who is not set up yet.

    Raises Failure.
    """
    from center.gatectl.registry import stored  # noqa: PLC0415 - not for --help
    from center.publish import gate_list  # noqa: PLC0415 - the same
    from center.publish.metadata import PublishError  # noqa: PLC0415 - the same
    from center.publish.opened import first_keyring  # noqa: PLC0415 - the same
    from center.publish.proposal import Changes  # noqa: PLC0415 - the same
    from center.publish.shown import show  # noqa: PLC0415 - the same
    from center.site import rotation  # noqa: PLC0415 - the same
    from protocol import gates  # noqa: PLC0415 - the same

    moment, repository = now(), list_work.held(site)
    try:
        with stored(site) as store:
            gate_list.learn(store, site, moment)
            found = gate_list.proposed(repository, store, site, rotation.meant(site), moment)
        if not found.news and not always:
            return found.lacking
        keyring = first_keyring(site) if repository.keyring is None else None
        documents = {gates.DOCUMENT: gates.encode(found.document)}
        bundle = repository.propose(Changes(documents=documents, keyring=keyring), moment)
        text = show(bundle).text
    except PublishError as error:
        raise Failure(str(error)) from error
    return Proposal(text, list_work.keep(site, args, bundle.to_bytes(), kind), found.lacking)
