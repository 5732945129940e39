"""fal's protocol, the queue: https://fal.ai/docs/documentation/model-apis/inference/queue"""

from __future__ import annotations

import base64
import hashlib
import re
import time
import uuid
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from simulator.dialect import Dialect, Keys, Reply, Request, Submission, same
from simulator.jobs import Job, Jobs, State


def _refused(kind: str, text: str, **more: Any) -> dict[str, Any]:
    """An error of a model: https://fal.ai/docs/documentation/model-apis/errors"""
    return {"detail": [{"loc": ["body", "prompt"], "msg": text, "type": kind, **more}]}


LOCKED = {"detail": "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing."}
# HTTP status and body of a failed result. fal's own errors are flat: .../model-apis/request-errors
FAILURES: dict[str, tuple[int, dict[str, Any]]] = {
    "content_policy_violation": (422, _refused("content_policy_violation", "Flagged by a content checker.")),
    "internal_error": (500, _refused("internal_server_error", "Internal server error")),
    "generation_failed": (422, _refused("no_media_generated", "The model generated nothing.")),
    "storage_error": (500, {"detail": "Failed to upload output to storage", "error_type": "new_error_type"}),
    "timeout": (504, {"detail": "Request timed out", "error_type": "request_timeout"}),
    "provider_unavailable": (503, {"detail": "No runner", "error_type": "runner_scheduling_failure"}),
    "provider_account": (403, LOCKED),
    "invalid_input": (422, _refused("image_too_small", "The image is too small.", ctx={"min_width": 64})),
    "unknown_error": (418, {"detail": "Worker 17 gave up", "error_type": "new_error_type"}),
}
REFUSALS = {
    "refuse": Reply(422, _refused("value_error.missing", "field required")),
    "refuse_account": Reply(403, LOCKED),
    "busy": Reply(429, {"detail": "Too many requests"}),
    "moderated": Reply(422, FAILURES["content_policy_violation"][1]),
}
WORDS = {State.QUEUED: "IN_QUEUE", State.RUNNING: "IN_PROGRESS"}
UNITS = "2"
NOT_SENT = "Response payload is not JSON serializable. Use the queue endpoint to retrieve the response."

_APP = r"/([A-Za-z0-9._-]+/[A-Za-z0-9._-]+)"
_SUBMIT = re.compile(_APP + r"(/[A-Za-z0-9._/-]+)?")
_REQUEST = re.compile(_APP + r"/requests/([0-9a-f-]{36})(/status)?")


class Fal(Dialect):
    """Key of its own kind, callback address in the query, callbacks signed with a key that is published.

    A job whose input has `payload_error` calls back without its result, as fal does when it cannot write it down.
    """

    name = "fal"
    failures = FAILURES
    refusals = REFUSALS
    retries = (5.0, 15.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1200.0, 1800.0, 2200.0)
    callback_seconds = 15.0

    def __init__(self) -> None:
        self.key = Ed25519PrivateKey.generate()
        self._older = Ed25519PrivateKey.generate()

    def job_id(self) -> str:
        return str(uuid.uuid4())

    def knows(self, request: Request, keys: Keys) -> bool:
        return same(request.headers.get("authorization", ""), f"Key {keys.api_key}")

    def problem(self, status: int, message: str) -> Reply:
        return Reply(status, {"detail": message})

    def public(self, request: Request) -> Reply | None:
        """The keys, the one that signs not first: https://rest.fal.ai/.well-known/jwks.json"""
        if request.method != "GET" or request.path != "/.well-known/jwks.json":
            return None
        return Reply(200, {"keys": [_jwk(key) for key in (self._older, self.key)]})

    def submission(self, request: Request) -> Submission | None:
        match = _SUBMIT.fullmatch(request.path)
        if request.method != "POST" or match is None:
            return None
        model = request.path.removeprefix("/")
        return Submission(model, request.body, request.query.get("fal_webhook"), route=match[1])

    def accepted(self, job: Job, jobs: Jobs) -> Reply:
        here = f"{jobs.base_url}/{job.asked.route}/requests/{job.id}"
        urls = {"response_url": here, "status_url": f"{here}/status", "cancel_url": f"{here}/cancel"}
        return Reply(200, {"status": "IN_QUEUE", "request_id": job.id, "gateway_request_id": job.id, **urls})

    def answer(self, request: Request, jobs: Jobs) -> Reply | None:
        if request.path == "/v1/account/billing":
            return Reply(200, {"username": "my-team", "credits": {"current_balance": 24.5, "currency": "USD"}})
        match = _REQUEST.fullmatch(request.path)
        if request.method != "GET" or match is None:
            return None
        job = jobs.find(match[2])
        # Of a model's id, only owner and app stand in the address.
        if job is None or job.asked.route != match[1]:
            return self.problem(404, "Request not found")
        return self._status(job) if match[3] else self._result(job, jobs)

    def message(self, job: Job, state: State, jobs: Jobs) -> Mapping[str, Any]:
        """https://fal.ai/docs/documentation/model-apis/inference/webhooks"""
        told: dict[str, Any] = {"request_id": job.id, "gateway_request_id": str(uuid.uuid4())}
        if state == State.FAILED:
            status, body = self.failure(job)
            return {**told, "status": "ERROR", "error": f"Invalid status code: {status}", "payload": body}
        if state != State.SUCCEEDED:
            return {**told, "status": WORDS[state], "payload": None}
        if job.asked.input.get("payload_error"):
            return {**told, "status": "OK", "payload": None, "payload_error": NOT_SENT}
        return {**told, "status": "OK", "payload": _payload(job, jobs)}

    def sign(self, job: Job, body: bytes, keys: Keys) -> Mapping[str, str]:
        """Ed25519 over request, user, time and the body's hash, line by line."""
        request_id, user_id, timestamp = job.id, "github|1234567", str(int(time.time()))
        lines = (request_id, user_id, timestamp, hashlib.sha256(body).hexdigest())
        return {
            "X-Fal-Webhook-Request-Id": request_id,
            "X-Fal-Webhook-User-Id": user_id,
            "X-Fal-Webhook-Timestamp": timestamp,
            "X-Fal-Webhook-Signature": self.key.sign("\n".join(lines).encode()).hex(),
        }

    def _status(self, job: Job) -> Reply:
        if not job.ended:
            return Reply(202, {"status": WORDS[job.state], "request_id": job.id})
        told: dict[str, Any] = {
            "status": "COMPLETED",
            "request_id": job.id,
            "metrics": {"inference_time": job.seconds},
        }
        _, body = self.failure(job) if job.state == State.FAILED else (200, {})
        if "error_type" in body:
            told |= {"error": body["detail"], "error_type": body["error_type"]}
        return Reply(200, told)

    def _result(self, job: Job, jobs: Jobs) -> Reply:
        if not job.ended:
            return Reply(202, {"status": WORDS[job.state], "request_id": job.id})
        if job.state == State.SUCCEEDED:
            return Reply(200, _payload(job, jobs), {"X-Fal-Billable-Units": UNITS})
        status, body = self.failure(job)
        return Reply(status, body, {"X-Fal-Retryable": "true" if status >= 500 else "false"})


def _jwk(key: Ed25519PrivateKey) -> dict[str, str]:
    x = base64.urlsafe_b64encode(key.public_key().public_bytes_raw()).decode().rstrip("=")
    return {"kty": "OKP", "crv": "Ed25519", "x": x}


def _payload(job: Job, jobs: Jobs) -> dict[str, Any]:
    images = [{"url": jobs.link(job, number), "content_type": "image/svg+xml"} for number in (1, 2)]
    return {**job.asked.input, "images": images, "seed": 1_234_567_890, "has_nsfw_concepts": [False, False]}
