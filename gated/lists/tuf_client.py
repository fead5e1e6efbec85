"""tuf's client, without the way over HTTP that it imports and a gate never takes.

urllib3 would take a fifth of the time in which the building process starts. A tuf that keeps its fetcher elsewhere
only starts slower.
"""

import sys
from types import ModuleType
from typing import Final

_FETCHER: Final = "tuf.ngclient.urllib3_fetcher"


class _NoFetcher:
    """In the place of the one that is taken where none is given."""


def _absent() -> ModuleType:
    module = ModuleType(_FETCHER)
    vars(module)["Urllib3Fetcher"] = _NoFetcher
    return module


sys.modules.setdefault(_FETCHER, _absent())

from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig  # noqa: E402 - only now

__all__ = ["FetcherInterface", "Updater", "UpdaterConfig"]
