"""What fal's errors mean, those of its models and its own."""

from __future__ import annotations

import re
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

# What the HTTP status says that a model's answer had, where nothing else does: .../serverless/reliability/retries
STATUSES = {
    400: ErrorClass.INVALID_INPUT,
    422: ErrorClass.INVALID_INPUT,
    500: ErrorClass.INTERNAL_ERROR,
    502: ErrorClass.PROVIDER_UNAVAILABLE,
    503: ErrorClass.PROVIDER_UNAVAILABLE,
    504: ErrorClass.TIMEOUT,
}

_STATUS = re.compile(r"Invalid status code: ([0-9]{3})")


def status_in(text: str | None) -> int | None:
    """The HTTP status that a callback's "error" speaks of, such as "Invalid status code: 422"."""
    match = _STATUS.fullmatch(text or "")
    return int(match[1]) if match else None


def classify(error: Mapping[str, Any], text: str | None, status: int | None, *, retryable: bool) -> ErrorClass:
    """The class of a failed job: by the types in the body of its error, then by its text, then by its status."""
    types, own = fastapi_errors.types(error), error.get("error_type")
    known = [ERRORS[one] for one in (*types, *([own] if isinstance(own, str) else [])) if one in ERRORS]
    if known:
        return known[0]
    by_text = failures.from_text(text) if status_in(text) is None else None
    if types and by_text not in TELLING_TEXTS:
        return ErrorClass.INVALID_INPUT
    if by_text is None and retryable:
        return ErrorClass.PROVIDER_UNAVAILABLE
    return by_text or STATUSES.get(status or 0, ErrorClass.UNKNOWN_ERROR)
