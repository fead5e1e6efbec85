"""All fuzz targets by the name of their codec: what `make fuzz` lists."""

from typing import Final

from tests.fuzz.cards import CARDS
from tests.fuzz.journal import JOURNAL
from tests.fuzz.lists import LISTS
from tests.fuzz.messages import MESSAGES
from tests.fuzz.readers import READERS
from tests.fuzz.rsu import RSU

TARGETS: Final = {**READERS, **RSU, **CARDS, **LISTS, **MESSAGES, **JOURNAL}
