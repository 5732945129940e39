"""Codes as people say them."""

from __future__ import annotations

import pytest

from blueprints.admin.codes import coded


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("reason", "bad_result", "Result was unusable"),
        ("error", "timeout", "Timeout"),
        ("filters state", "pending", "Waiting"),
        ("what", "provider_unavailable", "Provider unavailable"),
        ("reason", "It answers with 500.", "It answers with 500."),
        ("model", "nano_banana", "nano_banana"),
        ("filters customer", "user_a", "user_a"),
        ("note", "as it is", "as it is"),
        ("credits", 12, 12),
    ],
)
def test_a_code_is_said_in_words_and_a_name_stays(name: str, value: object, said: object) -> None:
    assert coded(value, name) == said
