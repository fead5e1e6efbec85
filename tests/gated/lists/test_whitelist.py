"""The list that the daemon holds."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gated.lists.listload import load
from gated.lists.whitelist import Whitelist, WhitelistError, read_info, verify
from protocol.credential import Credential
from protocol.whitelist import Entry

PAGE_BYTES = 4096
Fill = Callable[[str, int], None]


def credential(number: int) -> Credential:
    """The credential of line `number`."""
    return Credential(f"em:{number:010X}")


@pytest.fixture
def fill(tmp_path: Path) -> Iterator[Fill]:
    """Puts a list of so many entries in force, all of one holder."""
    source = tmp_path / "source"

    def put(holder: str, count: int) -> None:
        source.write_text("".join(f'{{"c":"{credential(n)}","h":"{holder}"}}\n' for n in range(count)))
        load(tmp_path, source, lambda *_: None, "2026-11-24T08:00:00+08:00", shrink=True)

    yield put
    source.unlink(missing_ok=True)


def newest(folder: Path) -> Path:
    """The file that the pointer names."""
    info = read_info(folder)
    assert info is not None
    return folder / info.file


def holder(held: Whitelist, number: int = 0) -> str | None:
    """Whose the credential is."""
    entry = held.entry(credential(number))
    return entry.holder if entry else None


def test_no_list_is_an_empty_list(tmp_path: Path) -> None:
    """Before the first load every credential is unknown, which is no trouble."""
    with closing(Whitelist(tmp_path)) as held:
        assert held.entry(credential(0)) is None
        assert (held.info, held.trouble) == (None, "")
        assert not held.refresh()
    assert read_info(tmp_path) is None


def test_entries_come_back_as_they_were_loaded(tmp_path: Path) -> None:
    """Every key of a line is in the entry, `gone` ones too; a credential that is not listed gives None."""
    source = tmp_path / "source"
    source.write_text(
        '{"c":"em:0000000001","h":"a","from":"2026-01-01T00:00:00.25Z","when":"workdays","lanes":["x","y"],'
        '"tid":"E2003412","with":"plate:沪A12345","since":"2026-01-01T00:00:00Z","signed":"2026-01-01T00:00:00Z"}\n'
        '{"c":"em:0000000002","gone":true,"until":"2027-01-01T00:00:00Z"}\n{"c":"em:0000000003","h":"c"}\n',
        encoding="utf-8",
    )
    load(tmp_path, source, lambda *_: None, "2026-11-24T08:00:00+08:00")
    new_year_2026_s, new_year_2027_s = 1767225600.0, 1798761600.0
    with closing(Whitelist(tmp_path)) as held:
        assert held.entry(credential(1)) == Entry(
            credential(1),
            "a",
            begins=new_year_2026_s + 0.25,
            when="workdays",
            lanes=("x", "y"),
            tid="E2003412",
            partner=Credential("plate:沪A12345"),
            since=new_year_2026_s,
            signed=new_year_2026_s,
        )
        assert held.entry(credential(2)) == Entry(credential(2), "", ends=new_year_2027_s, gone=True)
        assert held.entry(credential(3)) == Entry(credential(3), "c")
        assert held.entry(credential(4)) is None


def test_refresh_takes_up_a_newer_list_once(tmp_path: Path, fill: Fill) -> None:
    """The list in force changes at refresh and not before; a refresh without a change says so."""
    fill("one", 10)
    with closing(Whitelist(tmp_path)) as held:
        assert not held.refresh()
        fill("two", 10)
        assert holder(held) == "one"
        assert held.refresh()
        assert holder(held) == "two"
        assert held.info == read_info(tmp_path)
        assert not held.refresh()


def test_the_first_list_comes_into_force_without_a_restart(tmp_path: Path, fill: Fill) -> None:
    """A daemon that started with no list takes the first one up."""
    with closing(Whitelist(tmp_path)) as held:
        fill("one", 1)
        assert held.refresh()
        assert holder(held) == "one"


def cut_short(path: Path) -> None:
    """Half of the file is lost."""
    path.write_bytes(path.read_bytes()[: PAGE_BYTES * 2])


def overwrite(path: Path) -> None:
    """The file holds something else."""
    path.write_bytes(b"\x55" * path.stat().st_size)


def empty(path: Path) -> None:
    """The file holds nothing."""
    path.write_bytes(b"")


def remove(path: Path) -> None:
    """The file is gone."""
    path.unlink()


DAMAGES = [cut_short, overwrite, empty, remove]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_newest_list_leaves_the_one_before_in_force(
    tmp_path: Path, fill: Fill, damage: Callable[[Path], None]
) -> None:
    """An old list beats no list, at the start; `trouble` names the file, and the next good load ends it."""
    fill("one", 1000)
    fill("two", 1000)
    name = newest(tmp_path).name
    damage(newest(tmp_path))
    with closing(Whitelist(tmp_path)) as held:
        assert holder(held, 999) == "one"
        assert name in held.trouble
        assert not held.refresh()
        assert holder(held, 999) == "one"
        fill("three", 1000)
        assert held.refresh()
        assert (holder(held, 999), held.trouble) == ("three", "")


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_same_list_loaded_again_repairs_a_damaged_one(
    tmp_path: Path, fill: Fill, damage: Callable[[Path], None]
) -> None:
    """Whoever follows the advice to load the list again gets it back, and the older one stays behind it."""
    fill("one", 1000)
    fill("two", 1000)
    damage(newest(tmp_path))
    fill("two", 1000)
    with closing(Whitelist(tmp_path)) as held:
        assert (holder(held, 999), held.trouble) == ("two", "")
    damage(newest(tmp_path))
    with closing(Whitelist(tmp_path)) as held:
        assert holder(held, 999) == "one"


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_held_list_is_not_left_for_a_damaged_one(tmp_path: Path, fill: Fill, damage: Callable[[Path], None]) -> None:
    """Refresh stays with what it has, says why, and takes the newer one up once that is whole."""
    fill("one", 1000)
    with closing(Whitelist(tmp_path)) as held:
        fill("two", 1000)
        whole = newest(tmp_path).read_bytes()
        damage(newest(tmp_path))
        assert not held.refresh()
        assert holder(held, 999) == "one"
        assert newest(tmp_path).name in held.trouble
        newest(tmp_path).write_bytes(whole)
        assert held.refresh()
        assert (holder(held, 999), held.trouble) == ("two", "")


def test_only_damaged_lists_are_an_empty_list_and_trouble(tmp_path: Path, fill: Fill) -> None:
    """With nothing to fall back to, nobody is known, and it is said."""
    fill("one", 10)
    overwrite(newest(tmp_path))
    with closing(Whitelist(tmp_path)) as held:
        assert held.entry(credential(0)) is None
        assert held.info is None
        assert "no older list" in held.trouble


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"version":"x"}', b"\xff", b'{"now":1}'])
def test_a_damaged_pointer_leaves_a_list_in_force(tmp_path: Path, fill: Fill, text: bytes) -> None:
    """A whole list that is there serves, even where nothing says which it was."""
    fill("one", 10)
    (tmp_path / "list.json").write_bytes(text)
    with closing(Whitelist(tmp_path)) as held:
        assert holder(held) == "one"
        assert "list.json is damaged" in held.trouble
    with pytest.raises(WhitelistError, match=r"list\.json is damaged"):
        read_info(tmp_path)


def test_a_pointer_cannot_lead_out_of_the_folder(tmp_path: Path, fill: Fill) -> None:
    """A file elsewhere is never opened."""
    fill("one", 10)
    pointer = json.loads((tmp_path / "list.json").read_text())
    (tmp_path / "list.json").write_text(json.dumps({**pointer, "file": f"../{tmp_path.name}/{pointer['file']}"}))
    with pytest.raises(WhitelistError):
        read_info(tmp_path)


def test_a_removed_pointer_leaves_the_held_list_in_force(tmp_path: Path, fill: Fill) -> None:
    """What is held stays held."""
    fill("one", 10)
    with closing(Whitelist(tmp_path)) as held:
        (tmp_path / "list.json").unlink()
        assert not held.refresh()
        assert holder(held) == "one"
        assert "list.json is gone" in held.trouble


def test_an_unreadable_page_is_an_error_and_never_an_answer(tmp_path: Path, fill: Fill) -> None:
    """Damage inside raises for the credentials it hit, answers the others rightly, and `verify` finds it."""
    fill("one", 5000)
    assert verify(tmp_path) == ""
    path = newest(tmp_path)
    image = bytearray(path.read_bytes())
    middle = len(image) // PAGE_BYTES // 2 * PAGE_BYTES
    image[middle : middle + PAGE_BYTES] = b"\x55" * PAGE_BYTES
    path.write_bytes(image)
    raised = 0
    with closing(Whitelist(tmp_path)) as held:
        for number in range(5000):
            try:
                assert holder(held, number) == "one"
            except WhitelistError:
                raised += 1
        assert 0 < raised < 1000
        assert path.name in held.trouble
    assert verify(tmp_path) != ""


def test_a_changed_entry_is_found_by_verify(tmp_path: Path, fill: Fill) -> None:
    """A list that reads well but is not the one loaded does not pass."""
    fill("one", 10)
    path = newest(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"one", b"two"))
    assert "does not hold what was loaded" in verify(tmp_path)


def test_a_closed_list_gives_no_answer(tmp_path: Path, fill: Fill) -> None:
    """After close a lookup is an error."""
    fill("one", 10)
    held = Whitelist(tmp_path)
    held.close()
    with pytest.raises(WhitelistError):
        held.entry(credential(0))


def test_opening_and_reading_write_nothing(tmp_path: Path, fill: Fill) -> None:
    """No lock, journal or other file appears beside the list."""
    fill("one", 10)
    files = sorted(tmp_path.iterdir())
    with closing(Whitelist(tmp_path)) as held:
        held.entry(credential(0))
        assert sorted(tmp_path.iterdir()) == files
