"""The protocol that every provider's adapter speaks, and the outcomes it reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
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
    """What a provider bills for one job: for example 2 of the unit "image", in the tier "2K" (the qualifier).

    `quantity` is None while only the provider's answer can tell; it has at most three decimals.
    """

    unit: str
    quantity: Decimal | int | None
    qualifier: str = ""


@dataclass(frozen=True)
class Job:
    """What is submitted: our id, the provider's model, its input, and where to call back."""

    generation_id: UUID
    model: str
    kind: str
    input: Mapping[str, Any]
    callback_url: str = field(repr=False)


@dataclass(frozen=True)
class LostJob:
    """A job whose submit was never answered, as reconcile looks for it.

    The token in its callback address is known as a hash only (`makegood.ids.hash_token`).
    """

    generation_id: UUID
    model: str
    input: Mapping[str, Any]
    charged_at: datetime
    callback_token_hash: bytes = field(repr=False)


@dataclass(frozen=True)
class File:
    """A result that the provider sent instead of a link to it."""

    content_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class Report:
    """What a callback or a fetch says of a job.

    `delivery` identifies a callback's delivery where the provider gives it an id. `message` is the provider's
    text, at most 500 characters; it is shown to operators, never to customers. `cost_micros` (micro-dollars) and
    `usage` (what was really billed, to be priced by the price book) only where the answer itself says so.
    `outputs_expire_at` is when the links die. An `incomplete` report is genuine, but leaves out what only a fetch
    tells (the result or its cost): the job is fetched before it counts.
    """

    outcome: Outcome
    provider_job_id: str | None = None
    outputs: tuple[str, ...] = ()
    error_class: ErrorClass | None = None
    message: str | None = None
    cost_micros: int | None = None
    delivery: str | None = None
    status: str = ""
    usage: Units | None = None
    outputs_expire_at: datetime | None = None
    files: tuple[File, ...] = ()
    incomplete: bool = False


@dataclass(frozen=True)
class Accepted:
    """The provider took the job. `cost_micros` (micro-dollars) or `usage` when its answer says what it costs,
    `report` when the answer is the result already."""

    provider_job_id: str
    cost_micros: int | None = None
    usage: Units | None = None
    report: Report | None = None


@dataclass(frozen=True)
class Found:
    """A lost job that was found at its provider; the report names it. `certain` when an id or an address of ours
    proves it, and not only its likeness."""

    report: Report
    certain: bool


@dataclass(frozen=True)
class Account:
    """What is left at a provider: `remaining` of `unit` ("USD", "credits", "characters" ...), out of `limit` where
    there is one. `usd_micros` (micro-dollars) where the provider says what that is worth."""

    remaining: Decimal
    unit: str
    usd_micros: int | None = None
    limit: Decimal | None = None


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


class Connection(Protocol):
    """How one provider is reached. Without a key it takes no job, without a secret no callback is genuine."""

    @property
    def api_key(self) -> str | None:
        """What we authenticate with."""
        ...

    @property
    def api_secret(self) -> str | None:
        """The other half of the key, at providers that give out two."""
        ...

    @property
    def webhook_secret(self) -> str | None:
        """What its callbacks are signed with; several separated by commas while one is replaced."""
        ...

    @property
    def base_url(self) -> str | None:
        """Where it is, without a path; None for its public address."""
        ...


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

    @property
    def configured(self) -> bool:
        """Everything that a submit needs is set."""
        ...

    def units(self, model: str, input: Mapping[str, Any]) -> Units:
        """What the provider bills for this input."""
        ...

    def job_secret(self, token: str) -> str | None:
        """The secret that the provider is given for this job alone, made from the token in its callback address;
        None where there is none. It is masked in everything that is kept."""
        ...

    def submit(self, job: Job) -> Accepted:
        """Submit once, never retried. Raises SubmitRefused or SubmitUnknown."""
        ...

    def parse_callback(self, headers: Mapping[str, str], body: bytes, now: datetime, token: str) -> Report:
        """Verify (if `signed`) and read a callback; header names in lower case, `token` from the address that it
        came to. Raises CallbackRejected."""
        ...

    def fetch(self, provider_job_id: str, model: str) -> Report:
        """Ask for a job's state. Raises FetchFailed or JobGone."""
        ...

    def find(self, lost: LostJob) -> Found | None:
        """Look for a job whose submit was never answered, by the provider's own means: by our id, or in its list
        of recent jobs. None where it is not there (yet) or there is no such means. Raises FetchFailed."""
        ...

    def account(self) -> Account | None:
        """What is left of our balance or quota. None where the provider has no API for it. Raises FetchFailed."""
        ...
