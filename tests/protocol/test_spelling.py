"""What a person may mean by what is printed on a card: every reading, and which of it is on a list."""

import pytest

from protocol.spelling import SpellingError, looked_up, readings


@pytest.mark.parametrize(
    ("text", "among"),
    [
        (
            "0012345678",
            {"em:??00BC614E", "em:??4E61BC00", "uid:00BC614E", "wiegand:26:188:24910", "wiegand:34:188:24910"},
        ),
        ("123,45678", {"em:????7BB26E", "wiegand:26:123:45678", "wiegand:34:123:45678"}),
        ("0A00BC614E", {"em:0A00BC614E"}),
        ("00bc614e", {"em:??00BC614E", "em:??4E61BC00", "uid:00BC614E", "uid:4E61BC00", "wiegand:34:188:24910"}),
        ("4E 61 BC 00", {"em:??00BC614E", "uid:00BC614E", "uid:4E61BC00"}),
        ("em:0012345678", {"em:0012345678", "em:??00BC614E"}),
        ("wiegand:123,45678", {"wiegand:26:123:45678", "wiegand:34:123:45678"}),
    ],
)
def test_every_reading_is_told(text: str, among: set[str]) -> None:
    """What is printed, in each writing that it may be; what it does not tell is `?`."""
    assert among <= {one.credential for one in readings(text) if one.likely}


@pytest.mark.parametrize(
    ("text", "credential"),
    [
        ("em:0A00BC614E", "em:0A00BC614E"),
        ("EM: 0a 00 bc 61 4e", "em:0A00BC614E"),
        ("uid:04-a2-b3-c4", "uid:04A2B3C4"),
        ("wiegand:26:005:00077", "wiegand:26:5:77"),
        ("wiegand:08:7:1288345", "wiegand:08:7:1288345"),
        ("沪Ａ·１２３４５", "plate:沪A12345"),
        ("沪A-12345", "plate:沪A12345"),
        ("E280 1170 0000 020F 1234 5678", "epc:E28011700000020F12345678"),
        ("obu:63b6a1d2", "obu:63B6A1D2"),
    ],
)
def test_what_can_mean_one_thing_only(text: str, credential: str) -> None:
    """It is told alone."""
    assert [one.credential for one in readings(text) if one.likely] == [credential]


def test_what_is_on_the_list() -> None:
    """Each reading has its own of the list, also where digits are not told; what is unlikely is told if it is there."""
    listed = {"em:0A00BC614E", "em:0B00BC614E", "wiegand:26:188:24910", "obu:0012345678"}
    found = {one.credential: on for one, on in looked_up("0012345678", listed.__contains__) if on}
    assert found == {
        "em:??00BC614E": ["em:0A00BC614E", "em:0B00BC614E"],
        "wiegand:26:188:24910": ["wiegand:26:188:24910"],
        "obu:0012345678": ["obu:0012345678"],
    }
    pair = {one.credential: on for one, on in looked_up("188,24910", listed.__contains__)}
    assert pair["em:????BC614E"] == ["em:0A00BC614E", "em:0B00BC614E"]


def test_in_full_is_meant() -> None:
    """A credential that is listed as it is written is no other one."""
    listed = {"em:0012345678", "em:0A00BC614E"}
    assert [on for _, on in looked_up("em:0012345678", listed.__contains__)] == [["em:0012345678"]]


@pytest.mark.parametrize("text", ["", "nonsense", "em:1G", "epc:E28", "?", "em:??00BC614E", "🚗"])
def test_what_means_nothing(text: str) -> None:
    """It is said that it does not."""
    with pytest.raises(SpellingError, match="no credential in any writing"):
        looked_up(text, lambda _: False)
