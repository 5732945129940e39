"""The payment check looks at everything once a day, and in between at what changed since."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from makegood.purchases import changes, checks
from simulator.stripe.billing import Account
from tests.makegood.purchases.conftest import BEGAN, Tell
from tests.making import make_customer
from tests.stripe import pack, plan

LATER = BEGAN + timedelta(hours=4)
WRONG = {
    "a session is no longer paid": "UPDATE stripe_checkout_sessions SET payment_status = 'unpaid'",
    "a session's payment is another": "UPDATE stripe_checkout_sessions SET payment_intent = 'pi_none'",
    "an invoice is no longer paid": "UPDATE stripe_invoices SET status = 'void'",
    "a payment is of another charge":
        "UPDATE stripe_invoice_payments SET payment_intent = 'pi_none', charge_id = NULL",
    "a payment was not captured": "UPDATE stripe_charges SET amount_captured = 0",
    "money went back": "UPDATE stripe_charges SET amount_refunded = amount_captured",
    "money was disputed":
        "INSERT INTO stripe_disputes"
        " (id, created_at, livemode, body, read_at, charge_id, status, currency, amount)"
        " SELECT 'dp_1', created_at, livemode, '{}', read_at, id, 'lost', currency, amount FROM stripe_charges"
        " WHERE payment_intent IN (SELECT payment_intent FROM stripe_invoice_payments)",
    "payments count from an earlier day":
        "UPDATE stripe_account SET grants_since = grants_since - interval '1 day'",
    "a product sells credits now":
        """UPDATE stripe_products SET body = jsonb_set(body, '{metadata,credits}', '"70"') WHERE name = 'A mug'""",
}  # fmt: skip


@pytest.fixture
def in_order(session: Session, account: Account, tell: Tell) -> None:
    """A pack, a plan and a mug that were paid for and one pack from before, all looked at and in order."""
    ada = make_customer(session, 0, customer_id="ada", at=BEGAN)
    account.wait(-60)
    account.buy(pack(account), client_reference_id=ada)
    account.wait(120)
    account.buy(account.price(account.product("A mug", metadata={"credits": "0"}), 1500, "usd"), customer=None)
    account.buy(pack(account), client_reference_id=ada)
    account.subscribe(account.customer(metadata={"user_id": ada}), [(plan(account), 1)])
    tell()
    assert checks.run_and_alert(session, at=LATER).clean


@pytest.mark.usefixtures("in_order")
def test_what_is_in_order_is_not_looked_at_again_before_it_changes(session: Session, tell: Tell) -> None:
    assert changes.concerned(session) == []
    tell()
    assert changes.concerned(session) == [], "everything was read again, and is as it was"


@pytest.mark.usefixtures("in_order")
@pytest.mark.parametrize("wrong", WRONG)
def test_what_changes_is_found_without_looking_at_everything(session: Session, wrong: str) -> None:
    session.execute(text(WRONG[wrong]))
    found = checks.run(session, at=LATER)
    assert not found.clean
    assert found == checks.run(session, at=LATER, everything=True)


@pytest.mark.usefixtures("in_order")
def test_what_was_found_is_found_until_it_is_in_order(session: Session, account: Account, tell: Tell) -> None:
    lost = account.buy(pack(account), email="nobody@example.com")
    tell()
    for _ in range(2):
        checks.run_and_alert(session, at=LATER)
        assert [one.source_id for one in checks.run(session, at=LATER).late] == [lost["id"]]
    lost["client_reference_id"] = "ada"
    tell()
    assert checks.run(session, at=LATER).clean


def test_what_is_waited_for_is_found_when_it_was_waited_for_long_enough(
    session: Session, account: Account, tell: Tell
) -> None:
    account.buy(pack(account), client_reference_id=make_customer(session, 0, at=BEGAN))
    tell("products", "checkout_sessions")
    told = BEGAN + timedelta(hours=2)
    assert checks.run_and_alert(session, at=told).clean
    assert [one.problem for one in checks.run(session, at=LATER).not_paid] == ["its payment has not been read"]
