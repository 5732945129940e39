"""Stripe's events: every one that came, one with its JSON, what came of it, and applying it again."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from flask import current_app, flash, redirect, render_template, url_for
from werkzeug import Response

from blueprints import access, bodies, formats
from blueprints.access import poll
from blueprints.admin import blueprint, exports, filters, lists
from extensions import db
from makegood.errors import Conflict
from makegood.models.stripe import EVENT_STATES
from makegood.stats import begin_snapshot
from makegood.stripe import applying, event_list
from makegood.stripe.event_list import EventFilters, Listed

LABELS = {"state": "State", "type": "Type", "object": "Object"}
STATES = {state: formats.words(state) for state in EVENT_STATES}
TYPES = {
    "charge.": "Charges and disputes",
    "charge.dispute.": "Disputes",
    "checkout.session.": "Checkout sessions",
    "coupon.": "Coupons",
    "customer.": "Customers and subscriptions",
    "customer.subscription.": "Subscriptions",
    "invoice.": "Invoices",
    "invoice_payment.": "Invoice payments",
    "payout.": "Payouts",
    "price.": "Prices",
    "product.": "Products",
    "refund.": "Refunds",
}
"""What can be chosen; any other type, or beginning of one, can stand in the URL."""
PRIVATE = re.compile(
    r"(.*_)?url|invoice_pdf|customer_details|billing_details|collected_information|(customer_)?shipping"
    r"|shipping_details|.*address.*|.*phone.*|.*fingerprint.*"
)
"""Fields of which nothing is shown: links that open without a log-in, and who somebody is and where they live."""
MOST_TEXT = 100_000
"""So many characters of an event are shown; it is kept whole."""
WITHOUT_KEY = "It waits for STRIPE_API_KEY, which is not set: without it nothing can be read from Stripe."
SOON = timedelta(minutes=1)
"""A page whose event is tried again within this keeps asking what came of it."""


@blueprint.get("/stripe/events")
def stripe_events() -> str:
    """Events, the last to come first, as the filters in the URL say."""
    begin_snapshot(db.session())
    settings = current_app.config["SETTINGS"]
    return render_template(
        "admin/stripe_events.html",
        **LIST.shown(),
        counts=event_list.counts(db.session()),
        states=STATES,
        types=TYPES,
        endpoint_url=f"{settings.public_url}{url_for('stripe.receive')}",
        stripe=settings.stripe,
    )


@blueprint.get("/stripe/events/<event_id>")
def stripe_event(event_id: str) -> str:
    """One event as it came, and what came of it."""
    begin_snapshot(db.session())
    known = event_list.read(db.session(), event_id)
    kind, text = bodies.body_view(known.event.raw, PRIVATE)
    return render_template(
        "admin/stripe_event.html",
        known=known,
        soon=_soon(known),
        body_kind=kind,
        body=text[:MOST_TEXT],
        cut=len(text) > MOST_TEXT,
        has_key=_has_key(),
    )


@blueprint.get("/stripe/events/<event_id>/state")
@poll
def stripe_event_state(event_id: str) -> str:
    """What came of it so far, for the page that shows it."""
    known = event_list.read(db.session(), event_id)
    return render_template("admin/_stripe_event_state.html", known=known, soon=_soon(known))


@blueprint.post("/stripe/events/<event_id>/apply")
@access.requires("apply_callback")
def apply_stripe_event(event_id: str) -> Response:
    """Let the worker apply it now."""
    try:
        applying.apply_again(db.session(), event_id, actor=access.actor(), address=access.client_address())
        db.session.commit()
        soon = "The worker applies it now: what came of it stands below in a few seconds."
        flash(soon if _has_key() else WITHOUT_KEY, "info")
    except Conflict as conflict:
        db.session.rollback()
        flash(conflict.message, "error")
    return redirect(url_for("admin.stripe_event", event_id=event_id), 303)


@blueprint.post("/stripe/events/apply-failed")
@access.requires("apply_callback")
def apply_failed_stripe_events() -> Response:
    """Let the worker apply every event that has failed."""
    count = applying.apply_failed_again(db.session(), actor=access.actor(), address=access.client_address())
    db.session.commit()
    if count and not _has_key():
        flash(WITHOUT_KEY, "info")
    elif count:
        flash(f"The worker applies {formats.counted(count, 'event')} again now.", "info")
    else:
        flash("No event has failed. Nothing changed.", "ok")
    return redirect(url_for("admin.stripe_events"), 303)


def _has_key() -> bool:
    return current_app.extensions["stripe"] is not None


def _soon(known: event_list.Known) -> bool:
    """Whether something may come of it while somebody looks at its page."""
    event = known.event
    return _has_key() and event.state == "waiting" and event.next_try_at < datetime.now(UTC) + SOON


def _wanted(asked: filters.Filters) -> EventFilters:
    return EventFilters(asked["state"], asked["type"], asked["object"], asked.start, asked.end)


LIST = lists.add(
    lists.ListPage("admin.stripe_events", event_list.EVENTS, LABELS, _wanted, {"state": STATES, "type": TYPES}),
    "stripe-events",
    "Stripe events",
    tuple(exports.column(name) for name in Listed.__annotations__),
)
