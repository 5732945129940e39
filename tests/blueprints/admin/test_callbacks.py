"""The callbacks inbox in the console."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient

from blueprints import bodies
from blueprints.admin import filters
from extensions import db
from makegood import ledger
from makegood.ids import uuid7
from makegood.models import Callback
from tests.makegood.test_inbox import deliver
from tests.making import FakeProvider, make_customer, make_generation
from tests.people import add_operator, form_token, log_in


@pytest.fixture
def provider(app: Flask) -> FakeProvider:
    provider = FakeProvider()
    app.extensions["providers"]["wavespeed"] = provider
    return provider


@pytest.fixture
def waiting(app: Flask, provider: FakeProvider) -> tuple[str, UUID, UUID]:
    """A customer, a generation of theirs, and a delivery about it that waits."""
    with app.app_context():
        customer = make_customer(db.session(), 20)
        generation = make_generation(db.session(), customer, credits=10)
        callback = deliver(db.session(), generation, attempts=1)
        db.session.commit()
    return customer, generation, callback


def balance(app: Flask, customer: str) -> int:
    with app.app_context():
        return ledger.balance(db.session(), customer)


def apply(browser: FlaskClient, callback: UUID) -> str:
    page = f"/admin/callbacks/{callback}"
    sent = browser.post(f"{page}/apply", data={"csrf_token": form_token(browser, page)}, follow_redirects=True)
    assert sent.status_code == 200
    return sent.text


def test_the_inbox_lists_deliveries_and_leads_to_each(
    operator: FlaskClient, waiting: tuple[str, UUID, UUID]
) -> None:
    page = operator.get("/admin/callbacks").text
    _, generation, callback = waiting
    assert f'href="/admin/callbacks/{callback}"' in page
    assert f'href="/admin/generations/{generation}"' in page
    assert "1 of the last 24 hours" in page


def test_an_empty_inbox_has_its_own_words(operator: FlaskClient) -> None:
    page = operator.get("/admin/callbacks").text
    assert "No provider has called back yet" in page
    assert "Everything genuine has been applied" in page


def test_the_filters_narrow_the_list_and_stand_as_chips(
    app: Flask, operator: FlaskClient, waiting: tuple[str, UUID, UUID]
) -> None:
    _, generation, callback = waiting
    yesterday = datetime.now(UTC) - timedelta(days=1)
    with app.app_context():
        other = make_generation(db.session(), make_customer(db.session(), 20))
        rejected = deliver(db.session(), other, None, state="rejected", received_at=yesterday, detail="stale")
        late = deliver(db.session(), other, state="applied", late=True, detail="late")
        db.session.commit()

    def found(**query: object) -> list[UUID]:
        page = operator.get("/admin/callbacks", query_string=query).text
        return [one for one in (callback, rejected, late) if f'id="callback-{one}"' in page]

    assert found() == [callback, rejected, late]
    assert found(state="waiting") == [callback]
    assert found(state="rejected") == [rejected]
    assert found(state="late") == [late]
    assert found(state="nonsense") == []
    assert found(generation=generation) == [callback]
    assert found(to=yesterday.date()) == [rejected]
    assert found(provider="nanobanana") == []
    page = operator.get("/admin/callbacks?state=late&provider=wavespeed").text
    assert "State: Late" in page
    assert "Provider: wavespeed" in page


@pytest.mark.parametrize(
    "query",
    ["generation=x", "generation=%00", "state=<b>", "from=yesterday", "older=x&newer=y", "provider=" + "p" * 500],
)
def test_no_query_breaks_the_inbox(operator: FlaskClient, query: str) -> None:
    response = operator.get(f"/admin/callbacks?{query}")
    assert response.status_code == 200
    assert "<b>" not in response.text


def test_a_generations_id_that_is_none_is_said_so(operator: FlaskClient) -> None:
    assert "“image-1” is no generation" in operator.get("/admin/callbacks?generation=image-1").text


def test_pages_keep_the_filters(
    app: Flask, operator: FlaskClient, waiting: tuple[str, UUID, UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context():
        for _ in range(4):
            deliver(db.session(), waiting[1])
        db.session.commit()
    monkeypatch.setattr(filters, "page_size", lambda: 2)
    page = operator.get("/admin/callbacks?state=waiting").text
    assert page.count('<tr class="leads"') == 2
    assert "2 deliveries on this page" in page
    assert "state=waiting&amp;older=" in page


def test_what_waits_for_long_is_pointed_at(
    app: Flask, operator: FlaskClient, waiting: tuple[str, UUID, UUID]
) -> None:
    assert "have been waiting for more than" not in operator.get("/admin/callbacks").text
    with app.app_context():
        for _ in range(2):
            deliver(db.session(), waiting[1], received_at=datetime.now(UTC) - timedelta(minutes=11))
        db.session.commit()
    page = operator.get("/admin/callbacks").text
    assert "2 deliveries have been waiting for more than 10 minutes." in page


def test_applying_again_refunds_once_and_says_what_happened(
    app: Flask, operator: FlaskClient, waiting: tuple[str, UUID, UUID]
) -> None:
    customer, _, callback = waiting
    assert balance(app, customer) == 15
    assert "Apply again" in operator.get(f"/admin/callbacks/{callback}").text
    assert "Applied: it ended the generation as failed." in apply(operator, callback)
    assert balance(app, customer) == 25
    assert "It has been applied already. Nothing changed." in apply(operator, callback)
    assert balance(app, customer) == 25
    assert "Apply again" not in operator.get(f"/admin/callbacks/{callback}").text


def test_a_rejected_delivery_cannot_be_applied(
    app: Flask, operator: FlaskClient, waiting: tuple[str, UUID, UUID]
) -> None:
    with app.app_context():
        callback = deliver(db.session(), waiting[1], None, state="rejected", detail="the signature does not match")
        db.session.commit()
    page = operator.get(f"/admin/callbacks/{callback}").text
    assert "can never be applied" in page
    assert "Apply again" not in page
    assert "is never applied. No credits moved." in apply(operator, callback)
    assert balance(app, waiting[0]) == 15


def test_an_unsigned_delivery_has_its_job_fetched(
    app: Flask, operator: FlaskClient, provider: FakeProvider, waiting: tuple[str, UUID, UUID]
) -> None:
    provider.signed = False
    assert "Fetch its job now" in operator.get(f"/admin/callbacks/{waiting[2]}").text
    assert "the worker asks wavespeed for it now" in apply(operator, waiting[2])
    assert balance(app, waiting[0]) == 15


@pytest.mark.parametrize(("role", "allowed"), [("viewer", False), ("support", True), ("admin", True)])
def test_only_some_roles_may_apply(app: Flask, waiting: tuple[str, UUID, UUID], role: str, allowed: bool) -> None:
    add_operator(app, role=role)
    browser = app.test_client()
    log_in(browser)
    page = f"/admin/callbacks/{waiting[2]}"
    shown = browser.get(page)
    assert shown.status_code == 200
    assert ("Apply again" in shown.text) == allowed
    sent = browser.post(f"{page}/apply", data={"csrf_token": form_token(browser, page)})
    assert sent.status_code == (303 if allowed else 403)
    assert balance(app, waiting[0]) == (25 if allowed else 15)


def test_a_delivery_is_shown_as_it_came_without_secrets(
    app: Flask, operator: FlaskClient, waiting: tuple[str, UUID, UUID]
) -> None:
    body = json.dumps({"id": "job-1", "outputs": ["<script>"], "webhook_secret": "hush"}).encode()
    with app.app_context():
        callback = deliver(db.session(), waiting[1])
        db.session.get_one(Callback, callback).body = body
        db.session.commit()
    page = operator.get(f"/admin/callbacks/{callback}").text
    assert "&lt;script&gt;" in page
    assert "hush" not in page
    assert f"{len(body)} bytes of JSON" in page


def test_a_delivery_that_does_not_exist_is_not_found(operator: FlaskClient) -> None:
    assert operator.get(f"/admin/callbacks/{uuid7()}").status_code == 404
    assert operator.get("/admin/callbacks/1").status_code == 404


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        (b'{"a": [1]}', "JSON", '{\n  "a": [\n    1\n  ]\n}'),
        (b"a=1", "text", "a=1"),
        (b"", "text", ""),
        (b"\xff" + b"A" * 17, "bytes", None),
    ],
)
def test_a_body_is_shown_as_what_it_is(body: bytes, kind: str, text: str | None) -> None:
    found, shown = bodies.body_view(body)
    assert found == kind
    if text is not None:
        assert shown == text
    else:
        assert shown.splitlines() == [
            "0000  ff" + " 41" * 15 + "  ." + "A" * 15,
            "0010  41 41" + " " * 42 + "  AA",
        ]


def test_a_large_body_is_cut_and_said_so(
    app: Flask, operator: FlaskClient, waiting: tuple[str, UUID, UUID]
) -> None:
    assert len(bodies.body_view(b"\xff" * 5000)[1].splitlines()) == 32
    with app.app_context():
        callback = deliver(db.session(), waiting[1])
        db.session.get_one(Callback, callback).body = b'"' + b"x" * 200_000 + b'"'
        db.session.commit()
    page = operator.get(f"/admin/callbacks/{callback}").text
    assert "Only the beginning is shown" in page
    assert len(page) < 130_000
