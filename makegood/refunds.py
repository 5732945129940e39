"""Refunds: credits returned for one generation, automatically by policy or by an operator.

Never more than was charged, to the grants that they came from: `refund_generation` in the database does both.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import BigInteger, Text, bindparam, func, or_, select, text
from sqlalchemy.orm import Session

from makegood import approvals, audit, rooms
from makegood.errors import Conflict, IdempotencyConflict, Invalid, NotFound
from makegood.ids import uuid7
from makegood.models import Balance, Generation, Refund, RefundPolicy, Reversal
from makegood.terms import Terms

CANCELLED = "cancelled"
REASONS = {
    "bad_result": "Result was unusable",
    "wrong_charge": "Charged by mistake",
    "outage": "Incident or outage",
    "goodwill": "Goodwill",
    "other": "Other (see note)",
}
"""Why an operator refunds: code and label."""

MAX_NOTE = 1000
REFUND = text(
    "SELECT refund_generation(:refund, :transaction, :generation, :credits, :origin, :reason, :note, :actor, "
    ":policy_version, :key, :lifetime, :at)"
).bindparams(
    bindparam("policy_version", type_=BigInteger),
    bindparam("note", type_=Text),
    bindparam("key", type_=Text),
)


@dataclass(frozen=True)
class Issued:
    """Credits that a refund returned (0: none was due), and the balance after it."""

    credits: int
    balance: int


def share(session: Session, error_class: str) -> tuple[int, int]:
    """The percentage of the charge that comes back for an error class, and the policy's version.

    A class that the policy does not name is an unknown error; if it does not name that either, all comes back.
    """
    newest = select(func.max(RefundPolicy.version)).scalar_subquery()
    rows = session.execute(
        select(RefundPolicy.error_class, RefundPolicy.percent, RefundPolicy.version).where(
            RefundPolicy.version == newest, RefundPolicy.error_class.in_((error_class, "unknown_error"))
        )
    )
    named = {row.error_class: (row.percent, row.version) for row in rows}
    return named.get(error_class) or named.get("unknown_error") or (100, session.scalar(select(newest)) or 0)


def issue_automatic(
    session: Session,
    generation_id: UUID,
    error_class: str,
    terms: Terms,
    *,
    percent: int | None = None,
    actor: str = "system",
    at: datetime | None = None,
) -> Issued:
    """Return the policy's share (or `percent`) less what was refunded before. The generation has ended."""
    by_policy, version = share(session, error_class)
    generation = session.execute(
        select(
            Generation.customer_id,
            Generation.credits_charged,
            Generation.credits_refunded,
            Balance.balance,
        )
        .join(Balance, Balance.customer_id == Generation.customer_id)
        .where(Generation.id == generation_id)
    ).one()
    due = (generation.credits_charged * (by_policy if percent is None else percent) + 50) // 100
    credits = max(0, due - generation.credits_refunded)
    if credits == 0:
        return Issued(0, generation.balance)
    values = {
        "refund": uuid7(),
        "transaction": uuid7(),
        "generation": generation_id,
        "credits": credits,
        "origin": "automatic",
        "reason": error_class,
        "note": None,
        "actor": actor,
        "policy_version": version,
        "key": None,
        "lifetime": terms.returned_credits_live,
        "at": at or datetime.now(UTC),
    }
    return Issued(credits, session.scalar(REFUND, values) or 0)


def issue_manual(
    session: Session,
    generation_id: UUID,
    terms: Terms,
    *,
    credits: int,
    reason: str,
    note: str,
    actor: str,
    idempotency_key: str,
    expected_refunded: int,
    approved_by: str | None = None,
    address: str | None = None,
    at: datetime | None = None,
) -> Refund:
    """An operator's refund, with its ledger row and audit entry. A double submit returns the first refund.

    A form that comes again with something else in it, or after its refund was reversed, is an IdempotencyConflict.

    It has to be within the limits of the actor or, where a second operator approved it, of that one.
    Raises NotFound; Invalid (reason, note or amount); Conflict when `expected_refunded` is no longer what has
    been refunded; Forbidden and NeedsApproval. In each case no credits moved.
    """
    at = at or datetime.now(UTC)
    operator = rooms.lock(session, approved_by or actor)
    generation = session.get(
        Generation, generation_id, with_for_update={"key_share": True}, populate_existing=True
    )
    if generation is None:
        raise NotFound("There is no such generation.")
    first = made_by(session, generation, idempotency_key)
    if first is not None:
        check_repeated(session, first, credits, reason, note)
        return first
    if generation.credits_refunded != expected_refunded:
        raise Conflict(
            f"The generation changed meanwhile: {generation.credits_refunded} credits have been refunded "
            "by now. No credits moved.",
            credits_refunded=generation.credits_refunded,
        )
    check(generation, credits, reason, note)
    approves = approved_by is not None
    rooms.check(session, operator, credits, rooms.REFUND, terms, at=at, approves=approves)
    refund_id = uuid7()
    values = {
        "refund": refund_id,
        "transaction": uuid7(),
        "generation": generation_id,
        "credits": credits,
        "origin": "manual",
        "reason": reason,
        "note": note.strip(),
        "actor": actor,
        "policy_version": None,
        "key": idempotency_key,
        "lifetime": terms.returned_credits_live,
        "at": at,
    }
    after = session.scalar(REFUND, values) or 0
    details = {
        "credits": credits,
        "reason": reason,
        "note": note.strip(),
        "customer_id": generation.customer_id,
        "before": {"refunded": expected_refunded, "balance": after - credits},
        "after": {"refunded": expected_refunded + credits, "balance": after},
    }
    if approved_by is not None:
        details["approved_by"] = approved_by
    audit.record(
        session,
        actor=actor,
        action="refund.issued",
        subject=f"generation:{generation_id}",
        details=details,
        address=address,
    )
    session.expire(generation)
    return session.get_one(Refund, refund_id)


def made_by(session: Session, generation: Generation, idempotency_key: str) -> Refund | None:
    """What a form refunded: when it was sent, or when a second operator approved what it asked for."""
    approved = approvals.made_by("refund", f"generation:{generation.id}", idempotency_key)
    return session.scalar(
        select(Refund).where(
            Refund.customer_id == generation.customer_id,
            Refund.generation_id == generation.id,
            Refund.origin == "manual",
            or_(Refund.idempotency_key == idempotency_key, Refund.id.in_(approved)),
        )
    )


def check_repeated(session: Session, first: Refund, credits: int, reason: str, note: str) -> None:
    """Whether a form that refunded `first` says the same again, and that refund stands. Raises
    IdempotencyConflict."""
    if (first.credits, first.reason, first.note) != (credits, reason, note.strip()):
        raise IdempotencyConflict(
            f"This form refunded {first.credits} credits when it was sent before. No more moved."
        )
    reverser = session.scalar(select(Reversal.actor).where(Reversal.refund_id == first.id))
    if reverser is not None:
        raise IdempotencyConflict(
            f"This form refunded {first.credits} credits, and {reverser} has reversed that. No credits moved."
        )


def check(generation: Generation, credits: int, reason: str, note: str) -> None:
    """Whether an operator may return so many credits of this generation, for that reason. Raises Invalid."""
    left = generation.credits_charged - generation.credits_refunded
    fields = {}
    if left == 0:
        fields["credits"] = "everything that was charged has been refunded already"
    elif not 0 < credits <= left:
        fields["credits"] = f"must be a whole number from 1 to {left}, what is left of the charge"
    if reason not in REASONS:
        fields["reason"] = "choose a reason from the list"
    if not note.strip():
        fields["note"] = "say in a few words why"
    elif len(note) > MAX_NOTE or "\0" in note:
        fields["note"] = f"must be at most {MAX_NOTE} characters of text"
    if fields:
        raise Invalid("The refund is not valid. No credits moved.", fields=fields)
