"""A request for approval as its page shows it: what it is about, what stands in its way, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass

from flask import url_for
from flask_login import current_user
from sqlalchemy.orm import Session

from blueprints import formats
from blueprints.admin import limits, rooms
from makegood import (
    adjustment_approvals,
    adjustments,
    audit_log,
    ledger,
    limit_approvals,
    refund_approvals,
    reversal_approvals,
    reversals,
)
from makegood.models import Approval, CreditAdjustment, Generation, Refund
from makegood.rooms import GIFT, REFUND, REVERSAL, TAKING, Purpose, Room

OF_CREDITS = ("refund", "adjustment", "reversal")
"""The kinds of requests that move a customer's credits, once."""


@dataclass(frozen=True)
class About:
    """What a request moves credits of: the customer and the balance now, and the generation and refund if any."""

    customer_id: str
    balance: int
    generation: Generation | None
    refund: Refund | None
    reason: str | None


def title(request: Approval) -> str:
    """What is asked for, in a few words."""
    credits = formats.counted(abs(request.credits), "credit")
    if request.kind == "adjustment":
        return f"{'Give' if request.credits > 0 else 'Take'} {credits} by adjustment"
    if request.kind == "new_limits":
        return "Higher limits"
    if request.kind == "new_admin":
        return request.note
    return f"{formats.words(request.kind)} of {credits}"


def about(session: Session, request: Approval) -> About | None:
    """What it is about; None for a bulk refund, which has a page of its own, and where no credits move."""
    if request.kind not in OF_CREDITS:
        return None
    generation, refund, reason = None, None, request.details.get("reason")
    if request.kind == "refund":
        generation = session.get(Generation, refund_approvals.generation_of(request))
    elif request.kind == "reversal":
        refund = session.get_one(Refund, reversal_approvals.refund_of(request))
        generation, reason = session.get(Generation, refund.generation_id), None
    customer_id = request.details["customer_id"]
    named = reason and (
        adjustments.REASONS.get(reason) if request.kind == "adjustment" else formats.reason(reason)
    )
    return About(customer_id, ledger.balance(session, customer_id), generation, refund, named)


def obstacle(session: Session, request: Approval) -> str | None:
    """Why a request that waits cannot be approved as it is now; None if it can."""
    if request.state != "pending":
        return None
    if request.kind == "refund":
        generation = session.get_one(Generation, refund_approvals.generation_of(request))
        if generation.credits_refunded == request.details["expected_refunded"]:
            return None
        credits = formats.counted(generation.credits_refunded, "credit")
        verb = "has" if generation.credits_refunded == 1 else "have"
        return f"The generation changed since this was asked for: {credits} {verb} been refunded by now."
    if request.kind == "reversal":
        return reversals.look(session, reversal_approvals.refund_of(request)).problem
    if request.kind == "adjustment":
        if adjustment_approvals.changed(session, request):
            return "The customer’s credits were adjusted since this was asked for."
        balance = ledger.balance(session, request.details["customer_id"])
        if balance + request.credits < 0:
            return f"The customer has only {formats.counted(balance, 'credit')} by now."
    if request.kind == "new_limits" and limit_approvals.changed(session, request):
        return "The limits were changed since this was asked for."
    return None


def changes(request: Approval) -> list[tuple[str, str, str]]:
    """What a request for higher limits changes: whose and which limit, before, and after."""
    if request.kind != "new_limits":
        return []
    found = []
    for change in audit_log.changes(request.details):
        role, _, name = change.name.partition(" ")
        label = limits.LABELS[name]
        whose = f"{formats.words(role)}: {label[0].lower()}{label[1:]}"
        found.append((whose, limits.said(name, change.before), limits.said(name, change.after)))
    return found


def result(session: Session, request: Approval) -> tuple[str, str] | None:
    """The address of what an approved request made, and what that is called."""
    if request.result_id is None:
        return None
    if request.kind == "adjustment":
        adjustment = session.get_one(CreditAdjustment, request.result_id)
        entry = ledger.entry(session, adjustment.transaction_id)
        page = url_for("admin.customer", customer_id=adjustment.customer_id, before=entry + 1)
        return f"{page}#entry-{entry}", "See it in the ledger"
    generation_id = request.details.get("generation_id") or refund_approvals.generation_of(request)
    page = url_for("admin.generation", generation_id=generation_id)
    return f"{page}#{request.kind}-{request.result_id}", f"See the {request.kind}"


def room(request: Approval) -> Room | None:
    """What bounds the operator who looks, if they approve; None for an admin, and where nothing does."""
    purpose = _purpose(request)
    return rooms.room(purpose) if purpose is not None and current_user.role != "admin" else None


def _purpose(request: Approval) -> Purpose | None:
    if request.kind == "adjustment":
        return GIFT if request.credits > 0 else TAKING
    return {"refund": REFUND, "reversal": REVERSAL}.get(request.kind)
