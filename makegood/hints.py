"""Hints: deliveries that wait for their job to be fetched, because whoever sent them signs nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import exists, func, select, update
from sqlalchemy.orm import Session

from makegood import reports
from makegood.models import Callback, Generation
from makegood.providers.protocol import Report

OTHER_JOB = "it is about another job"
ANOTHERS = "it names a job that another generation carries"
"""Why nothing comes of a delivery: the job that it names is never fetched for the generation that it came for."""


def follow(session: Session, generation_id: UUID, report: Report, *, now: datetime) -> str | None:
    """Ask reconcile to fetch the job at once. Nothing else of the report counts before.

    Where the submit's answer was lost, or is still on its way, only the hint says which job that is. The token in
    its address vouches for that, more than a job's likeness does; but a job that is proven it cannot replace, and
    another generation's job it cannot be. It returns which of these (OTHER_JOB, ANOTHERS) stands in the way, or
    None; the generation keeps what job it has then.
    """
    values: dict[str, Any] = {"check_at": now}
    problem = None
    if report.provider_job_id is not None:
        held = session.execute(
            select(Generation.provider, Generation.provider_job_id, Generation.job_by_likeness)
            .where(Generation.id == generation_id)
            .with_for_update(key_share=True)
        ).one()
        if held.provider_job_id is None or held.job_by_likeness:
            taken = session.scalar(select(func.take_job(generation_id, held.provider, report.provider_job_id)))
            if taken is None:
                problem = ANOTHERS
            else:
                values |= {"provider_job_id": taken, "job_by_likeness": False}
        elif held.provider_job_id != report.provider_job_id:
            carried = exists().where(
                Generation.provider == held.provider, Generation.provider_job_id == report.provider_job_id
            )
            problem = ANOTHERS if session.scalar(select(carried)) else OTHER_JOB
    session.execute(update(Generation).where(Generation.id == generation_id).values(values))
    return problem


def waits(session: Session, generation_id: UUID, *, since: datetime) -> bool:
    """Whether a delivery that came since then still waits for its job to be fetched."""
    waiting = exists().where(
        Callback.generation_id == generation_id, Callback.state == "waiting", Callback.received_at >= since
    )
    return bool(session.scalar(select(waiting)))


def asks(session: Session, generation_id: UUID) -> bool:
    """Whether a delivery waits whose job nobody has looked up since it came."""
    asking = exists().where(
        Callback.generation_id == generation_id, Callback.state == "waiting", Callback.attempts == 0
    )
    return bool(session.scalar(select(asking)))


def hold(session: Session, generation_id: UUID) -> None:
    """Lock the deliveries that wait, for who is about to lock their generation: callbacks come first."""
    session.execute(
        select(Callback.id)
        .where(Callback.generation_id == generation_id, Callback.state == "waiting")
        .order_by(Callback.id)
        .with_for_update()
    )


def proven(session: Session, generation_id: UUID) -> Report | None:
    """The result that a genuine delivery brought along, for when its job could not be fetched in time: it lacks
    only what the job cost."""
    told = session.scalar(
        select(Callback.parsed)
        .where(Callback.generation_id == generation_id, Callback.state == "waiting")
        .where(Callback.parsed["incomplete"].astext == "true")
        .order_by(Callback.id.desc())
        .limit(1)
        .with_for_update()
    )
    report = reports.from_json(told) if told else None
    return report if report is not None and report.outputs else None


def give_up(session: Session, generation_id: UUID, *, before: datetime) -> None:
    """Note that nothing more comes of deliveries from before then: fetching their job proved nothing."""
    session.execute(
        update(Callback)
        .where(Callback.generation_id == generation_id, Callback.state == "waiting", Callback.attempts == 0)
        .where(Callback.received_at <= before)
        .values(state="ignored", detail=func.coalesce(Callback.detail, "the provider did not confirm it"))
    )


def mark_fetched(session: Session, generation_id: UUID, detail: str) -> None:
    """Note that the job behind waiting deliveries was fetched and has ended."""
    session.execute(
        update(Callback)
        .where(Callback.generation_id == generation_id, Callback.state == "waiting")
        .values(state="applied", detail=detail, applied_at=func.clock_timestamp())
    )
