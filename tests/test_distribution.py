"""What we hand out is ours, complete, and free of what belongs elsewhere."""

import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("protocol", "drivers", "gated", "center")
TARGETS_MAX = 12
TEXTS = {".md", ".py", ".toml", ".sql", ".service", ".conf", ".rules", ".sysusers", ".tmpfiles", ".svg", ""}
# What a public text does not say: our tracker's numbers, who typed it, where it lay on somebody's machine.
# (Written in brackets, so that this file does not find itself.)
FOREIGN = re.compile(
    r"\b(?:issue|fixes|closes|resolves|ticket)s? [#]\d+|(?<!home[ -])\b[a]ssistants?\b|[/](?:work|root)/\w",
    re.IGNORECASE,
)


def texts() -> Iterator[Path]:
    """All text files of the repository that people write, without what tools make."""
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        hidden = any(part.startswith(".") and part != ".ci" for part in parts)
        if path.is_file() and path.suffix in TEXTS and not hidden and parts[0] not in {"dist", "build"}:
            yield path


@pytest.mark.parametrize("package", PACKAGES)
def test_package_names_are_ours_alone(package: str) -> None:
    """No other distribution in the environment brings a package of the same (common) name."""
    owners = set(metadata.packages_distributions().get(package, ["gated"]))
    assert owners == {"gated"}


def test_the_wheel_holds_our_packages_and_no_other() -> None:
    """Every folder at the root that is a package is in the wheel; config/ and systemd/ are no packages."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    assert set(build["wheel"]["packages"]) == {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert set(PACKAGES) <= set(build["wheel"]["packages"])


def test_the_source_archive_holds_what_is_listed_and_no_more() -> None:
    """The archive is made from a list that exists, not from whatever lies about."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    listed = build["sdist"]["include"]
    assert all(name.startswith("/") for name in listed)
    assert [name for name in listed if not (ROOT / name[1:]).exists()] == []
    assert {f"/{package}" for package in build["wheel"]["packages"]} <= set(listed)


def test_it_can_not_be_uploaded_by_mistake() -> None:
    """Indexes refuse a distribution of this class: the package names are too common for a public one."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "Private :: Do Not Upload" in project["classifiers"]


def test_texts_speak_of_the_system_only() -> None:
    """No tracker numbers of ours, no names of tools that wrote, no paths of anybody's machine."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in texts()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if FOREIGN.search(line)
    ]
    assert found == []


def test_every_target_of_the_makefile_is_explained() -> None:
    """At most a dozen targets, each with its line in `make help`."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = set(re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)[0].split())
    assert phony == set(re.findall(r"^([a-z]+):.* ## \S", text, re.MULTILINE))
    assert phony == set(re.findall(r"^([a-z]+):", text, re.MULTILINE))
    assert len(phony) <= TARGETS_MAX


@pytest.mark.skipif(shutil.which("make") is None, reason="no make here")
def test_make_alone_helps() -> None:
    """`make` without a target changes nothing and lists what there is."""
    found = subprocess.run(["make", "-C", str(ROOT)], capture_output=True, text=True, check=True)
    for target in ("demo", "test", "bench"):
        assert f"make {target} " in found.stdout


def test_links_between_pages_lead_somewhere() -> None:
    """Every relative link in a page is a file that exists."""
    dead = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in texts()
        if page.suffix == ".md"
        for link in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
        if not (page.parent / link).exists()
    ]
    assert dead == []
