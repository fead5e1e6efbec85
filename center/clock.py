"""Whether this machine's clock is right, as the kernel has been told by whatever keeps it (chrony, timesyncd, ntpd)."""

import ctypes
from typing import Final

_ERROR: Final = 5  # adjtimex(2): TIME_ERROR, the clock is not synchronized
_BYTES: Final = 256  # struct timex has 208 on 64-bit machines; its first field, `modes`, is 0: only asked


def synced() -> bool:
    """Whether it is. A kernel that does not say counts as no."""
    try:
        state: int = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(_BYTES))
    except (OSError, AttributeError):
        return False
    return 0 <= state < _ERROR
