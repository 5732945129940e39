"""What the database itself refuses about purchases, whoever asks for it."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from makegood.ids import uuid7
from makegood.purchases import fulfilment, returns
from tests.makegood.purchases.conftest import BEGAN
from tests.making import TERMS, make_customer

ROW = """
    INSERT INTO clawbacks (id, purchase_id, number, customer_id, cause, amount, refunded, disputed, taken, owed,
                           gone, occurred_at)
    SELECT gen_random_uuid(), id, {number}, customer_id, 'refund', {amount}, {refunded}, 0, 0, {owed}, 0, now()
      FROM purchases
"""
REFUSED = [
    "UPDATE purchases SET owed = 1, clawed = 51",
    "UPDATE purchases SET credits = 101",
    "UPDATE purchases SET customer_id = 'bob'",
    "DELETE FROM purchases",
    "TRUNCATE purchases CASCADE",
    "UPDATE clawbacks SET taken = 0",
    "DELETE FROM clawbacks",
    "UPDATE grants SET purchase_id = NULL WHERE purchase_id IS NOT NULL",
    "SELECT post(gen_random_uuid(), 'ada', 'restoration', 1, 't', '-', now())",
    "SELECT post(gen_random_uuid(), 'ada', 'clawback', 1, 't', '-', now())",
    ROW.format(number=1, amount=0, refunded=450, owed=0),
    ROW.format(number=2, amount=1, refunded=450, owed=0),
    ROW.format(number=2, amount=450, refunded=900, owed=51),
]


@pytest.mark.parametrize("statement", REFUSED)
def test_it_refuses_what_goes_around_the_rules(session: Session, statement: str) -> None:
    make_customer(session, 0, customer_id="ada", at=BEGAN)
    make_customer(session, 0, customer_id="bob", at=BEGAN)
    values = {
        "purchase": uuid7(), "grant": uuid7(), "transaction": uuid7(), "customer": "ada", "linked_by": "charge",
        "kind": "invoice", "source": "in_1", "credits": 100, "ends": None, "currency": "usd", "amount": 900,
        "paid": 900, "paid_at": BEGAN, "reason": "-", "at": BEGAN,
    }  # fmt: skip
    assert session.scalar(fulfilment.SELL, values) is True
    assert session.scalar(fulfilment.SELL, values | {"purchase": uuid7(), "grant": uuid7()}) is False
    half = returns.Return(values["purchase"], "ada", 450, 0)
    returns.follow(session, [half, half], TERMS.returned_credits_live, at=BEGAN)
    session.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
    with pytest.raises(DBAPIError):
        session.execute(text(statement))
