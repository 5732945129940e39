"""What GET /api/admin/revenue says of margin and of credits that are owed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from makegood import money
from makegood.ranges import Range
from makegood.revenue import liability, margin
from makegood.revenue.margin_rules import LIABILITY, MARGIN
from makegood.revenue.results import Dollars
from settings import Settings

CENTS = 100
RATE = Decimal("0.000001")
IN_CENTS = "In cents of US dollars."


def fields(session: Session, settings: Settings, span: Range) -> tuple[dict[str, Any], dict[str, str]]:
    """The fields, and the rule behind each."""
    view = margin.report(session, settings.terms, margin.whole_days(span, settings.terms))
    all_ = view.total
    values = {
        "provider_cost": _cents(all_.cost),
        "platform_loss": _cents(all_.loss),
        "profit": _cents(all_.profit),
        "margin": _rate(all_.margin),
        "profit_recognised": _cents(all_.recognised_profit),
        "margin_recognised": _rate(all_.recognised_margin),
        "credit_liability": _liability(session) if view.since else None,
    }
    why = f" Null: {view.unread}" if view.unread else ""
    if view.missing:
        why += f" Null: no exchange rate for {', '.join(view.missing)} on some day."
    if view.since is None:
        why += " Null: no credits have been sold through Stripe yet."
    unknown = f" {all_.unknown_costs} generations of unknown cost are not in it." if all_.unknown_costs else ""
    rules = {
        "provider_cost": f"{MARGIN['cost']} {IN_CENTS}{unknown}",
        "platform_loss": f"{MARGIN['loss']} {IN_CENTS}",
        "profit": f"On cash. {MARGIN['profit']} {MARGIN['revenue']} {MARGIN['days']} {IN_CENTS}{unknown}{why}",
        "margin": f"On cash. {MARGIN['margin']}{why}",
        "profit_recognised": f"As profit, on recognised revenue. {IN_CENTS}{unknown}{why}",
        "margin_recognised": f"As margin, on recognised revenue.{why}",
        "credit_liability": f"{LIABILITY['owed']} As of now, by currency.",
    }
    return values, rules


def _liability(session: Session) -> dict[str, int]:
    return {currency: money.rounded(amount) for currency, amount in sorted(liability.owed(session).items())}


def _cents(dollars: Dollars) -> int | None:
    return None if dollars is None else money.rounded(dollars * CENTS)


def _rate(share: Decimal | None) -> str | None:
    return None if share is None else str(share.quantize(RATE))
