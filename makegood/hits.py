"""What can be found, and what to say of it: everything that has an id of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from makegood.models import (
    ApiKey,
    Approval,
    Bill,
    BillLine,
    BulkRefund,
    Callback,
    Clawback,
    CreditAdjustment,
    CreditTransaction,
    Customer,
    CustomerNote,
    Generation,
    Grant,
    Notification,
    Operator,
    Price,
    Purchase,
    Recompute,
    Refund,
    Reversal,
)

OPERATOR, API_KEY = "operator", "API key"


@dataclass(frozen=True)
class Hit:
    """Something that has the id: what it is, in words, and what leads to its page.

    `kind` names the page and `place` its arguments; `title` says which one, `note` whose, `at` when it happened.
    """

    kind: str
    place: Mapping[str, object]
    title: str
    note: str = ""
    at: datetime | None = field(default=None, compare=False)


def customer(row: Customer) -> Hit:
    """A customer, by our id or what else names them."""
    return Hit("customer", {"customer_id": row.id}, row.id, row.email or "no e-mail address", row.created_at)


def operator(_: Session, row: Operator) -> Hit:
    """An operator, with their role."""
    return Hit(OPERATOR, {"operator_id": row.id}, row.email, row.role, row.created_at)


def api_key(_: Session, row: ApiKey) -> Hit:
    """An API key: how it begins, never the key itself."""
    note = f"begins with {row.hint}" + (", revoked" if row.revoked_at else "")
    return Hit(API_KEY, {"key_id": row.id}, row.name, note, row.created_at)


def generation(_: Session, row: Generation) -> Hit:
    """A generation, and what became of it."""
    title = f"{row.model}, {row.status.replace('_', ' ')}"
    return Hit("generation", {"generation_id": row.id}, title, f"of {row.customer_id}", row.charged_at)


def _refund(_: Session, row: Refund) -> Hit:
    title = f"{row.credits} credits, by {row.actor}"
    return Hit("refund", {"generation_id": row.generation_id}, title, f"to {row.customer_id}", row.issued_at)


def _reversal(_: Session, row: Reversal) -> Hit:
    title = f"{row.credits} credits, by {row.actor}"
    return Hit("reversal", {"generation_id": row.generation_id}, title, f"of {row.customer_id}", row.reversed_at)


def _entry(_: Session, row: CreditTransaction) -> Hit:
    place = {"customer_id": row.customer_id, "entry": row.entry}
    return Hit("ledger", place, f"{row.kind} {row.amount:+}", f"of {row.customer_id}", row.occurred_at)


def _adjustment(session: Session, row: CreditAdjustment) -> Hit:
    return _entry(session, session.get_one(CreditTransaction, row.transaction_id))


def _grant(_: Session, row: Grant) -> Hit:
    place = {"customer_id": row.customer_id, "grant_id": row.id}
    return Hit("grant", place, f"{row.credits} credits, {row.source}", f"to {row.customer_id}", row.created_at)


def _note(_: Session, row: CustomerNote) -> Hit:
    place = {"customer_id": row.customer_id, "note_id": row.id}
    return Hit("note", place, f"by {row.actor}", f"on {row.customer_id}", row.created_at)


def _callback(_: Session, row: Callback) -> Hit:
    title = f"{row.provider}, {row.state}"
    return Hit("callback", {"callback_id": row.id}, title, f"of {row.customer_id}", row.received_at)


def _notification(_: Session, row: Notification) -> Hit:
    return Hit(
        "notification", {"generation_id": row.generation_id}, row.event.replace("_", " "), "", row.created_at
    )


def _bill(_: Session, row: Bill) -> Hit:
    return Hit("bill", {"bill_id": row.id}, f"{row.provider}, {row.state}", row.file_name or "", row.created_at)


def _line(_: Session, row: BillLine) -> Hit:
    return Hit("bill line", {"line_id": row.id}, f"{row.provider} {row.line_id}", "", row.billed_at)


def _price(_: Session, row: Price) -> Hit:
    place = {
        "provider": row.provider,
        "model": row.model,
        "unit": row.unit,
        "qualifier": row.qualifier,
        "version": row.version,
    }
    return Hit("price", place, f"{row.provider} {row.model}", f"version {row.version}", row.effective_from)


def _recompute(_: Session, row: Recompute) -> Hit:
    return Hit("recompute", {}, row.provider, f"by {row.actor}", row.created_at)


def _bulk(_: Session, row: BulkRefund) -> Hit:
    title = f"{row.provider}, {row.credits} credits, {row.state}"
    return Hit("bulk refund", {"bulk_refund_id": row.id}, title, f"by {row.actor}", row.created_at)


def _approval(_: Session, row: Approval) -> Hit:
    title = f"{row.credits} credits, {row.state}"
    return Hit("approval", {"approval_id": row.id}, title, f"asked by {row.requested_by}", row.created_at)


def _purchase(_: Session, row: Purchase) -> Hit:
    title = f"{row.credits} credits"
    return Hit("purchase", {"purchase_id": row.id}, title, f"of {row.customer_id}", row.paid_at)


def _clawback(session: Session, row: Clawback) -> Hit:
    return _purchase(session, session.get_one(Purchase, row.purchase_id))


BY_ID: Mapping[Any, Callable[[Session, Any], Hit]] = {
    Generation: generation,
    Refund: _refund,
    Reversal: _reversal,
    CreditTransaction: _entry,
    CreditAdjustment: _adjustment,
    Grant: _grant,
    CustomerNote: _note,
    Callback: _callback,
    Notification: _notification,
    Bill: _bill,
    BillLine: _line,
    Price: _price,
    Recompute: _recompute,
    BulkRefund: _bulk,
    Approval: _approval,
    Purchase: _purchase,
    Clawback: _clawback,
    Operator: operator,
    ApiKey: api_key,
}
"""By the table whose id it is."""
