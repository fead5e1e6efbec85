"""Where `gatectl` registers gates: the one place that a database is named.

accounts.json in the site's folder has each gate's voucher anyway; that is all there is for a site without a database.
"""

from datetime import datetime

from center.site.folder import Site
from center.site.gates import Registry


class FolderOnly:
    """No database: the site's folder has the vouchers, and whoever looks there finds them."""

    def add_gate(self, name: str, voucher_key: bytes, voucher_until: datetime) -> None:
        """Nothing more to keep."""


def registry(site: Site) -> Registry:
    """The registry of this site."""
    del site
    return FolderOnly()
