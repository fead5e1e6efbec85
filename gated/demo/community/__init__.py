"""The demonstration of a whole community: five posts, a broker, a center, and what goes wrong between them.

All of it is real but the devices and the people: `gated` runs each gate, `gatectl` and `gated-center` are called as a
person calls them. The center is never imported here: what it is asked, it is asked by its commands and over the broker.
"""

from typing import Final

GATES: Final = ("north", "east", "south", "west", "river")
