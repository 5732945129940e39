"""fal, the queue: https://fal.ai/docs/documentation/model-apis/inference/queue

Its callbacks do not say what a job cost, and not always what came out: a success counts once it was fetched. They
are signed with the same keys for all of its customers: that one is ours, the token in its address says.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from makegood.json_body import NotJSON, loads
from makegood.providers import failures, fal_errors, fastapi_errors, fields, output_links, refusals
from makegood.providers.http import Answer, Door, Limits
from makegood.providers.protocol import (
    Accepted,
    Account,
    CallbackRejected,
    Connection,
    ErrorClass,
    FetchFailed,
    Found,
    Job,
    JobGone,
    LostJob,
    Outcome,
    Report,
    SubmitRefused,
    SubmitUnknown,
    Units,
)
from makegood.providers.public_keys import PublicKeys

QUEUE_URL = "https://queue.fal.run"
KEYS_URL = "https://rest.fal.ai"
PLATFORM_URL = "https://api.fal.ai"
TOLERANCE_SECONDS = 300
NAMESPACES = ("workflows", "comfy")
"""https://github.com/fal-ai/fal-js: what may stand before a model's owner."""
KEYS_SECONDS = 3.0
"""A callback waits for the keys: fal gives it 15 seconds in all."""

_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*){1,9}")
_PRINTABLE = re.compile(r"[\x21-\x7e]{1,200}")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_SIGNATURE = re.compile(r"[0-9a-fA-F]{128}")


@dataclass(frozen=True)
class Fal:
    """The adapter."""

    name: str
    door: Door = field(repr=False)
    keys: PublicKeys = field(repr=False)
    queue_url: str
    platform_url: str
    api_key: str | None = field(repr=False)
    signed: bool = True

    @property
    def configured(self) -> bool:
        """A key is set. What callbacks are verified with is public."""
        return bool(self.api_key)

    def units(self, model: str, input: Mapping[str, Any]) -> Units:
        """Units of the model's own kind; how many, only the fetched result says."""
        return Units("unit", None)

    def job_secret(self, token: str) -> str | None:
        """None: there is no secret for one job alone."""
        return None

    def submit(self, job: Job) -> Accepted:
        """Submit once. Raises SubmitRefused or SubmitUnknown."""
        if not self.api_key:
            raise SubmitRefused(ErrorClass.PROVIDER_UNAVAILABLE, "The provider is not configured.")
        if len(job.model) > 200 or not _MODEL.fullmatch(job.model):
            raise SubmitRefused(ErrorClass.INVALID_INPUT, "The provider has no such model.")
        if job.input.get("sync_mode"):
            raise SubmitRefused(ErrorClass.INVALID_INPUT, "sync_mode must be off: results come as links, later.")
        url = f"{self.queue_url}/{job.model}?fal_webhook={quote(job.callback_url, safe='')}"
        return _accepted(self.door.submit(url, _auth(self.api_key), job.input))

    def parse_callback(self, headers: Mapping[str, str], body: bytes, now: datetime, token: str) -> Report:
        """Verify and read a callback: https://fal.ai/docs/documentation/model-apis/inference/webhooks"""
        self._verify(headers, body, now)
        try:
            told = fields.mapping(loads(body))
        except NotJSON as error:
            raise CallbackRejected(f"signed, but not readable: {error}") from None
        job_id = fields.job_id(told.get("request_id"))
        if job_id is None:
            raise CallbackRejected("signed, but it names no job")
        status = (fields.message(told.get("status")) or "")[:50]
        delivery = f"{job_id}:{status}"
        payload = fields.mapping(told.get("payload"))
        if told.get("status") == "OK":
            # Also when "payload" is null and "payload_error" says why: the result is there to be fetched.
            outputs = output_links.files(payload)
            return Report(Outcome.SUCCEEDED, job_id, outputs, delivery=delivery, status=status, incomplete=True)
        if told.get("status") != "ERROR":
            return Report(Outcome.PENDING, job_id, delivery=delivery, status=status)
        problem = fields.message(told.get("error"))
        http_status = fal_errors.status_in(problem)
        text = fastapi_errors.text(payload) or problem
        error_class = fal_errors.classify(payload, text, http_status, retryable=False)
        return _failure(job_id, error_class, text, http_status, delivery=delivery, status=status)

    def fetch(self, provider_job_id: str, model: str) -> Report:
        """Ask for a job's status, and once it is over for its result, whose header says what was billed.

        Of the model's id, only owner and app (and namespace) stand in the address:
        https://fal.ai/docs/api-reference/inference-api
        """
        if fields.job_id(provider_job_id) is None or not _MODEL.fullmatch(model):
            raise FetchFailed("the job is not one that can be asked for")
        parts = model.split("/")
        app = "/".join(parts[: 3 if parts[0] in NAMESPACES else 2])
        path = f"{self.queue_url}/{app}/requests/{quote(provider_job_id, safe='')}"
        state = self._ask(f"{path}/status")
        said = (state.body or {}).get("status")
        if state.status not in (200, 202) or not isinstance(said, str):
            problem = f"an answer without a status, with HTTP {state.status}"
            raise JobGone(problem) if state.status == 404 else FetchFailed(problem)
        if (state.body or {}).get("request_id", provider_job_id) != provider_job_id:
            raise FetchFailed("an answer about another job")
        if said != "COMPLETED":
            return Report(Outcome.PENDING, provider_job_id, status=(fields.message(said) or "")[:50])
        return _result(provider_job_id, state.body or {}, self._ask(path))

    def find(self, lost: LostJob) -> Found | None:
        """None: the queue lists no jobs."""
        return None

    def account(self) -> Account | None:
        """The balance, if the key may ask for it: https://fal.ai/docs/platform-apis/v1/account/billing

        That takes a key with the scope ADMIN. With any other there is no account to show.
        """
        answer = self._ask(f"{self.platform_url}/v1/account/billing?expand=credits")
        if answer.status in (401, 403):
            return None
        credits = fields.mapping((answer.body or {}).get("credits"))
        balance = fields.amount(credits.get("current_balance"))
        if answer.status != 200 or balance is None:
            raise FetchFailed(f"an answer without a balance, with HTTP {answer.status}")
        currency = fields.message(credits.get("currency")) or "USD"
        return Account(balance, currency, usd_micros=fields.micros(balance) if currency == "USD" else None)

    def _verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
        given = {}
        for name, pattern in (
            ("request-id", _PRINTABLE),
            ("user-id", _PRINTABLE),
            ("timestamp", _TIMESTAMP),
            ("signature", _SIGNATURE),
        ):
            given[name] = headers.get(f"x-fal-webhook-{name}", "")
            if not pattern.fullmatch(given[name]):
                raise CallbackRejected(f"the header x-fal-webhook-{name} is missing or malformed")
        signed = message(given["request-id"], given["user-id"], given["timestamp"], body)
        if not self.keys.verify(bytes.fromhex(given["signature"]), signed):
            raise CallbackRejected("the signature fits none of the keys that fal publishes")
        # After the signature, so that a stranger learns nothing about our clock.
        if abs(now.timestamp() - int(given["timestamp"])) > TOLERANCE_SECONDS:
            raise CallbackRejected("the timestamp is more than 300 seconds away")

    def _ask(self, url: str) -> Answer:
        if not self.api_key:
            raise FetchFailed("the provider is not configured")
        return self.door.fetch(url, _auth(self.api_key))


def build(name: str, connection: Connection, limits: Limits) -> Fal:
    """The adapter for these settings. A base URL stands for all of fal's hosts."""
    keys_url = f"{connection.base_url or KEYS_URL}/.well-known/jwks.json"
    keys = PublicKeys(limits.door(fetch_seconds=KEYS_SECONDS, max_bytes=100_000), keys_url)
    queue_url, platform_url = connection.base_url or QUEUE_URL, connection.base_url or PLATFORM_URL
    return Fal(name, limits.door(), keys, queue_url, platform_url, connection.api_key)


def message(request_id: str, user_id: str, timestamp: str, body: bytes) -> bytes:
    """What fal signs: https://fal.ai/docs/documentation/model-apis/inference/webhooks"""
    return "\n".join((request_id, user_id, timestamp, hashlib.sha256(body).hexdigest())).encode()


def _auth(api_key: str) -> dict[str, str]:
    return {"Authorization": f"Key {api_key}"}


def _accepted(answer: Answer) -> Accepted:
    body = answer.body or {}
    if answer.status in (200, 201, 202):
        job_id = fields.job_id(body.get("request_id"))
        if job_id is None:
            raise SubmitUnknown("The provider's answer names no job.")
        return Accepted(job_id)
    refused_content = "content_policy_violation" in fastapi_errors.types(body)
    told = ErrorClass.CONTENT_POLICY_VIOLATION if refused_content else None
    raise refusals.error(answer, fastapi_errors.text(body) or fields.message(body.get("error")), told)


def _result(job_id: str, state: Mapping[str, Any], answer: Answer) -> Report:
    body = answer.body or {}
    billed = fields.quantity(answer.headers.get("x-fal-billable-units"))
    usage = Units("unit", billed) if billed is not None else None
    if answer.status == 200:
        return Report(Outcome.SUCCEEDED, job_id, output_links.files(body), status="COMPLETED", usage=usage)
    text = fastapi_errors.text(body) or fields.message(state.get("error"))
    failed = bool(
        state.get("error") or state.get("error_type") or body.get("error_type") or fastapi_errors.types(body)
    )
    # Only our account can be meant: the status was answered to the same key a moment ago.
    locked = answer.status in (402, 403) and failures.from_text(text) is ErrorClass.PROVIDER_ACCOUNT
    if not (failed or locked):
        raise FetchFailed(f"the result was answered with HTTP {answer.status}")
    error = {"error_type": answer.headers.get("x-fal-error-type"), **state, **body}
    retryable = answer.headers.get("x-fal-retryable") == "true"
    error_class = fal_errors.classify(error, text, answer.status, retryable=retryable)
    return _failure(job_id, error_class, text, answer.status, status="COMPLETED", usage=usage)


def _failure(
    job_id: str,
    error_class: ErrorClass,
    text: str | None,
    http_status: int | None,
    *,
    status: str,
    delivery: str | None = None,
    usage: Units | None = None,
) -> Report:
    return Report(
        Outcome.FAILED,
        job_id,
        error_class=error_class,
        message=text or f"The provider ended the job as {status}.",
        # "Server errors (HTTP 500+) are never charged": https://fal.ai/docs/documentation/model-apis/faq
        cost_micros=0 if http_status is not None and http_status >= 500 else None,
        delivery=delivery,
        status=status,
        usage=usage,
    )
