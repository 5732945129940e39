"""The jobs that a simulated provider took, how they end, and the callbacks that say so."""

from __future__ import annotations

import json
import random
import threading
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

import httpx

from simulator.dialect import Keys, Submission
from simulator.outcomes import Plan
from simulator.schedule import Schedule

if TYPE_CHECKING:
    from simulator.dialect import Dialect

KEPT_JOBS = 50_000
SENDERS = 16


class State(StrEnum):
    """Where a job is; each dialect has its own words for it."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


ENDS = (State.SUCCEEDED, State.FAILED)


@dataclass
class Job:
    """One job. `seconds` is how long it takes. `told` is set when the first callback after its end was sent."""

    id: str
    asked: Submission
    plan: Plan
    seconds: float
    created_at: datetime
    state: State = State.QUEUED
    ended_at: datetime | None = None
    told: threading.Event = field(default_factory=threading.Event, repr=False)

    @property
    def ended(self) -> bool:
        """It succeeded or failed."""
        return self.state in ENDS


class Jobs:
    """All jobs of one simulator. `speed` divides every duration, so that tests need not wait."""

    def __init__(
        self, dialect: Dialect, keys: Keys, *, seed: int | None, speed: float, late_seconds: float
    ) -> None:
        self.base_url = ""
        self.keys = keys
        self.submitted: deque[Submission] = deque(maxlen=KEPT_JOBS)
        self.accepted: deque[Job] = deque(maxlen=KEPT_JOBS)
        self.delivered: deque[tuple[str, str, int | None]] = deque(maxlen=KEPT_JOBS)
        self._dialect = dialect
        self._speed = speed
        self._late_seconds = late_seconds
        self._chance = random.Random(seed)  # noqa: S311 (nothing secret hangs on it)
        self._lock = threading.Lock()
        self._by_id: dict[str, Job] = {}
        self._by_reference: dict[str, Job] = {}
        self._schedule = Schedule(SENDERS)
        self._client = httpx.Client(timeout=dialect.callback_seconds, trust_env=False)

    def draw(self) -> random.Random:
        """A source of chance of its own, so that the seed decides whatever the threads do."""
        with self._lock:
            return random.Random(self._chance.getrandbits(64))  # noqa: S311

    def take(self, asked: Submission, plan: Plan) -> Job | None:
        """Take a job and start it. None if the customer's own id for it was taken before."""
        seconds = min(max(self.draw().lognormvariate(1.8, 0.4), 1.5), 40.0)
        job = Job(self._dialect.job_id(), asked, plan, seconds, datetime.now(UTC))
        with self._lock:
            if asked.reference in self._by_reference:
                return None
            if len(self.accepted) == KEPT_JOBS:
                self._forget(self.accepted[0])
            self.accepted.append(job)
            self._by_id[job.id] = job
            if asked.reference is not None:
                self._by_reference[asked.reference] = job
        if State.QUEUED in self._dialect.announces:
            self._announce(job, State.QUEUED)
        if not self._dialect.synchronous:
            self._schedule.after(self.real(seconds / 4), lambda: self._run(job))
        return job

    def finish(self, job: Job) -> None:
        """End a job as planned, and call back."""
        job.ended_at = datetime.now(UTC)
        job.state = state = State.FAILED if job.plan.failure else State.SUCCEEDED
        if job.plan.gone:
            with self._lock:
                self._forget(job)
        body = self._body(job, state)
        delay = self.real(self._late_seconds) if job.plan.late else 0.0
        for _ in range(job.plan.callbacks):
            self._schedule.after(delay, lambda: self._send(job, body, state, 0))
        if job.plan.disorder:
            self._schedule.after(delay + self.real(1.0), lambda: self._announce(job, State.RUNNING))

    def find(self, job_id: str) -> Job | None:
        """A job that is still kept, by its id or the customer's own."""
        with self._lock:
            return self._by_id.get(job_id) or self._by_reference.get(job_id)

    def newest(self, skip: int, count: int, route: str | None = None) -> tuple[int, list[Job]]:
        """How many jobs are kept (of one route), and a page of them, newest first."""
        jobs = [job for job in self.kept() if route is None or job.asked.route == route]
        return len(jobs), jobs[::-1][skip : skip + count]

    def kept(self) -> list[Job]:
        """The jobs that can be found, oldest first."""
        with self._lock:
            return [job for job in self.accepted if job.id in self._by_id]

    def running(self) -> int:
        """How many jobs have not ended."""
        with self._lock:
            return sum(not job.ended for job in self.accepted)

    def link(self, job: Job, number: int = 1) -> str:
        """Where a result can be seen."""
        return f"{self.base_url}/outputs/{job.id}/{number}.svg"

    def real(self, seconds: float) -> float:
        """How long that takes here."""
        return seconds / self._speed

    def stop(self) -> None:
        """Send nothing more."""
        self._schedule.stop()
        self._client.close()

    def _forget(self, job: Job) -> None:
        self._by_id.pop(job.id, None)
        if job.asked.reference is not None:
            self._by_reference.pop(job.asked.reference, None)

    def _run(self, job: Job) -> None:
        job.state = State.RUNNING
        if job.plan.processing_first or State.RUNNING in self._dialect.announces:
            self._announce(job, State.RUNNING)
        if not job.plan.stuck:
            self._schedule.after(self.real(job.seconds * 3 / 4), lambda: self.finish(job))

    def _announce(self, job: Job, state: State) -> None:
        if job.plan.callbacks:
            body = self._body(job, state)
            self._schedule.after(0.0, lambda: self._send(job, body, state, 0))

    def _body(self, job: Job, state: State) -> bytes | None:
        message = self._dialect.message(job, state, self)
        return None if message is None else json.dumps(message, separators=(",", ":")).encode()

    def _send(self, job: Job, body: bytes | None, state: State, attempt: int) -> None:
        if job.asked.webhook is None or body is None:
            return
        headers = {"Content-Type": "application/json", **self._dialect.sign(job, body, self.keys)}
        answer: int | None = None
        try:
            answer = self._client.post(job.asked.webhook, content=body, headers=headers).status_code
        except (httpx.HTTPError, httpx.InvalidURL):
            answer = None
        with self._lock:
            self.delivered.append((job.id, state, answer))
        if state in ENDS:
            job.told.set()
        if not self._was_taken(answer) and attempt < len(self._dialect.retries):
            delay = self.real(self._dialect.retries[attempt])
            self._schedule.after(delay, lambda: self._send(job, body, state, attempt + 1))

    def _was_taken(self, answer: int | None) -> bool:
        return answer == 200 or (answer is not None and 200 <= answer < 300 and not self._dialect.only_200)
