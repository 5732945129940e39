"""Ending a generation: succeeded, failed or cancelled, once. A failure and its refund are one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, DateTime, Text, bindparam, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from makegood import alerts, error_mappings, outputs, refunds
from makegood.errors import Conflict, NotFound
from makegood.generations import costs
from makegood.models import Generation
from makegood.providers.external import EXTERNAL
from makegood.providers.protocol import ErrorClass, Outcome, Report
from makegood.terms import Terms

JOB = """
               provider_job_id = CASE
                   WHEN :job IS NULL OR provider_job_id = :job
                        OR provider_job_id IS NOT NULL AND NOT job_by_likeness
                   THEN provider_job_id
                   ELSE coalesce(take_job(id, provider, :job), provider_job_id) END,
               job_by_likeness = job_by_likeness AND (:job IS NULL OR provider_job_id = :job)"""
"""A report names the job of a generation without one; of two names, one that was only likely gives way."""

TYPES = (
    bindparam("outputs", type_=JSONB(none_as_null=True)),
    bindparam("expire_at", type_=DateTime(timezone=True)),
    bindparam("status", type_=Text),
    bindparam("job", type_=Text),
    bindparam("notify", type_=Boolean),
)

END = text(
    f"""
    WITH ended AS (
        UPDATE generations
           SET status = :status, ended_at = :at, error_class = :error_class, error_message = :message,
               outputs = :outputs, outputs_expire_at = :expire_at,{JOB},
               check_at = CASE WHEN :status = 'cancelled' AND provider <> :external THEN check_at END,
               latency_ms = CASE WHEN :status = 'succeeded' THEN
                   greatest(0, extract(epoch FROM :at - coalesce(submitted_at, charged_at)) * 1000) END
         WHERE id = :id AND status IN ('charged', 'submitted', 'unknown')
        RETURNING *
    ), event AS (
        INSERT INTO events (at, type, customer_id, generation_id, tier, provider, model, kind, reason,
                            succeeded, failed, cancelled, latency_ms)
        SELECT ended_at, status, customer_id, id, tier, provider, model, kind, coalesce(error_class, ''),
               (status = 'succeeded')::int, (status = 'failed')::int, (status = 'cancelled')::int,
               coalesce(latency_ms, 0)
          FROM ended
    ), notification AS (
        INSERT INTO notifications (id, generation_id, event, next_at)
        SELECT make_uuid7(), id, status, clock_timestamp() FROM ended WHERE :notify
    )
    SELECT id FROM ended
    """  # noqa: S608 (JOB is ours)
).bindparams(
    *TYPES,
    bindparam("error_class", type_=Text),
    bindparam("message", type_=Text),
    bindparam("external", EXTERNAL, type_=Text),
)

LATE = text(
    f"""
    WITH late AS (
        UPDATE generations
           SET late_outcome = :status, late_at = :at, check_at = NULL,{JOB},
               outputs = coalesce(:outputs, outputs),
               outputs_expire_at = CASE WHEN :outputs IS NULL THEN outputs_expire_at ELSE :expire_at END
         WHERE id = :id AND status <> :status AND late_outcome IS NULL
        RETURNING id
    ), notification AS (
        INSERT INTO notifications (id, generation_id, event, next_at)
        SELECT make_uuid7(), id, 'late_outcome', clock_timestamp() FROM late WHERE :notify
    )
    SELECT id FROM late
    """  # noqa: S608 (JOB is ours)
).bindparams(*TYPES)


@dataclass(frozen=True)
class Ended:
    """What an ending did. `change` is ended, late (it had ended otherwise), repeated (nothing new) or pending
    (the job goes on: nothing changed)."""

    change: str
    credits_refunded: int = 0
    balance: int | None = None


def settle(
    session: Session, generation_id: UUID, report: Report, terms: Terms, *, at: datetime | None = None
) -> Ended:
    """End a generation as its provider reports (succeeded or failed). Results that it sent along are kept."""
    at = at or datetime.now(UTC)
    report = outputs.checked(report)
    if report.outcome is Outcome.PENDING:
        return Ended("pending")
    if report.outcome is Outcome.FAILED:
        return fail(
            session,
            generation_id,
            report.error_class or ErrorClass.UNKNOWN_ERROR,
            report.message or "",
            terms,
            report=report,
            at=at,
        )
    costs.take(session, generation_id, report)
    named = outputs.named(generation_id, report, at + terms.outputs_live)
    ended = _end(session, generation_id, "succeeded", at, terms, report=named)
    change = "ended" if ended else _late(session, generation_id, "succeeded", at, terms, named)
    if change != "repeated":
        outputs.keep(session, generation_id, report, at + terms.outputs_live)
    return Ended(change)


def fail(
    session: Session,
    generation_id: UUID,
    error_class: ErrorClass,
    message: str,
    terms: Terms,
    *,
    refused: bool = False,
    report: Report | None = None,
    at: datetime | None = None,
) -> Ended:
    """End a generation as failed and refund by policy, in the caller's transaction.

    `refused` says that the provider never took the job, so that it cost nothing. Without that and without a
    report it is our own clock that gave up: that says nothing of a generation that has ended.
    """
    at = at or datetime.now(UTC)
    if error_class is ErrorClass.UNKNOWN_ERROR:
        error_class = error_mappings.mapped(session, generation_id, message) or error_class
    if refused:
        # A result that a callback brought meanwhile was no gift: the provider ran what it said it had refused.
        if _status(session, generation_id, lock=True) != "succeeded":
            costs.set_cost(session, generation_id, 0, source="refused")
    elif report is not None:
        costs.take(session, generation_id, report)
    change = "ended"
    if not _end(session, generation_id, "failed", at, terms, error_class, message, report):
        if report is None and not refused:
            return Ended("repeated")
        change = _late(session, generation_id, "failed", at, terms, report)
        if change != "late" or _status(session, generation_id) != "cancelled":
            return Ended(change)
        # The customer gave up on a job that then failed: no failure is ever paid for.
    issued = refunds.issue_automatic(session, generation_id, error_class, terms, at=at)
    if error_class is ErrorClass.PROVIDER_ACCOUNT:
        # Last, because all failures at this provider share the alert's row and its lock.
        _alert_provider_account(session, generation_id, message)
    return Ended(change, issued.credits, issued.balance)


def cancel(
    session: Session, generation_id: UUID, terms: Terms, *, actor: str, at: datetime | None = None
) -> Ended:
    """Give up on a generation: refunded in full while provably never submitted, else by policy.

    Reconcile goes on looking at what may be running until the deadline: if it fails after all, it is refunded.
    Cancelling again changes nothing. Raises NotFound, and Conflict for one that ended otherwise or is being
    submitted right now (its provider may be working on it in a moment).
    """
    at = at or datetime.now(UTC)
    found = session.execute(
        select(Generation.status, Generation.provider)
        .where(Generation.id == generation_id)
        .with_for_update(key_share=True)
    ).first()
    if found is None:
        raise NotFound("There is no such generation.")
    if found.status == "cancelled":
        return Ended("repeated")
    if found.status in ("succeeded", "failed"):
        raise Conflict(f"The generation has already {found.status}. No credits moved.", status=found.status)
    if found.status == "charged" and found.provider != EXTERNAL:
        raise Conflict(
            "The generation is being submitted. No credits moved. Cancel it again in a few seconds.",
            status=found.status,
        )
    never_submitted = found.status == "charged"
    _end(session, generation_id, "cancelled", at, terms)
    issued = refunds.issue_automatic(
        session,
        generation_id,
        refunds.CANCELLED,
        terms,
        percent=100 if never_submitted else None,
        actor=actor,
        at=at,
    )
    return Ended("ended", issued.credits, issued.balance)


def _end(
    session: Session,
    generation_id: UUID,
    status: str,
    at: datetime,
    terms: Terms,
    error_class: str | None = None,
    message: str | None = None,
    report: Report | None = None,
) -> bool:
    values = _values(generation_id, status, at, terms, report) | {"error_class": error_class, "message": message}
    return session.execute(END, values).first() is not None


def _late(
    session: Session, generation_id: UUID, outcome: str, at: datetime, terms: Terms, report: Report | None
) -> str:
    # Only the first late outcome counts: a provider that contradicts itself moves no more credits.
    changed = session.execute(LATE, _values(generation_id, outcome, at, terms, report)).first()
    return "repeated" if changed is None else "late"


def _values(generation_id: UUID, status: str, at: datetime, terms: Terms, report: Report | None) -> dict[str, Any]:
    links = report is not None and report.outputs
    return {
        "id": generation_id,
        "status": status,
        "at": at,
        "outputs": list(report.outputs) if report and links else None,
        "expire_at": report.outputs_expire_at if report and links else None,
        "job": report.provider_job_id if report else None,
        "notify": terms.notify,
    }


def _alert_provider_account(session: Session, generation_id: UUID, message: str) -> None:
    provider = session.scalar(select(Generation.provider).where(Generation.id == generation_id))
    what = f"{provider} refuses our account: {message}."
    effect = "Until that is mended, generations there fail and are refunded."
    alerts.raise_alert(session, alerts.PROVIDER_ACCOUNT, provider or "", f"{what} {effect}")


def _status(session: Session, generation_id: UUID, *, lock: bool = False) -> str | None:
    query = select(Generation.status).where(Generation.id == generation_id)
    return session.scalar(query.with_for_update(key_share=True) if lock else query)
