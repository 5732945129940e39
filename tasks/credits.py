"""Tasks that move credits by the clock, and close what nobody decided about them."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Flask

from extensions import db
from makegood import approvals, grants, purchases
from makegood.purchases import checks
from tasks import in_batches, terms


def expire_grants(app: Flask) -> None:
    """Take expired credits out of the balances."""
    in_batches(lambda: grants.expire_due(db.session))


def give_allowances(app: Flask) -> None:
    """Give the month's allowance to those who have not had it."""
    in_batches(lambda: grants.give_allowances(db.session, timezone=terms(app).timezone))


def catch_up_purchases(app: Flask) -> None:
    """Credit payments that could not be credited at once, and settle debts from what refunds returned."""
    lifetime = terms(app).returned_credits_live
    purchases.catch_up(db.session(), lifetime=lifetime)
    db.session.commit()
    in_batches(lambda: purchases.debts.settle(db.session()))


def check_purchases(app: Flask) -> None:
    """See whether all that was paid for is credited, and the other way round."""
    checks.run_and_alert(db.session())
    db.session.commit()


def expire_approvals(app: Flask) -> None:
    """Close the requests that nobody decided in time."""
    approvals.expire_due(db.session(), at=datetime.now(UTC))
    db.session.commit()
