"""The generations list as a page and as a file."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from extensions import db
from tests.making import make_customer, make_generation


@pytest.fixture
def three(app: Flask) -> list[str]:
    """Two that succeeded and one that failed, a minute apart, newest first."""
    with app.app_context():
        start = datetime.now(UTC) - timedelta(hours=1)
        customer = make_customer(db.session, customer_id="c/42", credits=50, at=start)
        made = [
            make_generation(db.session, customer, status=status, credits=2, at=start + timedelta(minutes=number))
            for number, status in enumerate(("succeeded", "failed", "succeeded"))
        ]
        db.session.commit()
    return [str(generation_id) for generation_id in reversed(made)]


def listed(page: str) -> list[str]:
    return re.findall(r'id="generation-([0-9a-f-]{36})"', page)


def test_every_row_leads_to_its_generation_and_its_customer(operator: FlaskClient, three: list[str]) -> None:
    page = operator.get("/admin/generations").text
    assert listed(page) == three
    for generation_id in three:
        assert operator.get(f"/admin/generations/{generation_id}").status_code == 200
    link = re.search(r'href="(/admin/customers/[^"]+)"', page)
    assert link
    assert operator.get(link[1]).status_code == 200


def test_the_file_has_the_rows_of_the_screen(operator: FlaskClient, three: list[str]) -> None:
    query = "?status=failed&by=ended&refunded=yes"
    assert listed(operator.get(f"/admin/generations{query}").text) == [three[1]]
    response = operator.get(f"/admin/exports/generations.csv{query}")
    [row] = list(csv.DictReader(io.StringIO(response.text)))
    assert (row["generation_id"], row["status"], row["credits_refunded"]) == (three[1], "failed", "2")


def test_an_empty_list_says_whether_filters_hide_something(operator: FlaskClient) -> None:
    assert "No generation was charged yet" in operator.get("/admin/generations").text
    page = operator.get("/admin/generations?model=unheard/of&cost=unknown").text
    assert "Nothing matches these filters" in page
    assert "Model: unheard/of" in page
    assert '<option value="unheard/of" selected>' in page


def test_what_is_listed_can_be_refunded_together_by_filters_that_a_bulk_refund_knows(
    operator: FlaskClient,
) -> None:
    def offered(query: str) -> bool:
        return "Refund these…" in operator.get(f"/admin/generations?{query}").text

    assert offered("provider=wavespeed&status=failed&range=today")
    assert not offered("provider=wavespeed")
    assert not offered("provider=wavespeed&range=today&by=ended")
    assert not offered("provider=wavespeed&range=today&customer=c_1")
