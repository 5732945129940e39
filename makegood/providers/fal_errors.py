"""What fal's errors mean, those of its models and its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from makegood.providers import failures, fastapi_errors
from makegood.providers.protocol import ErrorClass
from makegood.providers.refusals import TELLING_TEXTS

# Types of errors. Any other is about the input, as fal says itself.
# https://fal.ai/docs/documentation/model-apis/errors and .../request-errors
ERRORS = {
    "content_policy_violation": ErrorClass.CONTENT_POLICY_VIOLATION,
    "internal_server_error": ErrorClass.INTERNAL_ERROR,
    "internal_error": ErrorClass.INTERNAL_ERROR,
    "no_media_generated": ErrorClass.GENERATION_FAILED,
    "generation_timeout": ErrorClass.TIMEOUT,
    "request_timeout": ErrorClass.TIMEOUT,
    "startup_timeout": ErrorClass.TIMEOUT,
    "downstream_service_error": ErrorClass.GENERATION_FAILED,
    "downstream_service_unavailable": ErrorClass.PROVIDER_UNAVAILABLE,
    "runner_scheduling_failure": ErrorClass.PROVIDER_UNAVAILABLE,
    "runner_connection_timeout": ErrorClass.PROVIDER_UNAVAILABLE,
    "runner_connection_refused": ErrorClass.PROVIDER_UNAVAILABLE,
    "runner_connection_error": ErrorClass.PROVIDER_UNAVAILABLE,
    "runner_disconnected": ErrorClass.PROVIDER_UNAVAILABLE,
    "runner_incomplete_response": ErrorClass.PROVIDER_UNAVAILABLE,
    "runner_server_error": ErrorClass.INTERNAL_ERROR,
    "client_disconnected": ErrorClass.GENERATION_FAILED,
    "client_cancelled": ErrorClass.GENERATION_FAILED,
    "bad_request": ErrorClass.INVALID_INPUT,
}


def classify(error: Mapping[str, Any], headers: Mapping[str, str], text: str | None) -> ErrorClass:
    """The class of a failed job, from the body of its error, the headers of a fetched one, and its text."""
    types, own = fastapi_errors.types(error), error.get("error_type")
    known = [ERRORS[one] for one in (*types, *([own] if isinstance(own, str) else [])) if one in ERRORS]
    if known:
        return known[0]
    by_text = failures.from_text(text)
    if types and by_text not in TELLING_TEXTS:
        return ErrorClass.INVALID_INPUT
    if by_text is None and headers.get("x-fal-retryable") == "true":
        return ErrorClass.PROVIDER_UNAVAILABLE
    return by_text or ErrorClass.UNKNOWN_ERROR
