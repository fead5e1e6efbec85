"""The profile file: all that `gatectl` on a technician's laptop needs to look after a site's gates over the broker.

Sealed as `protocol.sealed` says; its header names the site, the technician and when it was made. It gives no right to
order anything: commands are signed with an operator's own key, which is made on the laptop and never leaves it.

Public keys stand in it for every gate that the center has heard. A gate whose box is not set up yet has its *voucher*'s
public half instead (`protocol.enrolment`): the box's own keys are believed when that has signed them.
"""

from typing import Annotated, Final

from pydantic import AwareDatetime, ConfigDict, Field

from protocol import sealed
from protocol.enrolment import Certificate, Root
from protocol.message import Key, Message, Name, Text

GATES_MAX: Final = 1000


class Voucher(Message):
    """A one-time key that vouches for the keys of a gate's box."""

    key: Key
    """Its public half."""
    until: AwareDatetime
    """Until when it counts."""


class Profile(Message):
    """What the file holds."""

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64", hide_input_in_errors=True)

    site: Name
    """The site."""
    technician: Name
    """Whose it is, and the account at the broker."""
    made: AwareDatetime
    """When it was made."""
    broker: Text
    """The broker's address."""
    password: Annotated[Text, Field(repr=False)]
    """The account's password."""
    ca: Certificate
    """The certificate of the authority that the broker's certificate is from, PEM; empty for a broker without TLS."""
    root: Root
    """The whitelist repository's root metadata."""
    machine: Text
    """The machine where the site's folder and the center's database are."""
    folder: Text
    """The site's folder there."""
    gates: Annotated[dict[Name, Key], Field(max_length=GATES_MAX)]
    """The gates' Ed25519 keys."""
    vouchers: Annotated[dict[Name, Voucher], Field(default_factory=dict, max_length=GATES_MAX)]
    """Of the gates whose boxes are not set up yet."""


KIND: Final = sealed.Kind("profile", 1, Profile, ("site", "technician", "made"), "gatectl technician add")
