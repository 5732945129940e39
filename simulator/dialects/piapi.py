"""PiAPI's protocol: https://piapi.ai/docs/unified-webhook and https://piapi.ai/docs/dream-machine/get-task"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from simulator.dialect import Dialect, Keys, Reply, Request, Submission, same
from simulator.jobs import Job, Jobs, State

# The model's own text and PiAPI's, of a failed task. No list is published: the texts and the code are ours.
FAILURES: dict[str, tuple[str, str]] = {
    "content_policy_violation": ("failed to pass content moderation", "task failed"),
    "internal_error": ("", "internal server error"),
    "generation_failed": ("", "task failed"),
    "storage_error": ("failed to upload output", "task failed"),
    "timeout": ("the task timed out", "task failed"),
    "provider_unavailable": ("the upstream service is overloaded", "task failed"),
    "provider_account": ("", "insufficient credits"),
    "invalid_input": ("failed to download the image", "task failed"),
    "unknown_error": ("worker 17 gave up", ""),
}
ERROR_CODE = 10_000


def _refusal(status: int, message: str) -> Reply:
    return Reply(status, {"code": status, "message": message, "data": None})


REFUSALS = {
    "refuse": _refusal(400, "the parameter value is invalid"),
    "refuse_account": _refusal(402, "insufficient credits"),
    "busy": _refusal(429, "too many requests"),
    "flagged": _refusal(400, "the prompt was flagged as sensitive"),
}
# Written as the documentation does in some places, and as the answers do in others.
WORDS = {
    State.QUEUED: "pending",
    State.RUNNING: "Processing",
    State.SUCCEEDED: "completed",
    State.FAILED: "Failed",
}
POINTS = 2_000_000


class PiAPI(Dialect):
    """A key in a header of its own, a secret for each job that comes back in clear and is echoed in the body."""

    name = "piapi"
    settings = ("API_KEY", "WEBHOOK_SECRET")
    failures = FAILURES
    refusals = REFUSALS

    def job_id(self) -> str:
        return str(uuid.uuid4())

    def knows(self, request: Request, keys: Keys) -> bool:
        return same(request.headers.get("x-api-key", ""), keys.api_key)

    def problem(self, status: int, message: str) -> Reply:
        return _refusal(status, message)

    def submission(self, request: Request) -> Submission | None:
        if request.method != "POST" or request.path != "/api/v1/task":
            return None
        model, task_type, asked = (request.body.get(name) for name in ("model", "task_type", "input"))
        if not (isinstance(model, str) and isinstance(task_type, str) and isinstance(asked, dict)):
            raise ValueError("model, task_type and input are required")
        webhook = request.body.get("config", {}).get("webhook_config", {})
        return Submission(model, asked, webhook.get("endpoint"), webhook.get("secret"), route=task_type)

    def accepted(self, job: Job, jobs: Jobs) -> Reply:
        return _success(self._task(job, State.QUEUED, jobs))

    def answer(self, request: Request, jobs: Jobs) -> Reply | None:
        if request.path == "/account/info":
            info = {"account_id": "a1", "account_name": "acme", "plan": "ppu", "equivalent_in_usd": 12.34}
            return _success(info)
        if not request.path.startswith("/api/v1/task/"):
            return None
        job = jobs.find(request.path.removeprefix("/api/v1/task/"))
        return _success(self._task(job, job.state, jobs)) if job else _refusal(404, "task not found")

    def message(self, job: Job, state: State, jobs: Jobs) -> Mapping[str, Any]:
        return {"timestamp": int(time.time()), "data": self._task(job, state, jobs)}

    def sign(self, job: Job, body: bytes, keys: Keys) -> Mapping[str, str]:
        """No signature: the secret itself."""
        return {} if job.asked.secret is None else {"x-webhook-secret": job.asked.secret}

    def _task(self, job: Job, state: State, jobs: Jobs) -> dict[str, Any]:
        raw, text = self.failure(job) if state == State.FAILED else ("", "")
        code = ERROR_CODE if state == State.FAILED else 0
        done = state in (State.SUCCEEDED, State.FAILED)
        webhook = {"endpoint": job.asked.webhook, "secret": job.asked.secret}
        used = {"type": "point", "frozen": POINTS, "consume": POINTS if state == State.SUCCEEDED else 0}
        return {
            "task_id": job.id,
            "model": job.asked.model,
            "task_type": job.asked.route,
            "status": WORDS[state],
            "config": {"service_mode": "public", "webhook_config": webhook},
            "input": job.asked.input,
            "output": {"image_url": jobs.link(job), "image_urls": None} if state == State.SUCCEEDED else {},
            "meta": {
                "created_at": _time(job.created_at),
                "started_at": _time(None if state == State.QUEUED else job.created_at),
                "ended_at": _time(job.ended_at if done else None),
                "usage": used,
                "is_using_private_pool": False,
                "failover_triggered": False,
            },
            "detail": None,
            "logs": None,
            "error": {"code": code, "raw_message": raw, "message": text, "detail": None},
        }


def _success(data: Any) -> Reply:
    return Reply(200, {"code": 200, "message": "success", "data": data})


def _time(at: datetime | None) -> str:
    """Go's zero time where there is none."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}" if at else "0001-01-01T00:00:00Z"
