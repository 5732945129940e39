"""ElevenLabs' protocol, text to speech: https://elevenlabs.io/docs/api-reference/text-to-speech/convert"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from simulator.dialect import Dialect, Keys, Reply, Request, Submission, same
from simulator.jobs import Job, Jobs


def _error(status: int, code: str, message: str) -> Reply:
    return Reply(status, {"detail": {"status": code, "message": message}})


# https://help.elevenlabs.io/hc/en-us/articles/19572237925521; the texts are partly ours.
FAILURES = {
    "provider_account": _error(
        401, "quota_exceeded", "This request exceeds your quota. You have 12 credits remaining."
    ),
    "provider_unavailable": _error(429, "system_busy", "The system is experiencing heavy traffic."),
    "content_policy_violation": _error(400, "worker_17", "The text was flagged by our content policy."),
    "unknown_error": _error(400, "voice_not_found", "A voice with the voice_id abc was not found."),
}
REFUSALS = {
    "refuse": Reply(422, {"detail": [{"loc": ["body", "text"], "msg": "Field required", "type": "missing"}]}),
    "refuse_account": FAILURES["provider_account"],
    "busy": _error(429, "too_many_concurrent_requests", "Too many concurrent requests."),
    "wrong_key": _error(401, "invalid_api_key", "Invalid API key"),
    "plan": _error(403, "only_for_creator+", "This is only available from the Creator tier on."),
}
CHARACTERS = 100_000
PAGE = 100
SECOND_OF_SILENCE = (bytes.fromhex("fffb9064") + bytes(413)) * 38
"""MPEG-1 layer III, 128 kbit/s, 44.1 kHz."""

_SUBMIT = re.compile(r"/v1/text-to-speech/([A-Za-z0-9_-]{1,100})")
_AUDIO = re.compile(r"/v1/history/item([A-Za-z0-9]{1,64})/audio")


class ElevenLabs(Dialect):
    """A key in a header of its own; the answer to a submit is the speech. It calls nobody back."""

    name = "elevenlabs"
    failures = FAILURES
    refusals = REFUSALS
    synchronous = True

    def knows(self, request: Request, keys: Keys) -> bool:
        return same(request.headers.get("xi-api-key", ""), keys.api_key)

    def problem(self, status: int, message: str) -> Reply:
        return _error(status, "invalid_api_key" if status == 401 else f"http_{status}", message)

    def submission(self, request: Request) -> Submission | None:
        match = _SUBMIT.fullmatch(request.path)
        if request.method != "POST" or match is None:
            return None
        model, text = request.body.get("model_id", "eleven_multilingual_v2"), request.body.get("text")
        if not isinstance(text, str) or not isinstance(model, str):
            raise ValueError("text is required.")
        return Submission(model, {**request.body, "voice_id": match[1]})

    def accepted(self, job: Job, jobs: Jobs) -> Reply:
        headers = {
            "request-id": job.id,
            "character-cost": str(_cost(job)),
            "current-concurrent-requests": "1",
            "maximum-concurrent-requests": "10",
        }
        return Reply(200, content=SECOND_OF_SILENCE, content_type="audio/mpeg", headers=headers)

    def answer(self, request: Request, jobs: Jobs) -> Reply | None:
        if request.method != "GET":
            return None
        if request.path == "/v1/user/subscription":
            used = sum(map(_cost, jobs.kept()))
            return Reply(200, {"tier": "creator", "character_count": used, "character_limit": CHARACTERS})
        if request.path == "/v1/history":
            return Reply(200, self._history(request.query, jobs))
        match = _AUDIO.fullmatch(request.path)
        if match and jobs.find(match[1]):
            return Reply(200, content=SECOND_OF_SILENCE, content_type="audio/mpeg")
        return None

    def _history(self, query: Mapping[str, str], jobs: Jobs) -> dict[str, Any]:
        """https://elevenlabs.io/docs/api-reference/history/list"""
        found = [_item(job) for job in jobs.kept()[::-1]]
        for name in ("voice_id", "model_id"):
            found = [item for item in found if item[name] == query.get(name, item[name])]
        least, most = (float(query.get(f"date_{name}_unix", usual)) for name, usual in _DATES)
        found = [item for item in found if least <= item["date_unix"] < most]
        ids = [item["history_item_id"] for item in found]
        last = query.get("start_after_history_item_id")
        skip, size = ids.index(last) + 1 if last in ids else 0, int(query.get("page_size", PAGE))
        shown = found[skip : skip + size]
        return {
            "history": shown,
            "last_history_item_id": shown[-1]["history_item_id"] if shown else None,
            "has_more": len(found) > skip + size,
        }


_DATES = (("after", "-inf"), ("before", "inf"))


def _item(job: Job) -> dict[str, Any]:
    """https://elevenlabs.io/docs/api-reference/history/get"""
    ended: datetime = job.ended_at or job.created_at
    return {
        "history_item_id": f"item{job.id}",
        "request_id": job.id,
        "voice_id": job.asked.input["voice_id"],
        "model_id": job.asked.model,
        "text": job.asked.input["text"],
        "date_unix": int(ended.timestamp()),
        "character_count_change_from": 0,
        "character_count_change_to": _cost(job),
        "content_type": "audio/mpeg",
        "state": "created" if job.ended else "processing",
        "source": "TTS",
    }


def _cost(job: Job) -> int:
    """What a speech is counted as: https://elevenlabs.io/docs/overview/models"""
    half = job.asked.model.startswith(("eleven_flash", "eleven_turbo"))
    return math.ceil(len(job.asked.input["text"]) * (0.5 if half else 1.0))
