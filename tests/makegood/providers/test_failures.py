"""What a provider's text is taken to mean when it gives no code."""

from __future__ import annotations

import re

import pytest

from makegood.providers.failures import PHRASES, from_text
from makegood.providers.protocol import ErrorClass

TEXTS = [
    ("Your prompt was flagged by Website as violating content policies.", ErrorClass.CONTENT_POLICY_VIOLATION),
    ("The content contains sensitive information.", ErrorClass.CONTENT_POLICY_VIOLATION),
    ("Insufficient credits. Please top up", ErrorClass.PROVIDER_ACCOUNT),
    ("User is locked. Reason: Exhausted balance.", ErrorClass.PROVIDER_ACCOUNT),
    ("The request timed out.", ErrorClass.TIMEOUT),
    ("Task timeout", ErrorClass.TIMEOUT),
    ("Failed to upload output to storage.", ErrorClass.STORAGE_ERROR),
    ("could not save the result", ErrorClass.STORAGE_ERROR),
    ("Failed to download image from the provided URL.", ErrorClass.INVALID_INPUT),
    ("The service is temporarily unavailable.", ErrorClass.PROVIDER_UNAVAILABLE),
    ("Too many requests", ErrorClass.PROVIDER_UNAVAILABLE),
    ("The parameter value is invalid.", ErrorClass.INVALID_INPUT),
    ("An internal error occurred.", ErrorClass.INTERNAL_ERROR),
    ("The task execution failed.", ErrorClass.GENERATION_FAILED),
    ("Image generation task failed.", ErrorClass.GENERATION_FAILED),
]


@pytest.mark.parametrize(("text", "error_class"), TEXTS)
def test_a_text_speaks_of_its_class_in_any_case(text: str, error_class: ErrorClass) -> None:
    assert from_text(text) == from_text(text.upper()) == error_class


@pytest.mark.parametrize("text", [None, "", "Worker 17 gave up.", "timeless", "E17"])
def test_a_text_that_says_nothing_known_has_no_class(text: str | None) -> None:
    assert from_text(text) is None


def test_every_phrase_has_an_example() -> None:
    for phrase, error_class in PHRASES:
        examples = [text for text, expected in TEXTS if expected == error_class]
        assert any(re.search(phrase, text, re.IGNORECASE) for text in examples), phrase
