"""What one provider's protocol has to say for itself; everything else is the same for all of them."""

from __future__ import annotations

import hmac
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulator.jobs import Job, Jobs, State


@dataclass(frozen=True)
class Keys:
    """What this simulator's one customer authenticates with, and what callbacks to it are signed with."""

    api_key: str = field(repr=False)
    api_secret: str = field(repr=False)
    webhook_secret: str = field(repr=False)


@dataclass(frozen=True)
class Request:
    """A request as it came. Header names are in lower case; a GET has an empty body."""

    method: str
    path: str
    query: Mapping[str, str] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Reply:
    """An answer: `content` as it is, else `body` as JSON."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    content_type: str = "application/json"

    @property
    def raw(self) -> bytes:
        """The bytes that are sent."""
        return json.dumps(self.body).encode() if self.content is None else self.content


@dataclass(frozen=True)
class Submission:
    """What a submit asks for. `webhook` is where to call back, `secret` what it wants its callbacks proven with,
    `reference` the customer's own id (never taken twice), `route` whatever of the address the dialect needs again.
    """

    model: str
    input: Mapping[str, Any]
    webhook: str | None = field(default=None, repr=False)
    secret: str | None = field(default=None, repr=False)
    reference: str | None = None
    route: str = ""


class Dialect:
    """One provider's protocol. A dialect overrides what is different, and keeps no state of its own jobs."""

    name: str
    """That of the adapter, in settings and in `start(dialect=...)`."""
    settings: tuple[str, ...] = ("API_KEY",)
    """What must be set to use it: also API_SECRET or WEBHOOK_SECRET where there is one."""
    failures: Mapping[str, Any] = {}
    """How the provider words a failure of each error class; "unknown_error" is used for every other. At a
    synchronous provider these are replies."""
    refusals: Mapping[str, Reply] = {}
    """How it refuses: "refuse" (the input), "refuse_account" (no money), "busy", and whatever else it has."""
    announces: tuple[State, ...] = ()
    """Calls back for these states too, which end nothing."""
    retries: tuple[float, ...] = (2.0, 8.0, 32.0)
    """Seconds before a callback that was not taken is sent again."""
    callback_seconds: float = 10.0
    """How long it waits for a callback's answer."""
    only_200: bool = False
    """No other 2xx will do."""
    synchronous: bool = False
    """The answer to the submit is the result."""

    def job_id(self) -> str:
        """An id for a new job."""
        return uuid.uuid4().hex

    def knows(self, request: Request, keys: Keys) -> bool:
        """The request is authenticated: with a bearer token, unless the dialect says otherwise."""
        return same(request.headers.get("authorization", ""), f"Bearer {keys.api_key}")

    def problem(self, status: int, message: str) -> Reply:
        """An error in the provider's own envelope."""
        raise NotImplementedError

    def public(self, request: Request) -> Reply | None:
        """The answer to a request that needs no key; None for all others."""
        return None

    def submission(self, request: Request) -> Submission | None:
        """What is submitted, or None if the request is no submit. Raises ValueError for what it cannot take."""
        raise NotImplementedError

    def accepted(self, job: Job, jobs: Jobs) -> Reply:
        """The answer to a submit that was taken; at a synchronous provider the result."""
        raise NotImplementedError

    def answer(self, request: Request, jobs: Jobs) -> Reply | None:
        """The answer to every other request, or None where there is nothing."""
        raise NotImplementedError

    def message(self, job: Job, state: State, jobs: Jobs) -> Mapping[str, Any] | None:
        """The body of the callback for a state, or None where nothing is called back."""
        return None

    def sign(self, job: Job, body: bytes, keys: Keys) -> Mapping[str, str]:
        """The headers that prove a callback, made anew for each attempt. Written independently of the adapter."""
        return {}

    def failure(self, job: Job) -> Any:
        """How the provider words the failure of this job."""
        return self.failures.get(job.plan.failure or "", self.failures["unknown_error"])


def same(given: str, expected: str) -> bool:
    """Compare secrets in constant time."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())
