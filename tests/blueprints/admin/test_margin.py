"""The pages of margin and credit liability, their files, and what the API says of both."""

from __future__ import annotations

import csv
import html
import io
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from flask import Flask
from flask.testing import FlaskClient

from extensions import db
from makegood.models import StripeAccount
from tests.making import make_customer, make_generation
from tests.money import all_read, moved
from tests.selling import buy, give_back, pay

NOW = datetime.now(UTC)
AT = NOW - timedelta(minutes=1)


@pytest.fixture
def sold(app: Flask) -> None:
    """A minute ago: 1,000 credits for $20 and $3.80 tax, of which 300 were used, and 50 that nobody paid for."""
    with app.app_context():
        db.session.add(StripeAccount(id=1, livemode=False, grants_since=AT - timedelta(days=40)))
        ada = make_customer(db.session, 0, customer_id="cus_ada", at=AT)
        make_generation(db.session, ada, credits=5, at=AT)
        pack = buy(db.session, ada, 1_000, 2_000, tax=380, at=AT)
        make_generation(db.session, ada, credits=300, at=AT)
        bob = make_customer(db.session, 50, customer_id="cus_bob", at=AT)
        make_generation(db.session, bob, credits=50, at=AT)
        pay(db.session, None, 2_380, 99, at=AT, purchase_id=pack)
        all_read(db.session, NOW + timedelta(minutes=1))
        db.session.commit()


def text(page: str) -> str:
    """A page as its words."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def rows(operator: FlaskClient, name: str, **filters: str) -> list[dict[str, str]]:
    """A file."""
    answer = operator.get(f"/admin/exports/{name}.csv", query_string=filters)
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(answer.text)))


@pytest.mark.usefixtures("sold")
def test_margin_shows_both_bases(operator: FlaskClient) -> None:
    page = text(operator.get("/admin/margin").text)

    assert "Revenue, cash $23.80" in page
    assert "Profit, cash $22.73 95.5% margin" in page
    assert "Revenue, recognised $6.00" in page
    assert "Profit, recognised $4.93 82.2% margin" in page
    assert "Every amount of this range is in US dollars" in page
    assert "panel-margin_cards" in operator.get("/admin/pulse/margin").text


@pytest.mark.usefixtures("sold")
def test_margin_by_customer_shows_payers_and_apart_from_them_what_free_use_costs(operator: FlaskClient) -> None:
    page = text(operator.get("/admin/margin/customers").text)
    assert "Customers who pay 1" in page
    assert "Customers who leave most In US dollars, by profit on recognised revenue" in page
    assert "cus_ada" in page
    assert "cus_bob" not in page
    assert "$23.80 of cash is of payments that belong to no customer here" in page

    free = text(operator.get("/admin/margin/customers?group=free").text)
    assert "Free use $0.03 1 customer who never paid" in free
    assert "The customers in short: 1 customer" in free  # which is announced
    assert "cus_bob" in free
    assert "cus_ada" not in free

    losing = operator.get("/admin/margin/customers?group=losing&sort=cash").text
    assert "does not cover Stripe's fees" in text(losing)
    assert "<span data-found>1 customer</span>" in losing
    assert "cus_ada" in text(losing)
    assert "/admin/exports/margin-customers?range=30d&amp;group=losing" in losing
    assert "panel-margin_customers_list" in operator.get("/admin/pulse/margin/customers").text
    assert operator.get("/admin/margin/customers?group=nobody&sort=nothing").status_code == 200


@pytest.mark.usefixtures("sold")
def test_the_files_have_the_rows_of_the_page(operator: FlaskClient) -> None:
    [today] = [row for row in rows(operator, "margin-days") if row["starts_on"] == str(AT.date())]
    assert (today["cash_usd"], today["recognised_usd"], today["fees_usd"]) == ("23.800000", "6.000000", "0.990000")
    [provider] = rows(operator, "margin-providers")
    assert (provider["provider"], provider["cost_usd"], provider["contribution_usd"]) == (
        "wavespeed",
        "0.081000",
        "5.919000",
    )
    assert [row["tier"] for row in rows(operator, "margin-tiers")] == ["free"]
    assert [row["model"] for row in rows(operator, "margin-models")] == ["bytedance/seedream-v4"]
    for group, listed in (("payers", ["cus_ada"]), ("losing", []), ("free", ["cus_bob"])):
        assert [row["customer_id"] for row in rows(operator, "margin-customers", group=group)] == listed
    [lot] = rows(operator, "liability")
    assert (lot["customer_id"], lot["left"], lot["owed"], lot["amount"]) == ("cus_ada", "700", "14.00", "20.00")


@pytest.mark.usefixtures("sold")
def test_liability_shows_what_is_owed_and_how_it_came_about(app: Flask, operator: FlaskClient) -> None:
    page = text(operator.get("/admin/liability").text)
    assert "Owed now $14.00 In USD" in page
    assert "By currency" not in page
    assert "Up to 30 days 700 $14.00 100.0%" in page
    assert "Never 700 $14.00" in page

    with app.app_context():
        buy(db.session, "cus_ada", 100, 5_000, currency="jpy", at=AT)
        db.session.commit()
    assert "Owed now ¥5,000 In JPY, one of 2 currencies" in text(
        operator.get("/admin/liability?currency=jpy").text
    )
    both = text(operator.get("/admin/liability").text)
    assert "JPY 100 ¥5,000" in both, "what is owed in another currency is seen without a filter"
    assert "USD 700 $14.00" in both
    assert "as shown they may differ in the last digit" in both
    assert "Nothing was paid in EUR" in text(operator.get("/admin/liability?currency=eur").text)


@pytest.mark.usefixtures("sold")
def test_the_file_of_providers_adds_up_to_all_that_was_recognised(app: Flask, operator: FlaskClient) -> None:
    with app.app_context():
        moved(db.session, "charge", 500, at=AT)
        db.session.commit()
    found = {row["provider"]: Decimal(row["recognised_usd"]) for row in rows(operator, "margin-providers")}
    assert found == {"wavespeed": 6, "Payments for no credits": 5}
    assert "All $11.00" in text(operator.get("/admin/margin").text)


def test_the_file_of_what_is_owed_adds_up_to_the_page(app: Flask, operator: FlaskClient) -> None:
    with app.app_context():
        for number in range(3):
            ada = make_customer(db.session, 0, customer_id=f"cus_{number}", at=AT)
            make_generation(db.session, ada, credits=5, at=AT)
            buy(db.session, ada, 1_000, 1_001, at=AT)
            make_generation(db.session, ada, credits=400, at=AT)
        db.session.commit()
    owed = sum(Decimal(lot["owed"]) for lot in rows(operator, "liability"))
    assert owed == Decimal("18.018")  # 3 x $6.006: rounded each, $18.03
    assert "Owed now $18.02" in text(operator.get("/admin/liability").text)


def test_without_stripe_the_pages_say_that_it_is_not_set_up(operator: FlaskClient) -> None:
    for path in ("/admin/margin", "/admin/liability"):
        assert "Stripe is not connected" in text(operator.get(path).text)
    assert rows(operator, "margin-providers") == []


def test_the_margin_page_says_what_is_not_known(app: Flask, operator: FlaskClient) -> None:
    with app.app_context():
        db.session.add(StripeAccount(id=1, livemode=False, grants_since=AT))
        bob = make_customer(db.session, 50, customer_id="cus_bob", at=AT - timedelta(days=3))
        make_generation(db.session, bob, credits=50, at=AT - timedelta(days=2))
        make_generation(db.session, bob, credits=5, model="somebody/unknown", at=AT)
        db.session.commit()

    page = text(operator.get("/admin/margin").text)

    assert "Revenue, cash –" in page
    assert "Stripe's balance transactions have not been read yet." in page
    assert "Credits are sold here since" in page
    assert "1 generation of unknown cost is in no cost here" in page
    assert "Nothing is owed" in text(operator.get("/admin/liability").text)


@pytest.mark.usefixtures("sold")
def test_the_api_has_cost_profit_margin_and_liability(app: Flask, operator: FlaskClient) -> None:
    found = operator.get("/api/admin/revenue").json
    assert found is not None
    assert (found["provider_cost"], found["platform_loss"]) == (8, 0)
    assert (found["profit"], found["profit_recognised"]) == (2_273, 493)
    assert (found["margin"], found["margin_recognised"]) == ("0.955000", "0.821500")
    assert found["credit_liability"] == {"usd": 1_400}
    assert "Unspent paid credits" in found["rules"]["credit_liability"]
    with app.app_context():
        give_back(db.session, buy(db.session, "cus_ada", 10, 0, at=AT), 0, at=AT)
        moved(db.session, "charge", 500, currency="eur", at=AT)
        db.session.commit()
    found = operator.get("/api/admin/revenue").json
    assert found is not None
    assert (found["profit"], found["margin"]) == (None, None)
    assert "no exchange rate for eur" in found["rules"]["profit"]
