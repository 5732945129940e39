"""The customers list, and one customer: credits, use, ledger, generations, refunds and notes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from flask import current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Select, select

from blueprints import access
from blueprints.admin import blueprint, exports, filters, lists, purchases
from extensions import db
from makegood import (
    accounts,
    adjustment_approvals,
    adjustments,
    approval_list,
    audit,
    customer_list,
    grants,
    ids,
    notes,
)
from makegood import customers as customer_rules
from makegood.customer_list import BALANCE, NEWEST, CustomerFilters
from makegood.errors import Invalid
from makegood.generation_log import choices
from makegood.models import CreditTransaction, CustomerNote
from makegood.stats import begin_snapshot

LAST_ENTRY = 2**63 - 1
FEW_WAITING = 3
LABELS = {
    "q": "Begins with",
    "tier": "Tier",
    "balance": "Balance",
    "order": "Order",
    "from": "Customer since",
}
CHOICES = {
    "balance": {"some": "Has credits", "none": "No credits", "owes": "Owes credits"},
    "order": {BALANCE: "highest balance first", NEWEST: "newest first"},
}


@blueprint.get("/customers")
def customers() -> str:
    """Customers as the filters in the URL say: newest first, or by their balance."""
    return render_template(
        "admin/customers.html",
        **LIST.shown(),
        paged="older" in request.args or "newer" in request.args,
        tiers=choices(db.session()).tiers,
        choices=CHOICES,
    )


@blueprint.get("/customers/<identifier:customer_id>", merge_slashes=False)
def customer(customer_id: str) -> str:
    """The customer's page. `before` is the ledger entry with which the newer page ended, `notes` the note.
    Who looked at whom is in the audit log."""
    shown = page(customer_id)
    db.session.rollback()  # the page's snapshot
    audit.viewed(
        db.session(),
        actor=access.actor(),
        subject=f"customer:{customer_id}",
        address=access.client_address(),
        at=datetime.now(UTC),
    )
    db.session.commit()
    return shown


@blueprint.post("/notes/<identifier:customer_id>", merge_slashes=False)
@access.requires("write_note")
def write_note(customer_id: str) -> ResponseReturnValue:
    """Keep a note: back to the customer's page, or the page again with what is wrong and what was typed."""
    body = request.form.get("body", "").replace("\r\n", "\n")
    key = request.form.get("idempotency_key", "")[:200] or str(ids.uuid7())
    try:
        notes.add(
            db.session(),
            customer_id,
            body,
            actor=access.actor(),
            idempotency_key=key,
            address=access.client_address(),
        )
    except Invalid as invalid:
        db.session.rollback()
        return page(customer_id, note=body, problem=invalid.message), invalid.status
    db.session.commit()
    flash("The note was saved.", "ok")
    return redirect(url_for("admin.customer", customer_id=customer_id, _anchor="notes-title"), 303)


def page(customer_id: str, *, note: str = "", problem: str = "") -> str:
    """The customer's page, with a note as typed where one was refused."""
    before = request.args.get("before", type=int)
    if before is not None and not 0 < before <= LAST_ENTRY:
        before = None
    begin_snapshot(db.session())
    account = accounts.read(
        db.session(),
        customer_id,
        current_app.config["SETTINGS"].terms,
        before=before,
        notes_before=_uuid(request.args.get("notes")),
    )
    now = datetime.now(UTC)
    waiting = approval_list.waiting_of(db.session(), account.customer.id, at=now)
    about = adjustment_approvals.subject_of(account.customer.id)
    return render_template(
        "admin/customer.html",
        account=account,
        approvers=approval_list.about(db.session(), [about], at=now).approvers,
        waiting=waiting,
        waits={request.subject: request for request in waiting},
        few_waiting=FEW_WAITING,
        first_page=before is None,
        reasons=adjustments.REASONS,
        note=note,
        problem=problem,
        note_key=str(ids.uuid7()),
        **purchases.account(),
    )


def _wanted(asked: filters.Filters) -> CustomerFilters:
    order = BALANCE if asked["order"] == BALANCE else NEWEST
    return CustomerFilters(asked["q"], asked["tier"], asked["balance"], asked.start, asked.end, order)


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None


def _named() -> str:
    """The customer whose tables are exported. Raises NotFound."""
    return customer_rules.get(db.session(), request.args.get("customer_id", "")).id


def _ledger() -> Select[*tuple[Any, ...]]:
    of = CreditTransaction.customer_id == _named()
    return select(*CreditTransaction.__table__.columns).where(of).order_by(CreditTransaction.entry.desc())


def _grants() -> Select[*tuple[Any, ...]]:
    return grants.select_open(_named(), datetime.now(UTC))


def _notes() -> Select[*tuple[Any, ...]]:
    of = CustomerNote.customer_id == _named()
    return select(*CustomerNote.__table__.columns).where(of).order_by(CustomerNote.id.desc())


LIST = lists.add(
    lists.ListPage("admin.customers", customer_list.CUSTOMERS, LABELS, _wanted, CHOICES),
    "customers",
    "Customers",
    (
        exports.column("customer_id", "id"),
        exports.column("email"),
        exports.column("tier"),
        exports.column("balance_credits", "balance"),
        exports.column("credits_owed", "owed"),
        exports.column("created_at"),
        exports.column("last_charged_day"),
    ),
)
exports.add(
    exports.Table(
        "ledger",
        "Ledger of a customer",
        "admin.customer",
        _ledger,
        (
            exports.column("occurred_at"),
            exports.column("ledger_id", "id"),
            exports.column("customer_id"),
            exports.column("entry"),
            exports.column("kind"),
            exports.column("credits", "amount"),
            exports.column("balance_after"),
            exports.column("generation_id"),
            exports.column("reason"),
            exports.column("by", "actor"),
        ),
        of_customer=lambda asked: asked.get("customer_id"),
    )
)
exports.add(
    exports.Table(
        "grants",
        "Open grants of a customer",
        "admin.customer",
        _grants,
        (
            exports.column("given_at", "created_at"),
            exports.column("grant_id", "id"),
            exports.column("customer_id"),
            exports.column("source"),
            exports.column("credits"),
            exports.column("remaining"),
            exports.column("expires_at"),
            exports.column("reason"),
        ),
        of_customer=lambda asked: asked.get("customer_id"),
    )
)
exports.add(
    exports.Table(
        "notes",
        "Notes on a customer",
        "admin.customer",
        _notes,
        (
            exports.column("written_at", "created_at"),
            exports.column("note_id", "id"),
            exports.column("customer_id"),
            exports.column("by", "actor"),
            exports.column("note", "body"),
        ),
        of_customer=lambda asked: asked.get("customer_id"),
    )
)
