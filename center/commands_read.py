"""`gated-center`: what the center knows, for a person or a program."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Connection

from center import config
from center.cli import Subparsers, command, iso, opened
from center.options_read import add_export, add_verify
from center.output import Failure, Status, say, say_json
from center.records import reading
from center.records.checkpoint import Checkpoint
from center.records.database import AnyRow
from center.records.store import Store
from center.records.walk import Break, Event, Lost
from protocol.signature import public_key

Keys = Callable[[], Iterable[Ed25519PublicKey]]
"""The center's keys; asked for only where something bears its signature."""


def add(subparsers: Subparsers) -> None:
    """These commands' part of the command line."""
    status = command(
        subparsers,
        "status",
        "Print all gates: whether they are there, how far they are held, what they still have to tell; open alarms.",
        "gated-center status\ngated-center status --json    # status 1 while an alarm is open or something runs out",
        run_status,
    )
    _add_json(status)
    alarms = command(
        subparsers,
        "alarms",
        "Print open alarms, or acknowledge one (`ack ID`). Status 1 while one is open.",
        "gated-center alarms\ngated-center alarms ack 12",
        run_alarms,
    )
    alarms.add_argument("action", nargs="?", choices=["ack"], help="acknowledge the alarm with this number")
    alarms.add_argument("id", nargs="?", type=int, metavar="ID", help="the alarm's number")
    alarms.add_argument("--all", action="store_true", help="those that are over as well")
    _add_json(alarms)
    quarantine = command(
        subparsers,
        "quarantine",
        "Print what was set apart because it did not fit, or one such batch as it arrived (`show ID`).",
        "gated-center quarantine\ngated-center quarantine show 3 > batch",
        run_quarantine,
    )
    quarantine.add_argument("action", nargs="?", choices=["show"], help="write out the batch with this number")
    quarantine.add_argument("id", nargs="?", type=int, metavar="ID", help="the batch's number")
    _add_json(quarantine)
    verifying = command(
        subparsers,
        "verify",
        "Prove every event of GATE (of all gates) by the chain of hashes: nothing altered, missing or added.",
        "gated-center verify\ngated-center verify north    # status 1 if anything does not fit",
        run_verify,
    )
    add_verify(verifying)
    exporting = command(
        subparsers,
        "export",
        "Write events as JSON lines, each with its gate, epoch and hash, in the order in which they were stored.",
        "gated-center export --gate north > north.jsonl\ngated-center export --after 120000 >> all.jsonl",
        run_export,
    )
    add_export(exporting)


def run_status(args: argparse.Namespace) -> int:
    """All gates and open alarms."""
    with opened(args) as store, store.reading() as connection:
        heads: dict[str, list[AnyRow]] = {}
        for head in reading.heads(connection):
            heads.setdefault(head.name, []).append(head)
        gates = [_gate(row, heads.get(row.name, [])) for row in reading.gates(connection)]
        alarms = [_alarm(row) for row in reading.alarms(connection)]
    ending = _ending(args)
    if args.json:
        say_json({"gates": gates, "alarms": alarms, "ending": ending})
    else:
        for gate in gates:
            say(_gate_line(gate))
        if not gates:
            say("no gates yet: gatectl gate add NAME")
        for alarm in alarms:
            say(_alarm_line(alarm))
        for text in ending:
            say(text)
    return Status.FAILED if alarms or ending or any(map(_burns, gates)) else Status.OK


def run_alarms(args: argparse.Namespace) -> int:
    """Open alarms, or one acknowledged."""
    if args.action == "ack":
        with opened(args, read_only=False) as store:
            if not store.acknowledge(_id(args), time.time()):
                raise Failure(f"no open alarm has the number {args.id}")
        return Status.OK
    with opened(args) as store, store.reading() as connection:
        alarms = [_alarm(row) for row in reading.alarms(connection, everything=args.all)]
    if args.json:
        say_json(alarms)
    else:
        for alarm in alarms:
            say(_alarm_line(alarm))
    return Status.FAILED if any(alarm["open"] for alarm in alarms) else Status.OK


def run_quarantine(args: argparse.Namespace) -> int:
    """What was set apart."""
    with opened(args) as store, store.reading() as connection:
        if args.action == "show":
            batch = reading.quarantined_batch(connection, _id(args))
            if batch is None:
                raise Failure(f"nothing in quarantine has the number {args.id}")
            sys.stdout.buffer.write(batch)
            return Status.OK
        rows = reading.quarantined(connection)
    keys = ("id", "gate", "received", "bytes", "reason")
    apart = [dict(zip(keys, (row.id, row.name, iso(row.received), row.size, row.reason), strict=True)) for row in rows]
    if args.json:
        say_json(apart)
    else:
        for one in apart:
            say(f"{one['id']}  {one['gate']}  {one['received']}  {one['bytes']:,} bytes  {one['reason']}")
    return Status.OK


def run_verify(args: argparse.Namespace) -> int:
    """All chains, hash by hash."""
    with opened(args) as store:
        return verify(store, args, partial(_keys, args))


def verify(store: Store, args: argparse.Namespace, keys: Keys) -> int:
    """All chains of `args.gate` (of all gates), hash by hash; from a checkpoint that one of the `keys` has signed."""
    with store.reading() as connection:
        if args.gate is not None and args.gate not in {row.name for row in reading.gates(connection)}:
            raise Failure(f"there is no gate {args.gate}")
        heads = reading.heads(connection, args.gate)
        trusted = list(keys()) if any(head.gone is not None for head in heads) else []
        chains = [_verified(connection, head) | _pruned(store.site, head, trusted) for head in heads]
    broken = [chain for chain in chains if chain["breaks"] or chain["added"] or chain["forged"]]
    if args.json:
        say_json({"ok": not broken, "chains": chains})
        return Status.FAILED if broken else Status.OK
    for chain in chains:
        say("{gate}  epoch {epoch}: {events:,} events, {first} to {last}, head {head}".format_map(chain))
        if chain["pruned"] is not None:
            say(f"  events up to {chain['pruned']} were pruned on {chain['pruned_at']}")
        if chain["forged"]:
            say("  its checkpoint is not signed by this center: somebody else has taken these events away")
        for first, last in chain["lost"]:
            say(f"  events {first} to {last} were lost before they came here")
        for first, last in chain["breaks"]:
            say(f"  events {first} to {last} are not those that the gate sent: altered or removed")
        if chain["added"]:
            say(f"  {chain['added']} events stand there that are no part of its chain: somebody has put them there")
    say("something does not fit" if broken else "all chains hold")
    return Status.FAILED if broken else Status.OK


def run_export(args: argparse.Namespace) -> int:
    """Events as JSON lines."""
    with opened(args) as store:
        return export(store, args)


def export(store: Store, args: argparse.Namespace) -> int:
    """Events as JSON lines: those of `args.gate` (of all gates) after `args.after`."""
    with store.reading() as connection:
        gates = [row for row in reading.gates(connection) if args.gate in (None, row.name)]
        if args.gate is not None and not gates:
            raise Failure(f"there is no gate {args.gate}")
        for gate in gates:
            for row in reading.stored(connection, gate.id, args.after):
                say(_exported(gate.name, row))
    return Status.OK


def _exported(gate: str, row: AnyRow) -> str:
    """One event; its line stands in it byte for byte, as text only if it is no JSON."""
    said = {"id": row.id, "gate": gate, "epoch": row.epoch, "seq": row.seq, "hash": row.hash.hex()}
    said |= {"received": iso(row.received), "late": row.late, "same_as": row.same_as}
    try:
        text = row.line.decode()
        json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return json.dumps(said | {"line": row.line.decode("utf-8", "backslashreplace")}, ensure_ascii=False)
    return f'{json.dumps(said)[:-1]}, "event": {text}}}'


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _verified(connection: Connection, head: AnyRow) -> dict[str, Any]:
    events, own, lost, breaks = 0, 0, [], []
    for item in reading.chain(connection, head):
        match item:
            case Event():
                events += 1
                own += item.own
            case Lost(first, last):
                lost.append((first, last))
            case Break(first, last):
                breaks.append((first, last))
    said = {"gate": head.name, "epoch": head.epoch, "first": head.first, "last": head.seq, "head": head.hash.hex()}
    # Beside a break they are those of the break, and already told.
    added = 0 if breaks else reading.own_events(connection, head) - own
    return said | {"events": events, "lost": lost, "breaks": breaks, "added": added}


def _ending(args: argparse.Namespace) -> list[str]:
    """What of the site runs out, if its folder is here."""
    settings = config.load(args.config)
    if settings.site_folder is None:
        return []
    from center.publish.ending import everything  # noqa: PLC0415 - tuf is for those who have the site's folder
    from center.publish.publishing import site  # noqa: PLC0415 - the same

    return everything(site(settings, args.config), datetime.now(UTC))


def _pruned(site: str, head: AnyRow, keys: list[Ed25519PublicKey]) -> dict[str, Any]:
    """What stands for the events that are gone."""
    if head.gone is None:
        return {"pruned": None, "pruned_at": None, "forged": False}
    said = Checkpoint(head.name, head.epoch, head.gone, head.gone_hash, head.gone_at)
    forged = not said.is_in(head.gone_message, site, keys)
    return {"pruned": head.gone, "pruned_at": iso(head.gone_at), "forged": forged}


def _keys(args: argparse.Namespace) -> list[Ed25519PublicKey]:
    """The center's keys: the one that it has, and those before it, if the site's folder is here."""
    settings = config.load(args.config)
    keys = [config.online_key(settings, args.config).public_key()]
    if settings.site_folder is not None:
        from center.publish.publishing import site  # noqa: PLC0415 - tuf is for those who have the site's folder

        keys += map(public_key, map(bytes.fromhex, site(settings, args.config).keys.of_center))
    return keys


def _gate(row: AnyRow, heads: list[AnyRow]) -> dict[str, Any]:
    status = {} if row.message is None else json.loads(row.message)
    now = next((head for head in heads if head.epoch == row.heard_epoch), None)
    heard = [at for at in (row.heard_at, row.received) if at is not None]
    return {
        "gate": row.name,
        "enrolled": iso(row.enrolled),
        "online": bool(row.online),
        "heard": iso(max(heard)) if heard else None,
        "epoch": None if now is None else now.epoch,
        "epochs": len(heads),
        "seq": None if now is None else now.seq,
        "hash": None if now is None else now.hash.hex(),
        "backlog": status.get("backlog"),
        "fire": status.get("fire"),
        "status": status,
    }


def _burns(gate: dict[str, Any]) -> bool:
    """Whether it says, or said last, that its fire input holds every barrier open."""
    return gate["fire"] not in (None, "clear")


def _gate_line(gate: dict[str, Any]) -> str:
    if gate["enrolled"] is None:
        return f"{gate['gate']}  not set up yet"
    there = "online" if gate["online"] else "offline"
    held = "nothing held" if gate["seq"] is None else f"held to event {gate['seq']:,} of epoch {gate['epoch']}"
    backlog = "" if gate["backlog"] is None else f", {gate['backlog']:,} to tell{'' if gate['online'] else ' then'}"
    fire = ", fire: every barrier is held open" if _burns(gate) else ""
    fire += " (its input is lost)" if gate["fire"] == "lost" else ""
    return f"{gate['gate']}  {there}, heard {gate['heard'] or 'never'}, {held}{backlog}{fire}"


def _alarm(row: AnyRow) -> dict[str, Any]:
    said = {"id": row.id, "gate": row.name, "kind": row.kind, "text": row.text, "count": row.times}
    said |= {"first_seen": iso(row.first_seen), "last_seen": iso(row.last_seen)}
    said |= {"acknowledged": iso(row.acknowledged), "ended": iso(row.ended)}
    return said | {"open": row.acknowledged is None}


def _alarm_line(alarm: dict[str, Any]) -> str:
    times = "" if alarm["count"] == 1 else f", {alarm['count']} times"
    of = alarm["gate"] or "the site"
    over = "" if alarm["ended"] is None else f", over since {alarm['ended']}"
    return f"alarm {alarm['id']}  {of}  {alarm['kind']}: {alarm['text']} ({alarm['last_seen']}{times}{over})"


def _id(args: argparse.Namespace) -> int:
    if args.id is None:
        raise Failure(f"which one? {args.action} ID", Status.USAGE)
    number: int = args.id
    return number


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print it for another program")
