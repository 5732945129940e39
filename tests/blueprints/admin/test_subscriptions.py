"""The pages of subscriptions: their states, their figures, and the rows behind them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from extensions import db
from makegood.models import StripeCustomer, StripeResource
from tests.people import add_operator, log_in
from tests.subscribing import a_quarter

NOW = datetime.now(UTC)


@pytest.fixture
def quarter(app: Flask, operator: FlaskClient) -> FlaskClient:
    """An account with three months of subscriptions."""
    with app.app_context():
        a_quarter(db.session(), NOW)
        db.session.commit()
    return operator


def test_without_stripe_the_page_says_what_to_set(operator: FlaskClient) -> None:
    page = operator.get("/admin/subscriptions").text
    assert "Stripe is not connected" in page
    assert "STRIPE_API_KEY" in page


@pytest.mark.parametrize(
    ("state", "problem", "said"),
    [
        ("backfill", None, "The first snapshot of MRR is taken when all of them have been read"),
        ("no_permission", "the key may not read “Subscriptions”", "The key may not read “Subscriptions”."),
    ],
)
def test_until_all_subscriptions_are_read_there_is_no_figure(
    app: Flask, operator: FlaskClient, state: str, problem: str | None, said: str
) -> None:
    with app.app_context():
        db.session.add(StripeResource(name="subscriptions", state=state, problem=problem))
        db.session.commit()
    page = operator.get("/admin/subscriptions").text
    assert said in page
    assert "Trials converted" not in page


def test_every_figure_has_its_rule_and_the_rules_of_the_snapshot(quarter: FlaskClient) -> None:
    page = quarter.get("/admin/subscriptions").text
    assert "$212.00" in page
    assert "Coupons reduce it where they last forever" in page
    assert "1 subscription is not in these figures" in page
    for title in ("MRR, USD", "Active subscribers, all currencies", "Churn rate, all currencies"):
        assert f"<h3>{title}</h3>" in page
    assert "Trial conversion, all currencies" in page
    assert "counted=unknown" in page
    assert "kind=churn" in page
    assert "€9.00" in page


def test_another_currency_has_figures_of_its_own(quarter: FlaskClient) -> None:
    page = quarter.get("/admin/subscriptions?currency=eur").text
    assert "MRR, EUR" in page
    assert "€108.00 a year" in page
    assert "Nothing in GBP" in quarter.get("/admin/subscriptions?currency=gbp").text


def test_an_estimate_is_called_one(quarter: FlaskClient) -> None:
    day = (NOW - timedelta(days=30)).date()
    page = quarter.get(f"/admin/subscriptions?from={day}&to={day}").text
    assert "Estimated." in page
    assert "/admin/subscriptions/all?currency" not in page, "subscriptions are known as they are now"


def test_the_list_says_why_a_subscription_is_not_in_mrr(quarter: FlaskClient) -> None:
    page = quarter.get("/admin/subscriptions/all").text
    assert page.count('<tr id="sub_') == 14
    assert "will be cancelled" in page
    unknown = quarter.get("/admin/subscriptions/all?counted=unknown").text
    assert unknown.count('<tr id="sub_') == 1
    assert "a discount was not read with it" in unknown
    assert quarter.get("/admin/subscriptions/all?counted=yes&currency=USD").text.count('<tr id="sub_') == 7
    assert quarter.get("/admin/subscriptions/all?customer=user_1001").text.count('<tr id="sub_') == 1
    assert "Nothing matches these filters" in quarter.get("/admin/subscriptions/all?status=nonsense").text


def test_movements_are_the_rows_behind_the_figures(quarter: FlaskClient) -> None:
    page = quarter.get("/admin/subscriptions/movements?kind=expansion").text
    assert "user_1003" in page
    assert "$49.00" in page
    assert "$98.00" in page
    older = quarter.get("/admin/subscriptions/movements?kind=new").text
    assert older.count("Estimated") >= 14


def test_a_customer_is_found_by_our_id_and_by_stripes(app: Flask, quarter: FlaskClient) -> None:
    """With the same rows, and nobody else's."""
    with app.app_context():
        theirs = db.session.scalars(
            select(StripeCustomer.id).where(StripeCustomer.customer_id == "user_1003")
        ).one()
    for page, row in (("all", '<tr id="sub_'), ("movements", 'class="left2"')):
        mine, same, all_rows, nobodys = (
            quarter.get(f"/admin/subscriptions/{page}{asked}").text.count(row)
            for asked in ("?customer=user_1003", f"?customer={theirs}", "", "?customer=nobody")
        )
        assert 0 < mine == same < all_rows
        assert nobodys == 0


def test_files_have_the_rows_of_the_pages(quarter: FlaskClient) -> None:
    days = quarter.get("/admin/exports/mrr-days.csv?range=7d").text.splitlines()
    assert days[0] == "day,currency,mrr,subscribers,estimated,taken_at,rules"
    assert len(days) == 1 + 2 * 7
    movements = quarter.get("/admin/exports/mrr-movements.csv?kind=churn&range=7d").text.splitlines()
    assert movements[1].split(",")[1:] == ["churn", "cus_Q8sZk05", "user_1006", "user_1006@example.com", "usd",
                                           "49.00", "0.00", "no", ""]  # fmt: skip
    listed = quarter.get("/admin/exports/subscriptions.csv?counted=yes&currency=EUR").text.splitlines()
    assert "9.00" in listed[1].split(",")


def test_a_viewer_sees_them_and_a_stranger_does_not(app: Flask, client: FlaskClient) -> None:
    assert client.get("/admin/subscriptions").status_code == 303
    add_operator(app, "viewer@example.com", role="viewer")
    log_in(client, "viewer@example.com")
    assert client.get("/admin/subscriptions").status_code == 200
    assert client.get("/admin/subscriptions/all").status_code == 200


def test_a_range_of_hours_has_days_and_a_long_one_months(quarter: FlaskClient) -> None:
    today = quarter.get("/admin/subscriptions?range=today&zone=Asia/Kathmandu").text
    assert "At the end of each day" in today
    year = quarter.get(f"/admin/subscriptions?from={NOW.year - 1}-01-01&to={NOW.date()}").text
    assert "At the end of each month" in year


def test_the_panels_come_again_by_themselves(quarter: FlaskClient) -> None:
    fragments = quarter.get("/admin/pulse/subscriptions?range=7d").text
    assert "panel-subscriptions_cards" in fragments
    assert "<html" not in fragments


def test_the_api_says_the_same_in_minor_units(quarter: FlaskClient) -> None:
    found = quarter.get("/api/admin/revenue?range=30d").json
    assert found is not None
    assert (found["mrr"], found["arr"]) == ({"usd": 21200, "eur": 900}, {"usd": 254400, "eur": 10800})
    assert found["active_subscribers"] == 8
    assert found["arpu"] == {"usd": 3029, "eur": 900}
    assert found["churn"] == "0.076923"
    assert "Coupons reduce it where they last forever" in found["rules"]["mrr"]
    early = quarter.get("/api/admin/revenue?from=2020-01-01&to=2020-01-02").json
    assert early is not None
    assert early["mrr"] is None
    assert early["rules"]["mrr"].startswith("Null: ")
