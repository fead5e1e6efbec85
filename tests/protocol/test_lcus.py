"""LCUS commands: the real ones, and what a board makes of a line."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.lcus import BUFFER_MAX_BYTES, LcusCodec, Operation, Order, Query, Switch, channels

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "lcus.json").read_text())
switches = st.one_of(
    st.builds(Switch, st.integers(1, 8), st.booleans()),
    st.builds(Order, st.integers(1, 8), st.sampled_from(list(Operation)[2:])),
)
garbage = st.lists(st.one_of(st.sampled_from([0xA0, 0, 1, 8, 0xA1, 0xA2]), st.integers(0, 255))).map(bytes)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_real_commands(vector: dict[str, Any]) -> None:
    """Each known command is read and written byte for byte; answers tell how many contacts there are."""
    meaning, data = vector["meaning"], bytes.fromhex(vector["hex"])
    if "contacts" in meaning:
        assert channels(data) == meaning["contacts"]
        return
    if vector.get("expect") == "bad":
        assert LcusCodec().feed(data) == []
        return
    command: Switch | Order | Query = Query()
    if "on" in meaning:
        command = Switch(meaning["channel"], meaning["on"])
    elif "operation" in meaning:
        command = Order(meaning["channel"], Operation(meaning["operation"]))
    assert command.to_bytes() == data
    assert LcusCodec().feed(data) == [command]


@given(garbage, switches, switches)
def test_no_garbage_hides_a_command(noise: bytes, one: Switch | Order, two: Switch | Order) -> None:
    """After garbage of any length a good command is found; two glued together are two."""
    assert LcusCodec().feed(noise + one.to_bytes() + two.to_bytes())[-2:] == [one, two]


@given(st.lists(garbage))
def test_chunks_do_not_matter_and_the_buffer_is_bounded(chunks: list[bytes]) -> None:
    """The same bytes give the same commands however they come."""
    codec, found = LcusCodec(), []
    for chunk in chunks:
        found += codec.feed(chunk)
        assert len(codec._buffer) <= BUFFER_MAX_BYTES
    assert found == LcusCodec().feed(b"".join(chunks))


def test_a_wrong_sum_is_counted() -> None:
    """A failed command moves nothing."""
    codec = LcusCodec()
    assert codec.feed(bytes.fromhex("a00101a3")) == []
    assert (codec.dropped.frames, codec.dropped.data) == (1, 4)
