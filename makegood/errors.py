"""The errors that the rules raise. `app.py` alone turns them into HTTP answers."""

from __future__ import annotations

from typing import Any


class MakegoodError(Exception):
    """A rule said no. `code` is stable, for programs; the message is a sentence, for people.

    `details` are JSON values that an answer carries beside the message (for example `balance`).
    """

    code = "error"
    status = 400

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class NotFound(MakegoodError):
    """What the caller named does not exist."""

    code = "not_found"
    status = 404


class Invalid(MakegoodError):
    """The input breaks a rule. `fields` in the details names each offending field."""

    code = "invalid"
    status = 422


class Conflict(MakegoodError):
    """The state of things does not allow this now. No credits moved."""

    code = "conflict"
    status = 409


class NeedsApproval(MakegoodError):
    """It is beyond what this operator may do alone: a second one has to approve it. No credits moved.

    `most` in the details is what they may move alone now, in credits.
    """

    code = "needs_approval"
    status = 409


class IdempotencyConflict(Conflict):
    """The idempotency key was used for another request. No credits moved."""

    code = "idempotency_key_reused"


class InsufficientCredits(MakegoodError):
    """The customer has fewer credits than the charge needs. No credits moved."""

    code = "insufficient_credits"
    status = 402


class ProviderDisabled(MakegoodError):
    """An operator has switched this provider or model off for new generations. No credits moved."""

    code = "provider_disabled"
    status = 503


class Forbidden(MakegoodError):
    """This operator or API key may not do that."""

    code = "forbidden"
    status = 403


class Throttled(MakegoodError):
    """Too many attempts. `retry_after` in the details is in seconds."""

    code = "too_many_requests"
    status = 429
