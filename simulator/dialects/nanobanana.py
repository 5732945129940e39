"""NanoBanana API's protocol: https://docs.nanobananaapi.ai (errors: https://docs.kie.ai/common-api)"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from simulator.dialect import Dialect, Reply, Request, Submission
from simulator.jobs import Job, Jobs, State

FAILURES = {
    "content_policy_violation": (400, "Your prompt was flagged by Website as violating content policies."),
    "internal_error": (500, "Internal Error, Please try again later."),
    "generation_failed": (501, "Image generation task failed."),
    "unknown_error": (599, "Worker 17 gave up."),
}
REFUSALS = {
    "refuse": Reply(200, {"code": 422, "msg": "The parameter value is invalid.", "data": None}),
    "refuse_account": Reply(200, {"code": 402, "msg": "Insufficient credits", "data": None}),
    "busy": Reply(200, {"code": 429, "msg": "Too many requests", "data": None}),
    "maintenance": Reply(200, {"code": 455, "msg": "The service is under maintenance", "data": None}),
}
FLAGS = {State.QUEUED: 0, State.RUNNING: 0, State.SUCCEEDED: 1, State.FAILED: 3}

_SUBMIT = re.compile(r"/api/v1/nanobanana/(generate(?:-2|-pro)?)")
_MODELS = {"generate": "nano-banana", "generate-2": "nano-banana-2", "generate-pro": "nano-banana-pro"}


class NanoBanana(Dialect):
    """Bearer key, callback address in the body, callbacks in two formats and without a signature."""

    name = "nanobanana"
    failures = FAILURES
    refusals = REFUSALS
    callback_seconds = 15.0

    def problem(self, status: int, message: str) -> Reply:
        return Reply(status, {"code": status, "msg": message, "data": None})

    def submission(self, request: Request) -> Submission | None:
        match = _SUBMIT.fullmatch(request.path)
        if request.method != "POST" or match is None:
            return None
        webhook = request.body.get("callBackUrl")
        if not isinstance(webhook, str):
            raise ValueError("callBackUrl is required.")
        return Submission(_MODELS[match[1]], request.body, webhook, route=match[1])

    def accepted(self, job: Job, jobs: Jobs) -> Reply:
        return _success({"taskId": job.id})

    def answer(self, request: Request, jobs: Jobs) -> Reply | None:
        if request.path == "/api/v1/common/credit":
            return _success(9_750)
        if request.path == "/api/v1/nanobanana/record-info":
            job = jobs.find(request.query.get("taskId", ""))
            return _success(self._record(job, job.state, jobs)) if job else self.problem(404, "Not Found")
        return None

    def message(self, job: Job, state: State, jobs: Jobs) -> Mapping[str, Any]:
        """https://docs.nanobananaapi.ai/nanobanana-api/generate-or-edit-image-callbacks (the verdict is the code),
        https://docs.nanobananaapi.ai/nanobanana-api/generate-image-2-callbacks (the verdict is the flag)"""
        if job.asked.route != "generate" or state not in (State.SUCCEEDED, State.FAILED):
            return {"code": 200, "msg": "success", "data": self._record(job, state, jobs)}
        if state == State.FAILED:
            code, text = self.failure(job)
            return {"code": code, "msg": text, "data": {"taskId": job.id}}
        info = {"resultImageUrl": jobs.link(job)}
        return {"code": 200, "msg": "Image generated successfully.", "data": {"taskId": job.id, "info": info}}

    def _record(self, job: Job, state: State, jobs: Jobs) -> dict[str, Any]:
        code, text = self.failure(job) if state == State.FAILED else (None, None)
        done = state in (State.SUCCEEDED, State.FAILED)
        shown = {name: value for name, value in job.asked.input.items() if name != "callBackUrl"}
        return {
            "taskId": job.id,
            "paramJson": json.dumps(shown),
            "completeTime": _time(job.ended_at) if done and job.ended_at else "",
            "response": {
                "originImageUrl": None,
                "resultImageUrl": jobs.link(job) if state == State.SUCCEEDED else None,
            },
            "successFlag": FLAGS[state],
            "errorCode": code,
            "errorMessage": text,
            "operationType": job.asked.model,
            "createTime": _time(job.created_at),
        }


def _success(data: Any) -> Reply:
    return Reply(200, {"code": 200, "msg": "success", "data": data})


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
