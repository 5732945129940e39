"""What was received is shown without its secrets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from blueprints import bodies


def test_secrets_and_callback_tokens_are_masked_wherever_they_are() -> None:
    token = "x" * 43
    received = {
        "X-Signature": "abc",
        "data": [{"api_key": "k", "callBackUrl": f"https://makegood.example/callbacks/nanobanana/{token}"}],
        "token": "",
        "prompt": "a secret garden",
    }
    shown = bodies.pretty(received)
    assert token not in shown
    assert '"abc"' not in shown
    assert '"k"' not in shown
    assert "a secret garden" in shown
    assert "/callbacks/nanobanana/•••" in shown


def test_a_raw_body_is_shown_whatever_it_is() -> None:
    assert bodies.body_text(b'{"b":1,"a":2}') == '{\n  "b": 1,\n  "a": 2\n}'
    assert bodies.body_text(b"plain") == "plain"
    assert bodies.body_text(b"\xff\x00") == "2 bytes that are not text: ff 00"
    assert bodies.body_text(b"[" * 100_000).startswith("[[[")


@given(body=st.binary(max_size=200))
def test_no_raw_body_breaks_the_page(body: bytes) -> None:
    assert isinstance(bodies.body_text(body), str)
