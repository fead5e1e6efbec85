"""Deltas: applied to the list that they were made from they give the new one, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import delta
from protocol.delta import DeltaError

Lists = st.dictionaries(st.integers(0, 30), st.sampled_from(["a", "b", "c"]))


def written(entries: dict[int, str]) -> list[bytes]:
    """The lines of a list."""
    return [b'{"c":"em:%010X","h":"%s"}' % (number, entries[number].encode()) for number in sorted(entries)]


@given(Lists, Lists)
def test_a_delta_makes_the_new_list_of_the_old(old: dict[int, str], new: dict[int, str]) -> None:
    """Whatever the two are; and it has no line that changes nothing."""
    change = list(delta.make(written(old), written(new)))
    assert list(delta.apply(written(old), change)) == written(new)
    assert len(change) == sum(old.get(number) != new.get(number) for number in {*old, *new})


def test_the_lines_of_a_delta() -> None:
    """A full line for what is new or other, a removal for what is not there any more."""
    change = delta.make(written({1: "a", 2: "a", 3: "a"}), written({1: "a", 2: "b", 4: "c"}))
    assert list(change) == [
        b'{"c":"em:0000000002","h":"b"}',
        b'{"c":"em:0000000003","gone":true}',
        b'{"c":"em:0000000004","h":"c"}',
    ]


def test_a_card_kept_as_gone_is_a_line_like_any_other() -> None:
    """It has its expiry, and stays; without one it could not be told from a removal."""
    kept = b'{"c":"eid:00000001","until":"2027-01-01T00:00:00Z","gone":true}'
    old = [b'{"c":"eid:00000001","h":"a"}']
    change = list(delta.make(old, [kept]))
    assert change == [kept]
    assert list(delta.apply(old, change)) == [kept]
    with pytest.raises(DeltaError, match="without its expiry"):
        list(delta.make(old, [b'{"c":"eid:00000001","gone":true}']))
    with pytest.raises(DeltaError, match="without its expiry"):
        list(delta.make([], [b'{"c":"\xff","gone":true}']))


def test_a_removal_of_what_is_not_there_does_not_fit() -> None:
    """The base is then another one."""
    with pytest.raises(DeltaError, match="which the list has not"):
        list(delta.apply(written({1: "a"}), [delta.removal(b"em:0000000002")]))


@pytest.mark.parametrize("lines", [[b"nonsense"], [b'{"h":"a","c":"em:0000000001"}'], written({2: "a"}) * 2])
def test_what_is_no_sorted_list_is_refused(lines: list[bytes]) -> None:
    """On either side."""
    for base, change in ((lines, []), ([], lines)):
        with pytest.raises(DeltaError):
            list(delta.apply(base, change))


def test_the_hash_is_of_lines_with_their_newlines() -> None:
    """As published."""
    assert delta.hashed([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert delta.hashed([b"a", b"b"]) != delta.hashed([b"ab"])
