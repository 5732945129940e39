"""WaveSpeedAI, API v3: https://wavespeed.ai/docs and https://github.com/WaveSpeedAI/mcp-server"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from makegood.json_body import NotJSON, loads
from makegood.providers import failures, fields
from makegood.providers import wavespeed_history as history
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
from makegood.providers.refusals import TELLING_TEXTS
from makegood.providers.signatures import verify_v3

BASE_URL = "https://api.wavespeed.ai"
MAX_IMAGES = 100

ERROR_CODES = {  # https://wavespeed.ai/docs/error-codes
    1200: ErrorClass.CONTENT_POLICY_VIOLATION,
    1400: ErrorClass.INVALID_INPUT,
    1401: ErrorClass.INVALID_INPUT,
    1402: ErrorClass.INVALID_INPUT,
    1403: ErrorClass.GENERATION_FAILED,
    1405: ErrorClass.GENERATION_FAILED,
    5000: ErrorClass.INTERNAL_ERROR,
    5003: ErrorClass.PROVIDER_UNAVAILABLE,
    5004: ErrorClass.TIMEOUT,
}

# Statuses that end a job: https://github.com/WaveSpeedAI/wavespeed-python (deleted: the JavaScript SDK).
# "Sync mode timed out" (5004) comes with the status "processing", and is no failure.
SUCCEEDED = "completed"
FAILED = {
    "failed": ErrorClass.UNKNOWN_ERROR,
    "cancelled": ErrorClass.GENERATION_FAILED,
    "timeout": ErrorClass.TIMEOUT,
    "deleted": ErrorClass.GENERATION_FAILED,
}

# Answers to a submit that say that no job was made: https://wavespeed.ai/docs/error-codes
# 402 is not documented; it is what public integrations expect.
REFUSALS = {
    400: ErrorClass.INVALID_INPUT,
    401: ErrorClass.PROVIDER_ACCOUNT,
    402: ErrorClass.PROVIDER_ACCOUNT,
    403: ErrorClass.PROVIDER_ACCOUNT,
    404: ErrorClass.INVALID_INPUT,
    405: ErrorClass.UNKNOWN_ERROR,
    413: ErrorClass.INVALID_INPUT,
    415: ErrorClass.UNKNOWN_ERROR,
    422: ErrorClass.INVALID_INPUT,
    429: ErrorClass.PROVIDER_UNAVAILABLE,
}

_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")


@dataclass(frozen=True)
class WaveSpeed:
    """The adapter. `simulated` is this class too, with another name, base URL and secret."""

    name: str
    door: Door = field(repr=False)
    base_url: str | None
    api_key: str | None = field(repr=False)
    webhook_secret: str | None = field(repr=False)
    signed: bool = True

    @property
    def configured(self) -> bool:
        """A key is set."""
        return bool(self.api_key and self.base_url)

    def units(self, model: str, input: Mapping[str, Any]) -> Units:
        """Images; the sequential models bill `max_images`: https://wavespeed.ai/models/bytedance/seedream-v4"""
        count = fields.integer(input.get("max_images")) if model.endswith("sequential") else None
        return Units("image", min(max(count or 1, 1), MAX_IMAGES))

    def job_secret(self, token: str) -> str | None:
        """None: there is no secret for one job alone."""
        return None

    def submit(self, job: Job) -> Accepted:
        """Submit once. Raises SubmitRefused or SubmitUnknown."""
        if not self.api_key or not self.base_url:
            raise SubmitRefused(ErrorClass.PROVIDER_UNAVAILABLE, "The provider is not configured.")
        if len(job.model) > 200 or not _MODEL.fullmatch(job.model):
            raise SubmitRefused(ErrorClass.INVALID_INPUT, "The provider has no such model.")
        if job.input.get("enable_sync_mode") or job.input.get("enable_base64_output"):
            problem = "enable_sync_mode and enable_base64_output must be off: results come as links, later."
            raise SubmitRefused(ErrorClass.INVALID_INPUT, problem)
        url = f"{self.base_url}/api/v3/{job.model}?webhook={quote(job.callback_url, safe='')}"
        return _accepted(self.door.submit(url, bearer(self.api_key), job.input))

    def parse_callback(self, headers: Mapping[str, str], body: bytes, now: datetime, token: str) -> Report:
        """Verify and read a callback: https://wavespeed.ai/docs/how-to-use-webhooks"""
        webhook_id = verify_v3(self.webhook_secret, headers, body, now)
        try:
            prediction = loads(body)
        except NotJSON as error:
            raise CallbackRejected(f"signed, but not readable: {error}") from None
        return _report(fields.mapping(prediction), webhook_id)

    def fetch(self, provider_job_id: str, model: str) -> Report:
        """Ask for a prediction. A failed one is answered with HTTP 200 and code 200 all the same."""
        if not self.api_key or not self.base_url:
            raise FetchFailed("the provider is not configured")
        if fields.job_id(provider_job_id) is None:
            raise FetchFailed("the job's id is not one that can be asked for")
        url = f"{self.base_url}/api/v3/predictions/{quote(provider_job_id, safe='')}/result"
        answer = self.door.fetch(url, bearer(self.api_key))
        prediction = fields.mapping(fields.mapping(answer.body).get("data"))
        if not isinstance(prediction.get("status"), str):
            problem = f"an answer without a job, with the code {answer.code}"
            raise JobGone(problem) if answer.code == 404 else FetchFailed(problem)
        if prediction.get("id") != provider_job_id:
            raise FetchFailed("an answer about another job")
        return _report(prediction, None)

    def find(self, lost: LostJob) -> Found | None:
        """Look through the list of recent predictions. Of several that are only like the lost one, none counts."""
        if not self.api_key or not self.base_url:
            raise FetchFailed("the provider is not configured")
        like: dict[str, Mapping[str, Any]] = {}
        for number in range(1, history.MAX_PAGES + 1):
            asked = {"page": number, "page_size": history.PAGE_SIZE}
            items = history.page(
                self.door.fetch(f"{self.base_url}/api/v3/predictions", bearer(self.api_key), asked)
            )
            named = [(job_id, item) for item in items if (job_id := fields.job_id(item.get("id")))]
            for job_id, item in named:
                if history.is_ours(item, lost):
                    return Found(self._listed(job_id, item, lost.model), certain=True)
            like |= {job_id: item for job_id, item in named if history.is_like(item, lost)}
            if history.is_last(items, lost):
                break
        if len(like) != 1:
            return None
        [(job_id, item)] = like.items()
        return Found(self._listed(job_id, item, lost.model), certain=False)

    def _listed(self, job_id: str, item: Mapping[str, Any], model: str) -> Report:
        """What the list says of a job; a result that it leaves out is fetched."""
        report = _report(item, None)
        if report.outcome is not Outcome.SUCCEEDED or report.outputs:
            return report
        try:
            return self.fetch(job_id, model)
        except JobGone as gone:
            raise FetchFailed(f"it lists a job that it does not know: {gone}") from None

    def account(self) -> Account | None:
        """The balance in US dollars: https://github.com/WaveSpeedAI/mcp-server"""
        if not self.api_key or not self.base_url:
            raise FetchFailed("the provider is not configured")
        answer = self.door.fetch(f"{self.base_url}/api/v3/balance", bearer(self.api_key))
        balance = fields.amount(fields.mapping(fields.mapping(answer.body).get("data")).get("balance"))
        if answer.code != 200 or balance is None:
            raise FetchFailed(f"an answer without a balance, with the code {answer.code}")
        return Account(balance, "USD", usd_micros=fields.micros(balance))


def build(name: str, connection: Connection, limits: Limits) -> WaveSpeed:
    """The adapter for these settings."""
    base_url = connection.base_url or BASE_URL
    return WaveSpeed(name, limits.door(), base_url, connection.api_key, connection.webhook_secret)


def build_simulated(name: str, connection: Connection, limits: Limits) -> WaveSpeed:
    """The same for a simulated provider, which has no public address."""
    return WaveSpeed(name, limits.door(), connection.base_url, connection.api_key, connection.webhook_secret)


def _accepted(answer: Answer) -> Accepted:
    if answer.body is None:
        # 4xx is about the request itself. Any other page may be a proxy's, and the provider may have the job.
        if answer.status in REFUSALS:
            raise SubmitRefused(REFUSALS[answer.status], f"The provider refused with HTTP {answer.status}.")
        raise SubmitUnknown(f"The provider's answer with HTTP {answer.status} is not readable.")
    code = answer.code
    data = fields.mapping(answer.body.get("data"))
    if code == 200:
        job_id = fields.job_id(data.get("id"))
        if job_id is None:
            raise SubmitUnknown("The provider's answer names no job.")
        return Accepted(job_id)
    if code not in REFUSALS:
        raise SubmitUnknown(f"The provider answered with the code {code}.")
    # `data.error` says more than the envelope: flagged content has been seen in an envelope of 402.
    text = fields.message(data.get("error")) or fields.message(answer.body.get("message"))
    error_class = _by_code(data.get("code"), answer.body.get("error_code"))
    if error_class is None and failures.from_text(text) in TELLING_TEXTS:
        error_class = failures.from_text(text)
    raise SubmitRefused(error_class or REFUSALS[code], text or f"The provider refused with the code {code}.")


def _by_code(*values: Any) -> ErrorClass | None:
    codes = (fields.integer(value) for value in values)
    return next((ERROR_CODES[code] for code in codes if code in ERROR_CODES), None)


def _report(prediction: Mapping[str, Any], webhook_id: str | None) -> Report:
    job_id = fields.job_id(prediction.get("id"))
    if job_id is None:
        raise CallbackRejected("signed, but it names no job")
    said = prediction.get("status") if isinstance(prediction.get("status"), str) else ""
    status = (fields.message(said) or "")[:50]
    # The id of a delivery may be that of the job; a delivery with another status is another message.
    delivery = f"{webhook_id}:{status}" if webhook_id else None
    if said == SUCCEEDED:
        outputs = fields.links(prediction.get("outputs"))
        return Report(Outcome.SUCCEEDED, job_id, outputs, delivery=delivery, status=status)
    if said not in FAILED:
        return Report(Outcome.PENDING, job_id, delivery=delivery, status=status)
    text = fields.message(prediction.get("error"))
    return Report(
        Outcome.FAILED,
        job_id,
        error_class=_by_code(prediction.get("code")) or failures.from_text(text) or FAILED[status],
        message=text or f"The provider ended the job as {status}.",
        delivery=delivery,
        status=status,
    )
