"""How the gates of a site are reached: the broker's address, an account there, and the gates' keys.

On the center's machine it is the center's own account, and the keys are those in its database; on a laptop all of it is
in the technician's profile. A box that was set up after the profile was made is believed once its voucher has vouched
for it, and is known from then on.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from center.gatectl.options import chosen, now, opened
from center.output import Failure, Status

if TYPE_CHECKING:
    from center.broker import Account
    from center.gatectl.profiles import Installed
    from center.orders import Gate
    from center.site.folder import Site
    from protocol.profile import Profile

INTRODUCED_S: Final = 0.5
"""How long the broker may take to say what it holds of a box that was set up since."""


@dataclass(frozen=True, slots=True)
class Reach:
    """The broker, and the gates whose keys are known, by name."""

    site: str
    account: "Account"
    gates: "dict[str, Gate]"
    missing: str
    """Why a gate may not be among them, and what to do."""
    aging: bool = False
    """Whether a gate may have got other keys since they were written down."""
    awaited: tuple[str, ...] = ()
    """Those that are let in, and of whose box no key is known yet."""

    def gate(self, name: str) -> "Gate":
        """One gate. Raises Failure."""
        if name not in self.gates:
            known = ", ".join(self.gates) or "none"
            raise Failure(f"no key of a gate {name} is known; there are: {known}. {self.missing}")
        return self.gates[name]


def reached(args: argparse.Namespace) -> Reach:
    """How the gates are reached from here. Raises Failure."""
    where = chosen(args)
    return _from_center(opened(args)) if isinstance(where, Path) else _from_laptop(where)


def center_account(site: "Site") -> "Account":
    """The center's own account at the broker."""
    from center.broker import Account  # noqa: PLC0415 - not for --help
    from center.site.broker import CENTER  # noqa: PLC0415 - the same

    ca = str(site.folder / "authority" / "ca.pem") if site.ca else None
    return Account(site.facts.broker, CENTER, site.center_password, ca)


def _from_center(site: "Site") -> Reach:
    from center.gatectl.registry import keys  # noqa: PLC0415 - not for --help

    known = keys(site)
    awaited = tuple(name for name in site.accounts.of("gate") if name not in known)
    missing = "One is known when it is let in (gatectl gate add), its box set up, and heard by the center"
    return Reach(site.name, center_account(site), _gates(site.name, known), missing, awaited=awaited)


def _from_laptop(at: "Installed") -> Reach:
    from center.broker import Account  # noqa: PLC0415 - not for --help

    account = Account(at.profile.broker, at.profile.technician, at.profile.password, at.ca)
    found = _acquainted(at.profile, account)
    missing = (
        f"The profile is of {found.made:%Y-%m-%d %H:%M}. For a gate that was let in, or given a new box, after that: "
        f"gatectl technician replace {found.technician}, on {found.machine}"
    )
    gates = _gates(found.site, {name: bytes.fromhex(key) for name, key in sorted(found.gates.items())})
    awaited = tuple(name for name in sorted(found.vouchers) if name not in found.gates)
    return Reach(found.site, account, gates, missing, aging=True, awaited=awaited)


def _acquainted(profile: "Profile", account: "Account") -> "Profile":
    """The profile, with the keys of boxes that were set up since; kept where there are any. Raises Failure."""
    import asyncio  # noqa: PLC0415 - not for --help

    from center.broker import BrokerAwayError  # noqa: PLC0415 - the same
    from center.gatectl import profiles  # noqa: PLC0415 - the same
    from center.statuses import introduced  # noqa: PLC0415 - the same

    moment = now()
    vouchers = {name: bytes.fromhex(one.key) for name, one in profile.vouchers.items() if moment < one.until}
    if not vouchers:
        return profile
    try:
        found = asyncio.run(introduced(account, profile.site, vouchers, INTRODUCED_S))
    except BrokerAwayError as error:
        raise Failure(str(error), Status.UNREACHABLE) from error
    if not found:
        return profile
    gates = {**profile.gates, **{name: key.hex() for name, key in found.items()}}
    left = {name: one for name, one in profile.vouchers.items() if name not in found}
    return profiles.save(profile.model_copy(update={"gates": gates, "vouchers": left})).profile


def _gates(site: str, keys: "dict[str, bytes]") -> "dict[str, Gate]":
    from center.orders import Gate  # noqa: PLC0415 - not for --help
    from protocol.signature import public_key  # noqa: PLC0415 - the same

    return {name: Gate(site, name, [public_key(key)]) for name, key in keys.items()}
