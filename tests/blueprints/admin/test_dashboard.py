"""The dashboard and its pulse, as HTML."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event

from blueprints.admin.dashboard import PANELS
from extensions import db
from makegood import alerts
from tests.making import make_customer, make_generation

FRAGMENT = {"HX-Request": "true"}


def panels(html: str) -> dict[str, str]:
    """What the pulse puts into each panel."""
    found = re.findall(r'<hx-partial hx-target="#panel-([a-z]+)"[^>]*>(.*?)</hx-partial>', html, re.DOTALL)
    return dict(found)


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_the_page_and_the_pulse_show_the_same_panels(app: Flask, operator: FlaskClient) -> None:
    with app.app_context():
        customer = make_customer(db.session())
        make_generation(db.session(), customer, status="failed")
        make_generation(db.session(), customer, status="succeeded")
        db.session.commit()
    page = operator.get("/admin/").text
    pulse = operator.get("/admin/pulse", headers=FRAGMENT).text
    assert tuple(panels(pulse)) == PANELS
    assert "<html" not in pulse
    for name in ("cards", "period", "providers", "tiers"):
        assert words(panels(pulse)[name]) in words(page), name


def test_figures_have_denominators_and_totals_are_gross_refunded_and_net(
    app: Flask, operator: FlaskClient
) -> None:
    with app.app_context():
        customer = make_customer(db.session())
        for status in ("succeeded", "succeeded", "failed", "submitted"):
            make_generation(db.session(), customer, status=status)
        db.session.commit()
    shown = panels(operator.get("/admin/pulse", headers=FRAGMENT).text)
    cards = words(shown["cards"])
    assert "Generations 4 from 0 , 0 before 1 failed · 1 in flight now 6 credits net (8 − 2 refunded)" in cards
    assert "n/a , of fewer than 20 Of only 3 2 of 3 ended 1 refund issued" in cards
    period = words(shown["period"])
    assert "Credits charged 8 0 from 0 , 0 before Credits refunded −2 0 from 0 , 0 before Credits net 6" in period
    assert "Cost $0.11 $0.00" in period
    assert "Average cost $0.027 No data – Platform loss $0.03" in period


def test_an_unknown_cost_is_never_nothing(app: Flask, operator: FlaskClient) -> None:
    with app.app_context():
        customer = make_customer(db.session())
        for _ in range(2):
            make_generation(db.session(), customer, model="brand/new", credits=1)
        db.session.commit()
    shown = {
        name: words(html) for name, html in panels(operator.get("/admin/pulse", headers=FRAGMENT).text).items()
    }
    assert "Cost Unknown $0.00 –" in shown["period"]
    assert "Unknown + 2 unknown" in shown["providers"]
    assert "Unknown" in shown["cards"]
    assert "2 with unknown cost not included" in shown["cards"]
    assert "Nothing of a known cost was charged in this range" in shown["cost"]
    assert "$0.00" not in shown["providers"]


def test_no_panel_asks_a_query_for_each_row(app: Flask, operator: FlaskClient) -> None:
    def queries() -> int:
        seen: list[str] = []

        def note(*given: str) -> None:
            seen.append(given[2])

        with app.app_context():
            event.listen(db.engine, "before_cursor_execute", note)
            assert operator.get("/admin/pulse", headers=FRAGMENT).status_code == 200
            event.remove(db.engine, "before_cursor_execute", note)
        return len(seen)

    few = queries()
    with app.app_context():
        for _ in range(8):
            make_generation(db.session(), make_customer(db.session()), status="failed")
            alerts.raise_alert(db.session(), "kind", str(_), "message")
        db.session.commit()
    assert queries() == few


@pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", "</hx-partial><b>", '" onload="x'])
def test_text_from_outside_stays_text(app: Flask, operator: FlaskClient, hostile: str) -> None:
    with app.app_context():
        alerts.raise_alert(db.session(), hostile, hostile, hostile)
        db.session.commit()
    pulse = operator.get("/admin/pulse", headers=FRAGMENT).text
    assert hostile not in pulse
    assert tuple(panels(pulse)) == PANELS


def test_a_pulse_does_not_carry_tokens_that_differ_each_time(operator: FlaskClient) -> None:
    assert "csrf" not in operator.get("/admin/pulse", headers=FRAGMENT).text
