"""`gated-center`: as a person and a program see it, on the sample configuration with a real broker."""

import asyncio
import json
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import structlog
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import update

from center import config
from center.__main__ import main, parser
from center.config_problem import ConfigError
from center.records.database import Database
from center.records.store import Store
from center.records.tables import event
from protocol.event import Kind
from tests.broker import Mosquitto
from tests.chain import SITE, FakeGate
from tests.desk import Desk
from tests.ear import WAIT_S, ear

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "config" / "center.toml"
KEY = Ed25519PrivateKey.generate()
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that knows the center and one gate."""
    with Mosquitto(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The sample configuration, with the paths of this test."""
    (tmp_path / "center.key").write_text(KEY.private_bytes_raw().hex() + "\n")
    text = SAMPLE.read_text(encoding="utf-8").replace("/etc/gated/center.key", str(tmp_path / "center.key"))
    path = tmp_path / "center.toml"
    path.write_text(text.replace('# state = "/var/lib/gated-center"', f'state = "{tmp_path}"'), encoding="utf-8")
    return path


@pytest.fixture
def desk(file: Path) -> Iterator[Desk]:
    """The database of that configuration, with what one gate has sent."""
    with closing(Store.open(config.load(file).database_url, SITE)) as store:
        yield Desk(store)


@pytest.fixture
def north(desk: Desk) -> FakeGate:
    """A gate that has sent ten events, and a batch that does not fit."""
    north = desk.add(FakeGate().passages(10))
    desk.send(north)
    other = FakeGate(key=north.key).passages(12)
    desk.send(other, other.batch())
    desk.say(north, north.status(1, 1, backlog=3))
    return north


def rewrite(file: Path, before: str, after: str) -> None:
    """Change the configuration."""
    text = file.read_text(encoding="utf-8")
    assert before in text
    file.write_text(text.replace(before, after), encoding="utf-8")


def run(file: Path, *words: str) -> int:
    """Run a command."""
    name, *rest = words
    return main([name, "-c", str(file), *rest])


def test_status(file: Path, desk: Desk, north: FakeGate, capsys: Captured) -> None:
    """Each gate in a line, alarms below; the same for a program; status 1 while there is an alarm."""
    assert run(file, "status") == 1
    assert f"{north.name}  online" in (out := capsys.readouterr().out)
    assert "held to event 10 of epoch E1, 3 to tell" in out
    assert "apart: epoch E1" in out
    assert run(file, "status", "--json") == 1
    said = json.loads(capsys.readouterr().out)
    [gate] = said["gates"]
    assert (gate["seq"], gate["hash"], gate["online"], gate["backlog"]) == (10, north.hash(10).hex(), True, 3)
    assert [alarm["kind"] for alarm in said["alarms"]] == ["apart"]
    desk.say(north, north.offline(1))
    assert run(file, "status") == 1
    assert "3 to tell then\n" in capsys.readouterr().out


def test_fire_is_shown(file: Path, desk: Desk, capsys: Captured) -> None:
    """As the gate says it, with status 1, also before its events are here; and its alarm, with when it was over."""
    south = desk.add(FakeGate(name="south").passages(1))
    desk.send(south)
    desk.say(south, south.status(1, fire="clear"))
    assert run(file, "status") == 0
    assert "fire" not in capsys.readouterr().out
    desk.say(south, south.status(2, fire="lost"))
    assert run(file, "status") == 1
    assert "fire: every barrier is held open (its input is lost)" in capsys.readouterr().out
    south.record(Kind.ALARM, what="fire", state="open")
    south.record(Kind.SYSTEM, what="fire-ended")
    desk.send(south, south.batch(2))
    assert run(file, "alarms") == 1
    assert ", over since 20" in (out := capsys.readouterr().out)
    assert "south  fire: every barrier is held open: call the post" in out


@pytest.mark.usefixtures("north")
def test_alarms(file: Path, capsys: Captured) -> None:
    """An alarm is shown until somebody acknowledges it."""
    assert run(file, "alarms", "--json") == 1
    [alarm] = json.loads(capsys.readouterr().out)
    assert run(file, "alarms", "ack", str(alarm["id"])) == 0
    assert run(file, "alarms") == 0
    assert capsys.readouterr().out == ""
    assert run(file, "alarms", "ack", "99") == 1
    assert run(file, "alarms", "ack") == 2
    assert run(file, "alarms", "--all", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["acknowledged"]


@pytest.mark.usefixtures("north")
def test_quarantine(file: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """What did not fit can be looked at, byte for byte."""
    assert run(file, "quarantine", "--json") == 0
    [apart] = json.loads(capfdbinary.readouterr().out)
    assert (apart["gate"], apart["reason"]) == ("north", "events 1 to 12 are not those that are held")
    assert run(file, "quarantine", "show", str(apart["id"])) == 0
    batch = capfdbinary.readouterr().out
    assert (len(batch), batch.count(b"\n")) == (apart["bytes"], 13)
    assert run(file, "quarantine", "show", "99") == 1


def test_verify(file: Path, desk: Desk, north: FakeGate, capsys: Captured) -> None:
    """All chains hold; and once somebody has changed a line, it is said which."""
    assert run(file, "verify") == 0
    assert "all chains hold" in capsys.readouterr().out
    with desk.store.database.transaction() as connection:
        connection.exec_driver_sql("UPDATE event SET line = CAST(replace(line, 'admit', 'flag') AS BLOB) WHERE seq = 3")
    assert run(file, "verify", north.name) == 1
    assert "events 3 to 3 are not those that the gate sent" in capsys.readouterr().out
    assert run(file, "verify", "--json") == 1
    assert json.loads(capsys.readouterr().out)["chains"][0]["breaks"] == [[3, 3]]
    assert run(file, "verify", "nowhere") == 1


def test_verify_finds_what_was_put_in(file: Path, desk: Desk, north: FakeGate, capsys: Captured) -> None:
    """An event that somebody added behind the head is no part of the chain."""
    with desk.store.database.transaction() as connection:
        connection.exec_driver_sql(
            "INSERT INTO event (gate_id, epoch_id, seq, hash, late, received, line)"
            " SELECT gate_id, epoch_id, 11, x'00', 0, received, line FROM event WHERE seq = 10"
        )
    assert run(file, "verify", north.name) == 1
    assert "1 events stand there that are no part of its chain" in capsys.readouterr().out


def test_export(file: Path, desk: Desk, north: FakeGate, capsys: Captured) -> None:
    """Each event once, its line in it byte for byte; one that is no JSON as text."""
    north.record_raw(b"{no JSON \xff")
    north.record_raw(b'{"kind":"x","half":"\\ud800","n":1e999,"name":"\xe6\xb2\xaa"}')
    desk.send(north)
    assert run(file, "export", "--gate", "north") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["seq"] for line in lines] == list(range(1, 13))
    for line, raw in zip(lines[:10], north.lines, strict=False):
        assert raw.decode() in line
        assert json.loads(line)["hash"] == north.hash(json.loads(line)["seq"]).hex()
    assert json.loads(lines[10])["line"] == '{"seq":11,no JSON \\xff'
    assert north.lines[11].decode() in lines[11]
    assert run(file, "export", "--after", "10") == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_prune(file: Path, desk: Desk, north: FakeGate, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """Says what would go; removes it; what is left still verifies, by the key of the configuration."""
    monkeypatch.setattr("center.clock.synced", lambda: True)
    with desk.store.database.transaction() as connection:
        connection.execute(update(event).where(event.c.seq <= 6).values(received=0.0))
    assert run(file, "prune", "--dry-run") == 0
    assert f"{north.name}  epoch E1: 6 events up to 6 would go" in capsys.readouterr().out
    assert desk.count() == 10
    assert run(file, "prune", "--json") == 0
    assert json.loads(capsys.readouterr().out)["chains"][0]["up_to"] == 6
    assert desk.count() == 4
    assert run(file, "verify") == 0
    (file.parent / "center.key").write_text("0" * 64)
    assert run(file, "verify") == 1
    assert "not signed by this center" in capsys.readouterr().out


@pytest.mark.usefixtures("north")
def test_nothing_is_pruned_by_a_wrong_clock(file: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that nobody keeps may say that everything is old."""
    monkeypatch.setattr("center.clock.synced", lambda: False)
    assert run(file, "prune") == 1
    assert "clock is not kept right" in capsys.readouterr().err
    assert run(file, "prune", "--dry-run") == 0


@pytest.mark.usefixtures("north")
def test_backup(file: Path, tmp_path: Path, capsys: Captured) -> None:
    """A whole copy, while the original is open; never over a file that is there."""
    copy = tmp_path / "copy.db"
    assert run(file, "backup", str(copy)) == 0
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT count(*) FROM event").fetchone() == (10,)
    assert run(file, "backup", str(copy)) == 1
    assert "is there already" in capsys.readouterr().err
    assert list(tmp_path.glob(".*.part")) == []


def test_migrate(file: Path, capsys: Captured) -> None:
    """Makes the tables, once; before it, whatever reads says so."""
    assert run(file, "status") == 3
    assert "gated-center migrate makes it" in capsys.readouterr().err
    assert run(file, "migrate") == 0
    assert "before it was at none" in capsys.readouterr().out
    assert run(file, "migrate") == 0
    assert "before" not in capsys.readouterr().out
    assert run(file, "status") == 0
    assert "no gates yet" in capsys.readouterr().out


def test_a_worker_leaves_a_newer_database_alone(
    file: Path, desk: Desk, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what to do, and ends; whoever starts it again in a while finds the same."""
    monkeypatch.setattr("center.logs.configure", structlog.get_logger)  # its setting would outlive this test
    with desk.store.database.transaction() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    assert run(file, "ingest") == 1
    assert "which is newer than this program: update it" in capsys.readouterr().err


def test_help_teaches(capsys: Captured) -> None:
    """Each command has an example."""
    with suppress(SystemExit):
        main(["--help"])
    assert "exit status:" in capsys.readouterr().out
    commands: Any = parser()._subparsers
    for name in commands._group_actions[0].choices:
        with suppress(SystemExit):
            main([name, "--help"])
        sudo = "sudo -u gated-center " if name in {"serve", "ingest", "migrate", "prune", "backup"} else ""
        assert f"example:\n  {sudo}" in (out := capsys.readouterr().out)
        assert f"gated-center {name}" in out


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('site = "shenhang"', 'site = "She"', 'site: found "She"; text of the form'),
        ('site = "shenhang"', "", "site: is missing; add it: The community's name"),
        ("mqtt://127", "http://127", 'broker: found "http://127.0.0.1:1883"; "mqtts://host:port"'),
        ("127.0.0.1:1883", "127.0.0.1:port", "broker: found"),
        ('"file:/etc/gated/center.key"', '"/etc/key"', 'key: found "/etc/key"; "file:/path"'),
        ('# state = "/var', 'stat = "/var', 'stat: there is no such key; did you mean "state"?'),
        ("# workers = true", "workers = true", "workers: found true with SQLite"),
        ("# [keep]", "[keep]\nevents = 0", "keep.events: found 0; Input should be greater than or equal to 7"),
        ("# [keep]", "[keep]\nevent = 9", 'keep.event: there is no such key; did you mean "events"?'),
        ("# workers = true", 'workers = "yes"', 'workers: found "yes"; true or false would be right'),
        ('# database = "postgresql', 'database = "mysql', "database: found"),
        ('site = "shenhang"', "site = shenhang", "is no TOML: Invalid value (at line"),
    ],
)
def test_errors_of_the_configuration(tmp_path: Path, before: str, after: str, said: str, capsys: Captured) -> None:
    """Each names the file, the key, what was found and what would be right; status 2."""
    path = tmp_path / "center.toml"
    text = SAMPLE.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after), encoding="utf-8")
    assert run(path, "status") == 2
    assert f"{path}: {said}" in capsys.readouterr().err
    with pytest.raises(ConfigError):
        config.load(path)


def test_a_file_that_is_not_there(tmp_path: Path, capsys: Captured) -> None:
    """Status 3, and what to do."""
    assert run(tmp_path / "none.toml", "status") == 3
    assert "name another file with -c FILE" in capsys.readouterr().err


def test_the_online_key_is_hex_or_pem(file: Path, tmp_path: Path) -> None:
    """Whatever else the file holds is told in words, without what it holds."""
    settings = config.load(file)
    path = tmp_path / "center.key"
    assert config.online_key(settings, file).private_bytes_raw() == KEY.private_bytes_raw()
    pem = KEY.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(pem)
    assert config.online_key(settings, file).private_bytes_raw() == KEY.private_bytes_raw()
    for data in (b"", b"no key", b"z" * 64, pem[:40]):
        path.write_bytes(data)
        with pytest.raises(ConfigError, match="an Ed25519 key, 64 hex digits or PEM"):
            config.online_key(settings, file)
    path.unlink()
    with pytest.raises(ConfigError, match="No such file"):
        config.online_key(settings, file)


def test_secrets_come_from_credentials(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A systemd credential is read from where systemd puts it."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "mqtt-password").write_text("geheim\n")
    text = file.read_text(encoding="utf-8").replace("# username", "username").replace("# password", "password")
    file.write_text(text, encoding="utf-8")
    account = config.account(config.load(file), file)
    assert (account.username, account.password) == ("center", "geheim")


@pytest.mark.parametrize("command", ["ingest", "serve"])
async def test_it_runs_and_ends_in_order(file: Path, broker: Mosquitto, desk: Desk, command: str) -> None:
    """The program, with the sample configuration: takes in a batch, answers, and ends at once on SIGTERM, status 0."""
    rewrite(file, "mqtt://127.0.0.1:1883", broker.url)
    north = desk.add(FakeGate().passages(10))
    environment = {**os.environ, "GATED_LOG": "info"}
    words = (sys.executable, "-m", "center", command, "-c", str(file))
    process = await asyncio.create_subprocess_exec(*words, cwd=ROOT, env=environment, stderr=asyncio.subprocess.PIPE)
    try:
        async with ear(broker, north, KEY.public_key()) as gate:
            for _ in range(100):
                await gate.send()
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.3):
                        await gate.answer(10)
                        break
        process.send_signal(signal.SIGTERM)
        asked = time.monotonic()
        async with asyncio.timeout(WAIT_S):
            _, log = await process.communicate()
    finally:
        with suppress(ProcessLookupError):
            process.kill()
    assert process.returncode == 0
    assert time.monotonic() - asked < 5
    events = [json.loads(line)["event"] for line in log.splitlines()]
    assert {"broker.connected", "ingest.started", "ingest.stopped"} <= set(events)
    assert desk.lines(north) == north.lines
    assert b"em:0" not in log


async def test_it_ends_at_once_without_broker_and_database(file: Path, tmp_path: Path) -> None:
    """Told to stop while nothing can be reached: it ends all the same."""
    rewrite(file, "mqtt://127.0.0.1:1883", "mqtt://127.0.0.1:9")
    rewrite(file, '# database = "postgresql://gated@db.center.example/gated"',
            f'database = "postgresql://nobody@/none?host={tmp_path}"')  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "center", "ingest", "-c", str(file), cwd=ROOT, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    seen = b""
    async with asyncio.timeout(WAIT_S):
        while b"database.away" not in seen or b"broker.away" not in seen:
            seen += await process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        asked = time.monotonic()
        await process.communicate()
    assert process.returncode == 0
    assert time.monotonic() - asked < 5


def test_postgresql_is_not_copied_but_told_how(
    tmp_path: Path, file: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`backup` says which program does it, or how it is had; and nothing of the database's address."""
    line = 'database = "postgresql://user:geheim@db.example/gated"\n'
    file.write_text(line + file.read_text(encoding="utf-8"), encoding="utf-8")
    for there, words in (("/usr/bin/pg_dump", "pg_dump --format=custom --file="), (None, "apt-get install")):
        monkeypatch.setattr("shutil.which", lambda _, found=there: found)
        assert run(file, "backup", str(tmp_path / "copy")) == 1
        said = "".join(capsys.readouterr())
        assert words in said
        assert not [word for word in ("user:", "geheim", "db.example", "postgresql://") if word in said]
    assert Database("postgresql://gated:geheim@db/gated").path is None


@pytest.mark.parametrize("url", ["mysql://user:geheim@db/gated", "postgresql://user:ge@heim@db:x/gated"])
def test_an_address_that_is_wrong_is_shown_without_password(file: Path, capsys: Captured, url: str) -> None:
    """What an error shows of it may be read by others."""
    file.write_text(f'database = "{url}"\n' + file.read_text(encoding="utf-8"), encoding="utf-8")
    assert run(file, "status") == 2
    said = capsys.readouterr().err
    assert "database: found" in said
    assert not [word for word in ("user", "heim") if word in said.replace('"postgresql://user@host/database"', "")]


def test_an_address_that_leads_nowhere_is_not_shown(file: Path, tmp_path: Path, capsys: Captured) -> None:
    """A command says that the database is away, without how it is reached."""
    url = f"postgresql://user:geheim@/none?host={tmp_path}"
    file.write_text(f'database = "{url}"\n' + file.read_text(encoding="utf-8"), encoding="utf-8")
    for words in (["status"], ["verify"], ["prune"], ["migrate"], ["export"]):
        assert run(file, *words) == 3
    said = "".join(capsys.readouterr())
    assert "geheim" not in said
    assert "postgresql://" not in said
