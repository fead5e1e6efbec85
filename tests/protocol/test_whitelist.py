"""Lines of the whitelist."""

import json
import string
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from protocol.credential import Credential
from protocol.whitelist import LINE_MAX_BYTES, Entry, LineError, encode, parse

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_C = '"c":"em:0A00A1B2C3"'

times = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 30), timezones=st.just(UTC)).map(  # noqa: DTZ001 - bounds
    lambda moment: (moment - _EPOCH) / timedelta(seconds=1)
)
names = st.text(string.ascii_letters + string.digits + "_.-人行", min_size=1, max_size=64)
credentials = st.one_of(
    st.from_regex(r"\A(em:[0-9A-F]{10}|uid:([0-9A-F]{2}){4,10}|epc:([0-9A-F]{4}){1,31})\Z"),
    st.from_regex(r"\Aplate:沪[A-Z][0-9]{5}\Z"),
).map(Credential)


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    """Any entry that a line can write."""
    credential = draw(credentials)
    begins, ends = draw(st.lists(times, min_size=2, max_size=2, unique=True).map(sorted))
    since = draw(st.none() | times)
    gone = draw(st.booleans())
    holder = st.from_regex(r"\A[A-Za-z0-9._-]{1,64}\Z")
    return Entry(
        credential,
        draw(st.just("") | holder if gone else holder),
        draw(st.sampled_from([None, begins])),
        draw(st.sampled_from([None, ends])),
        draw(st.just("always") | names),
        draw(st.just(("*",)) | st.lists(names, min_size=1, max_size=5, unique=True).map(tuple)),
        draw(st.none() | st.from_regex(r"\A([0-9A-F]{4}){2,32}\Z")),
        draw(st.none() | credentials.filter(lambda other: other != credential)),
        since,
        None if since is None else draw(st.sampled_from([None, since])),
        gone,
    )


@given(entries())
def test_what_is_encoded_parses_back(entry: Entry) -> None:
    """Encoding loses nothing, and gives the one canonical line."""
    line = encode(entry)
    assert parse(line) == entry
    assert encode(parse(line)) == line
    assert b"\n" not in line


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
keys = st.sampled_from(["c", "h", "from", "until", "when", "lanes", "tid", "with", "since", "signed", "gone"])


@given(
    st.one_of(
        st.binary(max_size=200),
        st.text(max_size=200),
        st.dictionaries(keys | st.text(), json_values | credentials, max_size=6).map(json.dumps),
    )
)
@example(b"[" * LINE_MAX_BYTES)
@example('{"c":' + "[" * 900 + "]" * 900 + ',"h":"a"}')
@example('{"c":"em:0A00A1B2C3","h":' + "9" * 4000 + "}")
@example('{"c":"em:\\ud800","h":"\\ud800"}')
@example("\ud800")
@example("\ufeff{}")
def test_nothing_but_a_line_error_is_raised(line: bytes | str) -> None:
    """Whatever stands in a line, it is an entry or a LineError with words in it, which can be printed."""
    try:
        parse(line)
    except LineError as error:
        assert str(error).encode()  # noqa: PT017 - either outcome will do


@pytest.mark.parametrize("depth", range(300, 1000, 7))
def test_deep_nesting_is_a_bad_line(depth: int) -> None:
    """No depth of brackets gets past the line's own error."""
    with pytest.raises(LineError):
        parse('{"c":' + "[" * depth + "]" * depth + "}")


def test_the_least_line_is_a_credential_and_a_holder() -> None:
    """Only `c` and `h` are required, and the rest is the least restriction."""
    entry = parse(b'{"h":"h7Qk2", "c":"epc:E28011"}'.replace(b"E28011", b"E2801160"))
    assert entry == Entry(Credential("epc:E2801160"), "h7Qk2")
    assert encode(entry) == b'{"c":"epc:E2801160","h":"h7Qk2"}'


def test_a_line_with_everything() -> None:
    """Every key arrives in its field; times are POSIX seconds whatever their offset."""
    entry = parse(
        '{"c":"epc:E2801160","h":"h7Qk2","from":"2026-11-24T08:00:00+08:00","until":"2027-01-01T00:00:00.5Z",'
        '"when":"workdays","lanes":["walk-in","人行"],"tid":"E2003412","with":"plate:沪A12345",'
        '"since":"2026-12-01T00:00:00Z","signed":"2026-12-02T00:00:00Z"}'
    )
    midnight = datetime(2026, 11, 24, 8, tzinfo=timezone(timedelta(hours=8))).timestamp()
    assert entry.begins == midnight
    assert entry.ends == datetime(2027, 1, 1, tzinfo=UTC).timestamp() + 0.5
    assert (entry.when, entry.lanes, entry.tid, entry.partner) == (
        "workdays",
        ("walk-in", "人行"),
        "E2003412",
        "plate:沪A12345",
    )
    assert entry.signed is not None
    assert entry.since == entry.signed - 86400


def test_a_gone_line_needs_no_holder() -> None:
    """`gone` stands with the credential alone."""
    assert parse(f'{{{_C},"gone":true}}') == Entry(Credential("em:0A00A1B2C3"), "", gone=True)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "not JSON"),
        ("hello", "not JSON at column 1"),
        (f'{{{_C},"h":"a"', "not JSON at column"),
        (f'{{{_C},"h":"a"}} {{}}', "not JSON"),
        (f'{{{_C},"h":NaN}}', "NaN is not JSON"),
        ("[]", "one JSON object"),
        (b'{"c":"\xff"}', "not UTF-8 at byte 7; save the list as UTF-8"),
        (f'{{{_C},"h":"a","name":"Li"}}', "unknown key 'name'; known are c, h, from"),
        ('{"h":"a"}', "c, the credential, is missing"),
        (f"{{{_C}}}", "h, the holder's random name, is missing"),
        (f'{{{_C},"h":"a","h":"b"}}', "the key 'h' is there twice"),
        ('{"c":"em:0a00a1b2c3","h":"a"}', "c: 'em:0a00a1b2c3' is not canonical: after em: come 10 upper-case"),
        ('{"c":"tag:1","h":"a"}', "no known scheme; known are em, uid"),
        ('{"c":17,"h":"a"}', "it is a credential in quotes"),
        (f'{{{_C},"h":"张三"}}', "random name"),
        (f'{{{_C},"h":""}}', "random name"),
        (f'{{{_C},"h":"a","from":"2026-11-24T08:00:00"}}', "a time with seconds and an offset, like 2026"),
        (f'{{{_C},"h":"a","from":1764000000}}', "a time with seconds and an offset"),
        (f'{{{_C},"h":"a","until":"2026-02-30T08:00:00Z"}}', "no such time"),
        (f'{{{_C},"h":"a","until":"9999-12-31T23:59:59-08:00"}}', "no such time"),
        (f'{{{_C},"h":"a","until":"1969-12-31T23:59:59Z"}}', "before 1970"),
        (
            f'{{{_C},"h":"a","from":"2026-11-24T08:00:00+08:00","until":"2026-11-24T00:00:00Z"}}',
            "from is not before until",
        ),
        (f'{{{_C},"h":"a","when":""}}', "the name of hours"),
        (f'{{{_C},"h":"a","when":["always"]}}', "the name of hours"),
        (f'{{{_C},"h":"a","lanes":"walk-in"}}', "a list of names"),
        (f'{{{_C},"h":"a","lanes":[]}}', "a list of names"),
        (f'{{{_C},"h":"a","lanes":["walk-in",3]}}', "a list of names"),
        (f'{{{_C},"h":"a","lanes":["a","a"]}}', "each name comes once"),
        (f'{{{_C},"h":"a","lanes":["*","a"]}}', '"*" stands alone'),
        (f'{{{_C},"h":"a","tid":"e2003412"}}', "upper-case hex"),
        (f'{{{_C},"h":"a","with":"em:0A00A1B2C3"}}', "with names the credential itself"),
        (f'{{{_C},"h":"a","with":"A12345"}}', "with: 'A12345' has no known scheme"),
        (f'{{{_C},"h":"a","signed":"2026-11-24T00:00:00Z"}}', "signed without since"),
        (
            f'{{{_C},"h":"a","since":"2026-11-24T00:00:00Z","signed":"2026-11-27T00:00:01Z"}}',
            "more than 72 h after since",
        ),
        (f'{{{_C},"gone":false}}', "it is true, or left out"),
        ("{" + " " * LINE_MAX_BYTES + "}", f"at most {LINE_MAX_BYTES}"),
    ],
)
def test_a_bad_line_says_what_would_be_right(line: bytes | str, words: str) -> None:
    """The message names what was wrong and what would be right."""
    with pytest.raises(LineError) as caught:
        parse(line)
    assert words in str(caught.value)
