"""The revenue page: its figures are those of the rows behind them, and it says what it does not know."""

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

from blueprints.admin.at_stripe import at_stripe
from extensions import db
from makegood.models import Charge, ExchangeRate
from tests.making import make_customer
from tests.money import all_read, moved

NOW = datetime.now(UTC)


@pytest.fixture
def sold(app: Flask) -> None:
    """An hour ago, in dollars: two charges of $10, one refunded in part; in euros one charge; and a payout."""
    at = NOW - timedelta(hours=1)
    with app.app_context():
        customer = make_customer(db.session, customer_id="c/1")
        moved(db.session, "charge", 1_000, 59, at=at, source="ch_1")
        moved(db.session, "charge", 1_000, 59, at=at, source="ch_2")
        moved(db.session, "refund", -250, at=at, source="re_1")
        moved(db.session, "charge", 900, 30, currency="eur", at=at)
        moved(db.session, "payout", -700, at=at, source="po_1")
        moved(db.session, "newly_invented", -5, at=at)
        db.session.add(
            Charge(
                id="ch_1",
                created_at=at,
                livemode=False,
                status="succeeded",
                currency="usd",
                amount=1_000,
                amount_captured=1_000,
                amount_refunded=250,
                disputed=False,
                customer_id=customer,
                linked_by="metadata",
                body={},
                read_at=at,
            )
        )
        all_read(db.session, NOW + timedelta(minutes=1))
        db.session.commit()


def text(page: str) -> str:
    """A page as its words."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def file(operator: FlaskClient, name: str, query: str = "") -> list[dict[str, str]]:
    answer = operator.get(f"/admin/exports/{name}.csv?{query}")
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(answer.text)))


@pytest.mark.usefixtures("sold")
def test_the_figures_are_shown_in_the_currency_with_the_most_transactions(operator: FlaskClient) -> None:
    page = text(operator.get("/admin/revenue").text)
    assert "Gross $20.00" in page
    assert "Refunds $2.50" in page
    assert "Stripe fees $1.18" in page
    assert "Net $16.32" in page
    assert "Newly invented Not known here" in page
    assert "Still reading" not in page
    euros = operator.get("/admin/revenue?currency=eur").text
    assert "Net €8.70" in text(euros)
    assert '<option value="eur" selected>EUR<' in euros
    assert ">Currency: EUR<" in euros


@pytest.mark.usefixtures("sold")
def test_currencies_are_added_together_only_with_rates_that_are_named(app: Flask, operator: FlaskClient) -> None:
    page = text(operator.get("/admin/revenue").text)
    assert "All, in US dollars – $2.50 $0.00 – $0.00 $0.00 –" in page  # nothing came back in euros: no rate needed
    assert "EUR has no exchange rate" in page
    with app.app_context():
        day = (NOW - timedelta(days=3)).date()
        db.session.add(ExchangeRate(currency="eur", day=day, usd_per_unit=Decimal("1.1"), source="ECB", actor="t"))
        db.session.commit()
    page = text(operator.get("/admin/revenue").text)
    assert "All, in US dollars $29.90 $2.50 $0.00 $1.51 $0.00 $0.00 $25.89" in page
    assert "1 EUR = $1.10, the rate of " in page


@pytest.mark.usefixtures("sold")
@pytest.mark.parametrize(
    ("figure", "amounts"),
    [
        ("gross", ["10", "10"]),
        ("refunds", ["-2.5"]),
        ("fees", ["10", "10"]),
        ("net", ["10", "10", "-2.5"]),
        ("moved", ["-7"]),
        ("other", ["-0.05"]),
        ("disputes", []),
    ],
)
def test_a_figure_leads_to_the_rows_that_it_is_made_of(
    operator: FlaskClient, figure: str, amounts: list[str]
) -> None:
    rows = file(operator, "balance-transactions", f"figure={figure}&currency=usd&range=today")
    yesterday = file(operator, "balance-transactions", f"figure={figure}&currency=usd&range=yesterday")
    found = sorted(Decimal(row["amount"]) for row in rows + yesterday)
    assert found == sorted(Decimal(amount) for amount in amounts)
    assert operator.get(f"/admin/revenue/transactions?figure={figure}&currency=usd").text.count('id="txn_') == len(
        amounts
    )


@pytest.mark.usefixtures("sold")
def test_the_rows_say_whose_they_are(operator: FlaskClient) -> None:
    page = operator.get("/admin/revenue/transactions?customer=c/1").text
    assert page.count('id="txn_') == 1
    assert 'href="/admin/customers/c/1"' in page
    assert "https://dashboard.stripe.com/test/payments/ch_1" in page


@pytest.mark.usefixtures("sold")
def test_the_files_have_the_figures_of_the_page(operator: FlaskClient) -> None:
    rows = {row["currency"]: row for row in file(operator, "revenue-days")}
    assert (rows["usd"]["gross"], rows["usd"]["net"], rows["usd"]["other"]) == ("20.00", "16.32", "-0.05")
    assert (rows["eur"]["gross"], rows["eur"]["net"]) == ("9.00", "8.70")
    found = {(row["currency"], row["reporting_category"]): row for row in file(operator, "revenue-categories")}
    assert found["usd", "charge"]["amount"] == "20.00"
    assert found["usd", "payout"]["figure"] == "moved"
    assert len(file(operator, "revenue-categories", "currency=eur")) == 1


def test_an_account_without_stripe_says_how_to_connect_it(operator: FlaskClient) -> None:
    page = operator.get("/admin/revenue").text
    assert "Stripe is not connected" in page
    assert "$0.00" not in page


@pytest.mark.usefixtures("sold")
def test_while_stripe_is_being_read_the_page_says_back_to_when(app: Flask, operator: FlaskClient) -> None:
    with app.app_context():
        reached = NOW - timedelta(days=3)
        all_read(db.session, NOW, state="backfill", reached=reached, finished_at=None, read_at=None)
        db.session.commit()
    page = text(operator.get("/admin/revenue").text)
    assert "Still reading: these figures are partial." in page
    assert "The period before has not been read in full" in page
    assert "Still reading" not in text(operator.get("/admin/revenue?range=today").text)


@pytest.mark.usefixtures("sold")
def test_figures_that_are_older_than_the_range_say_so(app: Flask, operator: FlaskClient) -> None:
    with app.app_context():
        all_read(db.session, NOW - timedelta(days=2), state="failed", problem="Stripe could not be asked.")
        db.session.commit()
    page = text(operator.get("/admin/revenue").text)
    assert "These figures may be too low." in page
    assert "Stripe could not be asked." in page


def test_an_id_leads_to_its_own_place_at_stripe_whatever_it_is_made_of() -> None:
    """It may come from another's system."""
    assert at_stripe("ch_1", True) == "https://dashboard.stripe.com/payments/ch_1"
    assert at_stripe("cus_../x?y#z", False) == "https://dashboard.stripe.com/test/customers/cus_..%2Fx%3Fy%23z"
    assert at_stripe("a&b", True) == "https://dashboard.stripe.com/search?query=a%26b"


def test_what_is_won_back_from_disputes_is_not_shown_as_a_loss(app: Flask, operator: FlaskClient) -> None:
    with app.app_context():
        moved(db.session, "charge", 1_000, at=NOW - timedelta(hours=1))
        moved(db.session, "dispute_reversal", 390, at=NOW - timedelta(hours=1))
        all_read(db.session, NOW + timedelta(minutes=1))
        db.session.commit()
    for path in ("/admin/revenue", "/admin/"):
        page = text(operator.get(path).text)
        assert "$3.90 won back from disputes" in page, path
        assert "−$3.90 disputes" not in page, path
