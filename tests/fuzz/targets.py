"""All fuzz targets by the name of their codec: what `make fuzz` lists."""

from typing import Final

from tests.fuzz.readers import READERS
from tests.fuzz.rsu import RSU

TARGETS: Final = {**READERS, **RSU}
