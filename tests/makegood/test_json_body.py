"""What strangers send is read strictly, and never raises anything but NotJSON."""

from __future__ import annotations

import json
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makegood.json_body import NotJSON, loads

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES, st.booleans())
def test_it_reads_what_python_writes(value: object, ascii_only: bool) -> None:
    assert loads(json.dumps(value, ensure_ascii=ascii_only).encode(), max_depth=100) == value


@given(st.binary() | st.text(alphabet='[]{}",:\\u0dn1e.- ').map(str.encode), st.booleans())
def test_any_bytes_are_read_or_refused(raw: bytes, plain_text: bool) -> None:
    with suppress(NotJSON):
        loads(raw, plain_text=plain_text)


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
@pytest.mark.parametrize("closed", [True, False])
def test_five_thousand_levels_are_refused_not_a_crash(opening: bytes, closed: bool) -> None:
    closing = bytes({91: 93, 123: 125}[c] for c in reversed(opening) if c in b"[{")
    with pytest.raises(NotJSON, match="levels"):
        loads(opening * 5000 + (b"1" + closing * 5000 if closed else b""))


def test_the_depth_limit_is_exact() -> None:
    assert loads(b"[" * 32 + b"]" * 32)
    with pytest.raises(NotJSON, match="more than 32 levels"):
        loads(b"[" * 33 + b"]" * 33)


def test_brackets_within_texts_are_no_depth() -> None:
    text = "[{" * 100 + '"\\'
    assert loads(json.dumps([text]).encode()) == [text]


@pytest.mark.parametrize(
    "raw",
    [
        b"NaN",
        b"[Infinity]",
        b'{"a": -Infinity}',
        b"1e999",
        b"-1e999",
        b"9223372036854775808",
        b"-9223372036854775808",
        b"1" * 5000,
        b'{"a": 1, "a": 1}',
        b'{"a": 1, "\\u0061": 2}',
        b'[{"b": {"a": 1, "a": 2}}]',
        b"\xff",
        b'"\xed\xa0\x80"',
        b"\xef\xbb\xbf{}",
        '{"a": 1}'.encode("utf-16"),
        b"",
        b"{",
        b"[1,]",
        b"'a'",
        b'"\x00"',
        b"{} {}",
    ],
)
def test_what_python_alone_would_accept_or_choke_on_is_refused(raw: bytes) -> None:
    with pytest.raises(NotJSON):
        loads(raw)


@pytest.mark.parametrize(
    "raw", [b'"\\u0000"', b'"\\ud800"', b'{"\\u0000": 1}', b'[[{"a": "b\\udfff"}]]', b'"\\udc00\\ud800"']
)
def test_texts_that_the_database_cannot_store_are_refused_when_asked(raw: bytes) -> None:
    assert loads(raw) is not None
    with pytest.raises(NotJSON, match="NUL"):
        loads(raw, plain_text=True)


def test_a_whole_surrogate_pair_is_plain_text() -> None:
    assert loads(b'"\\ud83d\\ude00"', plain_text=True) == "😀"


@pytest.mark.parametrize("raw", [b'"' + b"a" * 1_000_000, b'"\\' * 500_000, b"[]," * 300_000, b"1" * 1_000_000])
def test_a_megabyte_of_nonsense_takes_less_than_two_seconds(raw: bytes) -> None:
    started = time.monotonic()
    with pytest.raises(NotJSON):
        loads(raw)
    assert time.monotonic() - started < 2
