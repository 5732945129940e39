"""The jobs that the simulated provider took, how they end, and the callbacks that say so."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import threading
import time
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from simulator.outcomes import Plan
from simulator.schedule import Schedule

KEPT_JOBS = 50_000
SENDERS = 16
CALLBACK_SECONDS = 10.0
RETRY_SECONDS = (2.0, 8.0, 32.0)  # up to three retries, waiting longer each time, as WaveSpeed's are described


@dataclass
class Prediction:
    """One job. `seconds` is how long it takes."""

    id: str
    model: str
    input: Mapping[str, Any]
    webhook: str | None = field(repr=False)
    plan: Plan
    seconds: float
    created_at: str
    status: str = "created"

    def public(self, base_url: str, status: str | None = None) -> dict[str, Any]:
        """The prediction object as WaveSpeed shows it: https://wavespeed.ai/docs/how-to-use-webhooks"""
        status = status or self.status
        done = status == "completed"
        count = _count(self.model, self.input) if done else 0
        milliseconds = round(self.seconds * 1000) if status in ("completed", "failed") else 0
        code, text = self.plan.failure if self.plan.failure and status == "failed" else (None, "")
        shown: dict[str, Any] = {
            "id": self.id,
            "model": self.model,
            "input": self.input,
            "outputs": [f"{base_url}/outputs/{self.id}/{number}.svg" for number in range(1, count + 1)],
            "urls": {"get": f"{base_url}/api/v3/predictions/{self.id}/result"},
            "has_nsfw_contents": [False] * count,
            "status": status,
            "created_at": self.created_at,
            "error": text,
            "executionTime": milliseconds,
            "timings": {"inference": milliseconds},
        }
        return shown if code is None else {**shown, "code": code}


class Jobs:
    """All jobs of one simulator. `speed` divides every duration, so that tests need not wait."""

    def __init__(self, webhook_secret: str, *, seed: int | None, speed: float, late_seconds: float) -> None:
        self.base_url = ""
        self.accepted: deque[Prediction] = deque(maxlen=KEPT_JOBS)
        self.delivered: deque[tuple[str, str, int | None]] = deque(maxlen=KEPT_JOBS)
        self._secret = webhook_secret
        self._speed = speed
        self._late_seconds = late_seconds
        self._chance = random.Random(seed)  # noqa: S311 (nothing secret hangs on it)
        self._lock = threading.Lock()
        self._by_id: dict[str, Prediction] = {}
        self._schedule = Schedule(SENDERS)
        self._client = httpx.Client(timeout=CALLBACK_SECONDS, trust_env=False)

    def draw(self) -> random.Random:
        """A source of chance of its own, so that the seed decides whatever the threads do."""
        with self._lock:
            return random.Random(self._chance.getrandbits(64))  # noqa: S311

    def take(self, model: str, inputs: Mapping[str, Any], webhook: str | None, plan: Plan) -> Prediction:
        """Take a job and start it."""
        chance = self.draw()
        seconds = min(max(chance.lognormvariate(1.8, 0.4), 1.5), 40.0)
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        job = Prediction(uuid.uuid4().hex, model, inputs, webhook, plan, seconds, now)
        with self._lock:
            if len(self.accepted) == KEPT_JOBS:
                del self._by_id[self.accepted[0].id]
            self.accepted.append(job)
            self._by_id[job.id] = job
        self._schedule.after(self._real(seconds / 4), lambda: self._process(job))
        return job

    def find(self, job_id: str) -> Prediction | None:
        """A job that is still kept."""
        with self._lock:
            return self._by_id.get(job_id)

    def newest(self, skip: int, count: int) -> tuple[int, list[Prediction]]:
        """How many jobs are kept, and a page of them, newest first."""
        with self._lock:
            jobs = list(self.accepted)
        return len(jobs), jobs[::-1][skip : skip + count]

    def stop(self) -> None:
        """Send nothing more."""
        self._schedule.stop()
        self._client.close()

    def _real(self, seconds: float) -> float:
        return seconds / self._speed

    def _process(self, job: Prediction) -> None:
        job.status = "processing"
        if job.plan.processing_first:
            self._send(job, self._body(job, "processing"), "processing", 0)
        self._schedule.after(self._real(job.seconds * 3 / 4), lambda: self._finish(job))

    def _finish(self, job: Prediction) -> None:
        job.status = "failed" if job.plan.failure else "completed"
        body, status = self._body(job, job.status), job.status
        delay = self._real(self._late_seconds) if job.plan.late else 0.0
        for _ in range(job.plan.callbacks):
            self._schedule.after(delay, lambda: self._send(job, body, status, 0))

    def _body(self, job: Prediction, status: str) -> bytes:
        return json.dumps(job.public(self.base_url, status), separators=(",", ":")).encode()

    def _send(self, job: Prediction, body: bytes, status: str, attempt: int) -> None:
        if job.webhook is None:
            return
        answer: int | None = None
        try:
            answer = self._client.post(job.webhook, content=body, headers=self._headers(job, body)).status_code
        except (httpx.HTTPError, httpx.InvalidURL):
            answer = None
        with self._lock:
            self.delivered.append((job.id, status, answer))
        if (answer is None or answer >= 300) and attempt < len(RETRY_SECONDS):
            delay = self._real(RETRY_SECONDS[attempt])
            self._schedule.after(delay, lambda: self._send(job, body, status, attempt + 1))

    def _headers(self, job: Prediction, body: bytes) -> dict[str, str]:
        """Signature v3, written independently of the one under test: https://wavespeed.ai/docs/verify-webhooks"""
        timestamp = str(int(time.time()))
        key = self._secret.partition("whsec_")[2] or self._secret
        mac = hmac.new(key.encode(), digestmod=hashlib.sha256)
        for part in (job.id.encode(), b".", timestamp.encode(), b".", body):
            mac.update(part)
        return {
            "Content-Type": "application/json",
            "webhook-id": job.id,
            "webhook-timestamp": timestamp,
            "webhook-signature": f"v3,{mac.hexdigest()}",
        }


def _count(model: str, inputs: Mapping[str, Any]) -> int:
    wanted = inputs.get("max_images") if model.endswith("sequential") else None
    return min(max(wanted, 1), 15) if isinstance(wanted, int) else 1
