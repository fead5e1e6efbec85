"""Every key of the center's configuration is explained, with its default."""

import re
import tomllib

import pytest

from center.config import Config, Keep
from tests.docs.test_docs import ROOT, default, rows, text

SAMPLE = (ROOT / "config" / "center.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("key", [*Config.model_fields])
def test_the_sample_has_every_key(key: str) -> None:
    """As a line of its own, which may be commented out; a table as its head."""
    starts = (f"{key} = ", f"# {key} = ", f"# [{key}]")
    assert [line for line in SAMPLE.splitlines() if line.startswith(starts)]


@pytest.mark.parametrize("key", [*Keep.model_fields])
def test_how_long_things_are_kept(key: str) -> None:
    """In the table of the page for who runs a center, and in the sample, with the default."""
    field = Keep.model_fields[key]
    assert rows(text("operations"))[f"keep.{key}"] == default(field)
    kept = re.sub(r"^# ", "", SAMPLE[SAMPLE.index("# [keep]") :], flags=re.MULTILINE)
    assert tomllib.loads(kept)["keep"][key] == field.default
