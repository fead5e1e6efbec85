"""What em4100 does beyond every reader's contract: equal frames before a sighting."""

import pytest

from drivers.em4100 import Confirm
from protocol.em4100 import Frame, Framing

ONE, TWO = (Frame(bytes([0, 0, 0, 0, number]), Framing.RDM6300) for number in (1, 2))


def test_two_equal_frames_make_a_sighting() -> None:
    """Within 0.3 s, others between them or not; each further one too."""
    confirm = Confirm(None)
    assert [confirm.see(frame, at) for frame, at in ((ONE, 0.0), (TWO, 0.1), (ONE, 0.2), (ONE, 0.3))] == [
        False,
        False,
        True,
        True,
    ]
    assert not confirm.see(ONE, 1.0)


@pytest.mark.parametrize(("framing", "wanted"), [(Framing.RDM6300, 2), (Framing.RAW13, 2), (Framing.ID20, 1)])
def test_a_reader_that_sends_once_needs_one(framing: Framing, wanted: int) -> None:
    """The default follows the framing; an option overrules it."""
    frame = Frame(ONE.tag, framing)
    assert [Confirm(None).see(frame, 0.0), Confirm(1).see(frame, 0.0), Confirm(3).see(frame, 0.0)] == [
        wanted == 1,
        True,
        False,
    ]
