"""A technician's laptop: the profile is sealed on its way, lies for its user alone, and says where all else is run."""

import json
import stat
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from center.gatectl.__main__ import main
from center.site import gates, technicians
from protocol import sealed
from protocol.enrolment import KIND as ENROLMENT
from protocol.profile import KIND, Profile
from tests.center.site.conftest import NOW, FakeRegistry, new_site, opened, profile

Captured = pytest.CaptureFixture[str]
NORTH = b"n" * 32


@dataclass
class Laptop:
    """A laptop with nothing of ours but the file; the site's folder is where a laptop cannot look."""

    folder: Path
    issued: technicians.Issued
    content: Profile

    @property
    def home(self) -> Path:
        """Where its user's profiles are."""
        return self.folder / "config" / "gatectl"

    def install(self, issued: technicians.Issued | None = None, passphrase: str | None = None) -> int:
        """Install a file, with its passphrase or with another."""
        given = issued or self.issued
        (self.folder / "passphrase").write_text(passphrase or given.passphrase)
        return main(["profile", "install", str(given.file), "--passphrase-file", str(self.folder / "passphrase")])


@pytest.fixture
def laptop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> Laptop:
    """A laptop, and the file that was made for it: north was heard, south is not set up yet."""
    site = new_site(tmp_path / "center" / "site")
    registry = FakeRegistry()
    for name in ("north", "south"):
        gates.add(site, name, registry, NOW)
    issued = technicians.add(site, "li-wei", {"north": NORTH, "gone": NORTH}, NOW, output=tmp_path / "li-wei.profile")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("GATED_SITE", "GATECTL_SITE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    return Laptop(tmp_path, issued, profile(issued))


def test_what_is_in_it(laptop: Laptop) -> None:
    """All that the laptop needs: whom to trust, as whom to speak, and each gate's key or who vouches for it."""
    site = laptop.folder / "center" / "site"
    found = laptop.content
    assert (found.site, found.technician, found.broker) == ("shenhang", "li-wei", "mqtts://mqtt.center.example")
    assert found.ca == (site / "authority" / "ca.pem").read_text()
    assert (found.machine, found.folder) == (technicians._machine(), str(site))
    assert not found.machine.startswith("localhost")
    assert found.gates == {"north": NORTH.hex()}
    assert found.vouchers.keys() == {"south"}
    assert stat.S_IMODE(laptop.issued.file.stat().st_mode) == 0o600
    clear = laptop.issued.file.read_text()
    assert "Technician: li-wei" in clear
    for secret in (found.password, laptop.issued.passphrase):
        assert secret not in clear
        assert all(secret.encode() not in path.read_bytes() for path in site.rglob("*") if path.is_file())
    assert found.password not in repr(found)


def test_install(laptop: Laptop, capsys: Captured) -> None:
    """Installed below the user's configuration, for that user alone; listed; removed again."""
    assert laptop.install() == 0
    said = capsys.readouterr()
    assert "north, south" in said.out
    assert laptop.content.password not in said.out + said.err
    at = laptop.home / "shenhang"
    for path, mode in ((at, 0o700), (at / "profile.json", 0o600), (at / "ca.pem", 0o600)):
        assert stat.S_IMODE(path.stat().st_mode) == mode
    assert main(["profile", "list", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["site"], row["technician"], row["gates"]) == ("shenhang", "li-wei", ["north", "south"])
    assert main(["profile", "remove", "shenhang"]) == 0
    assert "technician remove li-wei" in capsys.readouterr().err
    assert list(laptop.home.iterdir()) == []
    assert main(["profile", "remove", "shenhang"]) == 2


def test_what_cannot_be_installed(laptop: Laptop, capsys: Captured) -> None:
    """A wrong passphrase, another kind of file and an older profile change nothing; each says what it is."""
    assert laptop.install(passphrase="2222-2222-2222-2222-2222") == 1  # noqa: S106 - the wrong one
    assert "letter by letter" in capsys.readouterr().err
    assert not laptop.home.exists()
    site = new_site(laptop.folder / "other")
    enrolment = gates.add(site, "north", FakeRegistry(), NOW)
    wrong = technicians.Issued(enrolment.file, enrolment.passphrase)
    assert laptop.install(wrong) == 1
    assert "gatectl technician add makes one" in capsys.readouterr().err
    older = laptop.folder / "older.profile"
    content = laptop.content.model_copy(update={"made": NOW - timedelta(days=1)})
    older.write_bytes(sealed.seal(KIND, content, laptop.issued.passphrase))
    assert laptop.install() == laptop.install() == 0
    assert laptop.install(technicians.Issued(older, laptop.issued.passphrase)) == 1
    assert "older than the profile" in capsys.readouterr().err


def test_one_kind_is_never_taken_for_another(laptop: Laptop) -> None:
    """What kind of file it is, is covered by its checksum and its seal: another first line does not open it."""
    enrolment = gates.add(new_site(laptop.folder / "other"), "north", FakeRegistry(), NOW)
    assert opened(enrolment).gate == "north"
    forged = sealed.Kind("profile", 1, ENROLMENT.model, ENROLMENT.fields, "")
    text = enrolment.file.read_bytes().replace(b"ENROLMENT", b"PROFILE")
    with pytest.raises(sealed.SealedError):
        sealed.unseal(forged, text, enrolment.passphrase)


@pytest.mark.parametrize(
    "words",
    [
        ["gate", "add", "east"],
        ["gate", "list"],
        ["technician", "list"],
        ["operator", "list"],
        ["list", "info"],
        ["list", "suspend", "em:0A00A1B2C3"],
        ["keys", "list"],
        ["site", "renew-certificate"],
        ["events", "export"],
        ["verify"],
        ["flash", "list.bundle"],
        ["flash", "--no-wait"],
    ],
    ids=" ".join,
)
def test_what_is_run_elsewhere(laptop: Laptop, capsys: Captured, words: list[str]) -> None:
    """Whatever needs the folder or the database ends with status 3, and names the machine and the folder."""
    assert laptop.install() == 0
    capsys.readouterr()
    assert main(words) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert f"run it on {laptop.content.machine}" in err
    assert f"-s {laptop.content.folder}" in err


def test_which_site(laptop: Laptop, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """The only profile by itself; of several the one that is named; a folder that is named before any of them."""
    assert main(["gate", "list"]) == 2
    assert "site init" in capsys.readouterr().err
    assert laptop.install() == 0
    other = laptop.content.model_copy(update={"site": "huating", "machine": "other.example"})
    file = laptop.folder / "other.profile"
    file.write_bytes(sealed.seal(KIND, other, laptop.issued.passphrase))
    assert laptop.install(technicians.Issued(file, laptop.issued.passphrase)) == 0
    capsys.readouterr()
    assert main(["gate", "list"]) == 2
    assert "--site NAME, or $GATECTL_SITE; there are: huating, shenhang" in capsys.readouterr().err
    assert main(["--site", "huating", "gate", "list"]) == 3
    assert "other.example" in capsys.readouterr().err
    monkeypatch.setenv("GATECTL_SITE", "shenhang")
    assert main(["gate", "list"]) == 3
    assert "other.example" not in capsys.readouterr().err
    assert main(["--site", "../shenhang", "gate", "list"]) == 2
    assert "huating, shenhang" in capsys.readouterr().err
    assert main(["-s", str(laptop.folder / "center" / "site"), "gate", "list"]) == 0
    monkeypatch.setenv("GATED_SITE", str(laptop.folder / "center" / "site"))
    assert main(["gate", "list"]) == 0
    with pytest.raises(SystemExit, match="2"):
        main(["-s", ".", "--site", "shenhang", "gate", "list"])


def test_a_relative_xdg_folder_is_passed_over(laptop: Laptop, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the XDG specification has it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    monkeypatch.setenv("HOME", str(laptop.folder / "home"))
    assert laptop.install() == 0
    assert (laptop.folder / "home" / ".config" / "gatectl" / "shenhang" / "profile.json").exists()


def test_no_broker(laptop: Laptop, capsys: Captured) -> None:
    """A broker that cannot be reached: status 3, and no key of a gate is asked for."""
    content = laptop.content.model_copy(update={"broker": "mqtts://127.0.0.1:1"})
    laptop.issued.file.write_bytes(sealed.seal(KIND, content, laptop.issued.passphrase))
    assert laptop.install() == 0
    capsys.readouterr()
    assert main(["status"]) == 3
    assert main(["flash"]) == 3
    assert "refused" in capsys.readouterr().err.lower()
