"""To link: Stripe's customers and guests of whom nobody could tell who they are here, and linking one."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from flask import current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from blueprints import access, formats
from blueprints.admin import blueprint, exports, filters, lists
from blueprints.admin.purchases import about
from extensions import db
from makegood import throttles
from makegood.errors import Conflict, Invalid
from makegood.models import Customer
from makegood.purchases import manual_links, waiting_room
from makegood.purchases.waiting_room import UnlinkedFilters
from makegood.stats import begin_snapshot

LABELS = {"kind": "Kind", "email": "E-mail address"}
KINDS = {
    "customer": "Stripe customer",
    "payment": "Payment of a guest",
    "checkout": "Checkout of a guest, nothing to pay",
}


@dataclass(frozen=True)
class LinkForm:
    """The form as it is shown: what was typed, what is wrong with it, and, to be agreed to, what would move."""

    customer_id: str = ""
    moves: manual_links.Moved | None = None
    customer: Customer | None = None
    problems: dict[str, str] = field(default_factory=dict)
    summary: str = ""


@blueprint.get("/purchases/unlinked")
def unlinked() -> str:
    """What nobody could link, newest first."""
    begin_snapshot(db.session())
    return render_template(
        "admin/purchase_unlinked.html",
        **LIST.shown(),
        kinds=KINDS,
        **about(),
    )


@blueprint.get("/purchases/unlinked/<kind>/<object_id>")
@access.requires("link_stripe")
def link_form(kind: str, object_id: str) -> str:
    """The form that asks whose it is."""
    return _show(kind, object_id, LinkForm())


@blueprint.post("/purchases/unlinked/<kind>/<object_id>")
@access.requires("link_stripe")
@access.confirmed
@access.throttled(throttles.REFUNDS)
def link(kind: str, object_id: str) -> ResponseReturnValue:
    """First what a link to this customer would move. When that was agreed to, link it: to the customer's page, or
    the form again with what is wrong."""
    customer_id = request.form.get("customer_id", "").strip()
    agreed = _agreed()
    try:
        if agreed is None:
            return _ask(kind, object_id, customer_id)
        credited = manual_links.link(
            db.session(),
            kind,
            object_id,
            customer_id,
            actor=access.actor(),
            address=access.client_address(),
            lifetime=_lifetime(),
            agreed=agreed,
        )
    except Invalid as invalid:
        db.session.rollback()
        form = LinkForm(customer_id, problems=invalid.details["fields"], summary=invalid.message)
        return _show(kind, object_id, form), 422
    except manual_links.Changed as changed:
        db.session.rollback()
        return _ask(kind, object_id, customer_id, changed.message), changed.status
    except manual_links.AlreadyLinked as already:
        db.session.rollback()
        flash(already.message, "info")
        return redirect(url_for("admin.customer", customer_id=customer_id, _anchor="purchases-title"), 303)
    except Conflict as conflict:
        db.session.rollback()
        flash(conflict.message, "error")
        return redirect(url_for("admin.unlinked"), 303)
    db.session.commit()
    what = f"credited {formats.counted(credited, 'purchase')}" if credited else "no purchase waited for it"
    flash(f"Linked to {customer_id}: {what}.", "ok")
    return redirect(url_for("admin.customer", customer_id=customer_id, _anchor="purchases-title"), 303)


def _agreed() -> manual_links.Moved | None:
    """What the operator saw and agreed to; None if nothing was shown yet."""
    try:
        return manual_links.Moved(*(int(request.form[name][:15]) for name in ("purchases", "credits", "taken")))
    except (KeyError, ValueError):
        return None


def _ask(kind: str, object_id: str, customer_id: str, summary: str = "") -> str:
    moves = manual_links.preview(db.session(), kind, object_id, customer_id, lifetime=_lifetime())
    db.session.rollback()
    customer = db.session.get(Customer, customer_id)
    return _show(kind, object_id, LinkForm(customer_id, moves, customer, summary=summary))


def _lifetime() -> timedelta:
    lifetime: timedelta = current_app.config["SETTINGS"].terms.returned_credits_live
    return lifetime


def _show(kind: str, object_id: str, form: LinkForm) -> str:
    found = waiting_room.get(db.session(), kind, object_id)
    return render_template("admin/purchase_link.html", found=found, form=form, kinds=KINDS, **about())


def _wanted(asked: filters.Filters) -> UnlinkedFilters:
    return UnlinkedFilters(asked["kind"], asked["email"])


LIST = lists.add(
    lists.ListPage("admin.unlinked", waiting_room.UNLINKED, LABELS, _wanted, {"kind": KINDS}),
    "unlinked",
    "To link",
    (
        exports.column("created_at"),
        exports.column("kind"),
        exports.column("stripe_id", "id"),
        exports.column("email"),
        exports.column("names_user", "user_id"),
        exports.column("payments"),
        exports.major("amount"),
        exports.column("currency"),
    ),
)
