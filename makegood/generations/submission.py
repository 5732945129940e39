"""Submitting a reserved generation to its provider, and recording what the provider said."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import Boolean, DateTime, Text, bindparam, text
from sqlalchemy.orm import Session

from makegood.generations import costs
from makegood.generations.ending import settle
from makegood.ids import uuid7_floor
from makegood.providers.protocol import Accepted, ErrorClass, Job, Provider, SubmitRefused, SubmitUnknown
from makegood.terms import Terms

RECORD = text(
    """
    UPDATE generations
       SET status = CASE WHEN status IN ('charged', 'unknown') THEN :status ELSE status END,
           provider_job_id = CASE
               WHEN submitted_at IS NULL AND :job IS NOT NULL AND provider_job_id IS DISTINCT FROM :job
               THEN coalesce(take_job(id, provider, :job), provider_job_id)
               ELSE provider_job_id END,
           job_by_likeness = job_by_likeness AND :job IS NULL,
           submitted_at = coalesce(submitted_at, :submitted_at)
     WHERE id = :id
    RETURNING status
    """
).bindparams(
    bindparam("status", type_=Text),
    bindparam("job", type_=Text),
    bindparam("submitted_at", type_=DateTime(timezone=True)),
)

STATUS = text("SELECT status FROM generations WHERE id = :id")

FOUND = text(
    """
    UPDATE generations g
       SET provider_job_id = take_job(id, provider, :job), job_by_likeness = NOT :certain, gone_since = NULL,
           status = CASE WHEN status IN ('charged', 'unknown') THEN 'submitted' ELSE status END
     WHERE id = :id AND provider_job_id IS NULL
       AND NOT EXISTS (SELECT FROM generations o WHERE o.provider = g.provider AND o.provider_job_id = :job
                          AND NOT (:certain AND o.job_by_likeness))
       AND (:certain OR NOT EXISTS (
            SELECT FROM generations o
             WHERE o.id BETWEEN :after AND :before AND o.id <> g.id AND o.provider = g.provider
               AND o.provider_job_id IS NULL AND o.cost_source <> 'refused'
               AND o.model = g.model AND o.input = g.input))
    RETURNING id
    """
).bindparams(
    bindparam("job", type_=Text),
    bindparam("certain", type_=Boolean),
)

TWINS_WITHIN = timedelta(hours=1)
"""Two that asked the same within so long of each other might be taken for one another."""


@dataclass(frozen=True)
class Refusal:
    """The provider definitely did not take the job."""

    error_class: ErrorClass
    message: str


@dataclass(frozen=True)
class Lost:
    """Whether the provider took the job is not known."""

    message: str


def dispatch(provider: Provider, job: Job) -> Accepted | Refusal | Lost:
    """Submit once. No transaction may be open: this waits for the network. Never raises.

    Anything unexpected counts as lost, because the provider may be working: only reconcile may decide then.
    """
    try:
        return provider.submit(job)
    except SubmitRefused as refused:
        return Refusal(refused.error_class, refused.message)
    except SubmitUnknown as unknown:
        return Lost(str(unknown))
    except Exception as error:
        return Lost(f"unexpected {type(error).__name__}")


def record_submit(
    session: Session,
    generation_id: UUID,
    result: Accepted | Lost,
    terms: Terms | None = None,
    *,
    at: datetime | None = None,
) -> str:
    """Note the provider's job, or that the outcome is unknown. Returns the status after it.

    An answer that is the result already ends the generation in the same transaction, by `terms`. A callback may
    have ended it before; then only the job's id is added.
    """
    at = at or datetime.now(UTC)
    accepted = isinstance(result, Accepted)
    values = {
        "id": generation_id,
        "status": "submitted" if accepted else "unknown",
        "job": result.provider_job_id if isinstance(result, Accepted) else None,
        "submitted_at": at if accepted else None,
    }
    after: str = session.execute(RECORD, values).scalar_one()
    if isinstance(result, Accepted):
        costs.take(session, generation_id, result)
        if result.report is not None and terms is not None:
            settle(session, generation_id, result.report, terms, at=at)
            after = session.execute(STATUS, {"id": generation_id}).scalar_one()
    return after


def record_found(session: Session, generation_id: UUID, provider_job_id: str, *, certain: bool) -> bool:
    """Note a job that was found for a generation whose submit was never answered. Returns whether it counts.

    A `certain` one is proven by an id or an address of ours. A likely one counts only while no generation carries
    that job, and no other whose job is not known asked the same of the same model around that time.
    """
    made_at = datetime.fromtimestamp((generation_id.int >> 80) / 1000, UTC)
    values = {
        "id": generation_id,
        "job": provider_job_id,
        "certain": certain,
        "after": uuid7_floor(made_at - TWINS_WITHIN),
        "before": uuid7_floor(made_at + TWINS_WITHIN),
    }
    return session.execute(FOUND, values).first() is not None
