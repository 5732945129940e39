"""How a customer of ours can pay at Stripe: asked when somebody wants to see it, and never kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from makegood.models import StripeCustomer
from makegood.stripe.client import Client

MOST_OWNERS = 5
"""Customers at Stripe, of one of ours, who are asked about."""
_KINDS = {"card": "Card", "sepa_debit": "SEPA debit", "us_bank_account": "US bank account"}


@dataclass(frozen=True)
class Method:
    """One way to pay. `expires` is the last month and year of a card; what a kind does not have is None."""

    kind: str
    brand: str | None
    last4: str | None
    expires: tuple[int, int] | None
    stripe_customer_id: str


def owners(session: Session, customer_id: str) -> list[str]:
    """The customers at Stripe who are this one, the newest first, a few at most."""
    return list(
        session.scalars(
            select(StripeCustomer.id)
            .where(StripeCustomer.customer_id == customer_id, StripeCustomer.deleted.is_(False))
            .order_by(StripeCustomer.created_at.desc(), StripeCustomer.id)
            .limit(MOST_OWNERS)
        )
    )


def ask(client: Client, stripe_customer_ids: Sequence[str]) -> list[Method]:
    """How they can pay now. Open no transaction. Raises the client's StripeProblem."""
    quick = client.for_people()
    return [_method(one, owner) for owner in stripe_customer_ids for one in quick.payment_methods(owner)]


def _method(body: Mapping[str, Any], owner: str) -> Method:
    kind = str(body.get("type") or "")
    details = body.get(kind) or {}
    month, year = details.get("exp_month"), details.get("exp_year")
    return Method(
        kind=_KINDS.get(kind, kind.replace("_", " ").capitalize()),
        brand=details.get("display_brand") or details.get("brand") or details.get("bank_name"),
        last4=details.get("last4"),
        expires=(month, year) if month and year else None,
        stripe_customer_id=owner,
    )
