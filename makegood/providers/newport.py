"""Newport AI (DreamAPI): https://api.newportai.com/docs, and its own https://github.com/dreamfaceapp/skill

It calls nobody back: its jobs are asked for every few seconds (`makegood.providers.registry.POLLED`). A model is
the endpoint below /api/async/, such as lipsync/2.0.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from makegood.providers import failures, fields
from makegood.providers.http import Answer, Door, Limits, bearer
from makegood.providers.protocol import (
    Accepted,
    Account,
    CallbackRejected,
    Connection,
    ErrorClass,
    FetchFailed,
    File,
    Found,
    Job,
    LostJob,
    Outcome,
    Report,
    SubmitRefused,
    SubmitUnknown,
    Units,
)

BASE_URL = "https://api.newportai.com"

# https://api.newportai.com/docs/talking-face.html and its neighbours;
# https://github.com/dreamfaceapp/skill (references)
ENDPOINTS = frozenset(
    {
        "do_tts_clone",
        "do_tts_common",
        "do_tts_pro",
        "dreamavatar/image_to_video/3.0fast",
        "dreamvideo_3.0/image_to_video",
        "dreamvideo_3.0/text_to_video",
        "flux_image2image",
        "flux_text2image",
        "lipsync",
        "lipsync/2.0",
        "seedance_2.0",
        "seedance_2.5",
        "seedream",
        "swap_face_for_video",
        "talking_face",
        "video_translate/2.0",
        "voice_clone",
        "wan/dreamact/2.1",
        "wan/head_tail_to_video/2.1",
        "wan/image_to_video/2.1",
        "wan/text_to_video/2.1",
    }
)

# Credits for a second, where the input says how many seconds: https://github.com/dreamfaceapp/skill
# (references/video_gen.md). The others bill seconds too (lipsync and talking_face 1 credit, lipsync/2.0 2), but
# those of a sound or a video that only Newport has seen.
CREDITS_PER_SECOND = {
    ("dreamvideo_3.0/text_to_video", "480P"): Decimal(2),
    ("dreamvideo_3.0/text_to_video", "720P"): Decimal(4),
    ("dreamvideo_3.0/image_to_video", "480P"): Decimal(2),
    ("dreamvideo_3.0/image_to_video", "720P"): Decimal(4),
}
USUAL_RESOLUTION = "720P"
USUAL_SECONDS, LEAST_SECONDS, MOST_SECONDS = 5, 3, 15

# `status` of a task: 1 submitted, 2 in progress, 3 success, 4 failed. https://api.newportai.com/docs/polling.html
OUTCOMES = {3: Outcome.SUCCEEDED, 4: Outcome.FAILED}

# `code` of an answer, and `errorCode` of a failed task: https://api.newportai.com/api-docs
ERROR_CODES = {
    10192: ErrorClass.INVALID_INPUT,
    13005: ErrorClass.PROVIDER_ACCOUNT,
    13006: ErrorClass.PROVIDER_ACCOUNT,
    13007: ErrorClass.PROVIDER_ACCOUNT,
}

# The same as HTTP says it: https://github.com/dreamfaceapp/skill (references/error_handling.md)
REFUSALS = {
    **ERROR_CODES,
    400: ErrorClass.INVALID_INPUT,
    401: ErrorClass.PROVIDER_ACCOUNT,
    402: ErrorClass.PROVIDER_ACCOUNT,
    403: ErrorClass.PROVIDER_ACCOUNT,
    404: ErrorClass.INVALID_INPUT,
    413: ErrorClass.INVALID_INPUT,
    422: ErrorClass.INVALID_INPUT,
    429: ErrorClass.PROVIDER_UNAVAILABLE,
}
LEAST_OWN_CODE = 1000
"""Any code but 0 is an error; those from here on are Newport's own, and no gateway's."""

RESULTS = (("videos", "videoUrl"), ("images", "imageUrl"), ("audios", "audioUrl"))


@dataclass(frozen=True)
class Newport:
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
        """Credits, where the input says for how many seconds."""
        resolution = input.get("resolution", USUAL_RESOLUTION)
        rate = CREDITS_PER_SECOND.get((model, resolution)) if isinstance(resolution, str) else None
        seconds = fields.integer(input.get("duration", USUAL_SECONDS))
        if rate is None or seconds is None or not LEAST_SECONDS <= seconds <= MOST_SECONDS:
            return Units("credit", None)
        return Units("credit", seconds * rate)

    def job_secret(self, token: str) -> str | None:
        """None: nobody is called back."""
        return None

    def submit(self, job: Job) -> Accepted:
        """Submit once. Raises SubmitRefused or SubmitUnknown."""
        if not self.api_key:
            raise SubmitRefused(ErrorClass.PROVIDER_UNAVAILABLE, "The provider is not configured.")
        if job.model not in ENDPOINTS:
            raise SubmitRefused(ErrorClass.INVALID_INPUT, "The provider has no such model.")
        url = f"{self.base_url}/api/async/{job.model}"
        return _accepted(self.door.submit(url, bearer(self.api_key), job.input))

    def parse_callback(self, headers: Mapping[str, str], body: bytes, now: datetime, token: str) -> Report:
        """Rejected: there are no callbacks."""
        raise CallbackRejected("Newport calls nobody back: whoever sent this is somebody else")

    def fetch(self, provider_job_id: str, model: str) -> Report:
        """Ask for a task: https://api.newportai.com/docs/polling.html"""
        if fields.job_id(provider_job_id) is None:
            raise FetchFailed("the job's id is not one that can be asked for")
        url = f"{self.base_url}/api/getAsyncResult"
        data = _data(self.door.fetch(url, bearer(self._key()), {"taskId": provider_job_id}))
        if fields.mapping(fields.mapping(data).get("task")).get("taskId") != provider_job_id:
            raise FetchFailed("an answer about another task")
        return _report(provider_job_id, fields.mapping(data))

    def find(self, lost: LostJob) -> Found | None:
        """None: there is no list of tasks, and a task repeats nothing of ours."""
        return None

    def account(self) -> Account | None:
        """What is left: https://github.com/dreamfaceapp/skill (references/user.md)"""
        data = _data(self.door.fetch(f"{self.base_url}/api/user/available_credits", bearer(self._key())))
        credits = fields.amount(data.get("credits") if isinstance(data, dict) else data)
        if credits is None:
            raise FetchFailed("an answer without credits")
        return Account(credits, "credits")

    def _key(self) -> str:
        if not self.api_key:
            raise FetchFailed("the provider is not configured")
        return self.api_key


def build(name: str, connection: Connection, limits: Limits) -> Newport:
    """The adapter for these settings."""
    return Newport(name, limits.door(), connection.base_url or BASE_URL, connection.api_key)


def _accepted(answer: Answer) -> Accepted:
    body = fields.mapping(answer.body)
    data = fields.mapping(body.get("data"))
    if answer.body is not None and answer.code == 0:
        job_id = fields.job_id(data.get("taskId"))
        if job_id is None:
            raise SubmitUnknown("The provider's answer names no task.")
        return Accepted(job_id)
    text = fields.message(body.get("message"))
    error_class = REFUSALS.get(answer.code)
    if failures.from_text(text) in (ErrorClass.CONTENT_POLICY_VIOLATION, ErrorClass.PROVIDER_ACCOUNT):
        # Too little credit has no code that is published.
        error_class = failures.from_text(text) if error_class or answer.code >= LEAST_OWN_CODE else None
    if error_class is None and answer.code >= LEAST_OWN_CODE and "taskId" not in data:
        error_class = failures.from_text(text) or ErrorClass.UNKNOWN_ERROR
    if error_class is None:
        raise SubmitUnknown(f"The provider answered with the code {answer.code}.")
    raise SubmitRefused(error_class, text or f"The provider refused with the code {answer.code}.")


def _data(answer: Answer) -> Any:
    if answer.code != 0:
        raise FetchFailed(f"the provider answered with the code {answer.code}")
    return fields.mapping(answer.body).get("data")


def _report(job_id: str, data: Mapping[str, Any]) -> Report:
    task = fields.mapping(data.get("task"))
    number = fields.integer(task.get("status"))
    outcome = OUTCOMES.get(-1 if number is None else number, Outcome.PENDING)
    status = f"status {fields.message(str(task.get('status')))}"[:50]
    if outcome == Outcome.PENDING:
        return Report(outcome, job_id, status=status)
    if outcome == Outcome.SUCCEEDED:
        return Report(
            outcome,
            job_id,
            _links(data),
            status=status,
            usage=_usage(task),
            outputs_expire_at=_expiry(task),
            files=_clone(data),
        )
    text = fields.message(task.get("reason"))
    code = fields.integer(task.get("errorCode")) or 0
    # Without a code, the status itself says that the task failed; with one that we do not know, nothing does.
    unmapped = ErrorClass.UNKNOWN_ERROR if code else ErrorClass.GENERATION_FAILED
    return Report(
        outcome,
        job_id,
        error_class=ERROR_CODES.get(code) or failures.from_text(text) or unmapped,
        message=text or f"The provider ended the task with {status}.",
        status=status,
        usage=_usage(task),
    )


def _links(data: Mapping[str, Any]) -> tuple[str, ...]:
    results = [(data.get(kind), name) for kind, name in RESULTS]
    return fields.links(
        [fields.mapping(item).get(name) for items, name in results if isinstance(items, list) for item in items]
    )


def _clone(data: Mapping[str, Any]) -> tuple[File, ...]:
    """The id of a cloned voice, which is no link: https://api.newportai.com/docs/polling.html"""
    clone = fields.job_id(data.get("cloneId"))
    return (File("application/json", json.dumps({"cloneId": clone}).encode()),) if clone else ()


def _usage(task: Mapping[str, Any]) -> Units | None:
    """What was billed: https://github.com/dreamfaceapp/skill (references/error_handling.md)"""
    credits = fields.quantity(task.get("creditsConsumed"))
    return None if credits is None else Units("credit", credits)


def _expiry(task: Mapping[str, Any]) -> datetime | None:
    """When the links die, a day after the end: milliseconds since 1970."""
    milliseconds = fields.integer(task.get("expire"))
    valid = milliseconds is not None and 0 < milliseconds < 2**42
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if valid and milliseconds else None
