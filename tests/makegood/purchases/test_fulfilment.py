"""What was paid for is credited once, to the right customer, in whatever order it is heard of."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from makegood import customers, ledger, purchases
from makegood.errors import Conflict, Invalid, NotFound
from makegood.models import (
    Alert,
    Charge,
    Customer,
    Grant,
    Invoice,
    Purchase,
    StripeCustomer,
    StripeResource,
    Subscription,
)
from makegood.purchases import checks, manual_links, waiting_room
from simulator.stripe.billing import Account
from tests.makegood.purchases.conftest import BEGAN, ORDER, Tell
from tests.making import TERMS, make_customer
from tests.stripe import pack, plan

ALLOWANCE = 5
SOON = BEGAN + timedelta(minutes=1)

pytestmark = pytest.mark.usefixtures("balanced_books")


@pytest.fixture
def ada(session: Session) -> str:
    """Somebody with nothing but the allowance of the tier."""
    customers.upsert(session, "ada", email="Ada@Example.com", tier="free", timezone=TERMS.timezone, at=BEGAN)
    return "ada"


def bought(session: Session) -> list[tuple[Any, ...]]:
    session.expire_all()
    query = select(Purchase).order_by(Purchase.paid_at, Purchase.source_id)
    return [(row.customer_id, row.credits, row.amount, row.paid, row.currency) for row in session.scalars(query)]


def test_a_pack_is_credited_once_at_what_was_paid_for_its_credits_without_tax(
    session: Session, account: Account, tell: Tell, ada: str
) -> None:
    other = account.price(account.product("A mug", metadata={"credits": "0"}), 1500, "eur")
    offered = account.checkout(
        [(pack(account, 100, 900, "eur"), 3), (other, 1)], client_reference_id=ada, discount=420, tax=378
    )
    account.complete(offered)
    tell()
    tell()
    for resource in ORDER:
        purchases.absorb(session, resource, [one["id"] for one in account.all(resource)])
    assert bought(session) == [(ada, 300, 2430, 4158, "eur")]
    assert ledger.balance(session, ada) == ALLOWANCE + 300
    (grant,) = session.scalars(select(Grant).where(Grant.source == "purchase"))
    assert grant.expires_at is None


def test_a_checkout_that_is_not_paid_grants_nothing_until_the_money_has_come(
    session: Session, account: Account, tell: Tell, ada: str
) -> None:
    price = pack(account)
    later, failed = (
        account.complete(account.checkout([(price, 1)], client_reference_id=ada), later=True) for _ in range(2)
    )
    account.expire(account.checkout([(price, 1)], client_reference_id=ada))
    tell()
    assert bought(session) == []
    account.arrive(later)
    account.fail(failed)
    tell()
    assert bought(session) == [(ada, 100, 900, 900, "usd")]


def test_a_coupon_of_100_percent_grants_a_pack_for_nothing_but_no_month_of_a_plan(
    session: Session, account: Account, tell: Tell, ada: str
) -> None:
    account.buy(pack(account), client_reference_id=ada, discount=900)
    customer = account.customer(metadata={"user_id": ada})
    account.subscribe(customer, [(plan(account), 1)], coupons=[account.coupon(percent_off=100)])
    account.subscribe(customer, [(plan(account), 1)], trial_days=7)
    tell()
    assert bought(session) == [(ada, 100, 0, 0, "usd")]


def test_a_plan_is_credited_with_each_paid_period_and_ends_with_it_if_it_says_so(
    session: Session, account: Account, tell: Tell, ada: str
) -> None:
    customer = account.customer(metadata={"user_id": ada})
    ending = account.subscribe(customer, [(plan(account, 200, credits_expire="period_end"), 2)], tax_percent=20)
    tell()
    account.at(ending["items"][0]["current_period_end"])
    account.renew(ending, attempts=2)
    tell(at=datetime.fromtimestamp(account.now, UTC))
    assert bought(session) == [(ada, 400, 3800, 4560, "usd")] * 2
    ends = [grant.expires_at for grant in session.scalars(select(Grant).where(Grant.purchase_id.is_not(None)))]
    assert sorted(ends) == [datetime(2026, 12, 2, 9, tzinfo=UTC), datetime(2027, 1, 2, 9, tzinfo=UTC)]
    assert ledger.balance(session, ada) == 400


def test_nothing_that_was_paid_before_the_beginning_is_credited(
    session: Session, account: Account, tell: Tell, ada: str
) -> None:
    account.wait(-1)
    account.buy(pack(account), client_reference_id=ada)
    account.subscribe(account.customer(metadata={"user_id": ada}), [(plan(account), 1)])
    tell()
    assert bought(session) == []
    assert session.scalars(select(Charge.customer_id)).all() == [ada, ada]
    assert checks.run(session).clean


def test_the_order_in_which_stripe_is_heard_makes_no_difference(
    session: Session, account: Account, tell: Tell, ada: str
) -> None:
    make_customer(session, 0, customer_id="bob", at=BEGAN)
    account.buy(pack(account), email="ada@example.com", payment_metadata={"user_id": "bob"})
    account.buy(pack(account), customer=account.customer("ada@example.com"), client_reference_id="bob")
    account.subscribe(account.customer("ada@example.com"), [(plan(account), 1)], metadata={"user_id": "bob"})
    charge = account.all("charges")[-1]
    account.refund(charge)
    orders = list(itertools.permutations(ORDER))
    for order in random.Random(7).sample(orders, 12):
        with session.begin_nested() as attempt:
            for resource in order:
                tell(resource, at=SOON)
            assert sorted(row[:2] for row in bought(session)) == [("bob", 100), ("bob", 100), ("bob", 200)], order
            assert ledger.balance(session, "bob") == ALLOWANCE + 300
            attempt.rollback()


def test_a_payment_is_linked_by_what_says_most(session: Session, account: Account, tell: Tell, ada: str) -> None:
    make_customer(session, 0, customer_id="bob", at=BEGAN)
    first = account.customer("ada@example.com", metadata={"user_id": "bob"})
    account.pay(100, customer=first, metadata={"user_id": ada})
    account.pay(200, customer=first)
    account.pay(300, customer=account.customer(" ADA@example.com"))
    account.pay(400, email="aDa@example.com")
    account.pay(500, email="ada@example.com", metadata={"user_id": "nobody here"})
    account.pay(600, email="eve@example.com")
    tell("charges", "customers")
    rows = session.execute(select(Charge.customer_id, Charge.linked_by).order_by(Charge.amount))
    assert [tuple(row) for row in rows] == [
        (ada, "charge"),
        ("bob", "customer"),
        (ada, "email"),
        (ada, "email"),
        (None, None),
        (None, None),
    ]


def test_an_address_of_two_customers_links_nothing_until_an_operator_does(
    session: Session, account: Account, tell: Tell, ada: str
) -> None:
    customers.upsert(session, "twin", email="ada@example.COM", tier="free", timezone=TERMS.timezone, at=BEGAN)
    buyer = account.customer("ada@example.com")
    account.buy(pack(account), customer=buyer)
    account.subscribe(buyer, [(plan(account), 1)])
    tell()
    assert bought(session) == []
    assert [one.problem for one in checks.run(session, at=SOON).not_credited] == ["nobody knows whose it is"] * 2
    manual_links.link(session, "customer", buyer["id"], "twin", actor="ops", at=SOON)
    assert bought(session) == [("twin", 100, 900, 900, "usd"), ("twin", 200, 1900, 1900, "usd")]
    for table in (StripeCustomer, Charge, Invoice, Subscription):
        assert set(session.scalars(select(table.linked_by))) == {"operator"}
    assert checks.run(session, at=SOON).clean
    session.get_one(Customer, "twin").email = None
    tell()
    assert set(session.scalars(select(Charge.customer_id))) == {"twin"}


def test_a_link_by_an_address_waits_an_hour_for_the_payment_that_may_know_better(
    session: Session, account: Account, tell: Tell, ada: str
) -> None:
    account.buy(pack(account), email="ada@example.com")
    tell("products", "checkout_sessions", at=SOON)
    assert bought(session) == []
    assert purchases.catch_up(session, at=BEGAN + timedelta(hours=1)) == 1
    assert bought(session) == [(ada, 100, 900, 900, "usd")]


def test_a_product_that_does_not_say_how_many_credits_it_is_grants_them_once_it_does(
    session: Session, account: Account, tell: Tell, ada: str
) -> None:
    price = pack(account)
    product = account.get(price["product"])
    product["metadata"] = {"credits": "a hundred"}
    account.buy(price, client_reference_id=ada)
    tell()
    found = checks.run(session)
    assert [one.product_id for one in found.without_credits] == [product["id"]]
    product["metadata"] = {"credits": "100"}
    tell()
    assert bought(session) == [(ada, 100, 900, 900, "usd")]
    assert checks.run(session).clean


def test_what_was_credited_and_is_no_longer_paid_is_found(
    session: Session, account: Account, tell: Tell, ada: str
) -> None:
    sold = account.buy(pack(account), client_reference_id=ada)
    tell()
    assert checks.run(session).clean
    sold["payment_status"] = "unpaid"
    tell()
    assert [one.source_id for one in checks.run(session).not_paid] == [sold["id"]]


@pytest.mark.parametrize("said_by", ["the payment", "the invoice"])
def test_a_period_that_was_paid_elsewhere_is_credited_and_no_reason_for_an_alarm(
    session: Session, account: Account, tell: Tell, ada: str, said_by: str
) -> None:
    customer = account.customer(metadata={"user_id": ada})
    account.subscribe(customer, [(plan(account), 1)])
    (invoice,), (paid,) = account.all("invoices"), account.all("invoice_payments")
    intent = paid["payment"].pop("payment_intent")
    if said_by == "the payment":
        paid["payment"] = {"payment_record": "pr_1", "type": "payment_record"}
    else:
        paid["status"] = "canceled"
        invoice["amount_paid_off_stripe"] = invoice["amount_paid"]
    tell()
    assert bought(session) == [(ada, 200, 1900, 1900, "usd")]
    assert checks.run(session).clean
    paid |= {"payment": {"payment_intent": f"{intent}_unread", "type": "payment_intent"}, "status": "paid"}
    invoice.pop("amount_paid_off_stripe", None)
    tell()
    assert [one.problem for one in checks.run(session).not_paid] == ["its payment has not been read"]


def test_a_payment_that_the_key_may_not_read_is_no_reason_for_an_alarm_and_the_check_says_so(
    session: Session, account: Account, tell: Tell, ada: str
) -> None:
    account.buy(pack(account), client_reference_id=ada)
    tell("products", "checkout_sessions")
    assert bought(session) == [(ada, 100, 900, 900, "usd")]
    assert [one.problem for one in checks.run(session).not_paid] == ["its payment has not been read"]
    session.add(StripeResource(name="charges", state="no_permission", problem="The key lacks a permission."))
    found = checks.run(session)
    assert (found.clean, found.unread) == (True, ["charges"])


def test_a_guest_is_linked_by_an_operator_by_what_they_paid_with_or_by_a_checkout_for_nothing(
    session: Session, account: Account, tell: Tell, ada: str
) -> None:
    paid, free = account.buy(pack(account)), account.buy(pack(account), discount=900)
    tell()
    waiting = waiting_room.UNLINKED.page(session).rows
    assert {(one.kind, one.amount) for one in waiting} == {("payment", 900), ("checkout", 0)}
    for one in waiting:
        assert manual_links.link(session, one.kind, one.id, ada, actor="ops") == 1
        with pytest.raises(manual_links.AlreadyLinked):
            manual_links.link(session, one.kind, one.id, ada, actor="ops")
    assert sorted(bought(session)) == [(ada, 100, 0, 0, "usd"), (ada, 100, 900, 900, "usd")]
    assert waiting_room.count(session) == 0
    tell()
    assert set(session.scalars(select(Purchase.source_id))) == {paid["id"], free["id"]}


def test_an_operator_cannot_link_what_is_linked_nor_to_somebody_who_is_not_there(
    session: Session, account: Account, tell: Tell, ada: str
) -> None:
    buyer = account.customer("ada@example.com")
    account.pay(100, customer=buyer)
    tell()
    with pytest.raises(Invalid):
        manual_links.link(session, "customer", buyer["id"], "nobody", actor="ops")
    with pytest.raises(Conflict):
        manual_links.link(session, "customer", buyer["id"], make_customer(session), actor="ops")
    with pytest.raises(NotFound):
        manual_links.link(session, "customer", "cus_none", ada, actor="ops")


def test_the_daily_check_opens_an_alert_that_ends_when_all_is_well(
    session: Session, account: Account, tell: Tell, ada: str
) -> None:
    account.buy(pack(account), email="eve@example.com")
    tell()
    open_ = select(Alert.kind).where(Alert.resolved_at.is_(None))
    checks.run_and_alert(session, at=SOON)
    assert session.scalars(open_).all() == ["purchase_not_credited"]
    (guest,) = waiting_room.UNLINKED.page(session).rows
    manual_links.link(session, guest.kind, guest.id, ada, actor="ops")
    checks.run_and_alert(session, at=SOON)
    assert session.scalars(open_).all() == ["purchase_not_credited"], (
        "who else paid is not known: no list was read"
    )
    session.add_all(StripeResource(name=name, state="current", finished_at=SOON) for name in checks.PAID_BY)
    checks.run_and_alert(session, at=SOON)
    assert session.scalars(open_).all() == []
