"""What goes over the wire is described, and the description is made from the code."""

import importlib
import inspect
import json
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import protocol
from center.site import broker
from protocol import channels, topics
from protocol.batch import encode
from protocol.channels import CHANNELS, PARAMETERS, PROOFS, Channel, Party, Proof
from protocol.event import ClockQuality
from protocol.message import Header, Message, Offline, Sent
from tests.docs import generate
from tests.docs.test_docs import rows, text

SITE, GATE, TECHNICIAN = "shenhang", "north", "li-wei"


def models() -> list[type[Message]]:
    """Every message that `protocol` has."""
    for module in pkgutil.iter_modules(protocol.__path__):
        importlib.import_module(f"protocol.{module.name}")

    def below(of: type[Message]) -> Iterator[type[Message]]:
        for model in of.__subclasses__():
            yield model
            yield from below(model)

    return sorted((model for model in below(Message) if model.__module__.startswith("protocol.")), key=str)


def test_what_is_committed_is_what_is_generated() -> None:
    """docs/asyncapi.yaml and docs/schemas/ are those of this code."""
    made, there = generate.made(), generate.there(generate.DOCS)
    stale = sorted(name for name in made.keys() | there.keys() if made.get(name) != there.get(name))
    assert stale == [], f"renew them with: make fmt (or .venv/bin/{generate.COMMAND})"


def test_it_is_written_whole(tmp_path: Path) -> None:
    """What is stale is written, what is no message any more is removed, what is right is left alone."""
    made = generate.made()
    assert set(generate.write(tmp_path, made)) == set(made)
    (tmp_path / "schemas" / "old.json").write_text("{}")
    (tmp_path / "schemas" / "ack.json").write_text("{}")
    assert set(generate.write(tmp_path, made)) == {"schemas/old.json", "schemas/ack.json"}
    assert generate.write(tmp_path, made) == []
    assert generate.there(tmp_path) == made


def test_it_is_yaml() -> None:
    """A YAML parser reads what was meant."""
    read = yaml.safe_load(generate.yaml(generate.document()))

    def plain(value: Any) -> Any:
        match value:
            case dict():
                return {key: plain(inner) for key, inner in value.items()}
            case list():
                return [plain(inner) for inner in value]
            case str():
                return " ".join(value.split())  # long text was wrapped
        return value

    assert plain(read) == plain(json.loads(json.dumps(generate.document())))


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({"a": {"b": 1}, "c": True}, "a:\n  b: 1\nc: true"),
        ({"a": ["x", {"b": 2}]}, "a:\n  - x\n  -\n    b: 2"),
        ({"$ref": "#/x"}, '"$ref": "#/x"'),
        ({"a": "1"}, 'a: "1"'),
        ({"a": "no"}, 'a: "no"'),
        ({"a": "b: c"}, 'a: "b: c"'),
        ({"a": 'say "x" # y'}, r'a: "say \"x\" # y"'),
        ({"a": {}, "b": []}, "a: {}\nb: []"),
        ({"a": "one\n\ntwo"}, "a: |-\n  one\n\n  two"),
    ],
)
def test_yaml(value: object, written: str) -> None:
    """What YAML would take for something else is quoted."""
    assert generate.yaml(value) == written


def test_every_topic_has_a_channel() -> None:
    """Each topic that `protocol.topics` makes is in the table, the document and the page on the architecture."""
    functions = inspect.getmembers(topics, inspect.isfunction)
    made = {name for name, of in functions if inspect.signature(of).return_annotation is str}
    assert {channel.name for channel in CHANNELS} == made
    told = rows(text("architecture"))
    for channel in CHANNELS:
        assert channel.address.removeprefix("gated/1/{site}/") in told


@pytest.mark.parametrize("channel", CHANNELS, ids=lambda channel: channel.name)
def test_channels(channel: Channel) -> None:
    """Each has an address that is parsed as its own, words for its placeholders, and a proof that is explained."""
    filled = {"site": SITE, "gate": GATE, "id": "a1", "sha256": "0" * 64, "piece": "0"}
    assert set(re.findall(r"\{(\w+)\}", channel.address)) <= PARAMETERS.keys()
    address = topics.parse(channel.address.format(**filled))
    match address:
        case topics.GateAddress(leaf=leaf):
            assert leaf == channel.name
        case topics.BlobAddress():
            assert channel.name == "blob"
        case None:
            assert channel.name == "repository"
    assert channel.what.endswith(".")
    assert channel.proof in PROOFS
    assert channel.will in (None, *channel.models)


@pytest.mark.parametrize("channel", CHANNELS, ids=lambda channel: channel.name)
def test_the_broker_allows_what_is_described_and_no_more(channel: Channel) -> None:
    """Who writes and reads each topic is who the broker's rules let."""
    rules = broker.rules(SITE, gates=(GATE,), technicians=(TECHNICIAN,))
    wild = {"site": SITE, "id": "+", "sha256": "x", "piece": "0"}
    for party, user in ((Party.GATE, GATE), (Party.CENTER, broker.CENTER), (Party.TECHNICIAN, TECHNICIAN)):
        topic = channel.address.format(gate=GATE if party is Party.GATE else "+", **wild)
        granted = _granted(rules, user, topic)
        assert (party in channel.writers) == ("write" in granted)
        if party is not Party.CENTER or party in channel.readers:  # the center may read what it has itself said
            assert (party in channel.readers) == ("read" in granted)


def _granted(rules: str, user: str, topic: str) -> set[str]:
    part = re.search(rf"^user {user}\n((?:topic .*\n)+)", rules, re.MULTILINE)
    assert part
    granted: set[str] = set()
    for how, allowed in re.findall(r"^topic (\w+) (.+)$", part[1], re.MULTILINE):
        if topic == allowed or (allowed.endswith("/#") and topic.startswith(allowed[:-1])):
            granted |= {"read", "write"} if how == "readwrite" else {how}
    return granted


@pytest.mark.parametrize("model", models(), ids=lambda model: model.__name__)
def test_models(model: type[Message]) -> None:
    """Every message and each of its fields says what it is."""
    assert (model.__doc__ or "").strip().endswith(".")
    assert model.__doc__ != Message.__doc__
    assert [name for name, field in model.model_fields.items() if not field.description] == []


def test_every_message_has_a_schema() -> None:
    """What a channel names is there; the whole of what `protocol.message` has is named, or part of what is."""
    schemas = {name: json.loads(said) for name, said in generate.made().items() if name.endswith(".json")}
    named = {schema["title"] for schema in schemas.values()}
    named |= {part for schema in schemas.values() for part in schema.get("$defs", {})}
    assert {model.__name__ for model in models() if model.__module__ == "protocol.message"} <= named


def test_signatures_are_described() -> None:
    """A signed message's schema demands its signature, and no other does."""
    for channel in CHANNELS:
        for model in channel.models:
            signed = "sig" in generate.schema(model, channel)["required"]
            assert signed == (channel.proof is Proof.SIGNED)


def test_what_is_none_is_left_out() -> None:
    """As in what is sent, no schema speaks of null."""
    assert "null" not in "".join(said for name, said in generate.made().items() if name.endswith(".json"))
    assert b"null" not in Offline(session="s", connection=1).to_bytes()


def test_a_header_is_named_as_it_is_sent() -> None:
    """The schema has the names on the wire."""
    (channel,) = (channel for channel in channels.CHANNELS if Header in channel.models)
    header = Header(
        site=SITE,
        gate=GATE,
        board="b",
        epoch="e",
        begins=1,
        root="0" * 64,
        oldest=1,
        first=1,
        count=0,
        prev="0" * 64,
        sent=Sent(at="", mono=0, boot="", clock=ClockQuality.UNSET),
    )
    sent = json.loads(encode(header, []))
    assert {*sent, "sig"} == set(generate.schema(Header, channel)["properties"])
