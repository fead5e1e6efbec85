"""The configuration: every error at once, each with its line; nothing touched; nothing else ever raised."""

import os
import pwd
import tomllib
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gated import config_check, rights
from gated.config import ConfigError, ConfigUnreadableError, load, warnings
from gated.config_problem import Problem, lines_of

MINIMAL = """\
site = "shenhang"
gate = "north"

[lanes.walk-in]
kind = "person"
direction = "in"
readers = [ { driver = "em4100", port = "/dev/gate/reader" } ]
"""
LANE = '[lanes.{name}]\nkind = "{kind}"\ndirection = "in"\nreaders = [ {readers} ]\n{more}\n'


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of the test's own."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    return tmp_path / "state"


def written(folder: Path, text: str) -> Path:
    """A configuration of this text."""
    path = folder / "gated.toml"
    path.write_text(text)
    return path


def problems(folder: Path, text: str, **options: Any) -> dict[str, Problem]:
    """All problems of this configuration, by key."""
    with pytest.raises(ConfigError) as caught:
        load(written(folder, text), **options)
    return {problem.key: problem for problem in caught.value.problems}


def lane(name: str = "a", *, kind: str = "person", readers: str = "", more: str = "") -> str:
    """A lane's table, seven lines long."""
    readers = readers or f'{{ driver = "em4100", port = "/dev/gate/{name}" }}'
    return LANE.format(name=name, kind=kind, readers=readers, more=more)


@pytest.mark.usefixtures("state")
class TestRight:
    """What is right loads, with its defaults."""

    def test_minimal(self, tmp_path: Path, state: Path) -> None:
        """A lane needs its kind, its direction and one reader; all else has a default."""
        config = load(written(tmp_path, MINIMAL))
        walk_in = config.lanes["walk-in"]
        assert (config.site, config.gate, config.state) == ("shenhang", "north", state)
        assert (walk_in.stale, walk_in.repeat, walk_in.timeout, walk_in.hold) == (2.0, 60.0, 20.0, 30.0)
        assert walk_in.readers[0].driver == "em4100"
        assert walk_in.readers[0].options.model_dump()["port"] == "/dev/gate/reader"
        assert walk_in.barrier is None
        assert not walk_in.turnstile
        assert config.journal.keep_days == 90
        assert config.clock.source == "auto"

    def test_touches_nothing(self, tmp_path: Path, state: Path) -> None:
        """Loading makes no folder and no file."""
        load(written(tmp_path, MINIMAL))
        assert not state.exists()

    def test_frozen(self, tmp_path: Path) -> None:
        """A loaded configuration cannot be changed."""
        config = load(written(tmp_path, MINIMAL))
        with pytest.raises(ValueError, match="frozen"):
            setattr(config, "site", "other")  # noqa: B010 - the type checker knows already

    @pytest.mark.parametrize(
        ("readers", "gone"),
        [
            ('{ driver = "em4100", port = "/dev/gate/1" }', 0.3),
            ('{ driver = "uhf18", port = "/dev/gate/1" }', 3.0),
            ('{ driver = "rsu", port = "/dev/gate/1" }', 25.0),
            ('{ driver = "em4100", port = "/dev/gate/1" }, { driver = "uhf18", port = "/dev/gate/2" }', 3.0),
        ],
    )
    def test_gone_follows_the_readers(self, tmp_path: Path, readers: str, gone: float) -> None:
        """`gone` is that of the slowest reader, unless the lane says otherwise."""
        head = 'site = "s"\ngate = "g"\n'
        assert load(written(tmp_path, head + lane(readers=readers))).lanes["a"].gone == gone
        assert load(written(tmp_path, head + lane(readers=readers, more="gone = 7"))).lanes["a"].gone == 7

    def test_one_board_many_channels(self, tmp_path: Path) -> None:
        """Several channels of one relay board share a port."""
        text = 'site = "s"\ngate = "g"\n'
        text += lane("a", more='barrier = { driver = "lcus", port = "/dev/gate/relay", channel = 1, pulse = 10 }')
        text += lane("b", more='barrier = { driver = "lcus", port = "/dev/gate/relay", channel = 2, pulse = 0.1 }')
        config = load(written(tmp_path, text))
        assert [lane.barrier.pulse for lane in config.lanes.values() if lane.barrier] == [10, 0.1]

    def test_timezone_of_the_system(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without `timezone`, the system's counts, by its name."""
        monkeypatch.setenv("TZ", ":Asia/Urumqi")
        config = load(written(tmp_path, MINIMAL))
        assert config.timezone == "Asia/Urumqi"
        assert config.zone.key == "Asia/Urumqi"

    def test_sample(self) -> None:
        """config/gate.toml is right; the only warnings are of devices that are not here."""
        config = load(Path(__file__).parents[2] / "config" / "gate.toml")
        assert len(config.lanes) == 4
        assert all("is not there" in warning for warning in warnings(config))

    def test_absent_device_is_a_warning(self, tmp_path: Path) -> None:
        """A device that is not plugged in is no error."""
        found = warnings(load(written(tmp_path, MINIMAL)))
        assert [warning for warning in found if warning.startswith("lanes.walk-in.readers[0].port: ")]


@pytest.mark.usefixtures("state")
class TestWrong:
    """What is wrong says where, what was found, and what would be right."""

    @pytest.mark.parametrize(
        ("text", "key", "line", "said"),
        [
            ('bogus = 1\nsite = "s"\ngate = "g"\n' + lane(), "bogus", 1, "no such key"),
            ('site = "s"\ntime_zone = "UTC"\ngate = "g"\n' + lane(), "time_zone", 2, 'did you mean "timezone"'),
            ('site = "s"\n' + lane(), "gate", None, "is missing"),
            ('site = "S H"\ngate = "g"\n' + lane(), "site", 1, "small letters, digits and -"),
            ('site = "s"\ngate = "g"\ntimezone = "Asia/Shangai"\n' + lane(), "timezone", 3, 'mean "Asia/Shanghai"'),
            ('site = "s"\ngate = "g"\nstate = "var"\n' + lane(), "state", 3, "a whole path"),
            ('site = "s"\ngate = "g"\nstate = "/dev/null/x"\n' + lane(), "state", 3, "/dev/null is no folder"),
            ('site = "s"\ngate = "g"\nholidays = ["2026-10-01"]\n' + lane(), "holidays[0]", 3, "without quotes"),
            ('site = "s"\ngate = "g"\nlanes = {}\n', "lanes", 3, "at least one"),
            ('site = "s"\ngate = "g"\n' + lane() + '[clock]\nsource = "ntp"\n', "clock.source", 9, "'chrony'"),
            ('site = "s"\ngate = "g"\n' + lane() + "[journal]\nkeep_days = 0\n", "journal.keep_days", 9, "1 or more"),
            (
                'site = "s"\ngate = "g"\n' + lane() + "[journal]\nkeep_days = true\n",
                "journal.keep_days",
                9,
                "whole number",
            ),
            ('site = "s"\ngate = "g"\n' + lane() + '[console]\nlisten = "x"\n', "console", 8, "not in this version"),
            ('site = "s"\ngate = "g"\n' + lane("A_b"), "lanes.A_b", 3, "small letters, digits and -"),
            ('site = "s"\ngate = "g"\n' + lane(kind="persn"), "lanes.a.kind", 4, "'person' or 'vehicle'"),
            ('site = "s"\ngate = "g"\n' + lane(more="stale = 0"), "lanes.a.stale", 7, "more than 0"),
            ('site = "s"\ngate = "g"\n' + lane(more='gone = "3"'), "lanes.a.gone", 7, "a number"),
            ('site = "s"\ngate = "g"\n' + lane(more="hold = nan"), "lanes.a.hold", 7, "number"),
            ('site = "s"\ngate = "g"\n' + lane(more="turnstile = 1"), "lanes.a.turnstile", 7, "true or false"),
            ('site = "s"\ngate = "g"\n' + lane(more="lamp = 3"), "lanes.a.lamp", 7, "a table"),
            (
                'site = "s"\ngate = "g"\n' + lane() + '[schedules]\nx = ["Mo-Fr 6-22"]\n',
                "schedules.x[0]",
                9,
                "Mon-Fri 06:00-22:00",
            ),
            ('site = "s"\ngate = "g"\n' + lane() + "[schedules]\nalways = []\n", "schedules.always", 9, "take another"),
            (
                'site = "s"\ngate = "g"\n' + lane(readers='{ driver = "uhf81", port = "/dev/x" }'),
                "lanes.a.readers[0].driver",
                6,
                'did you mean "uhf18"? known drivers: ',
            ),
            (
                'site = "s"\ngate = "g"\n' + lane(readers='{ driver = "lcus", port = "/dev/x" }'),
                "lanes.a.readers[0].driver",
                6,
                "no reader driver",
            ),
            ('site = "s"\ngate = "g"\n' + lane(readers="{ }"), "lanes.a.readers[0].driver", 6, "is missing"),
            (
                'site = "s"\ngate = "g"\n' + lane(readers='{ driver = "uhf18", port = "/dev/x", antena_power = 26 }'),
                "lanes.a.readers[0].antena_power",
                6,
                'did you mean "antenna_power"?',
            ),
            (
                'site = "s"\ngate = "g"\n' + lane(readers='{ driver = "m100", port = "/dev/x", firmware_least = 5.1 }'),
                "lanes.a.readers[0].firmware_least",
                6,
                "numbers with dots between, in quotes",
            ),
            (
                'site = "s"\ngate = "g"\n' + lane(readers='{ driver = "em4100" }'),
                "lanes.a.readers[0].port",
                6,
                "is missing",
            ),
            (
                'site = "s"\ngate = "g"\n' + lane(readers='{ driver = "em4100", port = "/dev/serial/by-id/usb-…" }'),
                "lanes.a.readers[0].port",
                6,
                "only holds the place",
            ),
        ],
    )
    def test_one_error(self, tmp_path: Path, text: str, key: str, line: int | None, said: str) -> None:
        """Each kind of error names its key and line, and says what would be right."""
        found = problems(tmp_path, text)
        assert list(found) == [key]
        assert found[key].line == line
        assert said in found[key].text(Path("gated.toml"))

    def test_no_readers(self, tmp_path: Path) -> None:
        """A lane has at least one reader."""
        text = 'site = "s"\ngate = "g"\n[lanes.a]\nkind = "person"\ndirection = "in"\n'
        assert problems(tmp_path, text + "readers = []\n")["lanes.a.readers"].line == 6
        assert problems(tmp_path, text)["lanes.a.readers"].line == 3

    @pytest.mark.parametrize("pulse", ["0", "0.09", "10.1", "30", "true", '"1"', "inf"])
    def test_pulse(self, tmp_path: Path, pulse: str) -> None:
        """A pulse is 0.1 to 10 seconds."""
        more = f'barrier = {{ driver = "lcus", port = "/dev/x", pulse = {pulse} }}'
        found = problems(tmp_path, 'site = "s"\ngate = "g"\n' + lane(more=more))
        assert list(found) == ["lanes.a.barrier.pulse"]

    def test_pulse_belongs_to_the_barrier(self, tmp_path: Path) -> None:
        """A lamp has no pulse."""
        more = 'lamp = { driver = "lcus", port = "/dev/x", pulse = 1 }'
        assert list(problems(tmp_path, 'site = "s"\ngate = "g"\n' + lane(more=more))) == ["lanes.a.lamp.pulse"]

    def test_two_drivers_on_one_port(self, tmp_path: Path) -> None:
        """One port takes one driver, by whatever name the port is called."""
        real = tmp_path / "tty"
        real.touch()
        other = tmp_path / "by-id"
        other.symlink_to(real)
        readers = f'{{ driver = "em4100", port = "{real}" }}, {{ driver = "uhf18", port = "{other}" }}'
        found = problems(tmp_path, 'site = "s"\ngate = "g"\n' + lane(readers=readers))
        assert "one port takes one driver" in found["lanes.a.readers[1].port"].right
        assert "lanes.a.readers[0]" in found["lanes.a.readers[1].port"].found

    def test_one_address_twice(self, tmp_path: Path) -> None:
        """Each channel of a board has one use."""
        barrier = 'barrier = { driver = "lcus", port = "/dev/relay", channel = 2 }'
        text = 'site = "s"\ngate = "g"\n' + lane("a", more=barrier) + lane("b", more=barrier)
        assert "channel 2" in problems(tmp_path, text)["lanes.b.barrier"].found

    def test_two_readers_on_one_port(self, tmp_path: Path) -> None:
        """A driver without addresses has a port to itself."""
        reader = '{ driver = "em4100", port = "/dev/x" }'
        found = problems(tmp_path, 'site = "s"\ngate = "g"\n' + lane(readers=f"{reader}, {reader}"))
        assert "takes one device" in found["lanes.a.readers[1].port"].right

    def test_all_at_once(self, tmp_path: Path) -> None:
        """Every error is told, in the order of the file, each on its line."""
        text = dedent("""\
            site = "Shen Hang"
            gate = "north"
            timezone = "Mars/Base"
            bogus = 1

            [schedules]
            workdays = [
                "Mon-Fri 06:00-22:00",
                "never",
            ]

            [lanes.walk-in]
            kind = "person"
            direction = "sideways"
            readers = [
                { driver = "uhf18", port = "/dev/a", antena_power = 26 },
                { driver = "em4100", port = "/dev/a" },
            ]
            barrier = { driver = "lcus", port = "/dev/b", pulse = 30 }

            [console]
            listen = "127.0.0.1:8080"
            """)
        found = problems(tmp_path, text)
        assert [(key, problem.line) for key, problem in found.items()] == [
            ("site", 1),
            ("timezone", 3),
            ("bogus", 4),
            ("schedules.workdays[1]", 9),
            ("lanes.walk-in.direction", 14),
            ("lanes.walk-in.readers[0].antena_power", 16),
            ("lanes.walk-in.readers[1].port", 17),
            ("lanes.walk-in.barrier.pulse", 19),
            ("console", 21),
        ]

    def test_syntax(self, tmp_path: Path) -> None:
        """What is no TOML names its line."""
        found = problems(tmp_path, 'site = "s"\ngate = north\n')
        assert found[""].line == 2

    def test_bytes(self, tmp_path: Path) -> None:
        """What is no UTF-8 names its line; what is far too long is not read."""
        path = tmp_path / "gated.toml"
        path.write_bytes(b'site = "s"\ngate = "\xff"\n')
        with pytest.raises(ConfigError) as caught:
            load(path)
        assert caught.value.problems[0].line == 2
        path.write_bytes(b"#" * 300_000)
        with pytest.raises(ConfigError, match="at most"):
            load(path)

    def test_missing_file(self, tmp_path: Path) -> None:
        """A file that is not there is told apart."""
        with pytest.raises(ConfigUnreadableError, match=r"name another file with -c"):
            load(tmp_path / "none.toml")

    def test_keys_of_chips(self, tmp_path: Path) -> None:
        """Where they stand is said, and not what they are; a file that is not there is wrong only where files count."""
        found = problems(tmp_path, f'{MINIMAL}[cards]\nntag424 = "{"5e" * 16}"\n')["cards.ntag424"]
        assert "file:/path/of/the/file" in found.right
        assert "5e5e" not in found.found + found.right
        text = f'{MINIMAL}[cards]\nntag424 = "file:{tmp_path}/keys"\n'
        assert load(written(tmp_path, text)).cards.ntag424 == f"file:{tmp_path}/keys"
        assert "No such file" in problems(tmp_path, text, check_files=True)["cards.ntag424"].found
        (tmp_path / "keys").touch()
        load(written(tmp_path, text), check_files=True)

    def test_state_that_is_not_ours(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A state folder that cannot be written is an error, unless a command only reads it."""
        monkeypatch.setattr(os, "access", lambda *_: False)
        assert f"uid {os.getuid()}" in problems(tmp_path, MINIMAL)["state"].found
        load(written(tmp_path, MINIMAL), check_state=False)

    @pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
    def test_state_of_another_user(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The same with a real folder and a real other user."""
        folder = Path("/root")
        monkeypatch.setenv("STATE_DIRECTORY", str(folder / "gated"))
        monkeypatch.setattr(rights, "USER", "no-such-user")  # whose rights would count for root
        path = written(tmp_path, MINIMAL)
        child = os.fork()
        if child == 0:
            os.setuid(pwd.getpwnam("nobody").pw_uid)
            os._exit(0 if list(config_check.problems(tomllib.loads(MINIMAL), check_state=True)) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        load(path)


toml_keys = st.sampled_from(
    [
        "site",
        "gate",
        "state",
        "timezone",
        "lanes",
        "schedules",
        "holidays",
        "clock",
        "journal",
        "center",
        "cards",
        "ntag424",
        "a",
        "readers",
        "barrier",
        "driver",
        "port",
        "pulse",
        "kind",
        "direction",
        "gone",
        "x y",
        "…",
        "",
    ]
)
toml_scalars = (
    st.sampled_from(
        ["em4100", "uhf18", "lcus", "/dev/x", "\0", "person", "in", "Asia", "Asia/Shanghai", "/", "x" * 5000]
    )
    | st.text(max_size=5)
    | st.integers(-(10**40), 10**40)
    | st.floats()
    | st.booleans()
    | st.dates()
    | st.datetimes()
)
toml_values = st.recursive(
    toml_scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(toml_keys, inner, max_size=5),
    max_leaves=20,
)


def toml(value: object) -> str:
    """The value as TOML, on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(key)} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(character):08X}" for character in value) + '"'
    return value.isoformat() if hasattr(value, "isoformat") else repr(value)


@given(st.dictionaries(toml_keys, toml_values, max_size=8))
@example({"lanes": {"a": {"readers": [{"driver": [], "port": {}}], "barrier": {"driver": "lcus", "port": "\0"}}}})
@example({"state": "\0", "timezone": "\0", "site": "s", "gate": "g"})
def test_any_document(document: dict[str, Any]) -> None:
    """Whatever stands in the file, it loads or it is a ConfigError whose lines are lines of it."""
    text = "".join(f"{toml(key)} = {toml(value)}\n" for key, value in document.items())
    _loads_or_tells(text.encode())


@given(st.binary(max_size=60) | st.text(alphabet="[]{}=\"\\\n.,#'-0a…", max_size=60).map(str.encode))
@example(b"a = " + b"[" * 5000)
@example(b"a = " + b"9" * 5000)
@example(b"gone = 0x" + b"F" * 5000)
def test_any_bytes(data: bytes) -> None:
    """So it is for bytes that are no TOML at all."""
    _loads_or_tells(data)


class _Bytes:
    """A path to bytes that need no disk."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read_bytes(self) -> bytes:
        return self._data

    def __str__(self) -> str:
        return "gated.toml"


def _loads_or_tells(data: bytes) -> None:
    try:
        load(_Bytes(data), check_state=False)  # type: ignore[arg-type]
    except ConfigError as error:
        told = error
    else:
        return
    count = data.count(b"\n") + 1
    assert told.problems
    assert all(problem.line is None or 1 <= problem.line <= count for problem in told.problems)
    assert str(told).startswith("gated.toml")


def test_lines_in_a_list() -> None:
    """Elements of a list that spans lines are found on their own lines, whatever stands between."""
    text = 'a = 1\n\n[t]\nlist = [\n  # [ no\n  { k = "]" },\n\n  [1,\n   2],\n  "x",\n]\nb = """\n]\n"""\nc = 3\n'
    found = lines_of(
        text, [("t", "list"), ("t", "list", 0, "k"), ("t", "list", 2), ("t", "b"), ("t", "c"), ("t", "no")]
    )
    assert found == {
        ("t", "list"): 4,
        ("t", "list", 0, "k"): 6,
        ("t", "list", 2): 10,
        ("t", "b"): 12,
        ("t", "c"): 15,
        ("t", "no"): 3,
    }
