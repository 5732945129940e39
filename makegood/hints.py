"""Hints: deliveries that wait for their job to be fetched, because whoever sent them signs nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import case, exists, func, select, update
from sqlalchemy.orm import Session, aliased

from makegood.models import Callback, Generation
from makegood.providers.protocol import Report


def follow(session: Session, generation_id: UUID, report: Report, *, now: datetime) -> None:
    """Ask reconcile to fetch the job at once. Nothing else of the report counts before.

    Where the submit's answer was lost, or is still on its way, only the hint says which job that is. The token in
    its address vouches for that; but another generation's job it cannot be.
    """
    values: dict[str, Any] = {"check_at": now}
    if report.provider_job_id is not None:
        other = aliased(Generation)
        taken = exists().where(
            other.provider == Generation.provider, other.provider_job_id == report.provider_job_id
        )
        job = case((taken, None), else_=report.provider_job_id)
        values["provider_job_id"] = func.coalesce(Generation.provider_job_id, job)
    session.execute(update(Generation).where(Generation.id == generation_id).values(values))


def waits(session: Session, generation_id: UUID, *, since: datetime) -> bool:
    """Whether a delivery that came since then still waits for its job to be fetched."""
    waiting = exists().where(
        Callback.generation_id == generation_id, Callback.state == "waiting", Callback.received_at >= since
    )
    return bool(session.scalar(select(waiting)))


def give_up(session: Session, generation_id: UUID, *, before: datetime) -> None:
    """Note that nothing more comes of deliveries from before then: fetching their job proved nothing."""
    session.execute(
        update(Callback)
        .where(Callback.generation_id == generation_id, Callback.state == "waiting", Callback.attempts == 0)
        .where(Callback.received_at <= before)
        .values(state="ignored", detail="the provider did not confirm it")
    )


def mark_fetched(session: Session, generation_id: UUID, detail: str) -> None:
    """Note that the job behind waiting deliveries was fetched and has ended."""
    session.execute(
        update(Callback)
        .where(Callback.generation_id == generation_id, Callback.state == "waiting")
        .values(state="applied", detail=detail, applied_at=func.clock_timestamp())
    )
