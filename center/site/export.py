"""Giving the broker its files, in a folder of its own: it may read those, and nothing else of the site's."""

import os
import pwd
from pathlib import Path

from center.site import files
from center.site.files import SiteError
from center.site.folder import Site


def export(site: Site, folder: Path, *, user: str, state: Path) -> None:
    """Write the broker's files for `user` to read. Raises SiteError, OSError. Can be done again at any time.

    `state` is made where it is not there: a broker without it runs, and keeps nothing through a restart.
    """
    try:
        owner = pwd.getpwnam(user)
    except KeyError as error:
        raise SiteError(f"there is no user {user}; install the broker first: sudo apt install mosquitto") from error
    _given(folder, owner)
    if not state.exists():
        _given(state, owner)
    with site.changing():
        # The configuration last: it is the one that names the others.
        files.write(folder / "server.pem", (site.folder / "broker" / "server.pem").read_bytes())
        site.write_rules(folder)
        site.write_configuration(folder, as_folder=folder, state=state)


def _given(folder: Path, owner: pwd.struct_passwd) -> None:
    folder.mkdir(mode=files.SECRET_FOLDER, parents=True, exist_ok=True)
    if folder.stat().st_uid != owner.pw_uid:
        try:
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        except PermissionError as error:
            raise SiteError(f"only root may give {folder} to {owner.pw_name}; run the command with sudo") from error
