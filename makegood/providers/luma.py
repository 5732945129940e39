"""Luma's Dream Machine API: https://docs.lumalabs.ai and https://github.com/lumalabs/lumaai-python

It signs nothing: a callback is a hint, and `fetch` is what counts. It gives a callback five seconds, and takes
nothing but status 200 for an answer: https://docs.lumalabs.ai/changelog/callbacks-and-credits-balance
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from makegood.json_body import NotJSON, loads
from makegood.providers import failures, fastapi_errors, fields, refusals
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
    Units,
)

BASE_URL = "https://api.lumalabs.ai"
ROOT = "/dream-machine/v1"

# Our model: the endpoint, the `generation_type` and the `model` that it takes (api.md and src/lumaai/types in
# https://github.com/lumalabs/lumaai-python). Upscaling and audio are left out: whether their job gets an id of its
# own could not be verified.
ENDPOINTS = {
    "ray-2": ("generations/video", "video", "ray-2"),
    "ray-flash-2": ("generations/video", "video", "ray-flash-2"),
    "ray-1-6": ("generations/video", "video", "ray-1-6"),
    "ray-2/modify": ("generations/video/modify", "modify_video", "ray-2"),
    "ray-flash-2/modify": ("generations/video/modify", "modify_video", "ray-flash-2"),
    "ray-2/reframe": ("generations/video/reframe", "reframe_video", "ray-2"),
    "ray-flash-2/reframe": ("generations/video/reframe", "reframe_video", "ray-flash-2"),
    "photon-1": ("generations/image", "image", "photon-1"),
    "photon-flash-1": ("generations/image", "image", "photon-flash-1"),
    "photon-1/reframe": ("generations/image/reframe", "reframe_image", "photon-1"),
    "photon-flash-1/reframe": ("generations/image/reframe", "reframe_image", "photon-flash-1"),
}

# Priced by resolution and duration. Both are always sent, so that the tier that is booked is the one billed.
TIERED = ("ray-2", "ray-flash-2")
USUAL_RESOLUTION = "720p"
USUAL_DURATION = "5s"

# `failure_reason`: https://docs.lumalabs.ai/docs/errors
REASONS = {
    "contains blacklisted words": ErrorClass.CONTENT_POLICY_VIOLATION,
    "advanced prompt moderation failed": ErrorClass.CONTENT_POLICY_VIOLATION,
    "frame moderation failed": ErrorClass.CONTENT_POLICY_VIOLATION,
    "failed to read user input frames": ErrorClass.INVALID_INPUT,
    "prompt processing failed": ErrorClass.INTERNAL_ERROR,
    "error dispatching job": ErrorClass.INTERNAL_ERROR,
    "error processing callback": ErrorClass.INTERNAL_ERROR,
    "job failed": ErrorClass.GENERATION_FAILED,
}

# `queued` and `dreaming` end nothing: src/lumaai/types/generation.py
ENDS = {"completed": Outcome.SUCCEEDED, "failed": Outcome.FAILED}

PAGE_SIZE = 100
MAX_PAGES = 5
CLOCKS_DIFFER = timedelta(minutes=5)


@dataclass(frozen=True)
class Luma:
    """The adapter."""

    name: str
    door: Door = field(repr=False)
    base_url: str
    api_key: str | None = field(repr=False)
    signed: bool = False

    @property
    def configured(self) -> bool:
        """A key is set."""
        return bool(self.api_key)

    def units(self, model: str, input: Mapping[str, Any]) -> Units:
        """One run of a video model, in a tier such as "720p 5s"; one image of a photon model."""
        if model.startswith("photon"):
            return Units("image", 1)
        if model not in TIERED:
            return Units("run", 1)
        resolution, duration = _tier(input)
        return Units("run", 1, f"{resolution} {duration}"[:50])

    def job_secret(self, token: str) -> str | None:
        """None: there is no secret for one job alone."""
        return None

    def submit(self, job: Job) -> Accepted:
        """Submit once. Raises SubmitRefused or SubmitUnknown."""
        if not self.api_key:
            raise SubmitRefused(ErrorClass.PROVIDER_UNAVAILABLE, "The provider is not configured.")
        if job.model not in ENDPOINTS:
            raise SubmitRefused(ErrorClass.INVALID_INPUT, "The provider has no such model.")
        if job.input.get("sync"):
            raise SubmitRefused(ErrorClass.INVALID_INPUT, "sync must be off: results come as links, later.")
        path, kind, model = ENDPOINTS[job.model]
        ours = {"generation_type": kind, "model": model, "callback_url": job.callback_url}
        if job.model in TIERED:
            ours["resolution"], ours["duration"] = _tier(job.input)
        return _accepted(self.door.submit(self._url(path), bearer(self.api_key), {**job.input, **ours}))

    def parse_callback(self, headers: Mapping[str, str], body: bytes, now: datetime, token: str) -> Report:
        """Read a callback, which is the generation itself. There is nothing to verify."""
        try:
            generation = fields.mapping(loads(body))
        except NotJSON as error:
            raise CallbackRejected(f"not readable: {error}") from None
        report = _report(generation)
        if report is None:
            raise CallbackRejected("it names no generation")
        return report

    def fetch(self, provider_job_id: str, model: str) -> Report:
        """Ask for a generation."""
        if fields.job_id(provider_job_id) is None:
            raise FetchFailed("the job's id is not one that can be asked for")
        answer = self._ask(f"generations/{quote(provider_job_id, safe='')}")
        if answer.status == 404 and fastapi_errors.text(answer.body or {}):
            raise JobGone("the provider has no such generation")
        report = _report(_body(answer))
        if report is None or report.provider_job_id != provider_job_id:
            raise FetchFailed("an answer about another generation, or about none")
        return report

    def find(self, lost: LostJob) -> Found | None:
        """Look for our callback address in the list of generations, back to when the job was charged, in at most
        five pages of a hundred: https://docs.lumalabs.ai/docs/python-video-generation"""
        offset = 0
        for _ in range(MAX_PAGES):
            answer = _body(self._ask(f"generations?limit={PAGE_SIZE}&offset={offset}"))
            listed = answer.get("generations")
            if not isinstance(listed, list):
                raise FetchFailed("an answer without a list of generations")
            for generation in map(fields.mapping, listed):
                address = fields.mapping(generation.get("request")).get("callback_url")
                report = _report(generation) if fields.calls_back(address, lost.callback_token_hash) else None
                if report is not None:
                    return Found(report, certain=True)
            offset += len(listed)
            more = answer.get("has_more", len(listed) >= PAGE_SIZE)
            if not (listed and more is True) or _is_past(listed, lost.charged_at - CLOCKS_DIFFER):
                break
        return None

    def account(self) -> Account | None:
        """The balance, which is given in US cents: src/lumaai/types/credit_get_response.py"""
        cents = fields.amount(_body(self._ask("credits")).get("credit_balance"))
        if cents is None:
            raise FetchFailed("an answer without a balance")
        return Account(cents / 100, "USD", usd_micros=fields.micros(cents / 100))

    def _url(self, path: str) -> str:
        return f"{self.base_url}{ROOT}/{path}"

    def _ask(self, path: str) -> Answer:
        if not self.api_key:
            raise FetchFailed("the provider is not configured")
        return self.door.fetch(self._url(path), bearer(self.api_key))


def build(name: str, connection: Connection, limits: Limits) -> Luma:
    """The adapter for these settings."""
    return Luma(name, limits.door(), connection.base_url or BASE_URL, connection.api_key)


def _tier(input: Mapping[str, Any]) -> tuple[str, str]:
    """Resolution and duration as they are sent. What the provider does not know, it refuses itself."""
    resolution, duration = input.get("resolution"), input.get("duration")
    return (
        resolution if isinstance(resolution, str) else USUAL_RESOLUTION,
        duration if isinstance(duration, str) else USUAL_DURATION,
    )


def _accepted(answer: Answer) -> Accepted:
    """Luma documents 400, 401, 403 and 429 (https://docs.lumalabs.ai/docs/errors), but not which status an empty
    balance gets: the text tells."""
    job_id = fields.job_id((answer.body or {}).get("id")) if 200 <= answer.status < 300 else None
    if job_id is None:
        text = fastapi_errors.text(answer.body or {})
        raise refusals.error(answer, text, _by_reason(text))
    return Accepted(job_id)


def _by_reason(text: str | None) -> ErrorClass | None:
    said = (text or "").lower()
    return next((error_class for reason, error_class in REASONS.items() if reason in said), None)


def _body(answer: Answer) -> Mapping[str, Any]:
    if answer.body is None or answer.status != 200:
        raise FetchFailed(f"the provider answered with HTTP {answer.status}")
    return answer.body


def _is_past(listed: Sequence[Any], at: datetime) -> bool:
    """The list goes back in time, and this page of it ends before `at`. The order is not documented."""
    times = [fields.instant(fields.mapping(generation).get("created_at")) for generation in listed]
    known = [time for time in times if time is not None]
    return len(known) > 1 and known[0] > known[-1] and known[-1] < at


def _report(generation: Mapping[str, Any]) -> Report | None:
    job_id = fields.job_id(generation.get("id"))
    if job_id is None:
        return None
    state = generation.get("state") if isinstance(generation.get("state"), str) else ""
    status = (fields.message(state) or "")[:50]
    outcome = ENDS.get(state or "", Outcome.PENDING)
    if outcome is Outcome.SUCCEEDED:
        assets = fields.mapping(generation.get("assets"))
        # A video may come with a picture of it.
        outputs = fields.links(assets.get("video")) or fields.links(assets.get("image"))
        return Report(outcome, job_id, outputs, status=status)
    if outcome is Outcome.PENDING:
        return Report(outcome, job_id, status=status)
    text = fields.message(generation.get("failure_reason"))
    error_class = _by_reason(text) or failures.from_text(text)
    if error_class is None:
        # Without a reason, the state itself says that the generation failed; a reason we do not know says nothing.
        error_class = ErrorClass.UNKNOWN_ERROR if text else ErrorClass.GENERATION_FAILED
    return Report(
        outcome,
        job_id,
        error_class=error_class,
        message=text or "The provider ended the generation as failed.",
        status=status,
    )
