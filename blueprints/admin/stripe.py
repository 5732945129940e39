"""How far Stripe has been read, list by list, and asking for more of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import current_app, flash, redirect, render_template, url_for
from werkzeug import Response

from blueprints import access
from blueprints.access import poll
from blueprints.admin import blueprint
from blueprints.admin.dialogs import in_place
from extensions import db
from makegood.models import StripeAccount
from makegood.stats import begin_snapshot
from makegood.stripe import event_list, progress
from makegood.stripe.client import API_VERSION

STATES = {
    "waiting": ("Waiting", "quiet"),
    "backfill": ("Being read", "info"),
    "current": ("Current", "ok"),
    "no_permission": ("No permission", "warn"),
    "failed": ("Failed", "bad"),
}
"""The words of each state, and their colour."""
PAYMENT_METHODS = "Payment Methods"
"""What a customer's ways to pay need; no list does."""


@blueprint.get("/stripe", endpoint="stripe")
def show_stripe() -> str:
    """Each list of Stripe, and how webhooks come."""
    settings = current_app.config["SETTINGS"]
    return render_template(
        "admin/stripe.html",
        permissions=sorted({PAYMENT_METHODS, *(progress.permission(name) for name in progress.NAMES)}),
        endpoint_url=f"{settings.public_url}{url_for('stripe.receive')}",
        api_version=API_VERSION,
        **_reading(),
    )


@blueprint.get("/stripe/reading")
@poll
def stripe_reading() -> str:
    """The same again, for the page that shows it."""
    return render_template("admin/_stripe_reading.html", **_reading())


@blueprint.get("/stripe/read-again")
@access.requires("sync_stripe")
def read_stripe_again_form() -> str:
    """What reading everything again means, to be confirmed: a dialog for htmx, else a page."""
    template = "admin/stripe_read_again_dialog.html" if in_place() else "admin/stripe_read_again.html"
    return render_template(template, reading=progress.read(db.session()))


@blueprint.post("/stripe/read-again")
@access.requires("sync_stripe")
def read_stripe_again() -> Response:
    """Read every list down to its oldest object once more, unless that is under way."""
    if progress.read(db.session()).under_way:
        flash("Everything is being read already, so nothing was begun anew.", "info")
        return redirect(url_for("admin.stripe"), 303)
    progress.read_all_again(db.session(), actor=access.actor(), address=access.client_address())
    db.session.commit()
    flash("Every list is read once more. What is known stays meanwhile.", "ok")
    return redirect(url_for("admin.stripe"), 303)


@blueprint.post("/stripe/lists/<name>/try-again")
@access.requires("sync_stripe")
def try_stripe_again(name: str) -> Response:
    """Read a list now instead of when it would be its turn."""
    progress.try_again(db.session(), name, actor=access.actor(), address=access.client_address())
    db.session.commit()
    flash(f"{progress.title(name)}: the worker tries it now.", "info")
    return redirect(url_for("admin.stripe", _anchor=f"list-{name}"), 303)


def _reading() -> dict[str, Any]:
    begin_snapshot(db.session())
    reading = progress.read(db.session())
    return {
        "reading": reading,
        "account": db.session.get(StripeAccount, 1),
        "counts": event_list.counts(db.session()),
        "stripe": current_app.config["SETTINGS"].stripe,
        "overdue": reading.overdue(datetime.now(UTC)),
        "states": STATES,
        "title": progress.title,
    }
