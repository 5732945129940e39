"""Recomputing costs over HTTP and by the worker."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update
from werkzeug.test import TestResponse

import tasks.providers
from extensions import db
from makegood import books, generations
from makegood.generations import costs
from makegood.models import Generation
from makegood.prices import book, changes
from makegood.prices.lines import Line
from tests.makegood.prices.making import quote
from tests.making import MODEL, make_customer, make_generation

PATH = "/admin/prices/recompute"


@pytest.fixture
def made(app: Flask) -> list[UUID]:
    """Three generations at a price that was wrong."""
    with app.app_context():
        session = db.session()
        customer = make_customer(session, 100)
        made = [make_generation(session, customer, status="succeeded") for _ in range(3)]
        listed = book.line(session, Line("wavespeed", MODEL, "image"))
        changes.correct(
            session,
            listed.held[0].id,
            quote(30_000),
            state=listed.state,
            confirmed=True,
            actor="ana",
            at=datetime.now(UTC),
        )
        session.commit()
    return made


def send(browser: FlaskClient, page: str, count: str) -> TestResponse:
    """Type the number and press Recompute."""
    form = page[page.index('class="block applies"') :]
    fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form))
    action = re.findall(r'action="([^"]+)" autocomplete', page)[-1].replace("&amp;", "&")
    return browser.post(action, data=fields | {"count": count})


def costs_of(app: Flask, made: list[UUID]) -> list[int | None]:
    with app.app_context():
        return [generations.get(db.session(), one).cost_micros for one in made]


def test_a_recompute_is_previewed_typed_and_done_by_the_worker(
    app: Flask, operator: FlaskClient, made: list[UUID]
) -> None:
    page = operator.get(f"{PATH}?provider=wavespeed&model={MODEL}").text
    assert "Type 3 to confirm" in page
    assert "+$0.009" in page
    response = send(operator, page, "3")
    assert response.status_code == 303
    page = operator.get(response.location).text
    assert "Recomputing 3 generations of wavespeed." in page
    assert 'hx-trigger="every 2s"' in page
    assert costs_of(app, made) == [27_000] * 3
    with app.app_context():
        tasks.providers.recompute_costs(app)
        assert books.violations(db.session()) == []
    progress = operator.get(f"{PATH}/progress").text
    assert "3 of 3" in progress
    assert "Finished" in progress
    assert "hx-trigger" not in progress
    assert costs_of(app, made) == [30_000] * 3
    assert "Every cost is what" in operator.get(f"{PATH}?provider=wavespeed").text


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (1, "1 stays unknown: no price held when it was charged."),
        (3, "3 stay unknown: no price held when they were charged."),
    ],
)
def test_a_preview_that_changes_nothing_says_what_stays_unknown_and_what_to_do(
    app: Flask, operator: FlaskClient, count: int, said: str
) -> None:
    with app.app_context():
        customer = make_customer(db.session(), 100)
        for _ in range(count):
            make_generation(db.session(), customer, model="brand/new", credits=2)
        db.session.commit()
    page = operator.get(f"{PATH}?provider=wavespeed").text
    assert said in page
    assert f"Enter a price that begins before {'it' if count == 1 else 'them'}, then recompute." in page
    assert "No cost would change." in page
    assert "Every cost is what" not in page


def test_a_preview_says_that_no_price_settles_what_the_provider_has_not_measured(
    app: Flask, operator: FlaskClient
) -> None:
    with app.app_context():
        customer = make_customer(db.session(), 100)
        made = make_generation(db.session(), customer)
        db.session.execute(
            update(Generation)
            .where(Generation.id == made)
            .values(quantity=None, cost_micros=None, cost_source="unknown", price_id=None)
        )
        db.session.commit()
    page = operator.get(f"{PATH}?provider=wavespeed").text
    assert "1 stays unknown: the provider has not said how much it used." in page
    assert "Every cost is what" not in page


@pytest.mark.parametrize("count", ["", "2", "three", "-3", "9" * 30])
def test_another_number_does_nothing(app: Flask, operator: FlaskClient, made: list[UUID], count: str) -> None:
    response = send(operator, operator.get(f"{PATH}?provider=wavespeed").text, count)
    assert response.status_code == 422
    assert "must be 3, the number of generations" in response.text
    with app.app_context():
        tasks.providers.recompute_costs(app)
    assert costs_of(app, made) == [27_000] * 3


def test_what_changed_meanwhile_is_previewed_again(app: Flask, operator: FlaskClient, made: list[UUID]) -> None:
    page = operator.get(f"{PATH}?provider=wavespeed").text
    with app.app_context():
        costs.set_cost(db.session(), made[0], 1, source="bill")
        db.session.commit()
    response = send(operator, page, "3")
    assert response.status_code == 409
    assert "Type 2 to confirm" in response.text
    assert send(operator, response.text, "2").status_code == 303


def test_nothing_is_previewed_without_a_provider_and_a_period_that_is_none_is_said_so(
    operator: FlaskClient,
) -> None:
    assert "What would change" not in operator.get(PATH).text
    page = operator.get(f"{PATH}?provider=wavespeed&from=2026-13-01").text
    assert "is no date" in page
    page = operator.get(f"{PATH}?provider=wavespeed&from=2026-02-02&to=2026-01-01").text
    assert "its ends were exchanged" in page
    assert "What would change" in page
