"""What one customer has with Stripe: who they are there, what they bought, what was taken back, what is owed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, defer

from makegood.models import Charge, Clawback, Dispute, StripeCustomer, Subscription
from makegood.pages import Page
from makegood.purchases import debts, history
from makegood.purchases.history import LoggedPurchase, PurchaseFilters
from makegood.revenue import plans
from makegood.revenue.plans import Plan

SHOWN = 10


@dataclass(frozen=True)
class AtStripe:
    """The newest of each, at most SHOWN. `owed` are credits; `payments` counts the successful ones. `disputes` are
    the statuses at Stripe of the charges' disputes, by charge, the newest first; `plans` what each subscription is
    of, by its id."""

    owners: list[StripeCustomer]
    purchases: Page[LoggedPurchase]
    charges: list[Charge]
    payments: int
    disputes: dict[str, list[str]]
    subscriptions: list[Subscription]
    plans: dict[str, list[Plan]]
    clawbacks: list[Clawback]
    owed: int

    @property
    def anything(self) -> bool:
        """Whether Stripe has anything to do with this customer."""
        return bool(self.owners or self.purchases.rows or self.charges or self.subscriptions)


def read(session: Session, customer_id: str) -> AtStripe:
    """All of it."""
    succeeded = select(func.count()).where(Charge.customer_id == customer_id, Charge.status == "succeeded")
    rows = select(Clawback).where(Clawback.customer_id == customer_id).order_by(Clawback.id.desc())
    charges: list[Charge] = _newest(session, Charge, customer_id)
    subscriptions: list[Subscription] = _newest(session, Subscription, customer_id, with_body=True)
    return AtStripe(
        _newest(session, StripeCustomer, customer_id),
        history.PURCHASES.page(session, PurchaseFilters(customer_id=customer_id), limit=SHOWN),
        charges,
        session.scalar(succeeded) or 0,
        _disputes(session, charges),
        subscriptions,
        plans.of(session, subscriptions),
        list(session.scalars(rows.limit(SHOWN))),
        debts.owed(session, customer_id),
    )


def _disputes(session: Session, charges: list[Charge]) -> dict[str, list[str]]:
    disputed = [row.id for row in charges if row.disputed]
    query = select(Dispute.charge_id, Dispute.status).where(Dispute.charge_id.in_(disputed), ~Dispute.deleted)
    found: dict[str, list[str]] = {}
    for row in session.execute(query.order_by(Dispute.created_at.desc(), Dispute.id.desc())):
        found.setdefault(row.charge_id, []).append(row.status)
    return found


def _newest(session: Session, table: Any, customer_id: str, *, with_body: bool = False) -> list[Any]:
    rows = select(table).where(table.customer_id == customer_id)
    if not with_body:
        rows = rows.options(defer(table.body))
    return list(session.scalars(rows.order_by(table.created_at.desc(), table.id.desc()).limit(SHOWN)))
