"""`gated doctor` looks at the broker's certificate, while there is still time."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from center.site import authority
from gated.commands.doctor_center import certificate
from gated.config import CenterConfig
from tests.broker import Mosquitto, free_port

NOW = datetime.now(UTC)


@pytest.fixture
def ca(tmp_path: Path) -> authority.Pair:
    """The site's authority, whose certificate is `ca.pem`."""
    made = authority.make_authority("shenhang", NOW - timedelta(days=1000))
    (tmp_path / "ca.pem").write_bytes(made.certificate)
    return made


@pytest.fixture
def center(request: pytest.FixtureRequest, tmp_path: Path, ca: authority.Pair) -> Iterator[CenterConfig]:
    """A center whose broker has a certificate that has so many days left."""
    made = NOW - authority.SERVER_TIME + timedelta(days=request.param, hours=1)
    server = authority.make_server(ca, ["127.0.0.1"], made)
    (tmp_path / "server.pem").write_bytes(server.both)
    path = tmp_path / "server.pem"
    with Mosquitto(tmp_path / "broker", tls=(tmp_path / "ca.pem", path, path)) as broker:
        yield CenterConfig(broker=broker.url, username="north", password="file:/none", ca=tmp_path / "ca.pem")  # noqa: S106 - no password


@pytest.mark.parametrize(
    ("center", "said"),
    [
        (31, []),
        (29, [("note", "ends in 29 days")]),
        (-1, [("wrong", "is not taken: certificate has expired")]),
    ],
    indirect=["center"],
)
def test_the_certificate(center: CenterConfig, said: list[tuple[str, str]]) -> None:
    """Nothing while it is far; then how long it has left; then that it is not taken."""
    found = list(certificate(center))
    assert len(found) == len(said)
    for finding, (grade, words) in zip(found, said, strict=True):
        assert finding.grade == grade
        assert words in finding.said


def test_no_broker(tmp_path: Path, ca: authority.Pair) -> None:
    """A broker that cannot be reached is a note: the gate works without it."""
    assert ca.certificate
    url = f"mqtts://127.0.0.1:{free_port()}"
    center = CenterConfig(broker=url, username="north", password="file:/none", ca=tmp_path / "ca.pem")  # noqa: S106 - no password
    [finding] = certificate(center)
    assert (finding.grade, "cannot be reached" in finding.said) == ("note", True)
