"""What one customer has with Stripe: who they are there, what they bought, what was taken back, what is owed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, defer

from makegood.models import Charge, Clawback, StripeCustomer, Subscription
from makegood.pages import Page
from makegood.purchases import debts, history
from makegood.purchases.history import LoggedPurchase, PurchaseFilters

SHOWN = 10


@dataclass(frozen=True)
class AtStripe:
    """The newest of each, at most SHOWN. `owed` are credits; `payments` counts the successful ones."""

    owners: list[StripeCustomer]
    purchases: Page[LoggedPurchase]
    charges: list[Charge]
    payments: int
    subscriptions: list[Subscription]
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
    return AtStripe(
        _newest(session, StripeCustomer, customer_id),
        history.listed(session, PurchaseFilters(customer_id=customer_id), limit=SHOWN),
        _newest(session, Charge, customer_id),
        session.scalar(succeeded) or 0,
        _newest(session, Subscription, customer_id),
        list(session.scalars(rows.limit(SHOWN))),
        debts.owed(session, customer_id),
    )


def _newest(session: Session, table: Any, customer_id: str) -> list[Any]:
    rows = select(table).where(table.customer_id == customer_id).options(defer(table.body))
    return list(session.scalars(rows.order_by(table.created_at.desc(), table.id.desc()).limit(SHOWN)))
