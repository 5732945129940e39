"""POST /webhooks/stripe: what Stripe tells us. The rules: `makegood.stripe.signatures` and `.events`."""

from __future__ import annotations

from datetime import UTC, datetime

import structlog
from flask import Blueprint, Response, current_app, jsonify, request
from prometheus_client import Counter

from blueprints import raw_body
from extensions import csrf, db
from makegood.stripe import events, signatures

blueprint = Blueprint("stripe", __name__, url_prefix="/webhooks")
csrf.exempt(blueprint)

deliveries = Counter("makegood_stripe_deliveries", "Deliveries of Stripe's by what became of them", ["result"])
log = structlog.get_logger()


@blueprint.post("/stripe")
def receive() -> Response:
    """Keep one delivery; the worker applies it. 200 only after the commit.

    What is not genuine, or is no event, is 400 with a sentence that Stripe shows beside the delivery, and nothing
    of it is kept. While the database is away 503, so that Stripe delivers again.
    """
    body = raw_body.read(events.MAX_BODY)
    settings = current_app.config["SETTINGS"].stripe
    header = request.headers.get("Stripe-Signature", "")
    try:
        signatures.verify(settings.webhook_secrets, header, body, datetime.now(UTC))
        new = events.receive(db.session(), body, grants_since=settings.grants_since)
    except (signatures.NotGenuine, events.NotAnEvent) as refusal:
        deliveries.labels("refused").inc()
        log.warning("stripe_delivery_refused", problem=refusal.message)
        raise
    db.session.commit()
    deliveries.labels("new" if new else "repeated").inc()
    return jsonify(state="stored" if new else "known")
