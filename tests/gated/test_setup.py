"""`gated setup`, the keys it installs and `[center]`: all or nothing, and words for whatever is wrong."""

import json
import os
import stat
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gated.__main__ import main
from gated.config import ConfigError, load, warnings
from gated.recording import durable
from gated.talking import enrol, keys
from protocol.enrolment import Enrolment, seal, vouched
from protocol.signature import public_bytes

PASSPHRASE = "2345-6789-fhkm-rtwx-y234"  # noqa: S105 - of files that live as long as a test
CENTER = Ed25519PrivateKey.generate()
NOW = datetime.now(UTC)
GATE = """\
site = "shenhang"
gate = "north"

[lanes.a]
kind = "person"
direction = "in"
readers = [ { driver = "em4100", port = "/dev/gate/a" } ]
"""
Captured = pytest.CaptureFixture[str]


def content(**other: object) -> Enrolment:
    """What an enrolment file may hold."""
    values: dict[str, object] = {
        "site": "shenhang",
        "gate": "north",
        "broker": "mqtts://mqtt.center.example:8883",
        "username": "north",
        "password": "of-the-broker",
        "ca": "-----BEGIN CERTIFICATE-----\n",
        "center": (public_bytes(CENTER).hex(),),
        "root": b'{"signed":{}}',
        "pepper": "cd" * 32,
        "voucher": Ed25519PrivateKey.generate().private_bytes_raw().hex(),
        "until": NOW + timedelta(days=7),
    }
    return Enrolment.model_validate(values | other)


class Box:
    """A gate's box: a configuration, a state folder, and enrolment files on a stick."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "gated.toml"
        self.state = folder / "state"
        self.stick = folder / "stick.enrolment"
        self.passphrase = folder / "passphrase"
        self.state.mkdir()
        self.passphrase.write_text(PASSPHRASE + "\n")
        self.config.write_text(GATE)

    def setup(self, enrolment: Enrolment, *words: str) -> int:
        """Run the command with a file of this content; its status."""
        self.stick.write_bytes(seal(enrolment, PASSPHRASE))
        return self.run(*words)

    def run(self, *words: str) -> int:
        """Run the command with the file that is there."""
        passphrase = ["--passphrase-file", str(self.passphrase)]
        return main(["setup", str(self.stick), "-c", str(self.config), *passphrase, *words])

    def keys(self) -> keys.Keys:
        """The keys as the daemon loads them."""
        return keys.load(self.state, site="shenhang", gate="north")

    def files(self) -> dict[str, bytes]:
        """All that is in the state folder."""
        return {
            str(path.relative_to(self.state)): path.read_bytes() for path in self.state.rglob("*") if path.is_file()
        }


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    """A box that was never set up."""
    found = Box(tmp_path)
    monkeypatch.setenv("STATE_DIRECTORY", str(found.state))
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    return found


class TestSetUp:
    """A box is set up."""

    def test_all_is_there(self, box: Box, capsys: Captured) -> None:
        """The daemon finds its keys, the center's and all else; the voucher vouches for exactly these keys."""
        enrolment = content()
        assert box.setup(enrolment) == 0
        found = box.keys()
        assert found.center == (CENTER.public_key(),)
        assert (found.root, found.pepper.hex()) == (enrolment.root, enrolment.pepper)
        one_time = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(enrolment.voucher)).public_key()
        key, sealed = found.sign_public, found.seal_public
        assert vouched(one_time, found.voucher, site="shenhang", gate="north", key=key, seal=sealed)
        assert "of-the-broker" not in repr(found)
        out, err = capsys.readouterr()
        assert "gate north of shenhang" in out
        assert "systemctl restart gated" in err

    def test_the_configuration_gets_its_table(self, box: Box) -> None:
        """`[center]` is added, what stood there stays to the byte, and the whole is right."""
        box.config.chmod(0o640)
        assert box.setup(content()) == 0
        assert box.config.read_text().startswith(GATE)
        config = load(box.config, check_files=True)
        assert config.center
        assert config.center.broker == "mqtts://mqtt.center.example:8883"
        assert config.center.ca == box.state / "center" / "ca.pem"
        assert keys.broker_password(config.center.password) == "of-the-broker"
        assert stat.S_IMODE(box.config.stat().st_mode) == 0o640

    def test_secret(self, box: Box) -> None:
        """Only the daemon's user reads any of it."""
        assert box.setup(content()) == 0
        folder = box.state / "center"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
        assert {path.name for path in folder.iterdir()} == {
            "gate.key", "seal.key", "voucher.key", "center.json", "root.json", "ca.pem", "password", "pepper",
        }  # fmt: skip

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
    def test_root_sets_up_for_the_daemon(self, box: Box) -> None:
        """What root installs belongs to whom the state folder belongs; the configuration keeps its owner."""
        os.chown(box.state, 65534, 65534)
        os.chown(box.config, 0, 65534)
        assert box.setup(content()) == 0
        assert {path.stat().st_uid for path in (box.state / "center", *(box.state / "center").iterdir())} == {65534}
        assert (box.config.stat().st_uid, box.config.stat().st_gid) == (0, 65534)

    def test_json(self, box: Box, capsys: Captured) -> None:
        """The same for another program."""
        assert box.setup(content(), "--json") == 0
        assert json.loads(capsys.readouterr().out)["change"] == ""

    def test_without_tls(self, box: Box) -> None:
        """A trial without TLS needs no authority."""
        assert box.setup(content(broker="mqtt://127.0.0.1:1883", ca="")) == 0
        config = load(box.config, check_files=True)
        assert config.center
        assert config.center.ca is None

    def test_a_configuration_without_a_last_newline(self, box: Box) -> None:
        """The table is a table even if the file's last line was not ended."""
        box.config.write_text(GATE.rstrip("\n"))
        assert box.setup(content()) == 0
        assert tomllib.loads(box.config.read_text())["center"]["username"] == "north"


class TestAgain:
    """A box is set up again."""

    def test_a_new_file_replaces(self, box: Box) -> None:
        """New keys are in force; the old ones stay beside them until the new have worked."""
        assert box.setup(content()) == 0
        first = box.keys()
        assert box.setup(content()) == 0
        second = box.keys()
        assert first.sign_public != second.sign_public
        assert (box.state / "center.old" / "gate.key").exists()
        keys.settle(box.state)
        assert not (box.state / "center.old").exists()
        assert box.keys().sign_public == second.sign_public

    def test_the_keys_that_worked_outlive_any_number_of_tries(self, box: Box) -> None:
        """However often a new file is tried that never worked, the old keys are those that did."""
        assert box.setup(content()) == 0
        worked = (box.state / "center" / "gate.key").read_bytes()
        for _ in range(3):
            assert box.setup(content()) == 0
        assert (box.state / "center.old" / "gate.key").read_bytes() == worked
        assert sorted(path.name for path in box.state.iterdir()) == ["center", "center.old"]

    def test_the_same_file_keeps_the_keys(self, box: Box) -> None:
        """The one-time key vouches once: the same file again mends what is broken and changes no key."""
        enrolment = content()
        assert box.setup(enrolment) == 0
        first = box.keys()
        (box.state / "center" / "password").unlink()
        assert box.setup(enrolment) == 0
        assert box.keys().sign_public == first.sign_public
        assert box.keys().seal_public == first.seal_public

    def test_another_table_is_left_alone(self, box: Box, capsys: Captured) -> None:
        """A `[center]` that says otherwise is not changed; the lines that would be right are printed, status 1."""
        other = GATE + '[center]\nbroker = "mqtts://other"\nusername = "x"\npassword = "credential:p"\n'
        box.config.write_text(other)
        assert box.setup(content()) == 1
        assert box.config.read_text() == other
        assert 'broker = "mqtts://mqtt.center.example:8883"' in capsys.readouterr().err
        assert box.keys().gate == "north"

    def test_power_cut_between_the_two(self, box: Box) -> None:
        """If there is only the old set, that is in force; the next try goes through."""
        assert box.setup(content()) == 0
        first = box.keys()
        (box.state / "center").rename(box.state / "center.old")
        (box.state / ".center.abc.tmp").mkdir()
        assert box.keys().sign_public == first.sign_public
        assert box.setup(content()) == 0
        assert box.keys().sign_public != first.sign_public
        assert sorted(path.name for path in box.state.iterdir()) == ["center", "center.old"]


class TestRefused:
    """What is refused changes nothing."""

    @pytest.mark.parametrize(
        ("other", "said"),
        [
            ({"gate": "south"}, "is for gate 'south' of 'shenhang'"),
            ({"site": "other"}, "is for gate 'north' of 'other'"),
            ({"until": NOW - timedelta(minutes=1)}, "gatectl gate replace"),
        ],
    )
    def test_file(self, box: Box, capsys: Captured, other: dict[str, object], said: str) -> None:
        """Another gate's, another site's, an expired one: status 1."""
        assert box.setup(content(**other)) == 1
        assert said in capsys.readouterr().err
        assert box.files() == {}
        assert box.config.read_text() == GATE

    def test_wrong_passphrase(self, box: Box, capsys: Captured) -> None:
        """A wrong passphrase: status 1."""
        box.passphrase.write_text("2222")
        assert box.setup(content()) == 1
        assert "the passphrase is wrong" in capsys.readouterr().err
        assert box.files() == {}

    def test_asked_three_times(self, box: Box, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
        """On a terminal one may mistype twice."""
        box.stick.write_bytes(seal(content(), PASSPHRASE))
        answers = iter(["no", "nor this", PASSPHRASE.upper()])
        monkeypatch.setattr("sys.stdin.isatty", lambda: True)
        monkeypatch.setattr("getpass.getpass", lambda _prompt: next(answers))
        assert main(["setup", str(box.stick), "-c", str(box.config)]) == 0
        assert capsys.readouterr().err.count("the passphrase is wrong") == 2

    def test_nobody_to_ask(self, box: Box, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without a terminal the passphrase comes from a file: status 2."""
        box.stick.write_bytes(seal(content(), PASSPHRASE))
        monkeypatch.setattr("sys.stdin.isatty", lambda: False)
        assert main(["setup", str(box.stick), "-c", str(box.config)]) == 2
        assert "--passphrase-file" in capsys.readouterr().err

    def test_no_file(self, box: Box, capsys: Captured) -> None:
        """A file that is not there: status 3; one that is something else: status 1."""
        assert box.run() == 3
        box.stick.write_bytes(b"\x89PNG")
        assert box.run() == 1
        assert "no enrolment file" in capsys.readouterr().err

    def test_no_state_folder(self, box: Box, capsys: Captured) -> None:
        """Without a state folder it says how to make one."""
        box.state.rmdir()
        assert box.setup(content()) == 1
        assert "install -d" in capsys.readouterr().err

    @pytest.mark.parametrize("fails_at", range(18))
    def test_all_or_nothing(self, box: Box, monkeypatch: pytest.MonkeyPatch, fails_at: int) -> None:
        """Whatever cannot be made durable, a whole set of keys is in force afterwards: the old or the new."""
        assert box.setup(content()) == 0
        first = box.keys()
        monkeypatch.setattr(os, "fsync", failing(fails_at))
        status = box.setup(content())
        found = box.keys()
        assert keys.current(box.state) == box.state / "center"
        assert (box.state / "center.old").exists() == (found.sign_public != first.sign_public)
        assert (status == 0) == (fails_at == 17)
        assert not list(box.state.glob(".center.*"))


def failing(count: int) -> Callable[[int], None]:
    """An fsync that works so many times."""
    real, left = os.fsync, iter(range(count))

    def fsync(descriptor: int) -> None:
        if next(left, None) is None:
            raise OSError(28, "No space left on device")
        real(descriptor)

    return fsync


class TestKeys:
    """What the daemon is told when its keys are no good."""

    def test_never_set_up(self, box: Box) -> None:
        """A box that was never set up."""
        with pytest.raises(keys.KeysMissingError, match="sudo gated setup FILE"):
            box.keys()

    def test_of_another_gate(self, box: Box) -> None:
        """A configuration that was changed afterwards."""
        assert box.setup(content()) == 0
        with pytest.raises(keys.KeysError, match=r"are those of gate north of shenhang.*gate south"):
            keys.load(box.state, site="shenhang", gate="south")

    @pytest.mark.parametrize("name", ["gate.key", "seal.key", "voucher.key", "center.json", "pepper"])
    @pytest.mark.parametrize("how", ["cut", "gone", "noise", "swapped"])
    def test_damaged(self, box: Box, name: str, how: str) -> None:
        """A file that is cut short, gone, noise or another's is named."""
        assert box.setup(content()) == 0
        path = box.state / "center" / name
        data = path.read_bytes()
        if how == "gone":
            path.unlink()
        else:
            other = (box.state / "center" / ("gate.key" if name == "seal.key" else "seal.key")).read_bytes()
            path.write_bytes({"cut": data[: len(data) // 2 - 1], "noise": b"\xff\xfe", "swapped": other}[how])
        with pytest.raises(keys.KeysError, match=r"gated setup"):
            box.keys()

    def test_credentials(self, box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
        """A systemd credential is read from where systemd put it; without systemd it says so."""
        with pytest.raises(keys.KeysError, match="only the service is handed the credential mqtt"):
            keys.broker_password("credential:mqtt")
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(box.state))
        with pytest.raises(keys.KeysError, match="cannot be read"):
            keys.broker_password("credential:mqtt")
        durable.write(box.state / "mqtt", b"secret\n")
        assert keys.broker_password("credential:mqtt") == "secret"


TABLE = '[center]\nbroker = "mqtts://x"\nusername = "north"\npassword = "file:/etc/hostname"\n'


@pytest.mark.usefixtures("box")
class TestTable:
    """`[center]` in the configuration."""

    @pytest.mark.parametrize(
        ("old", "new", "key", "said"),
        [
            ('"mqtts://x"', '"x"', "center.broker", '"mqtts://HOST"'),
            ('"mqtts://x"', "7", "center.broker", "a text in quotes"),
            ('broker = "mqtts://x"\n', "", "center.broker", "is missing"),
            ('"north"', '""', "center.username", "at least 1 character"),
            ('"file:/etc/hostname"', '"hunter2"', "center.password", '"file:/path/of/the/file" or "credential:NAME"'),
            ('"file:/etc/hostname"', '"credential:../x"', "center.password", '"credential:NAME"'),
            ("", 'ca = "ca.pem"\n', "center.ca", "a whole path"),
            ("", 'certificate = "/etc/hostname"\n', "center.key", "the two belong together"),
            ("", 'key = "/etc/hostname"\n', "center.certificate", "the two belong together"),
            ("", 'usrname = "x"\n', "center.usrname", 'did you mean "username"'),
            ('"mqtts://x"', '"mqtt://x"\nca = "/etc/hostname"', "center.ca", "mqtts:// in center.broker"),
            ("", 'ca = "/no/such/ca.pem"\n', "center.ca", "sudo gated setup FILE"),
            ("file:/etc/hostname", "file:/no/such/file", "center.password", "correct the path"),
        ],
    )
    def test_wrong(self, box: Box, old: str, new: str, key: str, said: str) -> None:
        """Every error names its key and what would be right; a password that stands there is not repeated."""
        text = TABLE.replace(old, new) if old else TABLE + new
        box.config.write_text(GATE + text)
        with pytest.raises(ConfigError) as caught:
            load(box.config, check_files=True)
        problems = {problem.key: problem for problem in caught.value.problems}
        assert said in problems[key].right or said in problems[key].found
        assert "hunter2" not in str(caught.value)

    def test_a_gate_runs_without_the_files(self, box: Box, capsys: Captured) -> None:
        """A missing authority is an error of `gated check`, and no reason for the daemon not to start."""
        box.config.write_text(GATE + TABLE + 'ca = "/no/such/ca.pem"\n')
        assert load(box.config).center
        assert main(["check", "-c", str(box.config)]) == 2
        assert "/no/such/ca.pem cannot be read" in capsys.readouterr().err

    def test_credentials_are_only_looked_for_by_the_service(self, box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
        """A technician's shell has no credentials; the service has, and a missing one is an error there."""
        box.config.write_text(GATE + TABLE.replace("file:/etc/hostname", "credential:mqtt"))
        assert load(box.config, check_files=True).center
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(box.state))
        with pytest.raises(ConfigError, match=r"center\.password"):
            load(box.config, check_files=True)

    @pytest.mark.parametrize(
        ("broker", "warned"), [("mqtts://x", False), ("mqtt://127.0.0.1", False), ("mqtt://10.0.0.1", True)]
    )
    def test_without_tls_is_a_warning(self, box: Box, broker: str, warned: bool) -> None:  # noqa: FBT001 - a column
        """A password that crosses a network in clear is warned of."""
        box.config.write_text(GATE + TABLE.replace("mqtts://x", broker))
        assert any("in clear" in warning for warning in warnings(load(box.config))) == warned

    def test_the_doctor(self, box: Box, capsys: Captured) -> None:
        """The doctor says whether the keys are good."""
        assert box.setup(content()) == 0
        main(["doctor", "-c", str(box.config)])
        assert "ok     center: mqtts://mqtt.center.example:8883 as north" in capsys.readouterr().out
        (box.state / "center" / "gate.key").unlink()
        main(["doctor", "-c", str(box.config)])
        assert "WRONG  center" in capsys.readouterr().out


def test_toml_of_any_text() -> None:
    """Whatever a broker or a path is called, the table is TOML that says it."""
    table = {"broker": 'a"b\\c', "ca": "/沪/é\n"}
    assert tomllib.loads(enrol.as_toml(table))["center"] == table
