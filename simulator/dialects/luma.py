"""The protocol of Luma's Dream Machine API: https://docs.lumalabs.ai and https://github.com/lumalabs/lumaai-python"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from simulator.dialect import Dialect, Reply, Request, Submission
from simulator.jobs import Job, Jobs, State

# `failure_reason`: https://docs.lumalabs.ai/docs/errors (the last three are ours)
FAILURES = {
    "content_policy_violation": "Advanced prompt moderation failed",
    "invalid_input": "Failed to read user input frames",
    "internal_error": "Error dispatching job",
    "generation_failed": "Job failed",
    "timeout": "The generation timed out",
    "storage_error": "Failed to upload the output",
    "unknown_error": "Worker 17 gave up",
}
REFUSALS = {
    "refuse": Reply(400, {"detail": "Prompt is too short, minimum length is 3 characters"}),
    "refuse_account": Reply(400, {"detail": "Insufficient credits"}),
    "forbidden": Reply(403, {"detail": "Invalid API key is provided"}),
    "busy": Reply(429, {"detail": "Rate limit exceeded"}),
}
WORDS = {
    State.QUEUED: "queued",
    State.RUNNING: "dreaming",
    State.SUCCEEDED: "completed",
    State.FAILED: "failed",
}
MODELS = {
    "video": ("ray-1-6", "ray-2", "ray-flash-2"),
    "video/modify": ("ray-2", "ray-flash-2"),
    "video/reframe": ("ray-2", "ray-flash-2"),
    "image": ("photon-1", "photon-flash-1"),
    "image/reframe": ("photon-1", "photon-flash-1"),
}
ROOT = "/dream-machine/v1/"

_GENERATION = re.compile(r"generations/([0-9a-f-]{36})")


class Luma(Dialect):
    """Bearer key, callback address in the body, unsigned callbacks already while it dreams."""

    name = "luma"
    failures = FAILURES
    refusals = REFUSALS
    announces = (State.RUNNING,)
    # https://docs.lumalabs.ai/changelog/callbacks-and-credits-balance
    retries = (0.1, 0.1, 0.1)
    callback_seconds = 5.0
    only_200 = True

    def job_id(self) -> str:
        return str(uuid.uuid4())

    def problem(self, status: int, message: str) -> Reply:
        return Reply(status, {"detail": message})

    def submission(self, request: Request) -> Submission | None:
        route = request.path.removeprefix(f"{ROOT}generations/")
        if request.method != "POST" or route not in MODELS:
            return None
        model = request.body.get("model")
        if model not in MODELS[route]:
            raise ValueError("Unknown request type")
        return Submission(model, request.body, request.body.get("callback_url"), route=route)

    def accepted(self, job: Job, jobs: Jobs) -> Reply:
        return Reply(201, self._generation(job, State.QUEUED, jobs))

    def answer(self, request: Request, jobs: Jobs) -> Reply | None:
        path = request.path.removeprefix(ROOT)
        if request.method != "GET" or path == request.path:
            return None
        if path == "credits":
            return Reply(200, {"credit_balance": 71234.0})
        if path == "generations":
            return Reply(200, self._page(request.query, jobs))
        if match := _GENERATION.fullmatch(path):
            job = jobs.find(match[1])
            return Reply(200, self._generation(job, job.state, jobs)) if job else None
        return None

    def message(self, job: Job, state: State, jobs: Jobs) -> Mapping[str, Any]:
        """The generation itself: https://docs.lumalabs.ai/changelog/callbacks-and-credits-balance"""
        return self._generation(job, state, jobs)

    def _page(self, query: Mapping[str, str], jobs: Jobs) -> dict[str, Any]:
        """Newest first, which is not documented: src/lumaai/types/generation_list_response.py"""
        limit, offset = int(query.get("limit", "10")), int(query.get("offset", "0"))
        total, found = jobs.newest(offset, limit)
        return {
            "generations": [self._generation(job, job.state, jobs) for job in found],
            "count": len(found),
            "has_more": offset + len(found) < total,
            "limit": limit,
            "offset": offset,
        }

    def _generation(self, job: Job, state: State, jobs: Jobs) -> dict[str, Any]:
        medium = job.asked.route.partition("/")[0]
        return {
            "id": job.id,
            "generation_type": medium,
            "state": WORDS[state],
            "failure_reason": self.failure(job) if state == State.FAILED else None,
            "created_at": _time(job.created_at),
            "assets": {medium: jobs.link(job)} if state == State.SUCCEEDED else None,
            "model": job.asked.model,
            "request": job.asked.input,
        }


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
