"""What GET /api/admin/revenue says of subscriptions."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from blueprints.api.fields import iso
from makegood.ranges import Range
from makegood.revenue import subscribers
from makegood.revenue.mrr_rules import MrrRules
from makegood.revenue.subscribers import Report, rounded
from settings import Settings

NAMES = ("mrr", "arr", "active_subscribers", "churn", "arpu")
MRR = (
    "What subscriptions that are active or past due bill by month, without trials, metered prices and taxes, "
    "at the end of the range, in minor units, rounded once."
)
RULES = {
    "arr": "Twelve times MRR, rounded once.",
    "active_subscribers": "Customers of Stripe with MRR above zero at the end of the range, over all currencies.",
    "churn": "Customers who stopped paying in the range, by those who paid at its start or since then.",
    "arpu": "MRR by active subscriber, of those who pay in the currency, in minor units.",
}


def fields(session: Session, settings: Settings, span: Range) -> tuple[dict[str, Any], dict[str, str]]:
    """The fields, and the rule behind each."""
    report = subscribers.report(session, settings.terms.timezone, span)
    if report.snapshot is None:
        why = "Null: there is no snapshot of MRR up to the end of the range."
        return dict.fromkeys(NAMES), dict.fromkeys(NAMES, why)
    rate = report.churn.rate if report.churn else None
    values = {
        "mrr": report.mrr,
        "arr": report.arr,
        "active_subscribers": report.snapshot.subscribers,
        "churn": None if rate is None else f"{rate:.6f}",
        "arpu": {one.currency: rounded(one.arpu) for one in report.currencies},
    }
    return values, {"mrr": _mrr(report), **RULES, **_unknown_churn(report)}


def _mrr(report: Report) -> str:
    """The rule of MRR, and how certain the snapshot is."""
    assert report.snapshot is not None
    said = [MRR, MrrRules.of(report.snapshot.rules).words()]
    if report.snapshot.estimated:
        said.append(f"Estimated from paid invoices for {report.snapshot.day}.")
    else:
        said.append(f"As of {iso(report.snapshot.taken_at)}.")
    if report.snapshot.unknown:
        said.append(f"{report.snapshot.unknown} subscriptions are not in it: nobody knows what they are worth.")
    return " ".join(said)


def _unknown_churn(report: Report) -> dict[str, str]:
    if report.churn is None:
        return {"churn": "Null: there is no snapshot of MRR before the range, so nobody knows who paid then."}
    return {} if report.churn.rate is not None else {"churn": "Null: nobody paid who could have stopped."}
