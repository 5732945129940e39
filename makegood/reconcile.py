"""Reconcile: generations whose end nobody reported are looked up at their provider, and settled or refunded.

Three steps, so that no transaction is open while we wait for a provider: claim (and commit), look up,
decide (and commit). A claim is a lease: many workers side by side take each generation once, and what a
killed worker had claimed comes up again.

Where the submit's answer was lost, nobody knows the job: it is looked for by the provider's own means, and never
submitted again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from makegood import alerts, generations, hints
from makegood.models import Generation
from makegood.models.generations import IN_FLIGHT
from makegood.providers.external import EXTERNAL
from makegood.providers.protocol import (
    ErrorClass,
    FetchFailed,
    Found,
    JobGone,
    LostJob,
    Outcome,
    Provider,
    Report,
)
from makegood.providers.registry import POLLED
from makegood.terms import Terms

LEASE = timedelta(seconds=90)
LONGEST_WAIT = timedelta(minutes=5)
LONGEST_POLL = timedelta(seconds=30)
"""At a provider that calls nobody back."""
HINTS_COUNT_FOR = timedelta(days=1)
"""So long a delivery that proves nothing is a reason to ask about a job whose generation has ended."""

GONE_FOR = timedelta(minutes=2)
"""Two answers so far apart that the provider does not know a job end it: one alone may be a stumble."""
GONE = "The provider had accepted the job, and does not know it any more."

log = structlog.get_logger()


@dataclass(frozen=True)
class Claimed:
    """A generation that this worker looks up now."""

    id: UUID
    provider: str
    model: str
    status: str
    provider_job_id: str | None
    charged_at: datetime
    checks: int
    leased_until: datetime
    input: dict[str, Any] = field(default_factory=dict, repr=False)
    callback_token_hash: bytes = field(default=b"", repr=False)
    submitted_at: datetime | None = None
    gone_since: datetime | None = None
    job_by_likeness: bool = False


Answer = Report | Found | JobGone | None
"""What a provider says of a job: a report; a job that was lost, found again; that it does not know it; nothing."""


def claim(session: Session, *, limit: int = 50, at: datetime | None = None) -> list[Claimed]:
    """Lease generations that are due. The caller commits before it looks them up."""
    at = at or datetime.now(UTC)
    due = (
        select(Generation.id)
        .where(Generation.check_at <= at)
        .order_by(Generation.check_at)
        .limit(limit)
        .with_for_update(skip_locked=True, key_share=True)
        .scalar_subquery()
    )
    rows = session.execute(
        update(Generation)
        .where(Generation.id.in_(due))
        .values(check_at=at + LEASE, checks=Generation.checks + 1)
        .returning(
            Generation.id,
            Generation.provider,
            Generation.model,
            Generation.status,
            Generation.provider_job_id,
            Generation.charged_at,
            Generation.checks,
            Generation.check_at.label("leased_until"),
            Generation.input,
            Generation.callback_token_hash,
            Generation.submitted_at,
            Generation.gone_since,
            Generation.job_by_likeness,
        )
        .execution_options(synchronize_session=False)
    )
    return [Claimed(**row._asdict()) for row in rows]


def look_up(providers: Mapping[str, Provider], claimed: Claimed) -> Answer:
    """What the provider says of the job, or where a lost one is; None when it cannot say. Open no transaction.
    Never raises."""
    provider = providers.get(claimed.provider)
    if provider is None or claimed.provider == EXTERNAL:
        return None
    try:
        if claimed.provider_job_id is not None:
            return provider.fetch(claimed.provider_job_id, claimed.model)
        if claimed.status in (*IN_FLIGHT, "cancelled"):
            return provider.find(_lost(claimed))
    except FetchFailed:
        return None
    except JobGone as gone:
        return gone
    except Exception:
        log.exception("look_up_failed", generation_id=str(claimed.id))
    return None


def decide(session: Session, claimed: Claimed, answer: Answer, terms: Terms, *, at: datetime | None = None) -> str:
    """Settle by the provider's answer. Without an end, fail as a timeout past the deadline, else look again.

    A job that is gone for good fails before the deadline. Neither happens to one whose result a genuine callback
    has brought: that settles it. Returns settled, gone, timeout, later, or over (it had ended already).
    """
    at = at or datetime.now(UTC)
    deadline = claimed.charged_at + terms.deadline
    claimed, report = _learn(session, claimed, answer)
    in_flight = claimed.status in IN_FLIGHT
    gone = isinstance(answer, JobGone) and (at >= deadline or _is_gone(claimed, at))
    how = "fetched"
    if report is None and in_flight and (gone or at >= deadline):
        report, how = hints.proven(session, claimed.id), "genuine, but never fetched"
    if report is not None:
        # First, because callbacks are locked before generations.
        hints.mark_fetched(session, claimed.id, f"{how}: {report.outcome.value}")
        generations.settle(session, claimed.id, report, terms, at=at)
        outcome = "settled"
    elif in_flight and gone:
        hints.give_up(session, claimed.id, before=claimed.leased_until - LEASE)
        generations.fail(session, claimed.id, ErrorClass.GENERATION_FAILED, GONE, terms, at=at)
        outcome = "gone"
    elif in_flight and at >= deadline:
        hints.give_up(session, claimed.id, before=claimed.leased_until - LEASE)
        message = f"no result within {terms.deadline.total_seconds():.0f} seconds"
        generations.fail(session, claimed.id, ErrorClass.TIMEOUT, message, terms, at=at)
        outcome = "timeout"
    elif in_flight:
        _look_again(session, claimed, answer, min(at + _wait(claimed, terms), deadline), at, terms)
        return "later"
    elif _is_followed(session, claimed, deadline, at):
        _schedule(session, claimed, at + _wait(claimed, terms))
        return "later"
    else:
        hints.give_up(session, claimed.id, before=claimed.leased_until - LEASE)
        outcome = "over"
    _schedule(session, claimed, None)
    if hints.asks(session, claimed.id):
        # It came during this look, and ending the generation has taken the look away that it had asked for.
        session.execute(update(Generation).where(Generation.id == claimed.id).values(check_at=at))
    alerts.resolve(session, alerts.REFUND_FAILED, str(claimed.id))
    return outcome


def raise_undecided(
    session: Session, claimed: Claimed, answer: Answer, terms: Terms, *, at: datetime | None = None
) -> None:
    """Open an alert after `decide` failed, if a refund was due. Its lease brings the generation up again."""
    timed_out = claimed.status in IN_FLIGHT and (at or datetime.now(UTC)) >= claimed.charged_at + terms.deadline
    report = _end_of(answer)
    if timed_out if report is None else report.outcome is Outcome.FAILED:
        alerts.raise_refund_failed(session, claimed.id)


def _lost(claimed: Claimed) -> LostJob:
    return LostJob(
        generation_id=claimed.id,
        model=claimed.model,
        input=claimed.input,
        charged_at=claimed.charged_at,
        callback_token_hash=claimed.callback_token_hash,
    )


def _end_of(answer: Answer) -> Report | None:
    report = answer.report if isinstance(answer, Found) else answer
    return report if isinstance(report, Report) and report.outcome is not Outcome.PENDING else None


def _learn(session: Session, claimed: Claimed, answer: Answer) -> tuple[Claimed, Report | None]:
    """The generation with the job that was found, and how that job ended, if it did."""
    if not isinstance(answer, Found):
        if claimed.job_by_likeness and not _carries(session, claimed):
            return replace(claimed, provider_job_id=None), None  # meanwhile it was proven to be another's
        return claimed, _end_of(answer)
    job = answer.report.provider_job_id
    hints.hold(session, claimed.id)
    if job is None or not generations.record_found(session, claimed.id, job, certain=answer.certain):
        return claimed, None
    log.info("lost_job_found", generation_id=str(claimed.id), job=job, certain=answer.certain)
    alerts.resolve(session, alerts.REFUND_FAILED, str(claimed.id))
    status = "submitted" if claimed.status in IN_FLIGHT else claimed.status
    return replace(claimed, status=status, provider_job_id=job), _end_of(answer)


def _carries(session: Session, claimed: Claimed) -> bool:
    """Whether the generation still carries the job that was asked about. Nobody takes it away from now on."""
    hints.hold(session, claimed.id)
    job = select(Generation.provider_job_id).where(Generation.id == claimed.id).with_for_update(key_share=True)
    return session.scalar(job) == claimed.provider_job_id


def _is_gone(claimed: Claimed, at: datetime) -> bool:
    """Whether the provider has said before, long enough ago, that it does not know this job that it took."""
    since = claimed.gone_since
    return claimed.submitted_at is not None and since is not None and at - since >= GONE_FOR


def _is_followed(session: Session, claimed: Claimed, deadline: datetime, at: datetime) -> bool:
    """Whether an ended generation is still of interest: cancelled but perhaps running, or hinted at."""
    if claimed.status == "cancelled" and at < deadline:
        return True
    return hints.waits(session, claimed.id, since=at - HINTS_COUNT_FOR)


def _wait(claimed: Claimed, terms: Terms) -> timedelta:
    polled = POLLED.get(claimed.provider)
    first = terms.check_after if polled is None else min(polled, terms.check_after)
    doubled: timedelta = first * 2 ** min(claimed.checks - 1, 10)
    return min(doubled, LONGEST_WAIT if polled is None else LONGEST_POLL)


def _look_again(
    session: Session, claimed: Claimed, answer: Answer, check_at: datetime, at: datetime, terms: Terms
) -> None:
    gone_since = claimed.gone_since or at if isinstance(answer, JobGone) else None
    if gone_since != claimed.gone_since and answer is not None:
        session.execute(update(Generation).where(Generation.id == claimed.id).values(gone_since=gone_since))
    _schedule(session, claimed, check_at)
    # Where a job is polled, the first looks come while its submit may still be under way.
    overdue = at >= claimed.charged_at + terms.check_after
    if claimed.status == "charged" and claimed.provider != EXTERNAL and overdue:
        alerts.raise_alert(
            session,
            alerts.REFUND_FAILED,
            str(claimed.id),
            "What became of this submit was never recorded, so its credits are still charged. They are "
            "refunded at the deadline unless the provider reports a result before.",
            generation_id=claimed.id,
        )


def _schedule(session: Session, claimed: Claimed, check_at: datetime | None) -> None:
    # A callback that came meanwhile has asked for a look of its own: that one stands.
    session.execute(
        update(Generation)
        .where(Generation.id == claimed.id, Generation.check_at == claimed.leased_until)
        .values(check_at=check_at)
    )
