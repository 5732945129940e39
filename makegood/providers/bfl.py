"""Black Forest Labs, the FLUX models: https://docs.bfl.ai and https://github.com/black-forest-labs/skills

Each job is given a secret of its own, which its callbacks are signed with. Without BFL_WEBHOOK_SECRET there is
nothing to make one from, and no job is submitted: results live for ten minutes, too short to wait for a fetch.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from makegood.json_body import NotJSON, loads
from makegood.providers import failures, fastapi_errors, fields, job_secrets, refusals
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
    LostJob,
    Outcome,
    Report,
    SubmitRefused,
    SubmitUnknown,
    Units,
)

BASE_URL = "https://api.bfl.ai"
OUTPUTS_LIVE = timedelta(minutes=10)
"""https://docs.bfl.ai/quick_start/generating_images"""

# Statuses that end a job: https://docs.bfl.ai/api_integration/errors
SUCCEEDED = "Ready"
FAILED = {
    "Error": ErrorClass.GENERATION_FAILED,
    "Request Moderated": ErrorClass.CONTENT_POLICY_VIOLATION,
    "Content Moderated": ErrorClass.CONTENT_POLICY_VIOLATION,
}
UNKNOWN_TASK = "Task not found"

# In callbacks and in refusals: skills/bfl-api/references/error-handling.md
ERRORS = {
    "content_policy_violation": ErrorClass.CONTENT_POLICY_VIOLATION,
    "generation_timeout": ErrorClass.TIMEOUT,
    "internal_error": ErrorClass.INTERNAL_ERROR,
    "invalid_image": ErrorClass.INVALID_INPUT,
}

_MODEL = re.compile(r"flux[a-z0-9.-]{1,80}(/[a-z0-9][a-z0-9.-]{0,80})?")
_SIGNATURE = re.compile(r"sha256=([0-9a-f]{64})")


@dataclass(frozen=True)
class BFL:
    """The adapter."""

    name: str
    door: Door = field(repr=False)
    base_url: str
    api_key: str | None = field(repr=False)
    webhook_secret: str | None = field(repr=False)
    signed: bool = True

    @property
    def configured(self) -> bool:
        """A key is set, and a secret that those of jobs are made from."""
        return bool(self.api_key and self.job_secret(""))

    def units(self, model: str, input: Mapping[str, Any]) -> Units:
        """Credits; how many, only the answer to the submit says."""
        return Units("credit", None)

    def job_secret(self, token: str) -> str | None:
        """What BFL signs this job's callbacks with."""
        return job_secrets.newest(self.webhook_secret, token)

    def submit(self, job: Job) -> Accepted:
        """Submit once. Raises SubmitRefused or SubmitUnknown."""
        secret = self.job_secret(job_secrets.token_of(job.callback_url))
        if not self.api_key:
            raise SubmitRefused(ErrorClass.PROVIDER_UNAVAILABLE, "The provider is not configured.")
        if not secret:
            problem = "BFL_WEBHOOK_SECRET is not set: without it no callback is genuine, so no job is submitted."
            raise SubmitRefused(ErrorClass.PROVIDER_UNAVAILABLE, problem)
        if not _MODEL.fullmatch(job.model):
            raise SubmitRefused(ErrorClass.INVALID_INPUT, "The provider has no such model.")
        body = {**job.input, "webhook_url": job.callback_url, "webhook_secret": secret}
        return _accepted(self.door.submit(f"{self.base_url}/v1/{job.model}", _auth(self.api_key), body))

    def parse_callback(self, headers: Mapping[str, str], body: bytes, now: datetime, token: str) -> Report:
        """Verify and read a callback (skills/bfl-api/references/webhook-integration.md).

        The signature has no time and no id: a copy can be sent again for ever, but only to this job's address,
        where it is a duplicate.
        """
        secrets = job_secrets.accepted(self.webhook_secret, token)
        signature = headers.get("x-bfl-signature", "")
        if not _SIGNATURE.fullmatch(signature):
            raise CallbackRejected("the header x-bfl-signature is missing or malformed")
        matches = [hmac.compare_digest(sign(secret, body), signature) for secret in secrets]
        if not any(matches):
            raise CallbackRejected("the signature does not match")
        try:
            task = fields.mapping(loads(body))
        except NotJSON as error:
            raise CallbackRejected(f"signed, but not readable: {error}") from None
        job_id = fields.job_id(task.get("id"))
        if job_id is None:
            raise CallbackRejected("signed, but it names no job")
        return _report(job_id, task, _near(fields.instant(task.get("timestamp")), now), is_delivery=True)

    def fetch(self, provider_job_id: str, model: str) -> Report:
        """Ask for a job, at the base URL: the regional address in the answer to a submit is never followed.

        https://docs.bfl.ai/quick_start/generating_images
        """
        if fields.job_id(provider_job_id) is None:
            raise FetchFailed("the job's id is not one that can be asked for")
        answer = self._ask(f"/v1/get_result?id={quote(provider_job_id, safe='')}")
        task = answer.body or {}
        if answer.status == 404 or (answer.status == 200 and task.get("status") == UNKNOWN_TASK):
            # Not gone: it may be another region's, whose address is not told when there is a callback.
            raise FetchFailed("the provider does not know this job here")
        if answer.status != 200 or not isinstance(task.get("status"), str):
            raise FetchFailed(f"an answer without a job, with HTTP {answer.status}")
        if task.get("id") != provider_job_id:
            raise FetchFailed("an answer about another job")
        ended_at = _from_seconds(fields.mapping(task.get("result")).get("end_time"))
        return _report(provider_job_id, task, _near(ended_at, datetime.now(UTC)))

    def find(self, lost: LostJob) -> Found | None:
        """None: BFL lists no jobs."""
        return None

    def account(self) -> Account | None:
        """The credits that are left, each worth $0.01: https://docs.bfl.ai/quick_start/pricing"""
        answer = self._ask("/v1/credits")
        credits = fields.amount((answer.body or {}).get("credits"))
        if answer.status != 200 or credits is None:
            raise FetchFailed(f"an answer without credits, with HTTP {answer.status}")
        return Account(credits, "credits", usd_micros=fields.micros(credits / 100))

    def _ask(self, path: str) -> Answer:
        if not self.api_key:
            raise FetchFailed("the provider is not configured")
        return self.door.fetch(f"{self.base_url}{path}", _auth(self.api_key))


def build(name: str, connection: Connection, limits: Limits) -> BFL:
    """The adapter for these settings."""
    base_url = connection.base_url or BASE_URL
    return BFL(name, limits.door(), base_url, connection.api_key, connection.webhook_secret)


def sign(secret: str, body: bytes) -> str:
    """What the header x-bfl-signature must say."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def _auth(api_key: str) -> dict[str, str]:
    return {"x-key": api_key}


def _accepted(answer: Answer) -> Accepted:
    body = answer.body or {}
    if answer.status == 200:
        job_id = fields.job_id(body.get("id"))
        if job_id is None:
            raise SubmitUnknown("The provider's answer names no job.")
        cost = fields.quantity(body.get("cost"))
        return Accepted(job_id, usage=Units("credit", cost) if cost is not None else None)
    # Official texts show {"error", "message"}; the API is written with FastAPI, which has {"detail"}.
    text = fields.message(body.get("message")) or fastapi_errors.text(body) or fields.message(body.get("error"))
    raise refusals.error(answer, text, ERRORS.get(str(body.get("error"))))


def _report(job_id: str, task: Mapping[str, Any], ended_at: datetime, *, is_delivery: bool = False) -> Report:
    said = task.get("status") if isinstance(task.get("status"), str) else ""
    status = (fields.message(said) or "")[:50]
    delivery = f"{job_id}:{status}" if is_delivery else None
    if said == SUCCEEDED:
        outputs = fields.links(fields.mapping(task.get("result")).get("sample"))
        expire_at = ended_at + OUTPUTS_LIVE if outputs else None
        return Report(
            Outcome.SUCCEEDED, job_id, outputs, delivery=delivery, status=status, outputs_expire_at=expire_at
        )
    if said not in FAILED:
        return Report(Outcome.PENDING, job_id, delivery=delivery, status=status)
    text = fields.message(task.get("message")) or _reasons(task) or fields.message(task.get("error"))
    return Report(
        Outcome.FAILED,
        job_id,
        error_class=_error_class(status, task.get("error"), text),
        message=text or f"The provider ended the job as {status}.",
        delivery=delivery,
        status=status,
    )


def _error_class(status: str, error: Any, text: str | None) -> ErrorClass:
    if status != "Error":
        return FAILED[status]
    # Without an error, the status itself says that the generation failed; with one we do not know, nothing does.
    unmapped = ErrorClass.UNKNOWN_ERROR if error else FAILED[status]
    return ERRORS.get(str(error)) or failures.from_text(text) or unmapped


def _reasons(task: Mapping[str, Any]) -> str | None:
    """Why something was moderated: https://docs.bfl.ai/api_integration/errors"""
    reasons = fields.mapping(task.get("details")).get("Moderation Reasons")
    texts = filter(None, map(fields.message, reasons[:10])) if isinstance(reasons, list) else []
    told = ", ".join(texts)
    return fields.message(f"{task.get('status')}: {told}") if told else None


def _from_seconds(value: Any) -> datetime | None:
    seconds = fields.amount(value)
    return datetime.fromtimestamp(int(seconds), UTC) if seconds is not None and 0 <= seconds < 10**10 else None


def _near(time: datetime | None, now: datetime) -> datetime:
    """When a job ended, if that makes sense: not after now, which is the latest that it can have been."""
    return min(time, now) if time is not None and now - time < timedelta(days=1) else now
