"""WaveSpeed's protocol: https://wavespeed.ai/docs and https://github.com/WaveSpeedAI/mcp-server"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from simulator.dialect import Dialect, Keys, Reply, Request, Submission
from simulator.jobs import Job, Jobs, State

# https://wavespeed.ai/docs/error-codes
FAILURES: dict[str, tuple[int | None, str]] = {
    "content_policy_violation": (
        1200,
        "Content flagged as potentially sensitive. Please try different prompts or images.",
    ),
    "internal_error": (5000, "An internal error occurred."),
    "generation_failed": (1405, "The task execution failed."),
    "storage_error": (None, "Failed to upload output to storage."),
    "timeout": (5004, "The request timed out."),
    "provider_unavailable": (5003, "The service is temporarily unavailable."),
    "provider_account": (None, "Insufficient credits. Please top up."),
    "invalid_input": (1402, "Failed to download image from the provided URL."),
    "unknown_error": (9000, "Worker 17 gave up."),
}
REFUSALS = {
    "refuse": Reply(400, {"code": 400, "message": "The parameter value is invalid.", "error_code": 1401}),
    "refuse_account": Reply(402, {"code": 402, "message": "Insufficient credits. Please top up"}),
    "busy": Reply(429, {"code": 429, "message": "Too many requests. Please slow down."}),
}
WORDS = {
    State.QUEUED: "created",
    State.RUNNING: "processing",
    State.SUCCEEDED: "completed",
    State.FAILED: "failed",
}
# USD for one image. https://wavespeed.ai/models/bytedance/seedream-v4; others have not been published so.
PRICES = {"bytedance/seedream-v4": 0.027}
USUAL_PRICE = 0.038

_RESULT = re.compile(r"/api/v3/predictions/([0-9a-f]{32})/result")
_MODEL = re.compile(r"/api/v3/([A-Za-z0-9][A-Za-z0-9._/-]{0,199})")
_OTHER_POSTS = ("predictions", "billings/search")


class WaveSpeed(Dialect):
    """Bearer key, callback address in the query, signed callbacks at the end of a job only."""

    name = "wavespeed"
    settings = ("API_KEY", "WEBHOOK_SECRET")
    failures = FAILURES
    refusals = REFUSALS

    def problem(self, status: int, message: str) -> Reply:
        more = {"error_code": 1401} if status == 400 else {}
        return Reply(status, {"code": status, "message": message, **more})

    def submission(self, request: Request) -> Submission | None:
        match = _MODEL.fullmatch(request.path)
        if request.method != "POST" or match is None or match[1] in _OTHER_POSTS:
            return None
        return Submission(match[1], request.body, request.query.get("webhook"))

    def accepted(self, job: Job, jobs: Jobs) -> Reply:
        shown = self._prediction(job, State.QUEUED, jobs)
        return _success({name: shown[name] for name in shown if name not in ("input", "executionTime")})

    def answer(self, request: Request, jobs: Jobs) -> Reply | None:
        route = (request.method, request.path)
        if request.method == "GET" and (match := _RESULT.fullmatch(request.path)):
            job = jobs.find(match[1])
            shown = job and self._prediction(job, job.state, jobs)
            return _success(shown) if shown else self.problem(404, "Prediction not found.")
        if route == ("GET", "/api/v3/balance"):
            return _success({"balance": 156.78})
        if route == ("POST", "/api/v3/predictions"):
            skip, size = _page(request.body)
            total, found = jobs.newest(skip, size)
            items = [self._prediction(job, job.state, jobs) for job in found]
            return _success({"page": skip // size + 1, "total": total, "items": items})
        if route == ("POST", "/api/v3/billings/search"):
            skip, size = _page(request.body)
            rows = _bills(request.body, jobs)
            return _success({"page": skip // size + 1, "total": len(rows), "items": rows[skip : skip + size]})
        return None

    def message(self, job: Job, state: State, jobs: Jobs) -> Mapping[str, Any]:
        """The prediction itself: https://wavespeed.ai/docs/how-to-use-webhooks"""
        return self._prediction(job, state, jobs)

    def sign(self, job: Job, body: bytes, keys: Keys) -> Mapping[str, str]:
        """Signature v3: https://wavespeed.ai/docs/verify-webhooks"""
        timestamp = str(int(time.time()))
        key = keys.webhook_secret.partition("whsec_")[2] or keys.webhook_secret
        mac = hmac.new(key.encode(), digestmod=hashlib.sha256)
        for part in (job.id.encode(), b".", timestamp.encode(), b".", body):
            mac.update(part)
        return {
            "webhook-id": job.id,
            "webhook-timestamp": timestamp,
            "webhook-signature": f"v3,{mac.hexdigest()}",
        }

    def _prediction(self, job: Job, state: State, jobs: Jobs) -> dict[str, Any]:
        count = _count(job) if state == State.SUCCEEDED else 0
        milliseconds = round(job.seconds * 1000) if state in (State.SUCCEEDED, State.FAILED) else 0
        code, text = self.failure(job) if state == State.FAILED else (None, "")
        shown: dict[str, Any] = {
            "id": job.id,
            "model": job.asked.model,
            "input": job.asked.input,
            "outputs": [jobs.link(job, number) for number in range(1, count + 1)],
            "urls": {"get": f"{jobs.base_url}/api/v3/predictions/{job.id}/result"},
            "has_nsfw_contents": [False] * count,
            "status": WORDS[state],
            "created_at": _time(job.created_at),
            "error": text,
            "executionTime": milliseconds,
            "timings": {"inference": milliseconds},
        }
        return shown if code is None else {**shown, "code": code}


class Simulated(WaveSpeed):
    """The demo's own provider."""

    name = "simulated"


def _success(data: Any) -> Reply:
    return Reply(200, {"code": 200, "message": "success", "data": data})


def _page(body: Mapping[str, Any]) -> tuple[int, int]:
    """How many to skip and to show. Raises ValueError."""
    page, size = body.get("page", 1), body.get("page_size", 20)
    if not (isinstance(page, int) and isinstance(size, int) and page >= 1 and 1 <= size <= 100):
        raise ValueError("page or page_size is invalid.")
    return (page - 1) * size, size


def _count(job: Job) -> int:
    wanted = job.asked.input.get("max_images") if job.asked.model.endswith("sequential") else None
    return min(max(wanted, 1), 15) if isinstance(wanted, int) else 1


def _bills(body: Mapping[str, Any], jobs: Jobs) -> list[dict[str, Any]]:
    """What was deducted and refunded, newest first: https://wavespeed.ai/docs/check-billings"""
    kind, wanted = body.get("billing_type"), body.get("prediction_uuids")
    least, most = (int(body.get(name) or default) for name, default in (("start_time", 0), ("end_time", 2**62)))
    rows = [
        (at, row)
        for job in list(jobs.accepted)
        if not wanted or job.id in wanted
        for at, row in _bills_of(job)
        if kind in (None, row["billing_type"]) and least <= at.timestamp() * 1000 < most
    ]
    return [row for _, row in sorted(rows, key=lambda one: one[0], reverse=True)]


def _bills_of(job: Job) -> Iterator[tuple[datetime, dict[str, Any]]]:
    """Every job is deducted when it is taken; what failed is refunded when it has ended."""
    yield job.created_at, _bill(job, "deduct", job.created_at)
    if job.state == State.FAILED and job.ended_at:
        yield job.ended_at, _bill(job, "refund", job.ended_at)


def _bill(job: Job, kind: str, at: datetime) -> dict[str, Any]:
    base = next((usd for model, usd in PRICES.items() if job.asked.model.startswith(model)), USUAL_PRICE)
    price = round(base * _count(job), 6)
    order = {
        "uuid": uuid.uuid5(uuid.NAMESPACE_OID, f"order {job.id}").hex,
        "state": "done" if job.ended else "pre",
        "price": price,
        "origin_price": price,
        "status": "",
        "ak_id": 35,
    }
    return {
        "uuid": uuid.uuid5(uuid.NAMESPACE_OID, f"{kind} {job.id}").hex,
        "access_key_id": "77730_1776946986692727375",
        "access_key_name": "prod",
        "billing_type": kind,
        "price": price,
        "created_at": _time(at),
        "updated_at": _time(job.ended_at or at),
        "order": order,
        "prediction": {"uuid": job.id, "model_uuid": job.asked.model, "status": WORDS[job.state]},
    }


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
