"""Stripe's events in the console."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from blueprints.admin import filters
from extensions import db
from makegood.models import AuditEntry, StripeEvent
from makegood.stripe import events
from tests.conftest import MakeApp
from tests.people import add_operator, form_token, log_in

PAGE = "/admin/stripe/events"
YESTERDAY = datetime.now(UTC) - timedelta(days=1)


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app(STRIPE_API_KEY="rk_test_simulated", STRIPE_WEBHOOK_SECRET="whsec_only-for-tests-0123456789")


def tell(app: Flask, number: int, type: str = "charge.refunded", object: str = "charge", **columns: Any) -> str:
    """An event that came."""
    event_id, about = f"evt_{number}", {"id": f"x_{number}", "object": object, "client_secret": "hush"}
    body = {"id": event_id, "object": "event", "type": type, "livemode": False, "created": 1795132800}
    with app.app_context():
        events.receive(db.session(), json.dumps(body | {"data": {"object": about}}).encode())
        if columns:
            db.session.execute(update(StripeEvent).where(StripeEvent.id == event_id).values(**columns))
        db.session.commit()
    return event_id


def failed(app: Flask, number: int = 1) -> str:
    return tell(app, number, state="failed", problem="Stripe could not be asked: HTTP 500.", attempts=16)


def apply(browser: FlaskClient, event_id: str, status: int = 303) -> None:
    page = f"{PAGE}/{event_id}"
    sent = browser.post(f"{page}/apply", data={"csrf_token": form_token(browser, page)})
    assert sent.status_code == status


def state(app: Flask, event_id: str) -> tuple[str, int]:
    with app.app_context():
        event = db.session.get_one(StripeEvent, event_id)
        return event.state, event.attempts


def test_without_events_the_page_says_how_they_come(make_app: MakeApp, operator: FlaskClient) -> None:
    page = operator.get(PAGE).text
    assert "Stripe has not told us anything yet" in page
    assert "http://localhost/webhooks/stripe" in page
    without = make_app()
    browser = without.test_client()
    log_in(browser)
    page = browser.get(PAGE).text
    assert "webhooks are not set up" in page
    assert "Deliveries are refused" in page


def test_the_list_shows_what_came_and_what_became_of_it(app: Flask, operator: FlaskClient) -> None:
    failed(app, 1)
    tell(app, 2, "balance.available", "balance")
    page = operator.get(PAGE).text
    assert page.index('id="event-evt_2"') < page.index('id="event-evt_1"')
    assert "Stripe could not be asked: HTTP 500." in page
    assert "Show why, and apply again" in page
    assert "Nothing here depends on objects of this kind." in page


def test_the_filters_narrow_the_list_and_the_file(app: Flask, operator: FlaskClient) -> None:
    failed(app, 1)
    tell(app, 2, "charge.dispute.created", "dispute", received_at=YESTERDAY)
    tell(app, 3, "new.thing", "thing")

    def found(**query: Any) -> list[int]:
        page = operator.get(PAGE, query_string=query).text
        return [number for number in (1, 2, 3) if f'id="event-evt_{number}"' in page]

    assert found() == [1, 2, 3]
    assert found(state="failed") == [1]
    assert found(state="ignored") == [3]
    assert found(type="charge.") == [1, 2]
    assert found(type="charge.dispute.") == [2]
    assert found(type="charge.refunded") == [1]
    assert found(type="charge") == []
    assert found(type="c%_e.") == []
    assert found(object="x_3") == [3]
    assert found(to=YESTERDAY.date()) == [2]
    assert found(state="nonsense") == []
    file = operator.get("/admin/exports/stripe-events.csv?type=charge.dispute.").text.splitlines()
    assert file[0].startswith("id,type,object_type,object_id,livemode,source,state,problem,attempts")
    assert [line.split(",")[0] for line in file[1:]] == ["evt_2"]


@pytest.mark.parametrize("query", ["object=%00", "state=<b>", "type=%", "older=1~evt_1", "newer=1-" + "0" * 32])
def test_no_query_breaks_the_list(operator: FlaskClient, query: str) -> None:
    response = operator.get(f"{PAGE}?{query}")
    assert response.status_code == 200
    assert "<b>" not in response.text


def test_pages_keep_the_filters(app: Flask, operator: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        tell(app, number)
    monkeypatch.setattr(filters, "page_size", lambda: 2)
    page = operator.get(f"{PAGE}?state=waiting").text
    assert page.count('<tr class="leads"') == 2
    older = page.split("state=waiting&amp;older=")[1].split('"')[0]
    page = operator.get(f"{PAGE}?state=waiting&older={older}").text
    assert [number for number in range(5) if f'id="event-evt_{number}"' in page] == [1, 2]


def test_an_event_is_shown_as_it_came_without_secrets(app: Flask, operator: FlaskClient) -> None:
    page = operator.get(f"{PAGE}/{tell(app, 1)}").text
    assert "&#34;x_1&#34;" in page
    assert "hush" not in page
    assert "https://dashboard.stripe.com/test/events/evt_1" in page


def test_links_that_need_no_log_in_and_where_people_live_are_not_shown(app: Flask, operator: FlaskClient) -> None:
    private = {
        "hosted_invoice_url": "hush-1",
        "invoice_pdf": "hush-2",
        "receipt_url": "hush-3",
        "url": "hush-4",
        "customer_details": {"address": {"line1": "hush-5"}},
        "billing_details": {"phone": "hush-6"},
        "shipping": {"name": "hush-7"},
        "customer_address": {"city": "hush-8"},
        "payment_method_details": {"card": {"fingerprint": "hush-9", "last4": "4242"}},
    }
    body = {"id": "evt_7", "object": "event", "type": "charge.refunded", "livemode": False, "created": 1795132800}
    with app.app_context():
        about = {"id": "x_7", "object": "charge", "amount": 777, **private}
        events.receive(db.session(), json.dumps(body | {"data": {"object": about}}).encode())
        db.session.commit()
    page = operator.get(f"{PAGE}/evt_7").text
    assert "hush" not in page
    assert "777" in page
    assert "4242" in page


def test_without_a_key_applying_again_says_that_it_waits_for_one(make_app: MakeApp) -> None:
    app = make_app()
    add_operator(app, role="support")
    browser = app.test_client()
    log_in(browser)
    apply(browser, failed(app, 1))
    assert "It waits for STRIPE_API_KEY" in browser.get(f"{PAGE}/evt_1").text
    failed(app, 2)
    data = {"csrf_token": form_token(browser, PAGE)}
    page = browser.post(f"{PAGE}/apply-failed", data=data, follow_redirects=True).text
    assert "It waits for STRIPE_API_KEY" in page
    assert "again now" not in page


@pytest.mark.parametrize("event_id", ["evt_9", "%00", "x" * 300, "evt%201", "%FF"])
def test_an_event_that_does_not_exist_is_not_found(operator: FlaskClient, event_id: str) -> None:
    assert operator.get(f"{PAGE}/{event_id}").status_code == 404
    assert operator.get(f"{PAGE}/{event_id}/state").status_code == 404


def test_applying_again_lets_the_worker_do_it_now_and_is_audited(app: Flask, operator: FlaskClient) -> None:
    event_id = failed(app)
    assert "Apply again" in operator.get(f"{PAGE}/{event_id}").text
    apply(operator, event_id)
    assert state(app, event_id) == ("waiting", 0)
    page = operator.get(f"{PAGE}/{event_id}").text
    assert "The worker applies it now" in page
    assert f'hx-get="{PAGE}/{event_id}/state"' in page
    with app.app_context():
        entry = db.session.scalars(
            select(AuditEntry).where(AuditEntry.action == "stripe_event.applied_again")
        ).one()
        assert (entry.subject, entry.details["before"]["state"]) == (f"stripe-event:{event_id}", "failed")
    assert f'href="{PAGE}/{event_id}"' in operator.get("/admin/audit").text


def test_after_an_outage_all_that_failed_can_be_applied_again(app: Flask, operator: FlaskClient) -> None:
    found = [failed(app, number) for number in (1, 2)]
    tell(app, 3, "balance.available", "balance")
    assert "2 events could not be applied" in operator.get(PAGE).text
    data = {"csrf_token": form_token(operator, PAGE)}
    page = operator.post(f"{PAGE}/apply-failed", data=data, follow_redirects=True).text
    assert "The worker applies 2 events again now." in page
    assert [state(app, event_id) for event_id in found] == [("waiting", 0)] * 2
    assert state(app, "evt_3")[0] == "ignored"
    page = operator.post(f"{PAGE}/apply-failed", data=data, follow_redirects=True).text
    assert "No event has failed. Nothing changed." in page


def test_what_is_ignored_cannot_be_applied(app: Flask, operator: FlaskClient) -> None:
    event_id = tell(app, 1, "balance.available", "balance")
    page = operator.get(f"{PAGE}/{event_id}").text
    assert "Apply" not in page.split("As received")[0]
    apply(operator, event_id)
    assert state(app, event_id)[0] == "ignored"


@pytest.mark.parametrize(("role", "allowed"), [("viewer", False), ("support", True)])
def test_only_some_roles_may_apply(app: Flask, role: str, allowed: bool) -> None:
    event_id = failed(app)
    add_operator(app, role=role)
    browser = app.test_client()
    log_in(browser)
    assert ("Apply again" in browser.get(f"{PAGE}/{event_id}").text) == allowed
    assert ("Apply all of them again" in browser.get(PAGE).text) == allowed
    data = {"csrf_token": form_token(browser, f"{PAGE}/{event_id}")}
    if not allowed:
        assert browser.post(f"{PAGE}/apply-failed", data=data).status_code == 403
    apply(browser, event_id, 303 if allowed else 403)
    assert state(app, event_id) == (("waiting", 0) if allowed else ("failed", 16))


def test_without_a_key_it_says_why_nothing_happens(make_app: MakeApp, operator: FlaskClient, app: Flask) -> None:
    event_id = tell(app, 1)
    browser = make_app().test_client()
    log_in(browser)
    assert "Nothing is applied: STRIPE_API_KEY is not set." in browser.get(PAGE).text
    page = browser.get(f"{PAGE}/{event_id}").text
    assert "It waits until a key is set." in page
    assert 'hx-trigger="every 2s"' not in page
