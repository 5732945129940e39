"""What a provider's error text means, for when it gives no code that we know.

The phrases are ours, gathered from the texts of the providers' samples and of public integrations: no provider
publishes a list. The order matters, the first phrase that is found decides.
"""

from __future__ import annotations

import re

from makegood.providers.protocol import ErrorClass

PHRASES: tuple[tuple[str, ErrorClass], ...] = (
    (
        r"sensitive|flagged|nsfw|moderat|content polic|prohibited content|safety",
        ErrorClass.CONTENT_POLICY_VIOLATION,
    ),
    (
        r"insufficient (account )?(credit|balance|fund)|top up|exhausted balance|arrears",
        ErrorClass.PROVIDER_ACCOUNT,
    ),
    (r"time[ds]?[ -]?out|deadline exceeded", ErrorClass.TIMEOUT),
    (r"storage|(save|store|upload)(ing|ed)? (the |your )?(output|result)", ErrorClass.STORAGE_ERROR),
    (
        r"(download|fetch|access|open|load)(ing|ed)? (the |your |an? )?(input|image|media|video|audio|file|url)",
        ErrorClass.INVALID_INPUT,
    ),
    (
        r"unavailable|overloaded|maintenance|rate limit|too many requests|at capacity",
        ErrorClass.PROVIDER_UNAVAILABLE,
    ),
    (r"invalid|not valid|missing|required|must be|unsupported|too long", ErrorClass.INVALID_INPUT),
    (r"internal (server )?error", ErrorClass.INTERNAL_ERROR),
    (
        r"(task|generation|execution|inference|prediction) (execution )?failed|failed to generate",
        ErrorClass.GENERATION_FAILED,
    ),
)

_PATTERNS = tuple((re.compile(phrase, re.IGNORECASE), error_class) for phrase, error_class in PHRASES)


def from_text(text: str | None) -> ErrorClass | None:
    """The error class that a provider's text speaks of, or None."""
    if not text:
        return None
    return next((error_class for pattern, error_class in _PATTERNS if pattern.search(text)), None)
