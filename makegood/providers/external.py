"""The provider of platforms that call theirs themselves: Makegood charges, the platform reports the outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from makegood.providers.protocol import (
    Accepted,
    Account,
    CallbackRejected,
    ErrorClass,
    FetchFailed,
    Found,
    Job,
    LostJob,
    Report,
    SubmitRefused,
    Units,
)

EXTERNAL = "external"
"""The provider's name for generations that the platform submits itself."""


@dataclass(frozen=True)
class External:
    """Nothing is ever sent from here, and nobody can be asked."""

    name: str = EXTERNAL
    signed: bool = False
    configured: bool = True

    def units(self, model: str, input: Mapping[str, Any]) -> Units:
        """One generation: what its provider bills is the platform's to know."""
        return Units("generation", 1)

    def job_secret(self, token: str) -> str | None:
        """None: nobody is given a secret."""
        return None

    def submit(self, job: Job) -> Accepted:
        """Refused: the platform submits."""
        raise SubmitRefused(ErrorClass.INVALID_INPUT, "The platform submits this generation itself.")

    def parse_callback(self, headers: Mapping[str, str], body: bytes, now: datetime, token: str) -> Report:
        """Rejected: the platform reports outcomes through the API, with its key."""
        raise CallbackRejected("outcomes of external generations are reported through the API")

    def fetch(self, provider_job_id: str, model: str) -> Report:
        """Not possible: only the platform knows."""
        raise FetchFailed("only the platform knows the outcome of an external generation")

    def find(self, lost: LostJob) -> Found | None:
        """None: only the platform knows."""
        return None

    def account(self) -> Account | None:
        """None: there is no account."""
        return None
