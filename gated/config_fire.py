"""The fire input's own rule: its contact is closed while all is well, so that a broken wire is seen.

Whatever would turn that round, or would let a broken wire read as closed, is an error. (A driver of somebody else's is
not known here: its `active` must be a closed contact.)
"""

from collections.abc import Mapping
from typing import Any, Final

from gated.config_problem import Problem, shown

_TURNED: Final = {"contact": ("normally_closed", True), "modbus": ("active", "open")}
_BLIND: Final = {("low", "down"), ("high", "up")}


def problems(document: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with `[fire]` beside what is wrong with any input."""
    table = document.get("fire")
    if not isinstance(table, dict):
        return []
    driver = table.get("driver")
    key, value = _TURNED.get(driver, ("", None)) if isinstance(driver, str) else ("", None)
    if key in table and table[key] == value:
        right = "take it out: here a closed contact is the all-clear already, and an open one is fire"
        return [Problem(("fire", key), f"found {shown(value)}", right)]
    active, pull = table.get("active", "low"), table.get("pull", "up")
    if driver == "gpio" and isinstance(active, str) and isinstance(pull, str) and (active, pull) in _BLIND:
        right = 'the line must be pulled the other way: active = "low" with pull = "up", or "high" with "down"'
        return [Problem(("fire", "active"), f"a broken wire would read as a closed contact (pull {pull})", right)]
    return []
