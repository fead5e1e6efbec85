"""A process that counts up until it is killed, and prints each counter once it has been said to be taken."""

import sys
from itertools import count
from pathlib import Path

from gated.lanes.counters import Counters

COUNTERS = Counters(Path(sys.argv[1]))
for number in count(1):
    if COUNTERS.advance(b"\x04" + bytes(6), number):
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
