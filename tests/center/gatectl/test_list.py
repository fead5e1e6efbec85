"""`gatectl list`: from a community's own list to a proposal; adding, suspending and revoking single credentials."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from center.gatectl import asking
from center.publish.opened import repository
from protocol import spelling
from protocol.spelling import SpellingError
from tests.broker import Mosquitto
from tests.center.gatectl.workplace import Workplace
from tests.signers import line

Captured = pytest.CaptureFixture[str]
CARDS = """姓名,卡号,有效期至
张三,0A004D7603,2035-12-31
李四,0A00A1B2C3,2035-12-31
王五,0A00XX,2035-12-31
"""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker."""
    with Mosquitto(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def place(tmp_path: Path, broker: Mosquitto, capsys: Captured) -> Workplace:
    """A site with 2 of 3 signers, without a list."""
    place = Workplace(tmp_path, broker=broker.url)
    capsys.readouterr()
    return place


@pytest.fixture
def listed(place: Workplace) -> Workplace:
    """The same with a list of 20."""
    place.put_in_force([line(number, f"h{number}") for number in range(20)])
    return place


def file(place: Workplace, text: str = CARDS) -> Path:
    """A list of the community's."""
    path = place.folder / "residents.csv"
    path.write_text(text, encoding="utf-8")
    return path


def answers(place: Workplace, path: Path, capsys: Captured) -> list[str]:
    """The options that answer all that is asked of this file, as the message says which."""
    assert place.run("list", "import", path, "--dry-run") == 2
    said = capsys.readouterr().err
    assert "--answer cards=…" in said
    assert "row 2: 0A004D7603 becomes em:0A004D7603" in said
    return ["--answer", "cards=em-hex10", "--answer", "end_date=inclusive"]


def test_import_asks_and_proposes(place: Workplace, capsys: Captured) -> None:
    """Off a terminal what is ambiguous is named, with what each answer would make of the file; nothing is guessed."""
    path = file(place)
    said = answers(place, path, capsys)
    assert place.run("list", "import", path, *said, "--dry-run") == 0
    out, err = capsys.readouterr()
    assert "0 entries before, 2 after" in out
    assert "row 4, column 卡号: '0A00XX': not_hex" in err
    assert not (place.site.folder / "proposals").exists()
    assert place.run("list", "import", path, *said) == 2
    assert "1 value is left out" in capsys.readouterr().err
    bundle = place.folder / "list.bundle"
    assert place.run("list", "import", path, *said, "--yes", "-o", bundle, "--json") == 0
    assert json.loads(capsys.readouterr().out)["added"] == 2
    for signer in (1, 2):
        assert place.sign(bundle, signer, "--yes") == 0
    assert place.run("flash", bundle, "--no-wait") == 0
    first, second = place.list_in_force
    assert first["c"] == "em:0A004D7603"
    assert first["h"] != second["h"]
    assert len(first["h"]) == 12
    assert "张三" not in json.dumps(place.list_in_force, ensure_ascii=False)


def test_what_is_remarkable_is_told_by_its_rows(
    place: Workplace, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which rows are alike, which columns say nothing, and how dates are read: another zone would shift them."""
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    try:
        cards = "".join(f"{version:02X}00BC614E\n" for version in range(12))
        assert (
            place.run("list", "import", file(place, f"卡号\n{cards}"), "--answer", "cards=em-hex10", "--dry-run") == 0
        )
        err = capsys.readouterr().err
        assert "rows 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 2 more: same_wiegand26_as_row_N\n" in err
        assert "UTC" not in err
        path = file(place, "卡号,租到哪天,有效期至,备注\n0A004D7603,2034-12-31,2035-12-31,x\n")
        assert place.run("list", "import", path, *answers(place, path, capsys), "--dry-run") == 0
        out, err = capsys.readouterr()
        assert "columns of which nothing is taken: 租到哪天, 备注\n" in err
        assert "this machine's clock has them: UTC+08:00\n" in err
        assert '"until":"2035-12-31T16:00:00Z"' in out
    finally:
        monkeypatch.undo()
        time.tzset()


def test_import_again(listed: Workplace, capsys: Captured) -> None:
    """Holders keep their names; who is not in the file goes, which must be meant; or stays, if that is asked for."""
    path = file(listed, "卡号\n0000000001\n0000000002\n0A00A1B2C3\n")
    said = ("--answer", "cards=em-hex10")
    bundle = listed.folder / "list.bundle"
    assert listed.run("list", "import", path, *said, "-o", bundle) == 2
    assert "takes 18 of 20 entries (90%) off the list" in capsys.readouterr().err
    assert listed.run("list", "import", path, *said, "-o", bundle, "--keep-others", "--json") == 0
    counts = json.loads(capsys.readouterr().out)
    assert (counts["added"], counts["removed"], counts["changed"]) == (1, 0, 0)
    assert listed.run("list", "import", path, *said, "-o", bundle, "--word", "shrinks") == 0
    out = capsys.readouterr().out
    assert "THE LIST SHRINKS" in out
    for signer in (1, 2):
        assert listed.sign(bundle, signer, "--yes", "--word", "shrinks") == 0
    assert listed.run("flash", bundle, "--no-wait") == 0
    assert {one["c"]: one["h"] for one in listed.list_in_force if one["c"] != "em:0A00A1B2C3"} == {
        "em:0000000001": "h1",
        "em:0000000002": "h2",
    }
    capsys.readouterr()
    assert listed.run("list", "import", path, *said, "--dry-run") == 0
    assert "the list stays as it is" in capsys.readouterr().out


def test_import_on_a_terminal(place: Workplace, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal each question is asked, with its choices."""

    class Terminal:
        def isatty(self) -> bool:
            return True

    replies = iter(["nonsense", "em-hex10", "inclusive", "yes"])
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(asking, "typed", lambda _: next(replies))
    assert place.run("list", "import", file(place), "-o", place.folder / "list.bundle") == 0
    out, err = capsys.readouterr()
    assert "How are the cards written" in err
    assert "would be right" in err
    assert "0 entries before, 2 after" in out


def test_a_card_settles_it(place: Workplace, capsys: Captured) -> None:
    """A card that was held to a reader says how all of them are written."""
    path = file(place, "卡号\n0005076483\n0010597059\n")
    assert place.run("list", "import", path, "--card", "2=em:0A004D7603", "--dry-run") == 0
    assert "em:0A00A1B2C3" in capsys.readouterr().out
    assert place.run("list", "import", path, "--card", "2=em:0A004D7604", "--dry-run") == 1
    assert "fit no writing" in capsys.readouterr().err


def test_our_own_lines(listed: Workplace, capsys: Captured) -> None:
    """What `list show` prints can be changed and imported again; a wrong line is named by its number."""
    assert listed.run("list", "show") == 0
    lines = capsys.readouterr().out.splitlines()
    path = listed.folder / "list.jsonl"
    lines[1] = lines[1][:-1] + ',"lanes":["walk-in"],"tid":"E2801160"}'
    path.write_text("\n".join([*lines, '{"c":"em:00"}', lines[0]]))
    assert listed.run("list", "import", path, "--dry-run") == 0
    out, err = capsys.readouterr()
    assert "changed: 1" in out
    assert '"tid":"E2801160"' in out
    assert "line 21: h, the holder" in err
    assert "line 22: em:0000000000 is in line 1 already" in err


def test_add_by_two_registrars(listed: Workplace, capsys: Captured) -> None:
    """Two keys at hand: at once. One is too few. What is on the list is the signers' business."""
    key = ["--passphrase-file", listed.passphrases, "--key", listed.registrars[0]]
    assert listed.run("list", "add", "em:0a 00 a1 b2 c3", *key) == 2
    assert "two registrars" in capsys.readouterr().err
    both = [*key, "--key", listed.registrars[2]]
    assert listed.run("list", "add", "em:0a 00 a1 b2 c3", *both) == 2
    assert "agree with --yes" in capsys.readouterr().err
    assert listed.run("list", "add", "em:0a 00 a1 b2 c3", *both, "--until", "2035-06-30", "--yes") == 0
    assert "em:0A00A1B2C3: may pass" in capsys.readouterr().out
    assert listed.run("list", "show", "0010597059") == 0
    told = capsys.readouterr().out
    assert "added by registrars" in told
    assert "em:??00A1B2C3" in told
    assert "wiegand:26:161:45763" in told
    assert listed.run("list", "add", "em:0000000001", *both, "--yes") == 1
    assert "is on the list" in capsys.readouterr().err
    listed.passphrases.write_text("correct horse\nnot this one\n")
    assert listed.run("list", "add", "em:0A00A1B2C4", *both, "--yes") == 1
    assert f"{listed.registrars[2]}" in capsys.readouterr().err
    listed.passphrases.write_text("correct horse\ncorrect horse\n")
    assert listed.run("list", "add", "em:0A00A1B2C4", *both, "--yes") == 0
    same = [*key, "--key", listed.registrars[0]]
    assert listed.run("list", "add", "em:0A00A1B2C5", *same, "--yes") == 1
    assert listed.run("list", "add", "0010597059", *both, "--yes") == 2
    assert "does not say what it is" in capsys.readouterr().err


def test_add_by_a_bundle(listed: Workplace, capsys: Captured) -> None:
    """Registrars sign alone, too: they are shown each entry."""
    bundle = listed.folder / "add.bundle"
    assert listed.run("list", "add", "沪A·12345", "--lanes", "car-in,car-out", "-o", bundle) == 0
    listed.signers = listed.registrars
    assert listed.sign(bundle, 1, "--yes") == 0
    assert '"c":"plate:沪A12345"' in capsys.readouterr().err
    assert listed.run("flash", bundle, "--no-wait") == 1
    assert listed.sign(bundle, 2, "--yes") == 0
    assert listed.run("flash", bundle, "--no-wait") == 0
    assert listed.run("list", "show", "沪A12345") == 0
    capsys.readouterr()


def test_suspend_and_restore(listed: Workplace, broker: Mosquitto, capsys: Captured) -> None:
    """At once, in the writing of the card; what is not on the list is refused, also in restoring."""
    assert listed.run("list", "suspend", "0000000017") == 0
    assert "em:0000000011: suspended" in capsys.readouterr().out
    assert [one.credential for one in repository(listed.site).suspensions] == ["em:0000000011"]
    assert listed.run("list", "show", "em:0000000011", "--json") == 1
    (entry,) = json.loads(capsys.readouterr().out)["entries"]
    assert (entry["why"], entry["in_force"]) == ("suspended", False)
    assert listed.run("list", "suspend", "em:00000000FF") == 2
    assert "is not on the list" in capsys.readouterr().err
    assert listed.run("list", "restore", "em:0000000012") == 2
    assert "among what is suspended" in capsys.readouterr().err
    assert listed.run("list", "restore", "em:0000000011") == 0
    assert repository(listed.site).suspensions == []
    broker.kill()
    assert listed.run("list", "suspend", "em:0000000011") == 3
    assert "in force here, but the broker" in capsys.readouterr().err


def test_revoke(listed: Workplace, capsys: Captured) -> None:
    """A proposal without it; until it is signed it is in force, and the command says what helps at once."""
    bundle = listed.folder / "revoke.bundle"
    assert listed.run("list", "revoke", "em:0000000003", "-o", bundle) == 0
    out, err = capsys.readouterr()
    assert "removed: 1" in out
    assert "gatectl list suspend em:0000000003" in err
    for signer in (2, 3):
        assert listed.sign(bundle, signer, "--yes") == 0
    assert listed.run("list", "diff", bundle, "--json") == 0
    capsys.readouterr()
    assert listed.run("flash", bundle, "--no-wait") == 0
    assert len(listed.list_in_force) == 19
    assert listed.run("list", "diff", bundle) == 0
    assert "targets: 2 of 2 signatures are there" in capsys.readouterr().out


def test_a_revoked_eid_stays_gone(place: Workplace, capsys: Captured) -> None:
    """It is kept until it expires itself; a file does not bring it back."""
    eid = "eid:0123456789ABCDEF"
    lines = [line(number) for number in range(20)]
    place.put_in_force([*lines, json.dumps({"c": eid, "h": "h"})])
    bundle = place.folder / "revoke.bundle"
    assert place.run("list", "revoke", eid, "-o", bundle) == 2
    assert "say when with --until" in capsys.readouterr().err
    assert place.run("list", "revoke", eid, "--until", "2035-01-01", "-o", bundle) == 0
    for signer in (1, 2):
        assert place.sign(bundle, signer, "--yes") == 0
    assert place.run("flash", bundle, "--no-wait") == 0
    (gone,) = (one for one in place.list_in_force if one["c"] == eid)
    assert gone["gone"]
    assert place.run("list", "show", eid) == 1
    assert "revoked" in capsys.readouterr().out
    assert place.run("list", "revoke", eid) == 2


def test_info_and_show(listed: Workplace, capsys: Captured) -> None:
    """Which list, who signs, until when; the whole list as lines."""
    assert listed.run("list", "info") == 0
    out = capsys.readouterr().out
    assert "list 1, as of" in out
    assert "20 entries" in out
    assert "2 of 3 signers" in out
    assert listed.run("list", "show") == 0
    assert len(capsys.readouterr().out.splitlines()) == 20


def test_before_the_first_list(place: Workplace, capsys: Captured) -> None:
    """Without a list the commands say so, and none crashes."""
    assert place.run("list", "info") == 0
    assert place.run("list", "show") == 0
    assert place.run("list", "suspend", "em:0000000001") == 2
    assert place.run("list", "add", "em:0000000001") == 1
    assert place.run("flash", "--no-wait") == 1
    assert "no signed list yet" in capsys.readouterr().err


LISTED = [
    "em:0A004D7603",
    "em:0B004D7603",
    "uid:0A004D76",
    "epc:E2801160600002000000ABCD",
    "plate:沪A12345",
    "em:0000000011",
    "em:000000000B",
]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("em:0A004D7603", "em:0A004D7603"),
        ("EM:0a-00-4d-76-03", "em:0A004D7603"),
        ("0A004D7603", "em:0A004D7603"),
        ("e280 1160 6000 0200 0000 abcd", "epc:E2801160600002000000ABCD"),
        ("沪a·12345", "plate:沪A12345"),
        ("0a:00:4d:76", "uid:0A004D76"),
        ("em:0000000011", "em:0000000011"),
    ],
)
def test_spellings(text: str, meant: str) -> None:
    """Whatever can mean one listed credential only is taken."""
    assert spelling.listed(text, LISTED) == meant


@pytest.mark.parametrize(
    ("text", "why"),
    [("0005076483", "may mean 2"), ("", "not on the list"), ("7603", "not on the"), ("0000000011", "may mean 2")],
)
def test_spellings_that_are_not_taken(text: str, why: str) -> None:
    """What may mean two, or only ends like one, is not."""
    with pytest.raises(SpellingError, match=why):
        spelling.listed(text, LISTED)
