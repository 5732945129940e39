"""Money that goes back takes its credits along, in proportion, and what comes back restores them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from makegood import grants, ledger, purchases
from makegood.models import Clawback, CreditTransaction, Grant, Purchase
from simulator.stripe.billing import Account
from simulator.stripe.objects import Object
from tests.makegood.purchases.conftest import BEGAN, Tell
from tests.making import TERMS, make_customer, make_generation
from tests.stripe import pack, plan

LATER = BEGAN + timedelta(hours=3)
ALLOWANCE = 5

pytestmark = pytest.mark.usefixtures("balanced_books")


@pytest.fixture
def ada(session: Session) -> str:
    """Somebody with nothing but the allowance of the tier."""
    return make_customer(session, 0, customer_id="ada", at=BEGAN)


def buy(account: Account, who: str, credits: int = 100, amount: int = 900) -> Object:
    """A pack, paid; returns the charge."""
    session = account.buy(pack(account, credits, amount), payment_metadata={"user_id": who})
    return next(one for one in account.all("charges") if one["payment_intent"] == session["payment_intent"])


def spend(session: Session, customer: str, credits: int) -> None:
    make_generation(session, customer, credits=credits, status="succeeded", at=LATER)


def state(session: Session, customer: str = "ada") -> tuple[int, int]:
    """The balance, and what is owed."""
    session.expire_all()
    owed = session.scalars(select(Purchase.owed).where(Purchase.customer_id == customer))
    return ledger.balance(session, customer), sum(owed)


def test_refunds_take_back_the_share_that_went_back_and_all_when_all_did(
    session: Session, account: Account, tell: Tell, ada: str
) -> None:
    charge = buy(account, ada, 100, 900)
    tell()
    assert state(session) == (ALLOWANCE + 100, 0)
    account.refund(charge, 100)  # 11.1 credits
    tell("refunds", "charges", at=LATER)
    assert state(session) == (ALLOWANCE + 89, 0)
    account.refund(charge, 350)  # half of it together
    tell("charges", at=LATER)
    tell("charges", "refunds", at=LATER)
    assert state(session) == (ALLOWANCE + 50, 0)
    account.refund(charge)
    tell("charges", at=LATER)
    assert state(session) == (ALLOWANCE, 0)
    rows = session.scalars(select(Clawback).order_by(Clawback.number)).all()
    assert [(one.cause, one.amount, one.taken) for one in rows] == [
        ("refund", 100, 11),
        ("refund", 350, 39),
        ("refund", 450, 50),
    ]
    kinds = session.scalars(select(CreditTransaction.kind).where(CreditTransaction.actor == "stripe"))
    assert sorted(kinds) == ["clawback", "clawback", "clawback", "grant"]


def test_a_refund_that_fails_and_a_dispute_that_is_won_give_the_credits_again(
    session: Session, account: Account, tell: Tell, ada: str
) -> None:
    first, second = buy(account, ada, 100), buy(account, ada, 40)
    tell()
    refund, dispute = account.refund(first, 450, pending=True), account.dispute(second)
    tell(at=LATER)
    assert state(session) == (ALLOWANCE + 50, 0)
    account.fail_refund(refund)
    account.win(dispute)
    tell(at=LATER)
    assert state(session) == (ALLOWANCE + 140, 0)
    assert set(session.scalars(select(Clawback.cause))) == {"refund", "dispute", "refund_failed", "dispute_won"}
    for grant in session.scalars(select(Grant).where(Grant.source == "purchase")):
        assert grant.remaining == grant.credits


def test_an_inquiry_takes_nothing_until_it_becomes_a_dispute_that_is_lost(
    session: Session, account: Account, tell: Tell, ada: str
) -> None:
    asked = account.dispute(buy(account, ada, 100), inquiry=True)
    tell()
    assert state(session) == (ALLOWANCE + 100, 0)
    account.escalate(asked)
    tell("disputes", at=LATER)
    account.lose(asked)
    tell("disputes", at=LATER)
    assert state(session) == (ALLOWANCE, 0)


def test_a_dispute_of_a_status_that_nobody_knows_takes_what_it_moved(
    session: Session, account: Account, tell: Tell, ada: str
) -> None:
    dispute = account.dispute(buy(account, ada, 100))
    moved, dispute["balance_transactions"] = dispute["balance_transactions"], None
    dispute["status"] = "prevented"
    tell()
    assert state(session) == (ALLOWANCE + 100, 0)
    dispute["balance_transactions"] = moved
    tell("disputes", at=LATER)
    assert state(session) == (ALLOWANCE, 0)


def test_what_was_spent_comes_from_other_purchases_and_the_rest_is_owed_but_never_from_gifts(
    session: Session, account: Account, tell: Tell, ada: str
) -> None:
    charge = buy(account, ada, 100)
    tell()
    grants.add(session, ada, 30, source="purchase", reason="elsewhere", actor="t", at=LATER)
    spend(session, ada, ALLOWANCE + 100)
    grants.add(session, ada, 50, source="bonus", reason="welcome", actor="t", at=LATER)
    account.refund(charge)
    tell(at=LATER)
    assert state(session) == (50, 70)


def test_a_debt_is_settled_by_the_next_purchase_and_shrinks_first_when_the_money_comes_back(
    session: Session, account: Account, tell: Tell, ada: str
) -> None:
    charge = buy(account, ada, 100)
    tell()
    spend(session, ada, ALLOWANCE + 100)
    refund = account.refund(charge)
    tell(at=LATER)
    assert state(session) == (0, 100)
    grants.add(session, ada, 30, source="purchase", reason="elsewhere", actor="t", at=LATER)
    assert state(session) == (0, 70)
    buy(account, ada, 50)
    tell(at=LATER)
    assert state(session) == (0, 20)
    account.fail_refund(refund)
    tell(at=LATER)
    assert state(session) == (80, 0)


def test_credits_that_a_refund_returns_settle_a_debt_in_the_next_round_of_the_worker(
    session: Session, account: Account, tell: Tell, ada: str
) -> None:
    charge = buy(account, ada, 100)
    tell()
    failed = make_generation(session, ada, credits=ALLOWANCE + 100, status="submitted", at=LATER)
    account.refund(charge)
    tell(at=LATER)
    assert state(session) == (0, 100)
    from makegood import generations
    from makegood.providers.protocol import ErrorClass

    generations.fail(session, failed, ErrorClass.TIMEOUT, "late", TERMS, at=LATER)
    assert state(session) == (105, 100)
    assert purchases.debts.settle(session, at=LATER) == 1
    assert state(session) == (ALLOWANCE, 0)
    assert purchases.debts.settle(session, at=LATER) == 0


def test_credits_that_expired_unspent_are_gone_and_restored_ones_live_on_for_30_days(
    session: Session, account: Account, tell: Tell, ada: str
) -> None:
    customer = account.customer("ada@example.com", metadata={"user_id": ada})
    account.subscribe(customer, [(plan(account, 200, credits_expire="period_end"), 1)])
    tell()
    assert state(session) == (ALLOWANCE + 200, 0)
    (charge,) = account.all("charges")
    refund = account.refund(charge, 380)  # a fifth: 40 credits
    tell(at=LATER)
    spend(session, ada, ALLOWANCE + 100)
    after = BEGAN + timedelta(days=40)
    grants.expire_due(session, at=after)
    before = state(session)[0]
    account.refund(charge, 1520)
    tell(at=after)
    (purchase,) = session.scalars(select(Purchase))
    assert (purchase.clawed, purchase.gone, purchase.owed) == (200, 60, 100)
    account.fail_refund(refund)
    tell(at=after)
    assert state(session) == (before, 60)
    account.fail_refund(account.all("refunds")[0])
    tell(at=after)
    assert state(session) == (before + 40, 0)
    restored = session.scalars(select(Grant).where(Grant.reason == "restored after expiry")).one()
    assert (restored.remaining, restored.expires_at) == (40, after + timedelta(days=30))
    assert restored.purchase_id == purchase.id
