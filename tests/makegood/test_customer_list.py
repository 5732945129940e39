"""The customers list: what is found, and pages in a stable order whatever the ids are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from makegood import customer_list, customers
from makegood.customer_list import BALANCE, CustomerFilters
from makegood.pages import Cursor
from tests.making import TERMS, make_customer, make_generation
from tests.selling import buy, give_back

START = datetime(2026, 11, 15, 12, tzinfo=UTC)
PEOPLE = {
    "c_1": ("Ada@Example.com", "pro", 0),
    "c_10": ("adam@example.com", "free", 90),
    "C_2": (None, "free", 5),
    "50%_off": ("zoe@c_1.example", "plus", 20),
    "é/x": (None, "free", 0),
}
"""E-mail address, tier and purchased credits, a minute apart."""


@pytest.fixture
def people(session: Session) -> None:
    for number, (name, (email, tier, credits)) in enumerate(PEOPLE.items()):
        at = START + timedelta(minutes=number)
        make_customer(session, credits, customer_id=name, tier=tier, at=at)
        customers.upsert(session, name, email=email, tier=tier, timezone=TERMS.timezone, at=at)
    make_generation(session, "é/x", credits=5, at=START + timedelta(hours=1))


def found(session: Session, **filters: Any) -> list[str]:
    """The ids that are listed, in order."""
    return [row.customer_id for row in customer_list.CUSTOMERS.page(session, CustomerFilters(**filters)).rows]


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, ["é/x", "50%_off", "C_2", "c_10", "c_1"]),
        ({"beginning": "c_1"}, ["c_10", "c_1"]),
        ({"beginning": "ADA"}, ["c_10", "c_1"]),
        ({"beginning": "ada@example.com"}, ["c_1"]),
        ({"beginning": "C_"}, ["C_2"]),
        ({"beginning": "50%_"}, ["50%_off"]),
        ({"beginning": "%"}, []),
        ({"beginning": "_"}, []),
        ({"beginning": "é"}, ["é/x"]),
        ({"tier": "free"}, ["é/x", "C_2", "c_10"]),
        ({"balance": "none"}, ["é/x"]),
        ({"balance": "some", "tier": "free"}, ["C_2", "c_10"]),
        ({"balance": "nonsense"}, []),
        ({"start": START + timedelta(minutes=1), "end": START + timedelta(minutes=3)}, ["C_2", "c_10"]),
        ({"order": BALANCE}, ["c_1", "c_10", "50%_off", "C_2", "é/x"]),
        ({"order": BALANCE, "start": START + timedelta(minutes=2)}, ["50%_off", "C_2", "é/x"]),
    ],
)
def test_the_list_has_who_the_filters_name(session: Session, filters: dict[str, Any], expected: list[str]) -> None:
    assert found(session, **filters) == expected


@pytest.mark.usefixtures("people")
def test_who_owes_credits_is_found_until_they_are_paid(session: Session) -> None:
    at = START + timedelta(hours=2)
    gone = buy(session, "c_1", 30, 300, at=at)
    make_generation(session, "c_1", credits=220, at=at)
    assert found(session, balance="owes") == []
    give_back(session, gone, 300, at=at)
    [debtor] = customer_list.CUSTOMERS.page(session, CustomerFilters(balance="owes")).rows
    assert (debtor.customer_id, debtor.balance, debtor.owed) == ("c_1", 0, 20)
    assert "c_1" in found(session, balance="none")
    [row] = session.execute(customer_list.CUSTOMERS.every(CustomerFilters(balance="owes")))
    assert row.owed == 20
    buy(session, "c_1", 40, 400, at=at)
    assert found(session, balance="owes") == []
    [paid] = customer_list.CUSTOMERS.page(
        session, CustomerFilters(beginning="c_1", balance="some", tier="pro")
    ).rows
    assert (paid.balance, paid.owed) == (20, 0)


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("order", ["newest", "balance"])
def test_pages_lead_down_and_up_again_without_a_gap(session: Session, order: str) -> None:
    filters = CustomerFilters(order=order)
    whole = found(session, order=order)
    down: list[str] = []
    before: Cursor | None = None
    for _ in range(9):
        page = customer_list.CUSTOMERS.page(session, filters, before=Cursor.parse(str(before)), limit=2)
        down += [row.customer_id for row in page.rows]
        if page.older is None:
            break
        before = page.older
    assert down == whole
    up = customer_list.CUSTOMERS.page(session, filters, after=page.newer, limit=2)
    assert [row.customer_id for row in up.rows] == whole[2:4]
    assert up.newer is not None
    top = customer_list.CUSTOMERS.page(session, filters, after=up.newer, limit=2)
    assert ([row.customer_id for row in top.rows], top.newer) == (whole[:2], None)
    assert [row.id for row in session.execute(customer_list.CUSTOMERS.every(filters))] == whole


@pytest.mark.usefixtures("people")
def test_the_same_balance_or_instant_is_ordered_by_id(session: Session) -> None:
    for name in ("same-b", "same-a", "same-c"):
        make_customer(session, 33, customer_id=name, at=START)
    filters = CustomerFilters(beginning="same", order=BALANCE)
    first = customer_list.CUSTOMERS.page(session, filters, limit=2)
    assert [row.customer_id for row in first.rows] == ["same-c", "same-b"]
    second = customer_list.CUSTOMERS.page(session, filters, before=first.older)
    assert [row.customer_id for row in second.rows] == ["same-a"]


def test_a_beginning_is_found_by_its_index_in_a_prepared_statement_too(session: Session) -> None:
    session.execute(text("SET LOCAL enable_seqscan = off"))
    session.execute(text("SET LOCAL plan_cache_mode = force_generic_plan"))
    session.execute(
        text(
            "PREPARE beginning (text, text) AS SELECT FROM customers "
            "WHERE (id ~>=~ $1 AND id ~<~ $2) OR (lower(email) ~>=~ $1 AND lower(email) ~<~ $2)"
        )
    )
    plan = "\n".join(session.scalars(text("EXPLAIN EXECUTE beginning ('a', 'b')")))
    session.execute(text("DEALLOCATE beginning"))
    assert "ix_customers_beginning" in plan
    assert "ix_customers_email" in plan
