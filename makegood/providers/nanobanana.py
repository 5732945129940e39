"""NanoBanana API: https://docs.nanobananaapi.ai (the sister site with the same schema: https://docs.kie.ai)

It signs nothing: a callback is a hint, and `fetch` is what counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from makegood.json_body import NotJSON, loads
from makegood.providers import failures, fields
from makegood.providers.http import Answer, Door, Limits, bearer
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

BASE_URL = "https://api.nanobananaapi.ai"

ENDPOINTS = {  # https://docs.nanobananaapi.ai/nanobanana-api/generate-or-edit-image and its neighbours
    "nano-banana": "generate",
    "nano-banana-2": "generate-2",
    "nano-banana-pro": "generate-pro",
}
RESOLUTIONS = ("1K", "2K", "4K")

ERROR_CODES = {  # https://docs.nanobananaapi.ai/nanobanana-api/generate-or-edit-image-callbacks
    400: ErrorClass.CONTENT_POLICY_VIOLATION,
    500: ErrorClass.INTERNAL_ERROR,
    501: ErrorClass.GENERATION_FAILED,
}

# Codes in the answer to a submit that say that no task was made: https://docs.kie.ai/common-api
REFUSALS = {
    400: ErrorClass.INVALID_INPUT,
    401: ErrorClass.PROVIDER_ACCOUNT,
    402: ErrorClass.PROVIDER_ACCOUNT,
    403: ErrorClass.PROVIDER_ACCOUNT,
    404: ErrorClass.INVALID_INPUT,
    422: ErrorClass.INVALID_INPUT,
    429: ErrorClass.PROVIDER_UNAVAILABLE,
    455: ErrorClass.PROVIDER_UNAVAILABLE,
    505: ErrorClass.PROVIDER_UNAVAILABLE,
}

# `successFlag`: 0 generating, 1 success, 2 creation failed, 3 generation failed.
# https://docs.nanobananaapi.ai/nanobanana-api/get-task-details
OUTCOMES = {0: Outcome.PENDING, 1: Outcome.SUCCEEDED, 2: Outcome.FAILED, 3: Outcome.FAILED}


@dataclass(frozen=True)
class NanoBanana:
    """The adapter."""

    name: str
    door: Door = field(repr=False)
    base_url: str | None
    api_key: str | None = field(repr=False)
    signed: bool = False

    @property
    def configured(self) -> bool:
        """A key is set."""
        return bool(self.api_key and self.base_url)

    def units(self, model: str, input: Mapping[str, Any]) -> Units:
        """Images, 1 to 4 of them for nano-banana; by resolution for the others, whose price depends on it."""
        if model == "nano-banana":
            return Units("image", min(max(fields.integer(input.get("numImages")) or 1, 1), 4))
        resolution = input.get("resolution")
        return Units("image", 1, resolution if resolution in RESOLUTIONS else RESOLUTIONS[0])

    def job_secret(self, token: str) -> str | None:
        """None: there is no secret for one job alone."""
        return None

    def submit(self, job: Job) -> Accepted:
        """Submit once. Raises SubmitRefused or SubmitUnknown."""
        if not self.api_key or not self.base_url:
            raise SubmitRefused(ErrorClass.PROVIDER_UNAVAILABLE, "The provider is not configured.")
        if job.model not in ENDPOINTS:
            raise SubmitRefused(ErrorClass.INVALID_INPUT, "The provider has no such model.")
        body = {**job.input, "callBackUrl": job.callback_url}
        if job.model == "nano-banana":
            # Spelt so by the provider.
            body.setdefault("type", "IMAGETOIAMGE" if body.get("imageUrls") else "TEXTTOIAMGE")
        url = f"{self.base_url}/api/v1/nanobanana/{ENDPOINTS[job.model]}"
        return _accepted(self.door.submit(url, bearer(self.api_key), body))

    def parse_callback(self, headers: Mapping[str, str], body: bytes, now: datetime, token: str) -> Report:
        """Read a callback of either format. There is nothing to verify."""
        try:
            envelope = fields.mapping(loads(body))
        except NotJSON as error:
            raise CallbackRejected(f"not readable: {error}") from None
        data = fields.mapping(envelope.get("data"))
        job_id = fields.job_id(data.get("taskId"))
        if job_id is None:
            raise CallbackRejected("it names no task")
        if "successFlag" in data:
            return _by_flag(job_id, data)
        return _by_code(job_id, envelope, data)

    def fetch(self, provider_job_id: str, model: str) -> Report:
        """Ask for a task: https://docs.nanobananaapi.ai/nanobanana-api/get-task-details"""
        if not self.api_key or not self.base_url:
            raise FetchFailed("the provider is not configured")
        if fields.job_id(provider_job_id) is None:
            raise FetchFailed("the job's id is not one that can be asked for")
        url = f"{self.base_url}/api/v1/nanobanana/record-info?taskId={quote(provider_job_id, safe='')}"
        answer = self.door.fetch(url, bearer(self.api_key))
        if answer.code != 200:
            problem = f"the provider answered with the code {answer.code}"
            # 422 "recordInfo is null" does not mean gone: it is seen for tasks that were just made.
            raise JobGone(problem) if answer.code == 404 else FetchFailed(problem)
        data = fields.mapping(fields.mapping(answer.body).get("data"))
        if data.get("taskId") != provider_job_id:
            raise FetchFailed("an answer about another task")
        return _by_flag(provider_job_id, data)

    def find(self, lost: LostJob) -> Found | None:
        """None: not looked for."""
        return None

    def account(self) -> Account | None:
        """The credits that are left: https://docs.kie.ai/common-api"""
        if not self.api_key or not self.base_url:
            raise FetchFailed("the provider is not configured")
        answer = self.door.fetch(f"{self.base_url}/api/v1/common/credit", bearer(self.api_key))
        credits = fields.amount(fields.mapping(answer.body).get("data"))
        if answer.code != 200 or credits is None:
            raise FetchFailed(f"an answer without a balance, with the code {answer.code}")
        return Account(credits, "credits")


def build(name: str, connection: Connection, limits: Limits) -> NanoBanana:
    """The adapter for these settings."""
    return NanoBanana(name, limits.door(), connection.base_url or BASE_URL, connection.api_key)


def _accepted(answer: Answer) -> Accepted:
    code = answer.code
    body = answer.body or {}
    if code == 200:
        job_id = fields.job_id(fields.mapping(body.get("data")).get("taskId"))
        if job_id is None:
            raise SubmitUnknown("The provider's answer names no task.")
        return Accepted(job_id)
    # A page of a proxy with 5xx does not say whether the provider has the task.
    if code not in REFUSALS or answer.status >= 500:
        raise SubmitUnknown(f"The provider answered with the code {code}.")
    text = fields.message(body.get("msg"))
    error_class = REFUSALS[code]
    if failures.from_text(text) == ErrorClass.CONTENT_POLICY_VIOLATION:
        error_class = ErrorClass.CONTENT_POLICY_VIOLATION
    raise SubmitRefused(error_class, text or f"The provider refused with the code {code}.")


def _by_flag(job_id: str, data: Mapping[str, Any]) -> Report:
    flag = fields.integer(data.get("successFlag"))
    outcome = OUTCOMES.get(-1 if flag is None else flag, Outcome.PENDING)
    status = f"successFlag {fields.message(str(data.get('successFlag')))}"[:50]
    if outcome == Outcome.SUCCEEDED:
        outputs = fields.links(fields.mapping(data.get("response")).get("resultImageUrl"))
        return Report(outcome, job_id, outputs, status=status)
    if outcome == Outcome.PENDING:
        return Report(outcome, job_id, status=status)
    return _failure(job_id, data.get("errorCode"), data.get("errorMessage"), status)


def _by_code(job_id: str, envelope: Mapping[str, Any], data: Mapping[str, Any]) -> Report:
    code = fields.integer(envelope.get("code"))
    status = f"code {code}"
    if code == 200:
        outputs = fields.links(fields.mapping(data.get("info")).get("resultImageUrl"))
        return Report(Outcome.SUCCEEDED, job_id, outputs, status=status)
    if code not in ERROR_CODES:
        return Report(Outcome.PENDING, job_id, status=status)
    return _failure(job_id, code, envelope.get("msg"), status)


def _failure(job_id: str, code: Any, text: Any, status: str) -> Report:
    number, message = fields.integer(code), fields.message(text)
    error_class = ERROR_CODES.get(number or 0) or failures.from_text(message)
    if error_class is None:
        # Without a code, the flag itself says that the generation failed; with one we do not know, nothing does.
        error_class = ErrorClass.UNKNOWN_ERROR if number else ErrorClass.GENERATION_FAILED
    return Report(
        Outcome.FAILED,
        job_id,
        error_class=error_class,
        message=message or f"The provider ended the task with {status}.",
        status=status,
    )
