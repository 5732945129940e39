"""A Stripe account whose objects are stored as they are read, and customers who buy."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from makegood import purchases
from makegood.models import StripeAccount
from makegood.stripe import mirror
from simulator.stripe.billing import Account
from simulator.stripe.objects import Object
from simulator.stripe.rendering import shown

BEGAN = datetime(2026, 11, 2, 9, tzinfo=UTC)
EXPANDED = {"checkout_sessions": ["line_items"]}
ORDER = sorted(purchases.FOLLOWED)
Tell = Callable[..., None]


@pytest.fixture
def account() -> Account:
    """An empty account whose clock stands."""
    account = Account()
    account.at(BEGAN)
    return account


@pytest.fixture
def tell(session: Session, account: Account) -> Tell:
    """Stores what the account has, or only these resources, and absorbs what is new: two hours later, or `at`."""
    session.add(StripeAccount(id=1, livemode=False, grants_since=BEGAN))
    readings = itertools.count()

    def told(*resources: str, at: datetime = BEGAN + timedelta(hours=2)) -> None:
        for resource in resources or ORDER:
            read_at = at + timedelta(microseconds=next(readings))
            ids = mirror.store(session, resource, objects(account, resource), read_at)
            purchases.absorb(session, resource, ids, at=at)
        session.flush()

    return told


def objects(account: Account, resource: str) -> list[Object]:
    """A resource as the API shows it."""
    return [shown(account, one, EXPANDED.get(resource, [])) for one in account.all(resource)]
