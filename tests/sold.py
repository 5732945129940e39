"""Purchases for the browser tests: in every state, beside what nobody could link and what the check finds."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from makegood import purchases
from makegood.models import Purchase
from makegood.stripe import mirror
from simulator.stripe.billing import Account
from simulator.stripe.rendering import shown
from tests.stripe import pack, plan


def sell(session: Session, customer: str, now: datetime) -> UUID:
    """Several to this customer, a part or all of whose money went back. Returns one with claw-backs."""
    account = Account(seed=11)
    account.at(now - timedelta(days=30))
    prices = [
        pack(account, 50, 900),
        pack(account, 20, 400, "jpy"),
        plan(account, 30, credits_expire="period_end"),
    ]
    known = account.customer(f"{customer}@example.com", metadata={"user_id": customer})
    for days in (25, 17, 9):
        account.at(now - timedelta(days=days))
        account.buy(prices[days == 17], customer=known)
    account.subscribe(known, [(prices[2], 1)])
    half, all_of_it = account.all("charges")[1:3]
    account.at(now - timedelta(days=3))
    account.refund(half, half["amount"] // 2)
    account.lose(account.dispute(all_of_it))
    account.buy(prices[0], customer=account.customer("new@example.com", metadata={"user_id": "user_unknown"}))
    account.buy(prices[0], email="guest@example.com")
    account.buy(account.price(account.product("Sticker sheet"), 350), customer=known)
    stored = {}
    for resource in sorted(purchases.FOLLOWED):
        expand = ["line_items"] if resource == "checkout_sessions" else []
        objects = [shown(account, one, expand) for one in account.all(resource)]
        stored[resource] = mirror.store(session, resource, objects, now - timedelta(days=3))
    for resource, ids in stored.items():
        purchases.absorb(session, resource, ids, at=now - timedelta(days=2))
    back = select(Purchase.id).where(Purchase.customer_id == customer, Purchase.returned > 0)
    return session.scalars(back.order_by(Purchase.paid_at)).first() or UUID(int=0)
