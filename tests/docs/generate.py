"""Write `docs/asyncapi.yaml` and `docs/schemas/` anew from the code: `python -m tests.docs.generate` (`make fmt`).

The same code gives the same bytes. A schema says what a message is on the wire: what is None is left out there, never
null, and a signed one ends in its signature.
"""

import json
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema

from protocol.channels import CHANNELS, PARAMETERS, PROOFS, QOS, Channel, Party, Proof
from protocol.dsse import COMMAND_TYPE, SIGNATURES_MAX
from protocol.message import Message
from protocol.topics import ROOT

DOCS: Final = Path(__file__).parents[2] / "docs"
DOCUMENT: Final = "asyncapi.yaml"
SCHEMAS: Final = "schemas"
COMMAND: Final = "python -m tests.docs.generate"
_WIDTH: Final = 118
_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9 _.,;()/-]*[A-Za-z0-9.)]|[A-Za-z]")
_NOT_PLAIN: Final = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
_SIG: Final = {
    "description": "Ed25519 over the topic, a newline, and the payload without this member; base64. Always the last.",
    "pattern": "^[A-Za-z0-9+/]{86}==$",
    "type": "string",
}
_ENVELOPE: Final = {
    "type": "object",
    "required": ["payload", "payloadType", "signatures"],
    "properties": {
        "payload": {"type": "string", "description": "The command (./schemas/command.json) in base64."},
        "payloadType": {"const": COMMAND_TYPE},
        "signatures": {
            "type": "array",
            "minItems": 1,
            "maxItems": SIGNATURES_MAX,
            "items": {
                "type": "object",
                "required": ["keyid", "sig"],
                "properties": {
                    "keyid": {"type": "string", "description": "The Ed25519 public key: 64 hex digits."},
                    "sig": {"type": "string", "description": "Base64 of the signature over DSSE's encoding."},
                },
            },
        },
    },
}
_ABOUT: Final = """\
What the gates of a site and its center say to each other over MQTT 3.1.1.

Every message is shown to be genuine where it arrives, in the way that its channel's tag says: the broker is trusted
with delivery only. A member that is not known is passed over, so that an older side can read a newer one. Times
are RFC 3339 with offset; keys and hashes are lower-case hex."""


class _Wire(GenerateJsonSchema):
    """Without titles that only repeat names; what may be None may be left out, and is not null."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
        return False

    def nullable_schema(self, schema: Any) -> Any:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: Any) -> Any:
        found = super().default_schema(schema)
        return {key: value for key, value in found.items() if (key, value) != ("default", None)}


def made() -> dict[str, str]:
    """All files, by their names below docs/."""
    found = {DOCUMENT: f"# Made by {COMMAND}; not to be changed by hand.\n{yaml(document())}\n"}
    for channel in CHANNELS:
        for model in channel.models:
            text = json.dumps(schema(model, channel), ensure_ascii=False, indent=2, sort_keys=False)
            found[_file_of(model)] = text + "\n"
    return found


def schema(model: type[Message], channel: Channel) -> dict[str, Any]:
    """A message's JSON Schema."""
    found = model.model_json_schema(schema_generator=_Wire)
    if channel.proof is Proof.SIGNED:
        found["properties"]["sig"] = _SIG
        found["required"] = [*found.get("required", ()), "sig"]
    order = ("$schema", "title", "description", "type", "properties", "required", "$defs")
    whole = {"$schema": GenerateJsonSchema.schema_dialect} | found
    return {key: whole[key] for key in order if key in whole}


def document() -> dict[str, Any]:
    """The AsyncAPI document."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "gated",
            "version": ROOT.rpartition("/")[2],
            "description": _ABOUT,
            "tags": [{"name": str(proof), "description": said} for proof, said in PROOFS.items()],
        },
        "defaultContentType": "application/json",
        "channels": {channel.name: _channel(channel) for channel in CHANNELS},
        "operations": dict(_operations()),
        "components": {"messages": {name: said for channel in CHANNELS for name, said in _messages(channel)}},
    }


def _channel(channel: Channel) -> dict[str, Any]:
    placeholders = re.findall(r"\{(\w+)\}", channel.address)
    return {
        "address": channel.address,
        "description": f"{channel.what}\n\nAt most {channel.max_bytes:,} bytes.",
        "tags": [{"name": str(channel.proof)}],
        "parameters": {name: {"description": PARAMETERS[name]} for name in placeholders},
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name, _ in _messages(channel)},
    }


def _messages(channel: Channel) -> Iterator[tuple[str, dict[str, Any]]]:
    for model in channel.models:
        summary = " ".join((model.__doc__ or "").split("\n\n")[0].split())
        yield (
            _name(model),
            {
                "title": model.__name__,
                "summary": summary,
                "contentType": channel.content,
                "payload": _ENVELOPE if channel.proof is Proof.DSSE else {"$ref": f"./{_file_of(model)}"},
            },
        )
    if not channel.models:
        payload: dict[str, Any] = {"type": "string", "format": "binary"}
        if channel.content == "application/json":
            payload = {"type": "object", "additionalProperties": {"type": "string"}}
        yield channel.name, {"title": channel.name.capitalize(), "contentType": channel.content, "payload": payload}


def _operations() -> Iterator[tuple[str, dict[str, Any]]]:
    """What a gate does; the center and technicians do the reverse."""
    for channel in CHANNELS:
        sends = Party.GATE in channel.writers
        others = [party for party in (channel.readers if sends else channel.writers) if party is not Party.GATE]
        who = " and ".join(f"the {party}" for party in others)
        yield (
            f"{'send' if sends else 'receive'}{channel.name.capitalize()}",
            {
                "action": "send" if sends else "receive",
                "channel": {"$ref": f"#/channels/{channel.name}"},
                "summary": f"From a gate to {who}." if sends else f"From {who} to a gate.",
                "bindings": {"mqtt": {"qos": QOS, "retain": channel.retained, "bindingVersion": "0.2.0"}},
            },
        )


def _name(model: type[Message]) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", model.__name__).lower()


def _file_of(model: type[Message]) -> str:
    return f"{SCHEMAS}/{_name(model)}.json"


def yaml(value: Any, indent: int = 0) -> str:
    """Mappings, sequences, text, whole numbers and truth as block YAML; long text is wrapped."""
    space = "  " * indent
    match value:
        case Mapping():
            return "\n".join(f"{space}{_scalar(key)}:{_below(inner, indent)}" for key, inner in value.items())
        case list() | tuple():
            return "\n".join(f"{space}-{_below(inner, indent)}" for inner in value)
    return space + _scalar(value)


def _below(value: Any, indent: int) -> str:
    if isinstance(value, Mapping | list | tuple):
        return "\n" + yaml(value, indent + 1) if value else (" {}" if isinstance(value, Mapping) else " []")
    if isinstance(value, str) and ("\n" in value or len(value) > _WIDTH // 2):
        return " |-\n" + "\n".join(_wrapped(value, "  " * (indent + 1)))
    return " " + _scalar(value)


def _wrapped(text: str, space: str) -> Iterator[str]:
    for number, paragraph in enumerate(text.split("\n\n")):
        if number:
            yield ""
        words = " ".join(paragraph.split())
        yield from (
            space + line
            for line in textwrap.wrap(words, _WIDTH - len(space), break_long_words=False, break_on_hyphens=False)
        )


def _scalar(value: object) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _NOT_PLAIN and ", " not in value:
        return value
    return json.dumps(value, ensure_ascii=False)  # a JSON scalar is a YAML scalar


def write(folder: Path, files: Mapping[str, str]) -> Sequence[str]:
    """Write what differs, remove schemas that are none any more; the names of both."""
    (folder / SCHEMAS).mkdir(exist_ok=True)
    gone = [path for path in sorted((folder / SCHEMAS).iterdir()) if f"{SCHEMAS}/{path.name}" not in files]
    for path in gone:
        path.unlink()
    changed = [name for name, text in files.items() if there(folder).get(name) != text]
    for name in changed:
        (folder / name).write_text(files[name], encoding="utf-8")
    return [*changed, *(f"{SCHEMAS}/{path.name}" for path in gone)]


def there(folder: Path) -> dict[str, str]:
    """What of all this is in the folder."""
    paths = [path for path in (folder / DOCUMENT, *sorted((folder / SCHEMAS).glob("*"))) if path.exists()]
    return {str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in paths}


if __name__ == "__main__":
    for changed_name in write(DOCS, made()):
        sys.stdout.write(f"docs/{changed_name}\n")
