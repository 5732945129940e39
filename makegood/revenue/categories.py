"""What Stripe's reporting categories mean for revenue.

`reporting_category` and not `type`: disputes, reversals and fees are all of the type `adjustment`, and cards and
bank debits have different ones (https://docs.stripe.com/reports/reporting-categories). The list is open-ended; a
category that is not known here is shown and counted by itself, in no other figure.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, or_

GROSS = "gross"
REFUNDS = "refunds"
DISPUTES = "disputes"
ACCOUNT_FEES = "account_fees"
TAX_ON_FEES = "tax_on_fees"
MOVED = "moved"
OTHER = "other"

FIGURES = {
    "charge": GROSS,
    "charge_failure": GROSS,
    "partial_capture_reversal": GROSS,
    "refund": REFUNDS,
    "refund_failure": REFUNDS,
    "dispute": DISPUTES,
    "dispute_reversal": DISPUTES,
    "fee": ACCOUNT_FEES,
    "network_cost": ACCOUNT_FEES,
    "tax": TAX_ON_FEES,
    "payout": MOVED,
    "payout_reversal": MOVED,
    "topup": MOVED,
    "topup_reversal": MOVED,
    "contribution": MOVED,
    "risk_reserved_funds": MOVED,
    "connect_reserved_funds": MOVED,
}
"""The figure that a category's amounts belong to. MOVED is money that changes its place: no revenue, no cost."""
MOVING = ("transfer", "climate", "financing_", "issuing_")
"""How further categories begin that only move money: transfers, climate orders, financing, issued cards."""


def figure_of(category: str) -> str:
    """The figure that the amounts of a reporting category belong to; OTHER for one that is not known here."""
    known = FIGURES.get(category)
    return known or (MOVED if category.startswith(MOVING) else OTHER)


def belongs(category: ColumnElement[Any], figure: str) -> ColumnElement[bool]:
    """Whether a column's reporting category belongs to a figure."""
    moving = or_(*(category.startswith(prefix, autoescape=True) for prefix in MOVING))
    if figure == OTHER:
        return category.not_in(FIGURES) & ~moving
    named = category.in_([name for name, of in FIGURES.items() if of == figure])
    return or_(named, moving) if figure == MOVED else named
