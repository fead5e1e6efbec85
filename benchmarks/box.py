"""Where memory is measured: an interpreter with the packages of a box, and none that only development has.

`make bench` makes it in `.build/box`. Among the packages of development structlog finds `rich`, and loads it: 4 MB that
no box has.
"""

from pathlib import Path
from typing import Final

_PYTHON: Final = Path(__file__).parent.parent / ".build" / "box" / "bin" / "python"


def python() -> str:
    """The path of that interpreter. Raises FileNotFoundError where `make bench` has not made it."""
    if not _PYTHON.exists():
        raise FileNotFoundError(f"{_PYTHON} is not there; make bench makes it")
    return str(_PYTHON)
