"""What the tests of the units share: reading a unit file, and asking systemd what it thinks of one."""

import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Final

import pytest

SYSTEMD: Final = Path(__file__).parents[2] / "systemd"
DOCS: Final = SYSTEMD.parent / "docs"
needs_analyze: Final = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")


def settings(path: Path) -> dict[str, list[str]]:
    """All settings of a unit file; one that stands several times has several values, an empty one none."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            found[key].append(value)
    return found


def exposure(unit: Path) -> float:
    """How exposed systemd thinks that a service is: 0 to 10."""
    found = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)],
        capture_output=True,
        text=True,
        check=False,
        env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
    )
    level = re.search(r"exposure level for \S+: ([\d.]+)", found.stdout)
    assert level, found.stderr
    return float(level[1])


def complaints(unit: Path, folder: Path) -> list[str]:
    """What systemd does not understand of a unit, once its program is there; `folder` is for a copy."""
    copy = folder / unit.name
    text = unit.read_text(encoding="utf-8")
    copy.write_text(re.sub("^ExecStart=.*$", "ExecStart=/bin/true", text, flags=re.MULTILINE), encoding="utf-8")
    found = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True, check=False
    )
    return [line for line in found.stderr.splitlines() if unit.stem.rstrip("@") in line]
