"""Flashes: the machine with a shell and a broker in memory, and real keys on both sides."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata, TargetFile, Targets

from center.publish.metadata import make_snapshot, make_timestamp, signer
from gated.lists.flash import PIECE_S, RETRY_FIRST_S, RETRY_MAX_S, WINDOW, Flash, Phase
from gated.lists.flash_acts import (
    Built,
    Check,
    Checked,
    KeepMessage,
    KeepPiece,
    Need,
    Publish,
    Subscribe,
    Switched,
    Unsubscribe,
)
from gated.lists.trust_folder import documents
from protocol import blob, topics
from protocol.credential import Credential
from protocol.repository import decode, encode
from protocol.roles import Enrolment
from protocol.whitelist import Entry
from tests.attacks import forged
from tests.flashbox import GATE, Box, at, unsigned
from tests.signers import NOW, SITE, Center, Committee, line

LINES = [line(number) for number in range(50)]


@pytest.fixture
def center() -> Center:
    """A site with a list of fifty."""
    made = Center()
    made.publish(LINES, documents={"policy.json": b'{"schedules":{}}'})
    return made


@pytest.fixture
def box(tmp_path: Path, center: Center) -> Box:
    """A gate that was never flashed."""
    return Box(tmp_path, center.root, center.now)


def test_a_list_is_flashed(box: Box, center: Center) -> None:
    """It is in force, the documents with it, and the center is told step by step."""
    box.take(center)
    assert (box.version, box.entries, box.idle, box.sound) == ("1", 50, True, True)
    assert [said["state"] for said in box.said][-1] == "idle"
    assert {"fetching", "building"} <= {said["state"] for said in box.said}
    last = box.said[-1]
    assert (last["in_force"], last["entries"], last["snapshot"]) == ("1", 50, 1)
    numbers = [said["number"] for said in box.said]
    assert numbers == list(range(1, len(numbers) + 1))
    assert box.flash.vouched == center.now.timestamp()


def test_a_changed_entry_comes_as_a_delta(box: Box, center: Center) -> None:
    """The list's file is not written anew, and the whole list is not fetched."""
    many = [line(number, f"h{number * 7919 % 1000}") for number in range(2000)]
    center.publish(many)
    box.take(center)
    files = {path.name for path in box.folder.glob("list-*.db")}
    box.subscribed.clear()
    center.publish([*many[:-1], line(5000, "new")])
    box.take(center)
    assert (box.version, box.entries, box.idle, box.sound) == ("3", 2000, True, True)
    assert {path.name for path in box.folder.glob("list-*.db")} == files
    assert len([topic for topic in box.subscribed if "/blob/" in topic]) == 1
    new, gone = box.entry("em:0000001388"), box.entry(f"em:{1999:010X}")
    assert new is not None
    assert new.holder == "new"
    assert gone is None


def test_a_gate_that_missed_lists_catches_up(box: Box, center: Center) -> None:
    """By a delta from the one it has, or by the whole list."""
    box.take(center)
    for number in range(50, 55):
        center.publish([*LINES, line(number)])
    box.take(center)
    assert (box.version, box.idle, box.sound) == ("6", True, True)
    for number in range(60, 70):
        center.publish([*LINES, line(number)])
    box.take(center)
    assert (box.version, box.idle, box.sound) == ("16", True, True)


def test_the_hourly_signature_changes_no_file(box: Box, center: Center) -> None:
    """It is taken up, and how old the list is begins anew."""
    box.take(center)
    before = {path.name: path.stat().st_mtime_ns for path in box.folder.glob("list*")}
    center.later(hours=1)
    center.repository.renew(center.now)
    box.take(center)
    after = {path.name: path.stat().st_mtime_ns for path in box.folder.glob("list*")}
    assert after == before
    assert box.flash.vouched == center.now.timestamp()
    assert box.idle


def test_the_same_message_again_is_nothing(box: Box, center: Center) -> None:
    """A broker says its retained messages at each connection."""
    box.take(center)
    builds = box.builds
    box.take(center)
    assert box.builds == builds


def test_a_suspension_and_an_enrolment_are_in_force_at_once(box: Box, center: Center) -> None:
    """And a restoration."""
    box.take(center)
    center.repository.suspend(Credential("em:0000000001"), center.now)
    center.repository.enrol(
        [Enrolment(Entry(Credential("em:00000000FF"), "new"), center.now.date())],
        center.committee.registrars[:2],
        center.now,
    )
    box.take(center)
    held, added = box.entry("em:0000000001"), box.entry("em:00000000FF")
    assert held is not None
    assert held.since == center.now.timestamp()
    assert added is not None
    assert added.holder == "new"
    center.repository.restore(Credential("em:0000000001"), center.now)
    box.take(center)
    assert box.entry("em:0000000001") == Entry(Credential("em:0000000001"), "h")
    center.later(days=14)
    box.time(center.now)
    assert box.entry("em:00000000FF") is None


def test_what_is_small_does_not_wait_for_the_whole_list(box: Box, center: Center) -> None:
    """A suspension is in force while the list's pieces do not come."""
    box.take(center)
    center.repository.suspend(Credential("em:0000000001"), center.now)
    center.publish([line(number, "other") for number in range(1, 60)])
    pieces = center.pieces
    whole = blob.sha256(center.repository.whitelist.data)  # type: ignore[union-attr]
    box.flash_from(lambda topic: None if whole in topic else pieces.get(topic))
    assert box.version == "1"
    assert box.flash.phase is Phase.FETCHING
    held = box.entry("em:0000000001")
    assert held is not None
    assert held.since == center.now.timestamp()
    box.flash_from(pieces)
    assert (box.version, box.idle) == ("2", True)


def test_a_gate_off_for_days_says_that_the_signatures_ran_out(box: Box, center: Center) -> None:
    """The last list stays; after the next signature all is well."""
    box.take(center)
    center.later(days=1)
    box.time(center.now)
    box.acts += box.flash.tick(box.now)
    box.run(center.pieces.get)
    assert "signatures ran out on 2026-11-25T08:00" in box.flash.trouble
    assert (box.version, box.sound) == ("1", True)
    center.repository.renew(center.now)
    box.take(center)
    assert box.idle


def test_a_freeze_is_told_in_the_next_life_too(box: Box, center: Center) -> None:
    """A restart checks what was kept, with no center there."""
    box.take(center)
    center.later(days=3)
    box.time(center.now)
    box.start()
    box.run(lambda _: None)
    assert "have run out" in box.flash.trouble
    assert box.version == "1"


def test_how_old_the_list_is_is_known_after_a_restart(box: Box, center: Center) -> None:
    """With no center there."""
    box.take(center)
    box.start()
    box.run(lambda _: None)
    assert box.flash.vouched == center.now.timestamp()
    assert box.idle


def test_what_somebody_else_sends_does_not_hide_it(box: Box, center: Center) -> None:
    """A message that is not believed takes no believed one's place: neither before the restart, nor just after it."""
    box.take(center)
    false = forged(center, Committee())
    box.hear(topics.repository(SITE), false)
    box.run(lambda _: None)
    assert "not to be believed" in box.flash.trouble
    for early in (False, True):
        box.start()
        if early:
            box.hear(topics.repository(SITE), false)
        box.run(lambda _: None)
        assert box.flash.vouched == center.now.timestamp()
        assert box.idle is not early


def test_a_life_that_ends_amid_pieces_goes_on_where_it_was(box: Box, center: Center) -> None:
    """What is here is not fetched again."""
    big = [line(number, f"h{number * 0x9E3779B97F4A7C15 % 2**64:016x}") for number in range(20_000)]
    center.publish(big)
    pieces, asked = center.pieces, 0

    def some(topic: str) -> bytes | None:
        nonlocal asked
        asked += "/blob/" in topic
        return pieces.get(topic) if asked < 3 else None

    box.flash_from(some)
    assert not box.version
    box.start()
    box.subscribed.clear()
    box.flash_from(pieces)
    assert (box.version, box.sound, box.idle) == ("2", True, True)
    name = blob.sha256(center.repository.whitelist.data)  # type: ignore[union-attr]
    total = blob.piece_count(len(center.repository.whitelist.data))  # type: ignore[union-attr]
    assert len([topic for topic in box.subscribed if name in topic]) < total


def test_a_piece_that_does_not_come_is_asked_for_again(box: Box, center: Center) -> None:
    """And the center is told what it is waiting for."""
    pieces = center.pieces
    box.flash_from(lambda topic: None if "/blob/" in topic else pieces.get(topic))
    later = at(NOW, box.now.mono + PIECE_S)
    acts = box.flash.tick(later)
    assert any(isinstance(act, Unsubscribe) for act in acts)
    assert any(isinstance(act, Subscribe) for act in acts)
    box.acts += acts
    box.run(pieces.get)
    assert box.version == "1"


def test_pieces_are_asked_for_a_few_at_a_time(center: Center) -> None:
    """However many there are; each that comes makes room for the next, and none is doubled."""
    flash = Flash(SITE, GATE, "s", sign=unsigned, kept=None)
    flash.connected(at(NOW))
    flash.message(center.message, at(NOW))
    need = Need("whitelist.jsonl.zst", "ab" * 32, 64 * 1024 * 20, last=True)
    acts = flash.checked(Checked(needs=(need,), expires=NOW.timestamp() + 1, build=False), at(NOW))
    assert len([act for act in acts if isinstance(act, Subscribe)]) == WINDOW
    acts = flash.piece(need.sha256, 0, bytes(64 * 1024), at(NOW))
    assert [act for act in acts if isinstance(act, Subscribe)] == [Subscribe(topics.blob(SITE, need.sha256, WINDOW))]
    assert flash.piece(need.sha256, 0, bytes(64 * 1024), at(NOW)) == []
    assert flash.piece(need.sha256, 19, bytes(64 * 1024), at(NOW)) == []
    assert flash.piece(need.sha256, 1, bytes(64 * 1024 - 1), at(NOW)) == []
    assert flash.piece("cd" * 32, 1, bytes(64 * 1024), at(NOW)) == []
    assert any(isinstance(act, KeepPiece) for act in flash.piece(need.sha256, 1, bytes(64 * 1024), at(NOW)))


def test_another_file_in_a_blobs_place_is_refused(box: Box, center: Center) -> None:
    """Same length, other content; it is thrown away, fetched again, and said."""
    pieces = center.pieces
    name = blob.sha256(center.repository.whitelist.data)  # type: ignore[union-attr]
    evil = {topic: (bytes(len(data)) if name in topic else data) for topic, data in pieces.items()}
    box.flash_from(evil)
    assert not box.version
    assert box.said[-1]["state"] == "refused"
    assert "not what the signers have signed" in box.said[-1]["why"]
    box.acts += box.flash.tick(at(NOW, RETRY_FIRST_S))
    box.run(pieces.get)
    assert (box.version, box.idle) == ("1", True)


def test_what_is_refused_is_tried_again_ever_more_rarely(box: Box, center: Center) -> None:
    """From seconds to ten minutes."""
    message = encode(decode(center.message) | {"timestamp.json": b"{}"})
    flash = Flash(SITE, GATE, "s", sign=unsigned, kept=None)
    flash.connected(box.now)
    flash.message(message, at(NOW))
    mono, waits = 0.0, []
    for _ in range(12):
        flash.checked(Checked(why="no"), at(NOW, mono))
        start = mono
        while not any(isinstance(act, Check) for act in flash.tick(at(NOW, mono))):
            mono += 1.0
        waits.append(mono - start)
    assert waits[0] == RETRY_FIRST_S
    assert waits == sorted(waits)
    assert waits[-1] == RETRY_MAX_S


def test_a_delta_that_does_not_fit_is_replaced_by_the_whole_list(box: Box, center: Center) -> None:
    """A list whose file was damaged meanwhile gives another hash; nothing of it comes into force."""
    many = [line(number) for number in range(3000)]
    center.publish(many)
    box.take(center)
    [path] = box.folder.glob("list-*.db")
    data = bytearray(path.read_bytes())
    where = data.index(b"em:0000000005h")
    data[where + 13 : where + 14] = b"i"
    path.write_bytes(data)
    assert not box.sound
    center.publish([*many, line(5000)])
    box.take(center)
    assert (box.version, box.entries, box.sound, box.idle) == ("3", 3001, True, True)


def test_a_list_that_shrinks_without_a_word_is_refused(box: Box, center: Center) -> None:
    """Even well signed. What is signed beside it counts all the same."""
    box.take(center)
    center.publish(LINES[:40], shrinks=True, documents={"policy.json": b'{"schedules":{"a":[]}}'})
    _say_nothing_of_shrinking(center)
    box.take(center)
    assert (box.version, box.entries) == ("1", 50)
    assert "takes out 10 of 50 credentials in force" in box.flash.trouble
    assert box.said[-1]["state"] == "refused"


def test_a_list_that_shrinks_with_the_signers_word_is_taken(box: Box, center: Center) -> None:
    """As a delta or as a whole."""
    box.take(center)
    center.publish(LINES[:5], shrinks=True)
    box.take(center)
    assert (box.version, box.entries, box.idle) == ("2", 5, True)


def test_a_newer_message_puts_the_older_one_aside(box: Box, center: Center) -> None:
    """While pieces are on their way; while a build goes on, after it."""
    old = center.message
    center.publish([*LINES, line(60)])
    flash = Flash(SITE, GATE, "s", sign=unsigned, kept=None)
    flash.connected(box.now)
    flash.message(old, box.now)
    flash.checked(Checked(needs=(Need("x", "ab" * 32, 100),), expires=NOW.timestamp() + 1), box.now)
    acts = flash.message(center.message, box.now)
    assert acts[0] == Unsubscribe(topics.blob(SITE, "ab" * 32, 0))
    assert isinstance(acts[-1], Check)
    flash.checked(Checked(build=True, expires=NOW.timestamp() + 1), box.now)
    assert flash.phase is Phase.BUILDING
    assert flash.message(old, box.now) == []
    assert isinstance(flash.built(Built(), box.now)[-1], Check)


def test_without_a_connection_nothing_is_asked_for(box: Box, center: Center) -> None:
    """At the next one what is wanted is asked for again."""
    flash = Flash(SITE, GATE, "s", sign=unsigned, kept=None)
    flash.connected(box.now)
    flash.message(center.message, box.now)
    flash.disconnected()
    need = Need("x", "ab" * 32, 100)
    assert flash.checked(Checked(needs=(need,), expires=NOW.timestamp() + 1), box.now) == []
    asked = [act.topic for act in flash.connected(box.now) if isinstance(act, Subscribe)]
    assert asked == [topics.repository(SITE), topics.blob(SITE, need.sha256, 0)]


def _fetching(message: bytes, *needs: Need) -> Flash:
    """A machine that was told of these needs."""
    flash = Flash(SITE, GATE, "s", sign=unsigned, kept=None)
    flash.connected(at(NOW))
    flash.message(message, at(NOW))
    flash.checked(Checked(needs=needs, build=not needs, expires=NOW.timestamp() + 1), at(NOW))
    return flash


SMALL = Need("policy.json", "ab" * 32, 100)
ASKED = Subscribe(topics.repository(SITE))


def test_a_build_that_comes_to_nothing_may_have_switched(center: Center) -> None:
    """Killed before it could say so: what is in force is taken up all the same, documents too."""
    flash = _fetching(center.message)
    assert flash.phase is Phase.BUILDING
    assert flash.failed("killed", at(NOW))[0] == Switched(list=True, documents=True)
    flash.tick(at(NOW, RETRY_FIRST_S))
    assert not any(isinstance(act, Switched) for act in flash.failed("killed", at(NOW, RETRY_FIRST_S)))


def test_a_message_that_cannot_be_kept_is_not_taken_for_the_one_before(center: Center) -> None:
    """The building process still finds the one before, and nothing wrong with it. The new one is kept again."""
    flash = Flash(SITE, GATE, "s", sign=unsigned, kept=b"the one before")
    flash.checked(Checked(), at(NOW))
    flash.connected(at(NOW))
    keep = flash.message(center.message, at(NOW))[0]
    assert keep == KeepMessage(center.message)
    assert flash.unkept(KeepMessage(center.message), "the disk is full", at(NOW)) == []
    assert flash.phase is Phase.CHECKING
    flash.checked(Checked(), at(NOW))
    assert (flash.phase, flash.trouble) == (Phase.IDLE, "the disk is full")
    acts = flash.tick(at(NOW, RETRY_FIRST_S))
    assert keep in acts
    assert isinstance(acts[-1], Check)
    flash.checked(Checked(), at(NOW, RETRY_FIRST_S))
    assert (flash.phase, flash.trouble) == (Phase.IDLE, "")


def test_a_piece_that_cannot_be_kept_is_no_piece(center: Center) -> None:
    """The build that was ordered with it is heard out; then it is fetched again. Many at once are one trouble."""
    flash = _fetching(center.message, SMALL)
    keep = flash.piece(SMALL.sha256, 0, bytes(100), at(NOW))[0]
    assert isinstance(keep, KeepPiece)
    assert flash.phase is Phase.BUILDING
    flash.unkept(keep, "the disk is full", at(NOW))
    acts = flash.built(Built(switched=True), at(NOW))
    assert acts[0] == Switched(list=True, documents=False)
    assert (flash.phase, flash.trouble) == (Phase.IDLE, "the disk is full")
    flash = _fetching(center.message, Need("x", "cd" * 32, 64 * 1024 * 20))
    pieces = [flash.piece("cd" * 32, number, bytes(64 * 1024), at(NOW))[0] for number in range(WINDOW)]
    for keep in pieces:
        assert isinstance(keep, KeepPiece)
        flash.unkept(keep, "the disk is full", at(NOW))
    assert any(isinstance(act, Check) for act in flash.tick(at(NOW, RETRY_FIRST_S)))


def test_after_a_refusal_the_broker_is_asked_again(center: Center) -> None:
    """Somebody else's message has put the right one aside, and the broker does not say that again by itself."""
    flash = _fetching(center.message, SMALL)
    flash.message(b"somebody else's", at(NOW))
    flash.checked(Checked(why="not to be believed"), at(NOW))
    acts = flash.tick(at(NOW, RETRY_FIRST_S))
    assert acts[0] == ASKED
    flash.message(center.message, at(NOW, RETRY_FIRST_S))
    acts = flash.checked(Checked(why="not to be believed"), at(NOW, RETRY_FIRST_S))
    assert KeepMessage(center.message) in acts


def test_where_pieces_do_not_come_the_broker_is_asked_again(center: Center) -> None:
    """They may be a superseded list's. The same message is nothing new; that pieces are late is said till one comes."""
    flash = _fetching(center.message, SMALL)
    late = flash.tick(at(NOW, PIECE_S))
    assert ASKED in late
    assert any(isinstance(act, Publish) and b"pieces do not come" in act.payload for act in late)
    assert flash.message(center.message, at(NOW, PIECE_S)) == []
    assert flash.tick(at(NOW, PIECE_S + 1)) == []
    assert isinstance(flash.message(b"a newer one", at(NOW, PIECE_S + 2))[-1], Check)


def test_what_comes_last_need_not_be_the_newest(center: Center) -> None:
    """Where one message has put another aside, the broker is asked once more when all is done; else it is not."""
    flash = _fetching(center.message)
    flash.message(b"newer", at(NOW))
    flash.message(b"old, and late", at(NOW))
    flash.built(Built(), at(NOW))
    assert flash.checked(Checked(), at(NOW))[-1] == ASKED
    assert flash.phase is Phase.IDLE
    flash.message(b"newer", at(NOW))
    assert ASKED not in flash.checked(Checked(), at(NOW))


def test_a_cleared_topic_is_no_message(center: Center) -> None:
    """What was under way goes on."""
    flash = _fetching(center.message, SMALL)
    assert flash.message(b"", at(NOW)) == []
    assert flash.phase is Phase.FETCHING


def test_extraneous_files_are_not_fetched(box: Box, center: Center) -> None:
    """A file that the gate knows no use for is left where it is, whoever signed it."""

    def add(targets: Targets) -> None:
        targets.targets["gated.deb"] = TargetFile.from_data("gated.deb", b"program", ["sha256"])

    _signed_otherwise(center, add)
    center.vault.put({f"blob-{blob.sha256(b'program')}": b"program"})
    box.take(center)
    assert (box.version, box.idle) == ("1", True)
    assert not [topic for topic in box.subscribed if blob.sha256(b"program") in topic]


def test_one_file_does_not_pass_for_another(box: Box, center: Center) -> None:
    """Each name has its hash: the list's file under the policy's name, or the other way round, is refused."""
    pieces = center.pieces
    assert center.repository.whitelist is not None
    list_topic = topics.blob(SITE, blob.sha256(center.repository.whitelist.data), 0)
    policy_topic = topics.blob(SITE, blob.sha256(b'{"schedules":{}}'), 0)
    swapped = {**pieces, list_topic: pieces[policy_topic], policy_topic: pieces[list_topic]}
    box.flash_from(swapped)
    assert box.version is None
    assert documents(box.folder) == {}


def test_a_list_larger_than_any_gate_takes_is_not_fetched(box: Box, center: Center) -> None:
    """By the length that is signed, before the first byte."""

    def inflate(targets: Targets) -> None:
        targets.targets["whitelist.jsonl.zst"].length = 2**40

    _signed_otherwise(center, inflate)
    box.take(center)
    assert "has 1099511627776 bytes" in box.flash.trouble
    assert not [topic for topic in box.subscribed if "/blob/" in topic]


def test_a_list_longer_than_it_says_is_cut_off(box: Box, center: Center) -> None:
    """Uncompressed it is read no further than its signers said."""

    def understate(targets: Targets) -> None:
        targets.targets["whitelist.jsonl.zst"].custom["bytes"] = 100

    _signed_otherwise(center, understate)
    box.take(center)
    assert box.version is None
    assert "longer than the 100 bytes that were announced" in box.flash.trouble


def _say_nothing_of_shrinking(center: Center) -> None:
    """As a center would publish that lets signers overlook it: the same list, without their word."""

    def silence(targets: Targets) -> None:
        targets.targets["whitelist.jsonl.zst"].custom["shrinks"] = False

    _signed_otherwise(center, silence)


def _signed_otherwise(center: Center, change: Callable[[Targets], None]) -> None:
    """Replace what is published by the same with a change, well signed by everybody."""
    held = center.repository.held
    targets: Metadata[Targets] = Metadata.from_bytes(held["targets"])
    change(targets.signed)
    targets.signatures.clear()
    for key in center.committee.signers[:2]:
        targets.sign(signer(key), append=True)
    held["targets"] = targets.to_bytes()
    version = targets.signed.version
    snapshot = make_snapshot(held, version, center.now)
    snapshot.sign(signer(center.committee.repository))
    timestamp = make_timestamp(snapshot.to_bytes(), version, center.now)
    timestamp.sign(signer(center.committee.repository))
    center.vault.put(
        {
            f"{version}.targets.json": held["targets"],
            f"{version}.snapshot.json": snapshot.to_bytes(),
            "timestamp.json": timestamp.to_bytes(),
        }
    )
