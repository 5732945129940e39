"""Ending a generation: succeeded, failed or cancelled, once. A failure and its refund are one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Text, bindparam, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from makegood import alerts, refunds
from makegood.errors import Conflict, NotFound
from makegood.generations import costs
from makegood.models import Generation
from makegood.providers.external import EXTERNAL
from makegood.providers.protocol import ErrorClass, Outcome, Report
from makegood.terms import Terms

END = text(
    """
    WITH ended AS (
        UPDATE generations
           SET status = :status, ended_at = :at, error_class = :error_class, error_message = :message,
               outputs = :outputs, outputs_expire_at = :expire_at,
               provider_job_id = coalesce(provider_job_id, :job),
               check_at = CASE WHEN :status = 'cancelled' AND provider <> :external THEN check_at END,
               latency_ms = CASE WHEN :status = 'succeeded' THEN
                   greatest(0, extract(epoch FROM :at - coalesce(submitted_at, charged_at)) * 1000) END
         WHERE id = :id AND status IN ('charged', 'submitted', 'unknown')
        RETURNING *
    ), event AS (
        INSERT INTO events (at, type, customer_id, generation_id, tier, provider, model, kind,
                            succeeded, failed, cancelled, latency_ms)
        SELECT ended_at, status, customer_id, id, tier, provider, model, kind, (status = 'succeeded')::int,
               (status = 'failed')::int, (status = 'cancelled')::int, coalesce(latency_ms, 0)
          FROM ended
    )
    SELECT id FROM ended
    """
).bindparams(
    bindparam("outputs", type_=JSONB(none_as_null=True)),
    bindparam("expire_at", type_=DateTime(timezone=True)),
    bindparam("status", type_=Text),
    bindparam("error_class", type_=Text),
    bindparam("message", type_=Text),
    bindparam("job", type_=Text),
    bindparam("external", EXTERNAL, type_=Text),
)


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
    """End a generation as its provider reports (succeeded or failed)."""
    at = at or datetime.now(UTC)
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
    if _end(session, generation_id, "succeeded", at, report=report):
        return Ended("ended")
    return Ended(_late(session, generation_id, "succeeded", at, report))


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
    if refused:
        costs.set_cost(session, generation_id, 0, source="refused")
    elif report is not None:
        costs.take(session, generation_id, report)
    change = "ended"
    if not _end(session, generation_id, "failed", at, error_class, message, report):
        if report is None and not refused:
            return Ended("repeated")
        change = _late(session, generation_id, "failed", at, None)
        if change != "late" or not _was_cancelled(session, generation_id):
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
    _end(session, generation_id, "cancelled", at)
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
    error_class: str | None = None,
    message: str | None = None,
    report: Report | None = None,
) -> bool:
    values = {
        "id": generation_id,
        "status": status,
        "at": at,
        "error_class": error_class,
        "message": message,
        "outputs": list(report.outputs) if report and report.outputs else None,
        "expire_at": report.outputs_expire_at if report and report.outputs else None,
        "job": report.provider_job_id if report else None,
    }
    return session.execute(END, values).first() is not None


def _late(session: Session, generation_id: UUID, outcome: str, at: datetime, report: Report | None) -> str:
    # Only the first late outcome counts: a provider that contradicts itself moves no more credits.
    values: dict[str, Any] = {"late_outcome": outcome, "late_at": at, "check_at": None}
    if report is not None and report.outputs:
        values["outputs"] = list(report.outputs)
        values["outputs_expire_at"] = report.outputs_expire_at
    changed = session.execute(
        update(Generation)
        .where(Generation.id == generation_id, Generation.status != outcome, Generation.late_outcome.is_(None))
        .values(values)
        .returning(Generation.id)
        .execution_options(synchronize_session=False)
    )
    return "late" if changed.first() else "repeated"


def _alert_provider_account(session: Session, generation_id: UUID, message: str) -> None:
    provider = session.scalar(select(Generation.provider).where(Generation.id == generation_id))
    what = f"{provider} refuses our account: {message}."
    effect = "Until that is mended, generations there fail and are refunded."
    alerts.raise_alert(session, alerts.PROVIDER_ACCOUNT, provider or "", f"{what} {effect}")


def _was_cancelled(session: Session, generation_id: UUID) -> bool:
    return session.scalar(select(Generation.status).where(Generation.id == generation_id)) == "cancelled"
