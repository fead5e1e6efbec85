"""Where a technician's profiles are on a laptop: below the configuration's folder of the user, one folder a site.

    ~/.config/gatectl/NAME/profile.json   the profile, for its user alone
    ~/.config/gatectl/NAME/ca.pem         whom the broker's certificate is from

($XDG_CONFIG_HOME in the place of ~/.config, where it is set.)
"""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from center.output import Failure, Status
from center.site import files
from protocol.message import MessageError
from protocol.profile import Profile
from protocol.topics import NAME_PATTERN

_PROFILE: Final = "profile.json"
_CA: Final = "ca.pem"


@dataclass(frozen=True, slots=True)
class Installed:
    """A profile, and where it is."""

    folder: Path
    profile: Profile

    @property
    def ca(self) -> str | None:
        """The file of the authority's certificate; None for a broker without TLS."""
        return str(self.folder / _CA) if self.profile.ca else None


def names() -> list[str]:
    """The sites whose profiles are installed."""
    return sorted(path.parent.name for path in _home().glob(f"*/{_PROFILE}"))


def load(site: str) -> Installed:
    """The profile of that site. Raises Failure."""
    folder = _home() / site
    path = folder / _PROFILE
    if not re.fullmatch(NAME_PATTERN, site) or not path.exists():
        known = ", ".join(names()) or "none"
        raise Failure(
            f"no profile of a site {site} is installed here; there are: {known} (a folder: -s DIR)", Status.USAGE
        )
    try:
        return Installed(folder, Profile.from_bytes(path.read_bytes()))
    except MessageError as error:
        raise Failure(f"{path} is damaged ({error}); install the profile again") from error


def save(profile: Profile) -> Installed:
    """Install it, in the place of an older one of that site. Raises OSError."""
    folder = _home() / profile.site
    folder.mkdir(mode=files.SECRET_FOLDER, parents=True, exist_ok=True)
    # The profile last: it is the one that counts.
    files.write(folder / _CA, profile.ca.encode())
    files.write(folder / _PROFILE, profile.to_bytes())
    return Installed(folder, profile)


def remove(site: str) -> None:
    """Take it away. Raises Failure, OSError."""
    shutil.rmtree(load(site).folder)


def _home() -> Path:
    named = Path(os.environ.get("XDG_CONFIG_HOME") or "")
    # A relative path there is to be passed over, says the XDG specification.
    return (named if named.is_absolute() else Path.home() / ".config") / "gatectl"
