"""Submitting a reserved generation to its provider, and recording what the provider said."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import DateTime, Text, bindparam, text
from sqlalchemy.orm import Session

from makegood.generations import costs
from makegood.providers.protocol import Accepted, ErrorClass, Job, Provider, SubmitRefused, SubmitUnknown

RECORD = text(
    """
    UPDATE generations
       SET status = CASE WHEN status IN ('charged', 'unknown') THEN :status ELSE status END,
           provider_job_id = CASE WHEN submitted_at IS NULL THEN coalesce(:job, provider_job_id)
                                  ELSE provider_job_id END,
           submitted_at = coalesce(submitted_at, :submitted_at)
     WHERE id = :id
    RETURNING status
    """
).bindparams(
    bindparam("status", type_=Text),
    bindparam("job", type_=Text),
    bindparam("submitted_at", type_=DateTime(timezone=True)),
)


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
    session: Session, generation_id: UUID, result: Accepted | Lost, *, at: datetime | None = None
) -> str:
    """Note the provider's job, or that the outcome is unknown. Returns the status after it.

    A callback may have ended the generation already; then only the job's id is added.
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
    return after
