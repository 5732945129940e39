"""Kling AI's protocol: https://app.klingai.com/global/dev/document-api (read through public mirrors of it)"""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import re
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from simulator.dialect import Dialect, Keys, Reply, Request, Submission, same
from simulator.jobs import Job, Jobs, State

# `task_status_msg`: the first is seen in public integrations, the others are ours.
FAILURES = {
    "content_policy_violation": "Failure to pass the risk control system",
    "invalid_input": "Image pixel is invalid",
    "internal_error": "Internal server error",
    "timeout": "Task timed out",
    "generation_failed": "Task execution failed",
    "unknown_error": "Worker 17 gave up",
}
WORDS = {
    State.QUEUED: "submitted",
    State.RUNNING: "processing",
    State.SUCCEEDED: "succeed",
    State.FAILED: "failed",
}
TOKEN_SECONDS = 1800

_ROUTE = re.compile(r"/v1/((?:videos|images)/[a-z0-9-]+)(?:/([A-Za-z0-9-]{1,64}))?")
_TASKS = itertools.count(time.time_ns())  # no id comes twice, not after a restart either


def _problem(status: int, code: int, message: str) -> Reply:
    return Reply(status, {"code": code, "message": message, "request_id": "CjMkOGfa3NQAAAAAAH1J6D"})


# The error table of apiReference/commonInfo.
REFUSALS = {
    "refuse": _problem(400, 1201, "Invalid parameters"),
    "refuse_account": _problem(429, 1102, "Resource pack exhausted or expired"),
    "arrears": _problem(429, 1101, "Account in arrears"),
    "forbidden": _problem(403, 1103, "Unauthorized access to the requested resource"),
    "moderate": _problem(400, 1301, "Content security policy triggered"),
    "busy": _problem(429, 1303, "Concurrency or QPS exceeds the prepaid resource package limit"),
    "taken_before": _problem(400, 1201, "external_task_id is not unique"),
}
CODES = {401: 1002, 404: 1203}


class Kling(Dialect):
    """A JWT made of two keys, an id of the customer's own, unsigned callbacks at every change of status."""

    name = "kling"
    settings = ("API_KEY", "API_SECRET")
    failures = FAILURES
    refusals = REFUSALS
    announces = (State.QUEUED, State.RUNNING)

    def job_id(self) -> str:
        return str(next(_TASKS))

    def knows(self, request: Request, keys: Keys) -> bool:
        """apiReference/commonInfo: HS256, `iss` is the access key, valid from `nbf` for half an hour."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        signed, _, signature = token.rpartition(".")
        mac = hmac.new(keys.api_secret.encode(), signed.encode(), hashlib.sha256).digest()
        if scheme != "Bearer" or not same(signature, _base64(mac)):
            return False
        claims = json.loads(base64.urlsafe_b64decode(signed.partition(".")[2] + "=="))
        now = time.time()
        fresh = claims["nbf"] <= now < claims["exp"] <= now + TOKEN_SECONDS
        return fresh and same(str(claims["iss"]), keys.api_key)

    def problem(self, status: int, message: str) -> Reply:
        return _problem(status, CODES.get(status, 1200), message)

    def submission(self, request: Request) -> Submission | None:
        match = _ROUTE.fullmatch(request.path)
        if request.method != "POST" or match is None or match[2]:
            return None
        body = request.body
        return Submission(
            str(body.get("model_name", "")),
            body,
            body.get("callback_url"),
            reference=body.get("external_task_id"),
            route=match[1],
        )

    def accepted(self, job: Job, jobs: Jobs) -> Reply:
        task = self._task(job, State.QUEUED, jobs)
        return _success({name: task[name] for name in task if name not in ("task_result", "task_status_msg")})

    def answer(self, request: Request, jobs: Jobs) -> Reply | None:
        if request.method == "GET" and request.path == "/account/costs":
            return _success(_packs(*(int(request.query.get(name, "")) for name in ("start_time", "end_time"))))
        match = _ROUTE.fullmatch(request.path)
        if request.method != "GET" or match is None:
            return None
        if match[2]:
            job = jobs.find(match[2])
            return _success(self._task(job, job.state, jobs)) if job and job.asked.route == match[1] else None
        page, size = int(request.query.get("pageNum", "1")), int(request.query.get("pageSize", "30"))
        found = jobs.newest((page - 1) * size, size, route=match[1])[1]
        return _success([self._task(job, job.state, jobs) for job in found])

    def message(self, job: Job, state: State, jobs: Jobs) -> Mapping[str, Any]:
        """The task itself, without an envelope: apiReference/callbackProtocol"""
        return self._task(job, state, jobs)

    def _task(self, job: Job, state: State, jobs: Jobs) -> dict[str, Any]:
        ended = state in (State.SUCCEEDED, State.FAILED)
        is_video = job.asked.route.startswith("videos/")
        video = {"id": f"{job.id}-1", "url": jobs.link(job), "duration": "5.1"}
        image = {"index": 0, "url": jobs.link(job)}
        result = {"videos": [video] if is_video else [], "images": [] if is_video else [image]}
        return {
            "task_id": job.id,
            "task_status": WORDS[state],
            "task_status_msg": self.failure(job) if state == State.FAILED else "",
            "task_info": {"external_task_id": job.asked.reference},
            "task_result": result if state == State.SUCCEEDED else {},
            "final_unit_deduction": ("2.5" if state == State.SUCCEEDED else "0") if ended else "",
            "created_at": _milliseconds(job.created_at),
            "updated_at": _milliseconds(job.ended_at if ended and job.ended_at else job.created_at),
        }


def _packs(start: int, end: int) -> dict[str, Any]:
    """apiReference/accountInfoInquiry: the packs that were bought between the two."""
    bought = int(time.time() * 1000) - 20 * 86_400_000
    pack = {
        "resource_pack_name": "Video Generation - 10,000 entries",
        "resource_pack_id": "509f3fd3d4f4a3fe9eec1a5c2b3e9d7f",
        "resource_pack_type": "decreasing_total",
        "total_quantity": 10_000.0,
        "remaining_quantity": 8_417.5,
        "purchase_time": bought,
        "effective_time": bought,
        "invalid_time": bought + 90 * 86_400_000,
        "status": "online",
    }
    return {"code": 0, "msg": "success", "resource_pack_subscribe_infos": [pack] if start <= bought <= end else []}


def _success(data: Any) -> Reply:
    return Reply(200, {"code": 0, "message": "SUCCEED", "request_id": "CjMkOGfa3NQAAAAAAH1J6A", "data": data})


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)
