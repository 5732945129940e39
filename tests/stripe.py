"""The simulated Stripe for tests: a running one with an empty account, and what is commonly sold there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from simulator.stripe.billing import Account
from simulator.stripe.objects import Object
from simulator.stripe.server import SimulatedStripe, start

BEGAN = datetime(2026, 11, 2, 9, tzinfo=UTC)


@pytest.fixture
def stripe() -> Iterator[SimulatedStripe]:
    """A running simulated Stripe. Its account is empty and its clock stands: `stripe.account.wait(seconds)`."""
    account = Account()
    account.at(BEGAN)
    with start(account) as running:
        yield running


def pack(account: Account, credits: int = 100, amount: int = 900, currency: str = "usd") -> Object:
    """The price of a pack of credits."""
    product = account.product(f"Pack of {credits}", metadata={"credits": str(credits)})
    return account.price(product, amount, currency)


def plan(account: Account, credits: int = 200, amount: int = 1900, **metadata: str) -> Object:
    """The price of a monthly plan with credits: `credits_expire="period_end"` for those that end with it."""
    product = account.product(f"Plan of {credits}", metadata={"credits": str(credits), **metadata})
    return account.price(product, amount, recurring={"interval": "month"})
