"""Outcomes of generations that the platform submits to its provider itself."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.orm import Session

from makegood.errors import Conflict, NotFound
from makegood.generations.ending import settle
from makegood.generations.submission import record_submit
from makegood.models import Generation
from makegood.models.generations import IN_FLIGHT
from makegood.providers.external import EXTERNAL
from makegood.providers.protocol import Accepted, Outcome, Report
from makegood.terms import Terms


def report(
    session: Session, generation_id: UUID, reported: Report, terms: Terms, *, at: datetime | None = None
) -> bool:
    """Apply what the platform says of its generation; a PENDING outcome says that it was submitted.

    Returns whether that holds. Where the generation had ended otherwise it does not: the report is noted as its
    late outcome and moves no credits. Raises NotFound, and Conflict for a generation that Makegood submits itself.
    """
    at = at or datetime.now(UTC)
    generation = session.get(
        Generation, generation_id, with_for_update={"key_share": True}, populate_existing=True
    )
    if generation is None:
        raise NotFound("There is no such generation.")
    if generation.provider != EXTERNAL:
        raise Conflict(
            f"Outcomes of generations at {generation.provider} come from that provider. No credits moved."
        )
    if reported.outcome is Outcome.PENDING:
        return _submitted(session, generation, reported, at)
    if generation.status in IN_FLIGHT:
        settle(session, generation_id, reported, terms, at=at)
        return True
    if generation.status == reported.outcome.value:
        return _says_the_same(generation, reported)
    settle(session, generation_id, reported, terms, at=at)
    session.refresh(generation)
    # A job may well fail after its customer gave up on it: no contradiction, and refunded as any failure.
    return generation.status == "cancelled" and generation.late_outcome == reported.outcome == Outcome.FAILED


def _submitted(session: Session, generation: Generation, reported: Report, at: datetime) -> bool:
    if generation.submitted_at is not None:
        return reported.provider_job_id in (None, generation.provider_job_id)
    if generation.status not in IN_FLIGHT:
        return False
    # Without an id of the platform's, ours names the job.
    job = reported.provider_job_id or str(generation.id)
    record_submit(session, generation.id, Accepted(job), at=at)
    return True


def _says_the_same(generation: Generation, reported: Report) -> bool:
    return (
        generation.error_class == reported.error_class
        and (generation.outputs or []) == list(reported.outputs)
        and reported.cost_micros in (None, generation.cost_micros)
    )
