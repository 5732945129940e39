"""What could not be credited when it was heard of is credited later, and nothing keeps it back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from makegood import ledger, purchases
from makegood.models import Grant, Product, Purchase
from makegood.purchases import checks, fulfilment
from makegood.purchases.without_credits import WithoutCredits
from makegood.stripe import mirror
from simulator.stripe.billing import Account
from tests.makegood.purchases.conftest import BEGAN, Tell, objects
from tests.making import make_customer
from tests.stripe import pack, plan

ALLOWANCE = 5
SOON = BEGAN + timedelta(minutes=1)

pytestmark = pytest.mark.usefixtures("balanced_books")


@pytest.fixture
def ada(session: Session) -> str:
    """Somebody with nothing but the allowance of the tier."""
    customer = make_customer(session, 0, customer_id="ada", at=BEGAN)
    assert ledger.balance(session, customer) == ALLOWANCE
    return customer


def test_what_nobody_can_link_keeps_nothing_behind_it_from_being_credited(
    session: Session, account: Account, tell: Tell, ada: str
) -> None:
    price = pack(account)
    for _ in range(3):
        account.buy(price, email="nobody@example.com")
    account.buy(price, customer=account.customer(metadata={"user_id": ada}))
    tell("products", "checkout_sessions", "customers", at=SOON)
    assert ledger.balance(session, ada) == ALLOWANCE
    assert purchases.catch_up(session, at=BEGAN + timedelta(hours=1), limit=1) == 1
    assert ledger.balance(session, ada) == ALLOWANCE + 100
    assert purchases.catch_up(session, at=BEGAN + timedelta(hours=1), limit=1) == 0
    assert ledger.balance(session, ada) == ALLOWANCE + 100


def test_only_what_may_have_bought_credits_is_looked_at(session: Session, account: Account, tell: Tell) -> None:
    mug = account.price(account.product("A mug", metadata={"credits": "0"}), 1500, "usd")
    unread = account.price(account.product("Unread", metadata={"credits": "7"}), 700, "usd")
    mugs = account.buy(mug, email="nobody@example.com")
    packs = [account.buy(price, email="nobody@example.com") for price in (pack(account), unread)]
    account.subscribe(account.customer("nobody@example.com"), [(plan(account), 1)])
    tell()
    session.execute(delete(Product).where(Product.id == unread["product"]))
    (invoice,) = account.all("invoices")
    sessions = [one["id"] for one in packs]
    found = fulfilment.candidates(session)
    assert {name: sorted(ids) for name, ids in found.items()} == {
        "checkout_sessions": sorted(sessions),
        "invoices": [invoice["id"]],
    }
    assert fulfilment.candidates(session, [mug["product"]]) == {"checkout_sessions": [mugs["id"]], "invoices": []}
    assert {one.row.id for one in fulfilment.waiting(session)} == {*sessions, invoice["id"]}


@pytest.mark.parametrize("order", [("checkout_sessions", "charges"), ("charges", "checkout_sessions")])
def test_a_checkout_counts_by_when_it_was_paid_not_by_when_it_was_begun(
    session: Session, account: Account, tell: Tell, ada: str, order: tuple[str, str]
) -> None:
    account.wait(-120)
    offered, paid_before = (account.checkout([(pack(account), 1)], client_reference_id=ada) for _ in range(2))
    account.wait(60)
    account.complete(paid_before)
    account.wait(120)
    account.complete(offered)
    tell("products", *order)
    (purchase,) = session.scalars(select(Purchase))
    assert (purchase.source_id, purchase.paid_at) == (offered["id"], SOON)
    assert ledger.balance(session, ada) == ALLOWANCE + 100
    assert checks.run(session, at=SOON).not_credited == []


def test_what_does_not_say_its_credits_is_counted_by_when_it_was_paid(
    session: Session, account: Account, tell: Tell
) -> None:
    mug = account.price(account.product("A mug"), 1500, "usd")
    account.wait(-120)
    offered, paid_before = (account.checkout([(mug, 1)]) for _ in range(2))
    account.wait(60)
    account.complete(paid_before)
    account.wait(120)
    account.complete(offered)
    tell("products", "charges", "checkout_sessions")
    found = checks.run(session, at=SOON).without_credits
    assert found == [WithoutCredits(mug["product"], "A mug", None, 1, SOON)]


def test_credits_of_a_period_that_is_over_live_as_long_as_the_settings_say(
    session: Session, account: Account, tell: Tell, ada: str
) -> None:
    owner = account.customer(metadata={"user_id": ada})
    account.subscribe(owner, [(plan(account, credits_expire="period_end"), 1)])
    tell("products", "charges", "customers", "subscriptions")
    after = BEGAN + timedelta(days=40)
    told = objects(account, "invoices")
    mirror.store(session, "invoices", told, after)
    purchases.absorb(session, "invoices", [one["id"] for one in told], lifetime=timedelta(days=7), at=after)
    (grant,) = session.scalars(select(Grant).where(Grant.purchase_id.is_not(None)))
    assert grant.expires_at == after + timedelta(days=7)
    assert ledger.balance(session, ada) == 200
