"""ElevenLabs, text to speech: https://elevenlabs.io/docs/api-reference/text-to-speech/convert

The answer to a submit is the speech itself; nobody is called back. A model is ElevenLabs' own id, such as
eleven_multilingual_v2. The history, which every speech is in, finds one whose answer was lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode

from makegood.providers import elevenlabs_history as history
from makegood.providers import fastapi_errors, fields, refusals
from makegood.providers.elevenlabs_formats import OUTPUT_FORMATS, USUAL_FORMAT, longest_text
from makegood.providers.http import Answer, Door, Limits
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

BASE_URL = "https://api.elevenlabs.io"
SUBMIT_SECONDS = 60.0
FETCH_SECONDS = 20.0
MAX_BYTES = 20_000_000

# Credits for a character; 1 for every other model. https://elevenlabs.io/docs/overview/models
FACTORS = {
    "eleven_flash_v2": Decimal("0.5"),
    "eleven_flash_v2_5": Decimal("0.5"),
    "eleven_turbo_v2": Decimal("0.5"),
    "eleven_turbo_v2_5": Decimal("0.5"),
}

# `code`, formerly `status`, of an error: https://elevenlabs.io/docs/eleven-api/resources/errors and
# https://help.elevenlabs.io/hc/en-us/articles/19572237925521
ERROR_CODES = {
    "quota_exceeded": ErrorClass.PROVIDER_ACCOUNT,
    "invalid_api_key": ErrorClass.PROVIDER_ACCOUNT,
    "only_for_creator+": ErrorClass.PROVIDER_ACCOUNT,
    "max_character_limit_exceeded": ErrorClass.INVALID_INPUT,
    "voice_not_found": ErrorClass.INVALID_INPUT,
    "invalid_parameters": ErrorClass.INVALID_INPUT,
    "too_many_concurrent_requests": ErrorClass.PROVIDER_UNAVAILABLE,
    "concurrent_limit_exceeded": ErrorClass.PROVIDER_UNAVAILABLE,
    "rate_limit_exceeded": ErrorClass.PROVIDER_UNAVAILABLE,
    "system_busy": ErrorClass.PROVIDER_UNAVAILABLE,
}

MAX_PAGES = 3
PAGE_SIZE = 100

_VOICE = re.compile(r"[A-Za-z0-9_-]{1,100}")


@dataclass(frozen=True)
class ElevenLabs:
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
        """Characters of the text, as far as the model counts them."""
        text = input.get("text")
        quantity = len(text) * FACTORS.get(model, Decimal(1)) if isinstance(text, str) else None
        return Units("character", quantity)

    def job_secret(self, token: str) -> str | None:
        """None: nobody is called back."""
        return None

    def submit(self, job: Job) -> Accepted:
        """Have the text spoken, and wait for the speech. Raises SubmitRefused or SubmitUnknown."""
        if not self.api_key:
            raise SubmitRefused(ErrorClass.PROVIDER_UNAVAILABLE, "The provider is not configured.")
        voice, output_format = _checked(job.input)
        body = {name: value for name, value in job.input.items() if name not in ("voice_id", "output_format")}
        url = f"{self.base_url}/v1/text-to-speech/{voice}?output_format={output_format}"
        return _accepted(self.door.submit(url, self._auth(self.api_key), {**body, "model_id": job.model}))

    def parse_callback(self, headers: Mapping[str, str], body: bytes, now: datetime, token: str) -> Report:
        """Rejected: speech comes with the answer. The webhooks that there are go to one address for the whole
        account, which cannot name a job: https://elevenlabs.io/docs/eleven-api/resources/webhooks"""
        raise CallbackRejected("text to speech is answered at once: there is nothing to call back about")

    def fetch(self, provider_job_id: str, model: str) -> Report:
        """Look for a request in the latest history."""
        if fields.job_id(provider_job_id) is None:
            raise FetchFailed("the job's id is not one that can be asked for")
        for item in self._history({"model_id": model}):
            if provider_job_id in (item.get("request_id"), item.get("history_item_id")):
                return self._report(provider_job_id, item)
        raise FetchFailed("nothing in the history but another request's speech")

    def find(self, lost: LostJob) -> Found | None:
        """Look in the history for a speech of the same text, voice and model, made when the job was charged."""
        for item in self._history(history.like(lost)):
            job_id = history.job_id(item)
            if job_id is not None and history.is_like(item, lost):
                return Found(self._report(job_id, item), certain=False)
        return None

    def account(self) -> Account | None:
        """What is left of this month's characters: https://elevenlabs.io/docs/api-reference/user/subscription/get"""
        subscription = self._get("user/subscription")
        used = fields.integer(subscription.get("character_count"))
        limit = fields.integer(subscription.get("character_limit"))
        if used is None or limit is None:
            raise FetchFailed("an answer without a quota")
        return Account(Decimal(max(limit - used, 0)), "characters", limit=Decimal(limit))

    def _history(self, asked: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """The items that were asked for, newest first: https://elevenlabs.io/docs/api-reference/history/list"""
        query = {"page_size": PAGE_SIZE, **asked}
        for _ in range(MAX_PAGES):
            page = self._get(f"history?{urlencode(query)}")
            items = page.get("history")
            if not isinstance(items, list):
                raise FetchFailed("an answer without a history")
            yield from map(fields.mapping, items)
            last = fields.job_id(page.get("last_history_item_id"))
            if page.get("has_more") is not True or last is None:
                return
            query["start_after_history_item_id"] = last

    def _report(self, job_id: str, item: Mapping[str, Any]) -> Report:
        """https://elevenlabs.io/docs/api-reference/history/get and /audio"""
        state = (fields.message(item.get("state")) or "")[:50]
        item_id = fields.job_id(item.get("history_item_id"))
        if state != "created" or item_id is None:
            return Report(Outcome.PENDING, job_id, status=state)
        key = self._key()
        answer = self.door.download(f"{self.base_url}/v1/history/{quote(item_id, safe='')}/audio", self._auth(key))
        speech = _speech(answer)
        if speech is None:
            raise FetchFailed(f"no speech, but HTTP {answer.status}")
        return Report(Outcome.SUCCEEDED, job_id, status=state, usage=history.usage(item), files=(speech,))

    def _get(self, path: str) -> Mapping[str, Any]:
        answer = self.door.fetch(f"{self.base_url}/v1/{path}", self._auth(self._key()))
        if answer.status != 200:
            raise FetchFailed(f"the provider answered with HTTP {answer.status}")
        return fields.mapping(answer.body)

    def _key(self) -> str:
        if not self.api_key:
            raise FetchFailed("the provider is not configured")
        return self.api_key

    def _auth(self, api_key: str) -> dict[str, str]:
        return {"xi-api-key": api_key, "Accept": "*/*"}


def build(name: str, connection: Connection, limits: Limits) -> ElevenLabs:
    """The adapter for these settings."""
    door = limits.door(submit_seconds=SUBMIT_SECONDS, fetch_seconds=FETCH_SECONDS, max_bytes=MAX_BYTES)
    return ElevenLabs(name, door, connection.base_url or BASE_URL, connection.api_key)


def _checked(input: Mapping[str, Any]) -> tuple[str, str]:
    """The voice and the output format. Raises SubmitRefused for what cannot become a speech that we can take."""
    text, voice = input.get("text"), input.get("voice_id")
    output_format = input.get("output_format", USUAL_FORMAT)
    if not isinstance(text, str) or not text.strip():
        problem = "input.text is required: the text to speak."
    elif not isinstance(voice, str) or not _VOICE.fullmatch(voice):
        problem = "input.voice_id is required: the id of a voice, made of letters and digits."
    elif not isinstance(output_format, str) or output_format not in OUTPUT_FORMATS:
        problem = f"input.output_format must be one of {', '.join(OUTPUT_FORMATS)}."
    elif len(text) > (longest := longest_text(output_format, MAX_BYTES)):
        problem = f"input.text is longer than {longest} characters, too long for {output_format}: divide it."
    else:
        return voice, output_format
    raise SubmitRefused(ErrorClass.INVALID_INPUT, problem)


def _accepted(answer: Answer) -> Accepted:
    if answer.status == 200:
        job_id, speech = fields.job_id(answer.headers.get("request-id")), _speech(answer)
        if job_id is None or speech is None:
            raise SubmitUnknown("The provider's answer is no speech, or names no request.")
        cost = fields.quantity(answer.headers.get("character-cost"))
        usage = None if cost is None else Units("character", cost)
        report = Report(Outcome.SUCCEEDED, job_id, status="created", usage=usage, files=(speech,))
        return Accepted(job_id, usage=usage, report=report)
    code, text = _said(fields.mapping(answer.body))
    # The code tells a spent quota from a wrong key: both come with HTTP 401.
    said = fields.message(": ".join(part for part in (code, text) if part))
    raise refusals.error(answer, said, ERROR_CODES.get(code))


def _said(body: Mapping[str, Any]) -> tuple[str, str]:
    """An error's code and text; with HTTP 422 only a text, of which field is wrong."""
    error = fields.mapping(body.get("detail"))
    code = fields.message(error.get("code")) or fields.message(error.get("status")) or ""
    return code, fields.message(error.get("message")) or fastapi_errors.text(body) or ""


def _speech(answer: Answer) -> File | None:
    content_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    sound = content_type.startswith("audio/") or content_type == "application/octet-stream"
    return File(content_type, answer.content) if answer.status == 200 and sound and answer.content else None
