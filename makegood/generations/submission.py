"""Submitting a reserved generation to its provider, and recording what the provider said."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import case, func, update
from sqlalchemy.orm import Session

from makegood.generations.costs import set_cost
from makegood.models import Generation
from makegood.providers.protocol import Accepted, ErrorClass, Job, Provider, SubmitRefused, SubmitUnknown


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
    status = "submitted" if isinstance(result, Accepted) else "unknown"
    values: dict[str, Any] = {
        "status": case((Generation.status.in_(("charged", "unknown")), status), else_=Generation.status)
    }
    if isinstance(result, Accepted):
        values["provider_job_id"] = func.coalesce(Generation.provider_job_id, result.provider_job_id)
        values["submitted_at"] = func.coalesce(Generation.submitted_at, at)
    changed = session.execute(
        update(Generation)
        .where(Generation.id == generation_id)
        .values(values)
        .returning(Generation.status)
        .execution_options(synchronize_session=False)
    )
    after: str = changed.scalar_one()
    if isinstance(result, Accepted) and result.cost_micros is not None:
        set_cost(session, generation_id, result.cost_micros, source="provider")
    return after
