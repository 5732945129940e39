"""Replicate: https://replicate.com/docs/reference/http

A model is "owner/name" for one that Replicate itself keeps up to date, or "owner/name:version", with the 64
digits of a version, for any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from makegood.json_body import NotJSON, loads
from makegood.providers import failures, fields, refusals
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
from makegood.providers.signatures import verify_v1

BASE_URL = "https://api.replicate.com"

# Statuses that end a prediction: https://replicate.com/docs/topics/predictions/lifecycle
# "canceled": by a user, or by its deadline after it had started. "aborted": by its deadline before it started.
SUCCEEDED = "succeeded"
FAILED = {
    "failed": ErrorClass.UNKNOWN_ERROR,
    "canceled": ErrorClass.GENERATION_FAILED,
    "aborted": ErrorClass.TIMEOUT,
}
FREE = "aborted"
"""Nothing is charged then: https://replicate.com/changelog/2025-10-16-prediction-deadlines"""

FILES_LIVE = timedelta(hours=1)
"""https://replicate.com/docs/topics/predictions/data-retention"""
MAX_PAGES = 4
MAX_LOOKS = 4
MADE_WITHIN = timedelta(minutes=2)
"""A lost prediction was made so soon after its charge, or so much before it by another clock."""

_MODEL = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)/([A-Za-z0-9][A-Za-z0-9._-]*)(?::([0-9a-f]{64}))?")


@dataclass(frozen=True)
class Replicate:
    """The adapter."""

    name: str
    door: Door = field(repr=False)
    base_url: str
    api_key: str | None = field(repr=False)
    webhook_secret: str | None = field(repr=False)
    signed: bool = True

    @property
    def configured(self) -> bool:
        """A key is set."""
        return bool(self.api_key)

    def units(self, model: str, input: Mapping[str, Any]) -> Units:
        """Seconds of the hardware, which only the end of the prediction tells."""
        return Units("second", None)

    def job_secret(self, token: str) -> str | None:
        """None: there is no secret for one job alone."""
        return None

    def submit(self, job: Job) -> Accepted:
        """Submit once. Raises SubmitRefused or SubmitUnknown."""
        if not self.api_key:
            raise SubmitRefused(ErrorClass.PROVIDER_UNAVAILABLE, "The provider is not configured.")
        model = _MODEL.fullmatch(job.model) if len(job.model) <= 200 else None
        if model is None:
            problem = "The provider has no such model. Name it owner/name, or owner/name:version."
            raise SubmitRefused(ErrorClass.INVALID_INPUT, problem)
        owner, name, version = model.groups()
        body: dict[str, Any] = {
            "input": job.input,
            "webhook": job.callback_url,
            "webhook_events_filter": ["completed"],
        }
        if version:
            body["version"] = version
        path = "predictions" if version else f"models/{owner}/{name}/predictions"
        return _accepted(self.door.submit(f"{self.base_url}/v1/{path}", bearer(self.api_key), body))

    def parse_callback(self, headers: Mapping[str, str], body: bytes, now: datetime, token: str) -> Report:
        """Verify and read a callback: https://replicate.com/docs/topics/webhooks/verify-webhook"""
        webhook_id = verify_v1(self.webhook_secret, headers, body, now)
        try:
            prediction = fields.mapping(loads(body))
        except NotJSON as error:
            raise CallbackRejected(f"signed, but not readable: {error}") from None
        job_id = fields.job_id(prediction.get("id"))
        if job_id is None:
            raise CallbackRejected("signed, but it names no prediction")
        return _report(job_id, prediction, webhook_id)

    def fetch(self, provider_job_id: str, model: str) -> Report:
        """Ask for a prediction. An hour after its end it is still there, but without its output."""
        if fields.job_id(provider_job_id) is None:
            raise FetchFailed("the job's id is not one that can be asked for")
        return _report(provider_job_id, self._prediction(provider_job_id))

    def find(self, lost: LostJob) -> Found | None:
        """Look through the predictions of that time for the callback address, which a prediction repeats; where it
        does not, for the same input."""
        alike, looks = None, 0
        for listed in self._made_about(lost):
            job_id = fields.job_id(listed.get("id"))
            if job_id is None:
                continue
            prediction = listed
            if "webhook" not in listed and looks < MAX_LOOKS:
                # The list may leave out what the prediction itself says.
                looks += 1
                with suppress(JobGone):
                    prediction = self._prediction(job_id)
            if fields.calls_back(prediction.get("webhook"), lost.callback_token_hash):
                return Found(_report(job_id, prediction), certain=True)
            if alike is None and not prediction.get("webhook") and prediction.get("input") == lost.input:
                alike = Found(_report(job_id, prediction), certain=False)
        return alike

    def account(self) -> Account | None:
        """None: there is no API for what is left of the credit."""
        return None

    def _prediction(self, job_id: str) -> Mapping[str, Any]:
        answer = self._get(f"predictions/{quote(job_id, safe='')}")
        prediction = fields.mapping(answer.body)
        if answer.status != 200 or not isinstance(prediction.get("status"), str):
            problem = f"an answer without a prediction, with HTTP {answer.status}"
            raise JobGone(problem) if answer.status == 404 else FetchFailed(problem)
        if prediction.get("id") != job_id:
            raise FetchFailed("an answer about another prediction")
        return prediction

    def _made_about(self, lost: LostJob) -> Iterator[Mapping[str, Any]]:
        """The predictions of the lost job's model that were made when it was, newest first."""
        earliest, latest = lost.charged_at - MADE_WITHIN, lost.charged_at + MADE_WITHIN
        query = {"created_after": earliest.isoformat(), "created_before": latest.isoformat()}
        for _ in range(MAX_PAGES):
            answer = self._get(f"predictions?{urlencode(query)}")
            if answer.status != 200:
                raise FetchFailed(f"no list of predictions, but HTTP {answer.status}")
            page = fields.mapping(answer.body)
            results = page.get("results")
            for prediction in map(fields.mapping, results if isinstance(results, list) else []):
                made = fields.instant(prediction.get("created_at"))
                if made is not None and earliest <= made <= latest and _is_of(prediction, lost.model):
                    yield prediction
            cursor = _cursor(page.get("next"))
            if not cursor:
                return
            query["cursor"] = cursor

    def _get(self, path: str) -> Answer:
        if not self.api_key:
            raise FetchFailed("the provider is not configured")
        return self.door.fetch(f"{self.base_url}/v1/{path}", bearer(self.api_key))


def build(name: str, connection: Connection, limits: Limits) -> Replicate:
    """The adapter for these settings."""
    base_url = connection.base_url or BASE_URL
    return Replicate(name, limits.door(), base_url, connection.api_key, connection.webhook_secret)


def _accepted(answer: Answer) -> Accepted:
    body = fields.mapping(answer.body)
    if answer.status in (200, 201, 202):
        job_id = fields.job_id(body.get("id"))
        if job_id is None:
            raise SubmitUnknown("The provider's answer names no prediction.")
        return Accepted(job_id)
    # {"title", "detail", "status"}, and for 429 only "detail":
    # https://replicate.com/docs/topics/predictions/rate-limits
    text = fields.message(body.get("detail")) or fields.message(body.get("title"))
    raise refusals.error(answer, text)


def _report(job_id: str, prediction: Mapping[str, Any], webhook_id: str | None = None) -> Report:
    said = prediction.get("status") if isinstance(prediction.get("status"), str) else ""
    status = (fields.message(said) or "")[:50]
    delivery = f"{webhook_id}:{status}" if webhook_id else None
    if said == SUCCEEDED:
        ended = fields.instant(prediction.get("completed_at"))
        return Report(
            Outcome.SUCCEEDED,
            job_id,
            _links(prediction.get("output")),
            delivery=delivery,
            status=status,
            usage=_usage(prediction),
            outputs_expire_at=ended + FILES_LIVE if ended else None,
        )
    if said not in FAILED:
        return Report(Outcome.PENDING, job_id, delivery=delivery, status=status)
    text = fields.message(prediction.get("error"))
    return Report(
        Outcome.FAILED,
        job_id,
        error_class=failures.from_text(text) or FAILED[status],
        message=text or f"The provider ended the prediction as {status}.",
        delivery=delivery,
        status=status,
        usage=_usage(prediction),
    )


def _usage(prediction: Mapping[str, Any]) -> Units | None:
    """The seconds that were charged: https://replicate.com/docs/topics/billing"""
    if prediction.get("status") == FREE:
        return Units("second", Decimal(0))
    seconds = fields.quantity(fields.mapping(prediction.get("metrics")).get("predict_time"))
    return None if seconds is None else Units("second", seconds)


def _links(output: Any) -> tuple[str, ...]:
    """The links in an output: models answer one, a list, or an object of them."""
    return fields.links(list(_leaves(output)))


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _leaves(item)
    elif isinstance(value, str) and value.startswith("http"):
        yield value


def _is_of(prediction: Mapping[str, Any], model: str) -> bool:
    name, _, version = model.partition(":")
    return prediction.get("version") == version if version else prediction.get("model") == name


def _cursor(next_page: Any) -> str:
    """The place in the list, out of a link that is not followed: it could lead the key elsewhere."""
    try:
        query = urlsplit(next_page).query if isinstance(next_page, str) and len(next_page) < 2000 else ""
        return parse_qs(query).get("cursor", [""])[0]
    except ValueError:
        return ""
