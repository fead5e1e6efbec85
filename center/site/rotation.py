"""Exchanging the center's own key, so that at any moment every gate believes one that the center uses.

    online/center.pem        the key that signs what the center says
    online/center-new.pem    the one that is to follow it, from `begin` until `switch`
    keys.json                both, from `begin` until `settle`: new boxes are given both

Between these the signers' list of gates says both keys, then the new one alone (`meant`). Each step may break off
anywhere, and is done again by the same command.
"""

from collections.abc import Iterable
from pathlib import Path

from center.site import files, keys
from center.site.folder import Site


def meant(site: Site) -> tuple[str, ...]:
    """The center's keys that gates are to believe, hex: the one that signs, and the one that is to follow it."""
    return tuple(keys.public_hex(keys.read(path)) for path in (_current(site), _following(site)) if path.exists())


def to_switch(site: Site) -> bool:
    """Whether there is a key that is to follow."""
    return _following(site).exists()


def under_way(site: Site) -> bool:
    """Whether a rotation has begun and is not settled."""
    return to_switch(site) or set(site.keys.center) != set(meant(site))


def begin(site: Site) -> None:
    """Make the key that is to follow, unless it is there. While nobody else changes the site."""
    if not to_switch(site):
        keys.write(_following(site), keys.generate())
    if not set(meant(site)) <= set(site.keys.center):
        site.save_keys(site.keys.model_copy(update={"center": meant(site)}))


def switch(site: Site) -> None:
    """Let the key that was to follow be the one that signs. While nobody else changes the site."""
    _following(site).replace(_current(site))
    files.sync_folder(_current(site).parent)


def settle(site: Site, listed: Iterable[str]) -> None:
    """Forget the key before, where the new one is `listed` alone; what it has signed here is still believed."""
    if set(listed) != set(meant(site)) or set(site.keys.center) == set(listed):
        return
    public = site.keys
    former = tuple(key for key in public.of_center if key not in meant(site))
    site.save_keys(public.model_copy(update={"center": meant(site), "former": former}))


def _current(site: Site) -> Path:
    return site.folder / "online" / "center.pem"


def _following(site: Site) -> Path:
    return site.folder / "online" / "center-new.pem"
