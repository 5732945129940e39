"""A process that can be killed at each commit: `python -m tests.makegood.crashing DATABASE_URL`.

It reads one life on each line of standard input, forks a child that lives it, and prints how the child ended.
The child kills itself with SIGKILL at the boundary that it was told: just before or after a commit, or before or
after the provider takes the job.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event
from sqlalchemy.orm import Session

from makegood import bulk_refunds, callbacks, generations, idempotency, reconcile, refunds
from makegood.generations import Refusal, Reservation
from makegood.providers.protocol import (
    Accepted,
    Account,
    ErrorClass,
    FetchFailed,
    Found,
    Job,
    LostJob,
    Report,
    SubmitRefused,
    Units,
)
from tests.making import FAILURE, SUCCESS, TERMS, reserve


@dataclass(frozen=True)
class Life:
    """What a child does, for whom, and at which boundary it dies (0: never)."""

    story: str
    customer_id: str
    journal: str
    dies_at: int
    at: str


class Boundaries:
    """Counts what a life passes, and ends it at its last one."""

    def __init__(self, dies_at: int) -> None:
        self.passed = 0
        self.dies_at = dies_at
        event.listen(Session, "before_commit", self.pass_one)
        event.listen(Session, "after_commit", self.pass_one)

    def pass_one(self, _: object = None) -> None:
        """One more."""
        self.passed += 1
        if self.passed == self.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)


class Remembering:
    """A provider that keeps what it was sent in a file, so that it survives its customer."""

    name = "wavespeed"
    signed = True

    def __init__(self, journal: str, story: str, boundaries: Boundaries | None = None) -> None:
        self.journal = Path(journal)
        self.story = story
        self.boundaries = boundaries

    def jobs(self) -> list[dict[str, str]]:
        """Everything that was submitted."""
        return (
            [json.loads(line) for line in self.journal.read_text().splitlines()] if self.journal.exists() else []
        )

    @property
    def configured(self) -> bool:
        """Always."""
        return True

    def job_secret(self, token: str) -> str | None:
        """There is none."""
        return None

    def find(self, lost: LostJob) -> Found | None:
        """Nothing is found."""
        return None

    def account(self) -> Account | None:
        """There is none."""
        return None

    def units(self, model: str, input: Mapping[str, Any]) -> Units:
        """One image."""
        return Units("image", 1)

    def submit(self, job: Job) -> Accepted:
        """Take the job, or refuse it."""
        if self.boundaries:
            self.boundaries.pass_one()
        if self.story == "refused":
            raise SubmitRefused(ErrorClass.INVALID_INPUT, "no")
        line = {"job": f"job-{job.generation_id}", "token": job.callback_url}
        with self.journal.open("a") as file:
            file.write(json.dumps(line) + "\n")
        if self.boundaries:
            self.boundaries.pass_one()
        return Accepted(line["job"])

    def parse_callback(self, headers: Mapping[str, str], body: bytes, now: datetime, token: str = "") -> Report:
        """What it always says."""
        return self.outcome()

    def fetch(self, provider_job_id: str, model: str) -> Report:
        """The same, when it was asked to do the job."""
        if provider_job_id not in [line["job"] for line in self.jobs()]:
            raise FetchFailed("no such job")
        return self.outcome()

    def outcome(self) -> Report:
        """How every job ends."""
        return FAILURE if self.story == "failed" else SUCCESS


def live(url: str, life: Life) -> None:
    """Charge, submit, record, be called back, reconcile, refund by hand or in bulk: each with its commit."""
    boundaries = Boundaries(life.dies_at)
    provider = Remembering(life.journal, life.story, boundaries)
    at = datetime.fromisoformat(life.at)
    engine = create_engine(url)
    with Session(engine) as session:
        if life.story == "bulk":
            while commit(session, bulk_refunds.work(session, TERMS, at=at)):
                pass
            return
        reserved = start(session, provider, life, at)
        if life.story in ("succeeded", "failed"):
            deliver(session, provider, reserved.callback_token, at)
        if life.story == "reconciled":
            for claimed in commit(session, reconcile.claim(session, at=at + TERMS.check_after)):
                report = reconcile.look_up({provider.name: provider}, claimed)
                commit(session, reconcile.decide(session, claimed, report, TERMS, at=at + TERMS.check_after))
        if life.story == "succeeded":
            commit(session, refund_by_hand(session, reserved, at))
    engine.dispose()


def start(session: Session, provider: Remembering, life: Life, at: datetime) -> Reservation:
    """What the API does for one request."""
    key = f"key-{life.customer_id}"
    reserved = commit(session, reserve(session, life.customer_id, provider=provider, credits=10, key=key, at=at))
    if reserved.repeated:
        return reserved
    job = Job(reserved.generation_id, "m", "image", {}, reserved.callback_token)
    result = generations.dispatch(provider, job)
    if isinstance(result, Refusal):
        error = (result.error_class, result.message)
        generations.fail(session, reserved.generation_id, *error, TERMS, refused=True, at=at)
    else:
        generations.record_submit(session, reserved.generation_id, result, at=at)
    commit(session, idempotency.remember(session, key, 202, {}))
    return reserved


def deliver(session: Session, provider: Remembering, token: str, at: datetime) -> str:
    """What the callbacks' route does."""
    receipt = callbacks.receive(session, {provider.name: provider}, provider.name, token, {}, b"{}", TERMS, now=at)
    return commit(session, receipt).state


def refund_by_hand(session: Session, reserved: Reservation, at: datetime) -> refunds.Refund:
    """What the console does."""
    return refunds.issue_manual(
        session, reserved.generation_id, TERMS, credits=4, reason="other", note="x", actor="ops",
        idempotency_key="form", expected_refunded=0, at=at,
    )  # fmt: skip


def commit(session: Session, result: Any) -> Any:
    """Commit, and pass on what was done."""
    session.commit()
    return result


def main() -> None:
    """Fork a child for each line."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            live(sys.argv[1], Life(**json.loads(line)))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
