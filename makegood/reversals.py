"""Reversals: an operator's refund taken back, whole and once, as long as its credits are still there.

They come from the very grants that the refund went to. What the policy returned for a failure is never taken
back: no customer pays for a generation that failed. A reversed refund no longer counts, on the day it was issued.
It is within the limits of who reverses, or approved by a second operator.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select, text
from sqlalchemy.orm import Session

from makegood import audit, ledger, rooms
from makegood.errors import Conflict, Invalid, NotFound
from makegood.ids import uuid7
from makegood.models import Balance, Generation, Grant, Movement, Refund, RefundPolicy, Reversal
from makegood.providers.external import EXTERNAL
from makegood.refunds import CANCELLED, MAX_NOTE
from makegood.terms import Terms

UNKNOWN = "unknown_error"
REVERSE = text("SELECT reverse_refund(:reversal, :transaction, :refund, :note, :actor, :key, :at)")


@dataclass(frozen=True)
class Prospect:
    """A refund and whether it can be reversed now: `problem` is the sentence that says why not.

    `there` are the credits of it that its grants still hold.
    """

    refund: Refund
    reversal: Reversal | None
    balance: int
    there: int
    problem: str | None


def look(session: Session, refund_id: UUID, *, at: datetime | None = None) -> Prospect:
    """What a reversal would meet now. Locks nothing. Raises NotFound."""
    refund = session.get(Refund, refund_id)
    if refund is None:
        raise NotFound("There is no such refund.")
    generation = session.get_one(Generation, refund.generation_id)
    found = of(session, refund_id)
    balance = session.scalar(select(Balance.balance).where(Balance.customer_id == refund.customer_id)) or 0
    there = _there(session, refund, at or datetime.now(UTC))
    return Prospect(refund, found, balance, there, _problem(session, generation, refund, found, there))


def of(session: Session, refund_id: UUID) -> Reversal | None:
    """The reversal of this refund, if there is one."""
    return session.scalar(select(Reversal).where(Reversal.refund_id == refund_id))


def reverse(
    session: Session,
    refund_id: UUID,
    terms: Terms,
    *,
    note: str,
    actor: str,
    idempotency_key: str,
    approved_by: str | None = None,
    address: str | None = None,
    at: datetime | None = None,
) -> Reversal:
    """Take a refund back, with its ledger row and audit entry. A double submit returns the first reversal.

    It has to be within the limits of the actor or, where a second operator approved it, of that one.
    Raises NotFound; Invalid (the note); Conflict when it was reversed before, when the policy returned it, or
    when its credits are no longer all there (`available` says how many are); Forbidden and NeedsApproval. In each
    case no credits moved.
    """
    at = at or datetime.now(UTC)
    operator = rooms.lock(session, approved_by or actor)
    refund = session.get(Refund, refund_id)
    if refund is None:
        raise NotFound("There is no such refund.")
    generation = session.get_one(
        Generation, refund.generation_id, with_for_update={"key_share": True}, populate_existing=True
    )
    first = of(session, refund_id)
    if first is not None and first.idempotency_key == idempotency_key:
        return first
    check(note)
    before = ledger.lock(session, refund.customer_id, at)
    there = _there(session, refund, at)
    problem = _problem(session, generation, refund, first, there)
    if problem is not None:
        raise Conflict(f"{problem} No credits moved.", available=there)
    approves = approved_by is not None
    rooms.check(session, operator, refund.credits, rooms.REVERSAL, terms, at=at, approves=approves)
    reversal_id = uuid7()
    values = {
        "reversal": reversal_id,
        "transaction": uuid7(),
        "refund": refund_id,
        "note": note.strip(),
        "actor": actor,
        "key": idempotency_key,
        "at": at,
    }
    after = session.scalar(REVERSE, values)
    details: dict[str, Any] = {
        "credits": refund.credits,
        "note": note.strip(),
        "customer_id": refund.customer_id,
        "generation_id": str(generation.id),
        "refunded_by": refund.actor,
        "before": {"refunded": generation.credits_refunded, "balance": before},
        "after": {"refunded": generation.credits_refunded - refund.credits, "balance": after},
    }
    if approved_by is not None:
        details["approved_by"] = approved_by
    subject = f"refund:{refund_id}"
    audit.record(session, actor=actor, action="refund.reversed", subject=subject, details=details, address=address)
    session.expire(generation)
    session.expire(refund)
    return session.get_one(Reversal, reversal_id)


def _there(session: Session, refund: Refund, at: datetime) -> int:
    """Credits of the refund that the grants it went to still hold."""
    query = (
        select(func.coalesce(func.sum(func.least(Movement.credits, Grant.remaining)), 0))
        .join(Grant, Grant.id == Movement.grant_id)
        .where(Movement.transaction_id == refund.transaction_id)
        .where(or_(Grant.expires_at.is_(None), Grant.expires_at > at))
    )
    return int(session.scalar(query) or 0)


def _problem(
    session: Session, generation: Generation, refund: Refund, first: Reversal | None, there: int
) -> str | None:
    """Why the refund cannot be reversed; None if it can."""
    if first is not None:
        return f"{first.actor} has reversed this refund already."
    if refund.origin == "automatic":
        return "The refund policy returned these credits, and what it returned stays."
    kept = _kept(session, generation)
    if generation.credits_refunded - refund.credits < kept:
        return (
            f"The generation {'failed' if _failed(generation) else 'was cancelled'}: by the refund policy {kept} "
            f"of the {generation.credits_charged} credits stay with the customer."
        )
    if there < refund.credits:
        spent = "None" if there == 0 else f"Only {there}"
        verb = "is" if there == 1 else "are"
        return f"{spent} of the {refund.credits} credits {verb} still there: the rest was spent or has expired."
    return None


def _kept(session: Session, generation: Generation) -> int:
    """Credits that the policy gives back for how the generation ended."""
    failed = _failed(generation)
    if not failed and generation.status != "cancelled":
        return 0
    if not failed and generation.provider == EXTERNAL and generation.submitted_at is None:
        return generation.credits_charged
    automatic = session.scalar(
        select(Refund)
        .where(Refund.generation_id == generation.id, Refund.origin == "automatic")
        .where((Refund.reason != CANCELLED) if failed else (Refund.reason == CANCELLED))
        .limit(1)
    )
    error_class = generation.error_class or (None if failed else CANCELLED)
    if automatic is not None and automatic.policy_version is not None:
        version, error_class = automatic.policy_version, automatic.reason
    else:
        late = generation.late_outcome == "failed"
        version = _version(session, generation.late_at if late else generation.ended_at)
    rows = session.execute(
        select(RefundPolicy.error_class, RefundPolicy.percent).where(RefundPolicy.version == version)
    )
    percents = {row.error_class: row.percent for row in rows}
    if error_class is None:  # nobody keeps why it failed late: the best that the policy gives for a failure
        percent = max((share for named, share in percents.items() if named != CANCELLED), default=100)
    else:
        percent = percents.get(error_class, percents.get(UNKNOWN, 100))
    return (generation.credits_charged * percent + 50) // 100


def _failed(generation: Generation) -> bool:
    """Whether it failed, or did after all. What succeeded after it had failed did fail."""
    return generation.status == "failed" or generation.late_outcome == "failed"


def _version(session: Session, at: datetime | None) -> int:
    """The version of the policy that was in force then; the first one for a time before it."""
    newest = select(func.max(RefundPolicy.version)).where(RefundPolicy.created_at <= at)
    return session.scalar(newest) or session.scalar(select(func.min(RefundPolicy.version))) or 0


def check(note: str) -> None:
    """Whether the note says why. Raises Invalid."""
    problem = None
    if not note.strip():
        problem = "say in a few words why"
    elif len(note) > MAX_NOTE or "\0" in note:
        problem = f"must be at most {MAX_NOTE} characters of text"
    if problem:
        raise Invalid("The refund was not reversed. No credits moved.", fields={"note": problem})
