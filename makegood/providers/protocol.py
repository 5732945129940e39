"""The protocol that every provider's adapter speaks, and the outcomes it reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID


class ErrorClass(StrEnum):
    """Why a generation failed. The refund policy is keyed by these."""

    CONTENT_POLICY_VIOLATION = "content_policy_violation"
    INTERNAL_ERROR = "internal_error"
    GENERATION_FAILED = "generation_failed"
    STORAGE_ERROR = "storage_error"
    TIMEOUT = "timeout"
    PROVIDER_UNAVAILABLE = "provider_unavailable"
    PROVIDER_ACCOUNT = "provider_account"
    INVALID_INPUT = "invalid_input"
    UNKNOWN_ERROR = "unknown_error"


class Outcome(StrEnum):
    """What a provider says of a job. A status that we do not know is PENDING: it changes nothing."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True)
class Units:
    """What a provider bills for one job: for example 2 of the unit "image"."""

    unit: str
    quantity: int


@dataclass(frozen=True)
class Job:
    """What is submitted: our id, the provider's model, its input, and where to call back."""

    generation_id: UUID
    model: str
    kind: str
    input: Mapping[str, Any]
    callback_url: str = field(repr=False)


@dataclass(frozen=True)
class Accepted:
    """The provider took the job. `cost_micros` (micro-dollars) when its answer says what it costs."""

    provider_job_id: str
    cost_micros: int | None = None


@dataclass(frozen=True)
class Report:
    """What a callback or a fetch says of a job.

    `delivery` identifies a callback's delivery where the provider gives it an id. `message` is the provider's
    text, at most 500 characters; it is shown to operators, never to customers.
    """

    outcome: Outcome
    provider_job_id: str | None = None
    outputs: tuple[str, ...] = ()
    error_class: ErrorClass | None = None
    message: str | None = None
    cost_micros: int | None = None
    delivery: str | None = None
    status: str = ""


class SubmitRefused(Exception):
    """The provider definitely did not take the job; nothing runs there."""

    def __init__(self, error_class: ErrorClass, message: str) -> None:
        super().__init__(message)
        self.error_class = error_class
        self.message = message


class SubmitUnknown(Exception):
    """The answer was lost or makes no sense: the provider may be working on the job."""


class CallbackRejected(Exception):
    """The callback is not genuine, stale or not readable. The message says why, without secrets."""


class FetchFailed(Exception):
    """The provider could not be asked now. Ask again later."""


class JobGone(Exception):
    """The provider does not know this job (any more)."""


class Provider(Protocol):
    """An adapter: one file for each provider, no state but its configuration and an HTTP client."""

    @property
    def name(self) -> str:
        """The name that generations, prices and addresses carry."""
        ...

    @property
    def signed(self) -> bool:
        """Callbacks carry a signature that proves them. If not, a callback is only a hint to fetch."""
        ...

    def units(self, model: str, input: Mapping[str, Any]) -> Units:
        """What the provider bills for this input."""
        ...

    def submit(self, job: Job) -> Accepted:
        """Submit once, never retried. Raises SubmitRefused or SubmitUnknown."""
        ...

    def parse_callback(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Report:
        """Verify (if `signed`) and read a callback; header names in lower case. Raises CallbackRejected."""
        ...

    def fetch(self, provider_job_id: str, model: str) -> Report:
        """Ask for a job's state. Raises FetchFailed or JobGone."""
        ...
