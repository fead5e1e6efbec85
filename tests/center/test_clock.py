"""Whether the center's clock is right: the kernel's word."""

import ctypes

import pytest

from center import clock


class _Kernel:
    def __init__(self, state: int) -> None:
        self.state = state

    def adjtimex(self, _: object) -> int:
        """What the kernel says."""
        return self.state


@pytest.mark.parametrize(
    ("state", "right"), [(0, True), (1, True), (2, True), (3, True), (4, True), (5, False), (-1, False)]
)
def test_the_kernels_word(state: int, right: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001 - a parameter
    """Right in every state but the one that says it is not; an error is a no."""
    monkeypatch.setattr(ctypes, "CDLL", lambda *_args, **_more: _Kernel(state))
    assert clock.synced() is right


def test_the_real_kernel() -> None:
    """It answers, the same twice, and the call changes nothing."""
    assert clock.synced() is clock.synced()
