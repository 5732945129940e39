"""Applying a delivery again: exactly once, whoever else does it at the same moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from makegood import audit, callbacks, hints, reports
from makegood.errors import Conflict, NotFound
from makegood.inbox.deliveries import what_again
from makegood.models import Callback, Generation
from makegood.providers.protocol import Provider, Report
from makegood.terms import Terms


@dataclass(frozen=True)
class Applied:
    """What applying a delivery again did: the delivery's state after it, and a sentence for people."""

    state: str
    message: str


def apply_again(
    session: Session,
    providers: Mapping[str, Provider],
    terms: Terms,
    callback_id: UUID,
    *,
    actor: str,
    address: str | None = None,
    now: datetime | None = None,
) -> Applied:
    """Apply a delivery that waits, exactly once, whoever else applies it at this moment; the message says what
    came of it. One that proves nothing has its job fetched by reconcile at once instead.

    Raises NotFound; Conflict for a delivery that can never be applied (rejected, a duplicate, no end of a job,
    a job that is not its generation's).
    """
    now = now or datetime.now(UTC)
    callback = session.get(Callback, callback_id, with_for_update=True, populate_existing=True)
    if callback is None:
        raise NotFound("There is no such delivery.")
    if callback.state == "applied":
        return Applied("applied", "It has been applied already. Nothing changed.")
    provider = providers.get(callback.provider)
    again = what_again(callback, provider)
    if again is None or provider is None:
        raise Conflict(_refusal(callback))
    before = {"state": callback.state, "detail": callback.detail, "attempts": callback.attempts}
    report = reports.from_json(callback.parsed or {})
    if again == "apply":
        applied = _settle(session, callback, report, terms, now)
    else:
        applied = _fetch(session, callback, provider, report, now)
    audit.record(
        session,
        actor=actor,
        action="callback.applied_again",
        subject=f"callback:{callback_id}",
        details={
            "generation_id": str(callback.generation_id),
            "customer_id": session.get_one(Generation, callback.generation_id).customer_id,
            "before": before,
            "after": {"state": applied.state, "message": applied.message},
        },
        address=address,
    )
    return applied


def _refusal(callback: Callback) -> str:
    if callback.state == "rejected":
        why = f"It was rejected ({callback.detail}), so it proves nothing and is never applied."
    elif callback.state == "duplicate":
        why = "It repeats a delivery that came before; that one counts."
    elif callback.state == "ignored":
        why = "It does not report the end of a job, so there is nothing to apply."
    else:
        why = f"No provider {callback.provider} is set up that could read it."
    return f"{why} No credits moved."


def _settle(session: Session, callback: Callback, report: Report, terms: Terms, now: datetime) -> Applied:
    tries = callback.attempts + 1
    receipt = callbacks.apply(session, callback.id, callback.generation_id, report, terms, now)
    if receipt.state != "applied":
        by_itself = "It is tried again by itself." if tries < callbacks.MAX_ATTEMPTS else "The log says why."
        return Applied(receipt.state, f"It {receipt.detail}. No credits moved. {by_itself}")
    said = {
        "ended": f"Applied: it ended the generation as {report.outcome.value}.",
        "late": "Applied: the generation had ended otherwise before. What it says is kept there; nothing was "
        "charged again.",
        "repeated": "Applied: it said nothing new. No credits moved.",
    }
    return Applied("applied", said.get(receipt.detail, f"Applied: {receipt.detail}."))


def _fetch(session: Session, callback: Callback, provider: Provider, report: Report, now: datetime) -> Applied:
    if not provider.configured:
        raise Conflict(
            f"The job would have to be fetched, and {provider.name} is not configured. No credits moved. "
            "Set its key, then try again."
        )
    waits = update(Callback).where(Callback.id == callback.id).values(state="waiting", detail=None)
    try:
        with session.begin_nested():
            session.execute(waits)
            problem = hints.follow(session, callback.generation_id, report, now=now)
            if problem:
                raise Conflict(
                    f"Nothing was fetched for it: {problem}. No credits moved. "
                    f"Search for job {report.provider_job_id} to see which generation carries it."
                )
    except IntegrityError:
        raise Conflict("The same delivery came again, and that one counts. No credits moved.") from None
    return Applied(
        "waiting",
        f"This delivery does not prove its job's end, so the worker asks {provider.name} for it now. No credits "
        "moved yet. Look again in a few seconds.",
    )
