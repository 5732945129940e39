"""How a customer can pay at Stripe, asked there when somebody wants to see it."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import current_app, render_template

from blueprints import access
from blueprints.admin import blueprint, dialogs
from extensions import db
from makegood import audit, customers, throttles
from makegood.stripe import payment_methods
from makegood.stripe.client import StripeProblem
from makegood.stripe.payment_methods import Method


@blueprint.get("/payment-methods/<identifier:customer_id>", endpoint="payment_methods", merge_slashes=False)
@access.throttled(throttles.SEARCHES)
def show_payment_methods(customer_id: str) -> str:
    """The customer's ways to pay, as Stripe knows them now, or why it did not say. Who looked is audited."""
    customers.get(db.session(), customer_id)
    owners = payment_methods.owners(db.session(), customer_id)
    audit.viewed(
        db.session(),
        actor=access.actor(),
        subject=f"payment_methods:{customer_id}",
        address=access.client_address(),
        at=datetime.now(UTC),
    )
    db.session.commit()  # no transaction is open while Stripe is asked
    found, problem = _ask(owners)
    return render_template(
        f"admin/payment_methods{'_dialog' if dialogs.in_place() else ''}.html",
        customer_id=customer_id,
        owners=owners,
        found=found,
        problem=problem,
    )


def _ask(owners: list[str]) -> tuple[list[Method], str | None]:
    client = current_app.extensions["stripe"]
    if client is None:
        return [], "STRIPE_API_KEY is not set: Stripe cannot be asked."
    try:
        return payment_methods.ask(client, owners), None
    except StripeProblem as problem:
        return [], str(problem)
