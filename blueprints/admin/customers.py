"""One customer: balance, grants, ledger and generations."""

from __future__ import annotations

from flask import current_app, render_template, request

from blueprints.admin import blueprint
from extensions import db
from makegood import accounts
from makegood.stats import begin_snapshot

LAST_ENTRY = 2**63 - 1


@blueprint.get("/customers/<path:customer_id>")
def customer(customer_id: str) -> str:
    """The customer's page. `before` is the ledger entry with which the newer page ended."""
    before = request.args.get("before", type=int)
    if before is not None and not 0 < before <= LAST_ENTRY:
        before = None
    begin_snapshot(db.session())
    terms = current_app.config["SETTINGS"].terms
    account = accounts.read(db.session(), customer_id, terms, before=before)
    return render_template("admin/customer.html", account=account, first_page=before is None)
