"""Newport AI's protocol: https://api.newportai.com/docs and https://github.com/dreamfaceapp/skill"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from simulator.dialect import Dialect, Reply, Request, Submission
from simulator.jobs import Job, Jobs, State

# Why a task failed, and its errorCode where there is one: references/error_handling.md of the company's own client
FAILURES: dict[str, tuple[str, int | None]] = {
    "content_policy_violation": ("Content policy violation", None),
    "internal_error": ("internal server error", None),
    "generation_failed": ("no face detected in the image", None),
    "storage_error": ("failed to upload the result", None),
    "timeout": ("processing timed out", None),
    "provider_unavailable": ("the service is overloaded", None),
    "invalid_input": ("Invalid input file format", 10192),
    "unknown_error": ("worker 17 gave up", 19999),
}
REFUSALS = {
    "refuse": Reply(200, {"code": 10192, "message": "illegal parameter", "data": None}),
    "refuse_account": Reply(200, {"code": 12009, "message": "insufficient credits", "data": None}),
    "busy": Reply(429, {"code": 429, "message": "Too many requests", "data": None}),
    "blank_key": Reply(200, {"code": 13005, "message": "key is blank", "data": None}),
}
STATUSES = {State.QUEUED: 1, State.RUNNING: 2, State.SUCCEEDED: 3, State.FAILED: 4}
CREDITS = 150.5

_SUBMIT = re.compile(r"/api/async/([a-z0-9_./]{1,100})")


class Newport(Dialect):
    """Bearer key, every task below /api/async/, one address to ask about all of them. It calls nobody back."""

    name = "newport"
    failures = FAILURES
    refusals = REFUSALS

    def problem(self, status: int, message: str) -> Reply:
        code = {401: 13006, 400: 10192}.get(status, status)
        return Reply(status, {"code": code, "message": message, "data": None})

    def submission(self, request: Request) -> Submission | None:
        match = _SUBMIT.fullmatch(request.path)
        return Submission(match[1], request.body) if request.method == "POST" and match else None

    def accepted(self, job: Job, jobs: Jobs) -> Reply:
        return _success({"taskId": job.id})

    def answer(self, request: Request, jobs: Jobs) -> Reply | None:
        if (request.method, request.path) == ("GET", "/api/user/available_credits"):
            return _success({"credits": CREDITS})
        if (request.method, request.path) != ("POST", "/api/getAsyncResult"):
            return None
        job = jobs.find(str(request.body.get("taskId")))
        return _success(self._result(job, jobs)) if job else self.problem(404, "task does not exist")

    def _result(self, job: Job, jobs: Jobs) -> dict[str, Any]:
        """https://api.newportai.com/docs/polling.html"""
        reason, code = self.failure(job) if job.state == State.FAILED else ("", None)
        expire = job.ended_at + timedelta(days=1) if job.ended_at else None
        task: dict[str, Any] = {
            "taskId": job.id,
            "status": STATUSES[job.state],
            "reason": reason,
            "taskType": job.asked.model,
            "executionTime": round(job.seconds * 1000) if job.ended else 0,
            "expire": round(expire.timestamp() * 1000) if expire else 0,
        }
        task |= {} if code is None else {"errorCode": code}
        video = {"videoUrl": jobs.link(job), "videoType": "mp4"}
        videos = [video] if job.state == State.SUCCEEDED else []
        return {"task": task, "images": [], "videos": videos, "audios": []}


def _success(data: Any) -> Reply:
    return Reply(200, {"code": 0, "message": "success", "data": data})
