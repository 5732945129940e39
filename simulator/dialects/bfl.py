"""Black Forest Labs' protocol: https://docs.bfl.ai and https://github.com/black-forest-labs/skills"""

from __future__ import annotations

import hashlib
import hmac
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from simulator.dialect import Dialect, Keys, Reply, Request, Submission, same
from simulator.jobs import Job, Jobs, State

# Status, error and message of a failure: skills/bfl-api/references/error-handling.md. That callbacks carry the
# moderated statuses is not documented; the errors of the last three are ours.
FAILURES: dict[str, tuple[str, str | None, str | None]] = {
    "content_policy_violation": ("Content Moderated", None, None),
    "internal_error": ("Error", "internal_error", "internal error"),
    "timeout": ("Error", "generation_timeout", "Generation took too long"),
    "invalid_input": ("Error", "invalid_image", "The input image could not be processed"),
    "generation_failed": ("Error", None, None),
    "storage_error": ("Error", "delivery_failed", "Failed to upload output to storage"),
    "unknown_error": ("Error", "worker_17_gave_up", "Worker 17 gave up"),
}
REFUSALS = {
    "refuse": Reply(
        422, {"detail": [{"loc": ["body", "width"], "msg": "Not a multiple of 16", "type": "multiple_of"}]}
    ),
    "refuse_account": Reply(
        402, {"error": "insufficient_credits", "message": "Your account does not have enough credits"}
    ),
    "busy": Reply(
        429,
        {"error": "rate_limit_exceeded", "message": "Too many concurrent requests", "retry_after": 5},
        {"Retry-After": "5"},
    ),
}
WORDS = {State.QUEUED: "Pending", State.RUNNING: "Pending", State.SUCCEEDED: "Ready"}

_SUBMIT = re.compile(r"/v1/(flux[a-z0-9.-]+)")


class BFL(Dialect):
    """A key in a header of its own, a secret for each job, cost in the answer, moderated statuses."""

    name = "bfl"
    settings = ("API_KEY", "WEBHOOK_SECRET")
    failures = FAILURES
    refusals = REFUSALS
    retries = (1.0, 5.0, 30.0)
    callback_seconds = 30.0

    def job_id(self) -> str:
        return str(uuid.uuid4())

    def knows(self, request: Request, keys: Keys) -> bool:
        return same(request.headers.get("x-key", ""), keys.api_key)

    def problem(self, status: int, message: str) -> Reply:
        return Reply(status, {"detail": message})

    def submission(self, request: Request) -> Submission | None:
        match = _SUBMIT.fullmatch(request.path)
        if request.method != "POST" or match is None:
            return None
        asked = {name: value for name, value in request.body.items() if not name.startswith("webhook_")}
        if not isinstance(asked.get("prompt"), str):
            raise ValueError("prompt is required.")
        webhook, secret = (request.body.get(name) for name in ("webhook_url", "webhook_secret"))
        return Submission(match[1], asked, webhook, secret)

    def accepted(self, job: Job, jobs: Jobs) -> Reply:
        """Where to ask for the job stands in it only if nobody is called back."""
        cost = {"cost": 3.0, "input_mp": 0.0, "output_mp": 1.0}
        if job.asked.webhook is not None:
            return Reply(200, {"id": job.id, "status": "Pending", "webhook_url": job.asked.webhook, **cost})
        return Reply(200, {"id": job.id, "polling_url": f"{jobs.base_url}/v1/get_result?id={job.id}", **cost})

    def answer(self, request: Request, jobs: Jobs) -> Reply | None:
        if request.path == "/v1/credits":
            return Reply(200, {"credits": 712.34})
        if request.path != "/v1/get_result":
            return None
        job_id = request.query.get("id", "")
        job = jobs.find(job_id)
        if job is None:
            return Reply(404, {"id": job_id, "status": "Task not found", "result": None})
        status, _, _ = _end(self, job, job.state)
        shown = {"progress": None, "details": _details(status), "preview": None}
        return Reply(200, {"id": job.id, "status": status, "result": _result(job, job.state, jobs), **shown})

    def message(self, job: Job, state: State, jobs: Jobs) -> Mapping[str, Any]:
        """skills/bfl-api/references/webhook-integration.md"""
        status, error, text = _end(self, job, state)
        time = (job.ended_at or datetime.now(UTC)).astimezone(UTC)
        shown: dict[str, Any] = {"id": job.id, "status": status}
        if state != State.FAILED:
            shown["result"] = _result(job, state, jobs)
        elif error is None:
            shown["details"] = _details(status)
        else:
            shown |= {"error": error, "message": text}
        return {**shown, "timestamp": f"{time:%Y-%m-%dT%H:%M:%SZ}"}

    def sign(self, job: Job, body: bytes, keys: Keys) -> Mapping[str, str]:
        """Only for a job that was given a secret, and with that."""
        if job.asked.secret is None:
            return {}
        digest = hmac.digest(job.asked.secret.encode(), body, hashlib.sha256)
        return {"X-BFL-Signature": f"sha256={digest.hex()}"}


def _end(dialect: BFL, job: Job, state: State) -> tuple[str, str | None, str | None]:
    end: tuple[str, str | None, str | None] = (
        dialect.failure(job) if state == State.FAILED else (WORDS[state], None, None)
    )
    return end


def _details(status: str) -> dict[str, Any] | None:
    return {"Moderation Reasons": ["Safety Filter"]} if status.endswith("Moderated") else None


def _result(job: Job, state: State, jobs: Jobs) -> dict[str, Any] | None:
    if state != State.SUCCEEDED or job.ended_at is None:
        return None
    ended_at = job.ended_at.timestamp()
    times = {"start_time": ended_at - job.seconds, "end_time": ended_at, "duration": job.seconds}
    return {"sample": jobs.link(job), "prompt": job.asked.input["prompt"], "seed": 1_234_567_890, **times}
