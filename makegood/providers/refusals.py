"""Answers to a submit that take no job, at providers whose HTTP statuses mean what HTTP says they mean."""

from __future__ import annotations

from makegood.providers import failures
from makegood.providers.http import Answer
from makegood.providers.protocol import ErrorClass, SubmitRefused, SubmitUnknown

# https://www.rfc-editor.org/rfc/rfc9110#section-15, and what the adapters that use it name as their source.
STATUSES = {
    400: ErrorClass.INVALID_INPUT,
    401: ErrorClass.PROVIDER_ACCOUNT,
    402: ErrorClass.PROVIDER_ACCOUNT,
    403: ErrorClass.PROVIDER_ACCOUNT,
    404: ErrorClass.INVALID_INPUT,
    413: ErrorClass.INVALID_INPUT,
    422: ErrorClass.INVALID_INPUT,
    429: ErrorClass.PROVIDER_UNAVAILABLE,
}

# Only these texts say more than the status does.
TELLING_TEXTS = (ErrorClass.CONTENT_POLICY_VIOLATION, ErrorClass.PROVIDER_ACCOUNT)


def error(answer: Answer, text: str | None, told: ErrorClass | None = None) -> SubmitRefused | SubmitUnknown:
    """What to raise for an answer that names no job. `text` is the provider's, `told` what its own code means."""
    code = answer.code
    # No answer with 5xx is here: whoever gives it does not say whether the provider has the job.
    if code not in STATUSES:
        return SubmitUnknown(f"The provider answered with the code {code}.")
    by_text = failures.from_text(text)
    by_status = by_text if by_text in TELLING_TEXTS else STATUSES[code]
    return SubmitRefused(told or by_status, text or f"The provider refused with the code {code}.")
