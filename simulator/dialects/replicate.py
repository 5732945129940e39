"""Replicate's protocol: https://replicate.com/docs/reference/http"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from simulator.dialect import Dialect, Keys, Reply, Request, Submission
from simulator.jobs import Job, Jobs, State

# How a prediction ends that did not succeed, and with what error: no list is published, the texts are ours.
FAILURES: dict[str, tuple[str, str | None]] = {
    "content_policy_violation": ("failed", "NSFW content detected. Try running it again, or try another prompt."),
    "internal_error": ("failed", "Internal server error"),
    "generation_failed": ("canceled", None),
    "storage_error": ("failed", "Failed to upload output files"),
    "timeout": ("aborted", None),
    "provider_unavailable": ("failed", "The upstream model is overloaded. Please try again later."),
    "invalid_input": ("failed", "Failed to download the image from the given address"),
    "unknown_error": ("failed", "worker 17 gave up (E9999)"),
}
WORDS = {State.QUEUED: "starting", State.RUNNING: "processing", State.SUCCEEDED: "succeeded"}
PAGE = 100

_MODEL = re.compile(r"/v1/models/([A-Za-z0-9._-]+/[A-Za-z0-9._-]+)/predictions")
_ONE = re.compile(r"/v1/predictions/([A-Za-z0-9]{1,64})")


def _problem(status: int, title: str, detail: str) -> Reply:
    return Reply(status, {"title": title, "detail": detail, "status": status})


REFUSALS = {
    "refuse": _problem(422, "Input validation failed", "- input: prompt is required\n"),
    "refuse_account": _problem(402, "Insufficient credit", "You have insufficient credit to run this model."),
    "busy": Reply(429, {"detail": "Request was throttled. Your rate limit resets in ~30s."}),
}


class Replicate(Dialect):
    """Bearer key, callback address in the body, callbacks signed as Standard Webhooks say."""

    name = "replicate"
    settings = ("API_KEY", "WEBHOOK_SECRET")
    failures = FAILURES
    refusals = REFUSALS

    def problem(self, status: int, message: str) -> Reply:
        return _problem(status, message, message)

    def submission(self, request: Request) -> Submission | None:
        match = _MODEL.fullmatch(request.path)
        if request.method != "POST" or not (match or request.path == "/v1/predictions"):
            return None
        version, asked = request.body.get("version"), request.body.get("input")
        if not isinstance(asked, dict) or not (match or isinstance(version, str)):
            raise ValueError("input or version is missing.")
        webhook = request.body.get("webhook")
        return Submission(match[1] if match else "", asked, webhook, route="" if match else str(version))

    def accepted(self, job: Job, jobs: Jobs) -> Reply:
        return Reply(201, self._prediction(job, State.QUEUED, jobs))

    def answer(self, request: Request, jobs: Jobs) -> Reply | None:
        if request.method != "GET":
            return None
        if request.path == "/v1/predictions":
            return Reply(200, self._page(request.query, jobs))
        if match := _ONE.fullmatch(request.path):
            job = jobs.find(match[1])
            return Reply(200, self._prediction(job, job.state, jobs)) if job else None
        return None

    def message(self, job: Job, state: State, jobs: Jobs) -> Mapping[str, Any]:
        """The prediction itself: https://replicate.com/docs/topics/webhooks/receive-webhook"""
        return self._prediction(job, state, jobs)

    def sign(self, job: Job, body: bytes, keys: Keys) -> Mapping[str, str]:
        """https://github.com/standard-webhooks/standard-webhooks: the secret is base64, and so is the signature.
        A first signature that does not fit stands for the other secret of an account that replaces its own."""
        webhook_id, timestamp = f"msg_{uuid.uuid4().hex}", str(int(time.time()))
        mac = hmac.new(base64.b64decode(keys.webhook_secret.partition("_")[2]), digestmod=hashlib.sha256)
        mac.update(b".".join((webhook_id.encode(), timestamp.encode(), body)))
        other = base64.b64encode(bytes(32)).decode()
        ours = base64.b64encode(mac.digest()).decode()
        return {
            "webhook-id": webhook_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": f"v1,{other} v1,{ours}",
        }

    def _page(self, query: Mapping[str, str], jobs: Jobs) -> dict[str, Any]:
        """A page of the list, newest first; `cursor` is how many to skip."""
        skip = int(query.get("cursor", "0"))
        least, most = (datetime.fromisoformat(query.get(name, usual)) for name, usual in _DATES)
        found = [job for job in jobs.kept()[::-1] if least <= job.created_at < most]
        shown = [self._prediction(job, job.state, jobs) for job in found[skip : skip + PAGE]]
        more = f"{jobs.base_url}/v1/predictions?cursor={skip + PAGE}" if len(found) > skip + PAGE else None
        return {"previous": None, "next": more, "results": shown}

    def _prediction(self, job: Job, state: State, jobs: Jobs) -> dict[str, Any]:
        status, error = self.failure(job) if state == State.FAILED else (WORDS[state], None)
        ended = state in (State.SUCCEEDED, State.FAILED)
        here = f"{jobs.base_url}/v1/predictions/{job.id}"
        return {
            "id": job.id,
            "model": job.asked.model or "acme/painter",
            "version": job.asked.route or "hidden",
            "input": job.asked.input,
            "logs": "",
            "output": [jobs.link(job)] if state == State.SUCCEEDED else None,
            "data_removed": False,
            "error": error,
            "source": "api",
            "status": status,
            "created_at": _time(job.created_at),
            "started_at": None if state == State.QUEUED or status == "aborted" else _time(job.created_at),
            "completed_at": _time(job.ended_at) if ended and job.ended_at else None,
            "metrics": {"predict_time": job.seconds} if ended and status != "aborted" else {},
            "urls": {"get": here, "cancel": f"{here}/cancel"},
            "webhook": job.asked.webhook,
            "webhook_events_filter": ["completed"],
        }


_DATES = (("created_after", "0001-01-01T00:00:00+00:00"), ("created_before", "9999-12-31T00:00:00+00:00"))


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
