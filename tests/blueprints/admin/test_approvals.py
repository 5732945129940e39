"""Refunds beyond the limits, on the screen: asked for on the refund form, decided on the page of the request."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from extensions import db
from makegood import bulk_refunds, ids, ledger, limits, refund_approvals
from makegood.models import Approval, OperatorSession, Refund
from tests.making import TERMS, make_customer, make_generation
from tests.people import add_operator, form_token, log_in

CUSTOMER = "c_42"


@pytest.fixture
def generation(app: Flask) -> UUID:
    """One that cost 900 of 1,105 credits, of which support may return 500 alone."""
    with app.app_context():
        customer = make_customer(db.session, 1100, customer_id=CUSTOMER)
        made = make_generation(db.session, customer, credits=900)
        db.session.commit()
    return made


@pytest.fixture
def support(app: Flask) -> FlaskClient:
    return browser_of(app, "support")


def browser_of(app: Flask, role: str, email: str = "") -> FlaskClient:
    """The browser of an operator who has just logged in."""
    email = email or f"{role}@example.com"
    add_operator(app, email, role)
    browser = app.test_client()
    assert log_in(browser, email).status_code == 303
    return browser


def send(browser: FlaskClient, generation: UUID, credits: int, **form: str) -> TestResponse:
    path = f"/admin/generations/{generation}/refund"
    fields = {
        "csrf_token": form_token(browser, path),
        "credits": str(credits),
        "reason": "goodwill",
        "note": "The video failed.",
        "expected_refunded": "0",
        "idempotency_key": str(ids.uuid7()),
        **form,
    }
    return browser.post(path, data=fields)


def decide(browser: FlaskClient, approval: UUID, how: str, **form: str) -> TestResponse:
    token = form_token(browser, "/admin/approvals")
    return browser.post(f"/admin/approvals/{approval}/{how}", data={"csrf_token": token, **form})


def balance(app: Flask) -> int:
    with app.app_context():
        return ledger.balance(db.session(), CUSTOMER)


def asked(app: Flask) -> UUID:
    with app.app_context():
        return db.session.scalars(select(Approval.id)).one()


def test_beyond_the_limit_the_form_offers_to_ask_and_then_asks(
    app: Flask, support: FlaskClient, generation: UUID
) -> None:
    form = support.get(f"/admin/generations/{generation}/refund").text
    assert "You may refund up to 500 credits alone; 2,000 of your 2,000 for today are left." in form
    answer = send(support, generation, 900)
    assert answer.status_code == 409
    assert "Your limit is 500 credits for one refund. A second operator has to approve" in answer.text
    assert 'name="ask" value="1"' in answer.text
    assert "The video failed." in answer.text
    assert balance(app) == 205
    assert send(support, generation, 900, ask="1").status_code == 303
    assert balance(app) == 205
    page = support.get(f"/admin/generations/{generation}").text
    assert "A refund of 900 credits waits for a second operator." in page
    waits = f'href="/admin/approvals/{asked(app)}">Refund of 900 credits waits for a second operator</a>'
    for path in (f"/admin/customers/{CUSTOMER}", "/admin/generations"):
        assert waits in support.get(path).text.partition("<tbody>")[2]
    listed = support.get(f"/admin/approvals?customer={CUSTOMER}").text
    assert f'class="lead-link" href="/admin/approvals/{asked(app)}">Refund</a>' in listed
    assert "Nothing matches these filters" in support.get("/admin/approvals?customer=another").text


def test_the_overview_tells_who_may_decide_that_requests_wait_and_nobody_else(
    app: Flask, support: FlaskClient, generation: UUID
) -> None:
    admin, viewer = browser_of(app, "admin"), browser_of(app, "viewer")
    waits = '<a href="/admin/approvals?state=pending">1 request</a> waits for your decision.'
    assert "for your decision" not in admin.get("/admin/").text
    assert send(support, generation, 900, ask="1").status_code == 303
    for path in ("/admin/", "/admin/pulse"):
        assert waits in admin.get(path).text
        for other in (support, viewer):  # who asked may not decide, nor may a viewer
            assert "for your decision" not in other.get(path).text


@pytest.mark.parametrize(("days", "waits"), [(6, True), (8, False)])
def test_a_request_that_has_expired_waits_on_no_page(
    app: Flask, support: FlaskClient, generation: UUID, days: int, waits: bool
) -> None:
    with app.app_context():
        refund_approvals.ask(
            db.session(), generation, credits=900, reason="goodwill", note="sorry", actor="bob@example.com",
            idempotency_key="k", expected_refunded=0, at=datetime.now(UTC) - timedelta(days=days),
        )  # fmt: skip
        db.session.commit()
    for path in ("generations", f"generations/{generation}", f"customers/{CUSTOMER}"):
        assert ("waits for a second operator" in support.get(f"/admin/{path}").text) is waits, path


def test_within_the_limit_it_is_refunded_at_once(app: Flask, support: FlaskClient, generation: UUID) -> None:
    assert send(support, generation, 500).status_code == 303
    assert balance(app) == 705


def test_a_form_that_comes_again_with_another_amount_says_so_and_is_sent_again_as_another(
    app: Flask, support: FlaskClient, generation: UUID
) -> None:
    key = str(ids.uuid7())
    assert send(support, generation, 100, idempotency_key=key).status_code == 303
    again = send(support, generation, 50, idempotency_key=key)
    assert (again.status_code, balance(app)) == (409, 305)
    assert "This form refunded 100 credits when it was sent before. No more moved." in again.text
    [(other, expected)] = re.findall(
        r'name="idempotency_key" value="([^"]+)">\s*<input type="hidden" name="expected_refunded" value="(\d+)"',
        again.text,
    )
    assert (other != key, expected) == (True, "100")
    sent = send(support, generation, 50, idempotency_key=other, expected_refunded=expected)
    assert (sent.status_code, balance(app)) == (303, 355)


def test_another_operator_approves_and_the_page_names_both(
    app: Flask, support: FlaskClient, generation: UUID
) -> None:
    admin = browser_of(app, "admin")
    send(support, generation, 900, ask="1")
    request = asked(app)
    own = support.get(f"/admin/approvals/{request}").text
    assert "another operator has to decide" in own
    assert "Approve 900" not in own
    assert decide(support, request, "approve").status_code == 403
    assert balance(app) == 205
    assert "Approve 900 credits" in admin.get(f"/admin/approvals/{request}").text
    assert decide(admin, request, "approve", note="Fine.").status_code == 303
    assert balance(app) == 1105
    done = re.search(r'#(refund-[0-9a-f-]+)">See the refund', admin.get(f"/admin/approvals/{request}").text)
    story = admin.get(f"/admin/generations/{generation}").text
    assert done
    assert f'id="{done[1]}"' in story
    assert "By support@example.com, approved by admin@example.com: Goodwill." in story
    for page in ("/admin/refunds", f"/admin/customers/{CUSTOMER}"):
        assert ">approved by admin@example.com<" in admin.get(page).text, page
    assert ",support@example.com,admin@example.com," in admin.get("/admin/exports/refunds.csv").text
    assert decide(admin, request, "approve").status_code == 303
    assert balance(app) == 1105


def test_a_rejection_says_why_and_a_missing_reason_is_asked_for(
    app: Flask, support: FlaskClient, generation: UUID
) -> None:
    admin = browser_of(app, "admin")
    send(support, generation, 900, ask="1")
    request = asked(app)
    assert decide(admin, request, "reject", note=" ").status_code == 422
    assert decide(admin, request, "reject", note="They kept the video.").status_code == 303
    assert "They kept the video." in support.get(f"/admin/approvals/{request}").text
    assert balance(app) == 205


def test_a_generation_that_changed_cannot_be_approved_as_it_was_asked(
    app: Flask, support: FlaskClient, generation: UUID
) -> None:
    admin = browser_of(app, "admin")
    send(support, generation, 900, ask="1")
    assert send(admin, generation, 100).status_code == 303
    request = asked(app)
    page = admin.get(f"/admin/approvals/{request}").text
    assert "The generation changed since this was asked for: 100 credits have been refunded by now." in page
    answer = decide(admin, request, "approve")
    assert answer.status_code == 409
    assert "100 credits have been refunded by now. No credits moved." in answer.text
    assert balance(app) == 305


def test_the_list_and_its_badge_tell_what_waits(app: Flask, support: FlaskClient, generation: UUID) -> None:
    assert "Nobody has asked for approval yet" in support.get("/admin/approvals").text
    send(support, generation, 900, ask="1")
    other = browser_of(app, "support", "other@example.com")
    page = other.get("/admin/approvals?state=pending").text
    assert ">900</td>" in page
    assert (
        "beyond your own limits: you may refund up to 500 credits now. An admin has to approve it."
        in other.get(f"/admin/approvals/{asked(app)}").text
    )
    assert "Nothing matches these filters" in other.get("/admin/approvals?state=rejected").text
    viewer = browser_of(app, "viewer")
    assert "Your role may not decide this." in viewer.get(f"/admin/approvals/{asked(app)}").text
    assert decide(viewer, asked(app), "approve").status_code == 403
    assert balance(app) == 205


def test_a_large_refund_asks_once_more_who_it_is(app: Flask, support: FlaskClient, generation: UUID) -> None:
    def log_in_was(ago: timedelta) -> None:
        with app.app_context():
            db.session.execute(update(OperatorSession).values(confirmed_at=datetime.now(UTC) - ago))
            db.session.commit()

    log_in_was(timedelta(minutes=11))
    asks = send(support, generation, 200)
    assert 'name="confirmation"' in asks.text
    assert balance(app) == 205
    assert send(support, generation, 199).status_code == 303
    assert balance(app) == 404
    with app.app_context():
        assert db.session.scalars(select(Refund.credits)).all() == [199]
        assert refund_approvals.waiting(db.session(), generation, at=datetime.now(UTC)) is None


def fields_of(page: str) -> dict[str, str]:
    """What a form of this page carries that nobody types."""
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page))


def limit_admins(app: Flask, **amounts: int) -> None:
    """Admins may do no more than this alone."""
    with app.app_context():
        wanted = {role: limits.of(db.session(), role) for role in limits.ROLES}
        wanted["admin"] = replace(wanted["admin"], **amounts)
        limits.publish(db.session(), wanted, based_on=1, note="x", actor="t")
        db.session.commit()


@pytest.mark.parametrize(
    ("direction", "words", "done", "after"),
    [
        ("give", "Giving 80 credits waits for a second operator.", "the credits were given", 285),
        ("take", "Taking 80 credits waits for a second operator.", "the credits were taken", 125),
    ],
)
@pytest.mark.usefixtures("generation")
def test_an_adjustment_beyond_the_limits_is_asked_for_on_its_form_and_made_when_another_admin_approves(
    app: Flask, direction: str, words: str, done: str, after: int
) -> None:
    limit_admins(app, per_adjustment=50, per_taking=40)
    first, second = browser_of(app, "admin"), browser_of(app, "admin", "second@example.com")
    path = f"/admin/adjustments/{CUSTOMER}"
    form = first.get(path).text
    assert "You may give up to 50 credits alone; 20,000 of your 20,000 for today are left." in form
    assert "You may take up to 40 credits alone; 20,000 of your 20,000 for today are left." in form
    typed = fields_of(form) | {"direction": direction, "credits": "80", "reason": "goodwill", "note": "A bad day."}
    refused = first.post(path, data=typed)
    assert (refused.status_code, 'name="ask" value="1"' in refused.text) == (409, True)
    assert "credits for one adjustment. A second operator has to approve an adjustment of 80" in refused.text
    for _ in range(2):
        assert first.post(path, data=typed | {"ask": "1"}).status_code == 303
    assert balance(app) == 205
    assert words in first.get(f"/admin/customers/{CUSTOMER}").text
    assert decide(first, asked(app), "approve").status_code == 403
    page = second.get(f"/admin/approvals/{asked(app)}").text
    assert f"{after} when it is approved" in page
    for _ in range(2):
        assert decide(second, asked(app), "approve").status_code == 303
    assert balance(app) == after
    page = second.get(f"/admin/approvals/{asked(app)}").text
    assert done in page
    ledger_page = second.get(re.findall(r'href="([^"#]+)#entry-\d+">See it in the ledger', page)[0]).text
    assert "approved by second@example.com" in ledger_page


def test_what_became_impossible_is_said_before_anybody_approves_it(app: Flask, generation: UUID) -> None:
    limit_admins(app, per_taking=40)
    first, second = browser_of(app, "admin"), browser_of(app, "admin", "second@example.com")
    path = f"/admin/adjustments/{CUSTOMER}"
    typed = {"reason": "chargeback", "note": "x", "direction": "take"}
    sent = first.post(path, data=fields_of(first.get(path).text) | typed | {"credits": "200", "ask": "1"})
    assert sent.status_code == 303
    assert second.post(path, data=fields_of(second.get(path).text) | typed | {"credits": "30"}).status_code == 303
    page = second.get(f"/admin/approvals/{asked(app)}").text
    assert "The customer’s credits were adjusted since this was asked for. It cannot be approved as it is" in page
    answer = decide(second, asked(app), "approve")
    assert (answer.status_code, "adjusted meanwhile. No credits moved." in answer.text) == (409, True)
    assert balance(app) == 175


def test_a_large_reversal_is_asked_for_by_support_and_done_when_an_admin_approves(
    app: Flask, support: FlaskClient, generation: UUID
) -> None:
    admin = browser_of(app, "admin")
    assert send(admin, generation, 600).status_code == 303
    assert balance(app) == 805
    with app.app_context():
        refund = db.session.scalars(select(Refund.id)).one()
    path = f"/admin/refunds/{refund}/reverse"
    form = support.get(path).text
    assert "You may take up to 500 credits alone" in form
    assert "Ask to reverse 600 credits" in form
    typed = fields_of(form) | {"note": "Wrong customer."}
    refused = support.post(path, data=typed)
    assert (refused.status_code, "Your limit is 500 credits for one reversal." in refused.text) == (409, True)
    assert "Wrong customer." in refused.text
    assert support.post(path, data=typed | {"ask": "1"}).status_code == 303
    assert balance(app) == 805
    story = support.get(f"/admin/generations/{generation}").text
    assert "A reversal of 600 credits waits for a second operator." in story
    for page in (f"/admin/customers/{CUSTOMER}", "/admin/refunds"):
        assert "Reversal of 600 credits waits for a second operator" in support.get(page).text
    assert "support@example.com has asked for approval of this." in admin.get(path).text
    other = browser_of(app, "support", "other@example.com")
    assert "beyond your own limits: you may take up to 500" in other.get(f"/admin/approvals/{asked(app)}").text
    assert decide(other, asked(app), "approve").status_code == 409
    assert decide(admin, asked(app), "approve").status_code == 303
    assert balance(app) == 205
    story = admin.get(f"/admin/generations/{generation}").text
    assert "By support@example.com, approved by admin@example.com." in story


def test_a_bulk_refund_above_its_limit_waits_here_too(app: Flask, generation: UUID) -> None:
    first, second = browser_of(app, "admin"), browser_of(app, "admin", "second@example.com")
    with app.app_context():
        for _ in range(2):
            make_generation(db.session, make_customer(db.session, 1100), credits=900, status="succeeded")
        now = datetime.now(UTC)
        scope = bulk_refunds.Scope("wavespeed", now - timedelta(hours=1), now, status="succeeded")
        found = bulk_refunds.preview(db.session(), scope)
        begun = bulk_refunds.start(
            db.session(), scope, TERMS, fingerprint=found.fingerprint, count=2, reason="outage",
            note="The outage.", actor="admin@example.com", idempotency_key="form",
        )  # fmt: skip
        db.session.commit()
        bulk = begun.id
        db.session.execute(update(OperatorSession).values(confirmed_at=now - timedelta(minutes=11)))
        wanted = {role: replace(limits.of(db.session(), role), confirm_from=None) for role in limits.ROLES}
        limits.publish(db.session(), wanted, based_on=1, note="x", actor="t")
        db.session.commit()
    approve = f"/admin/approvals/{asked(app)}/approve"
    asks = second.post(approve, data={"csrf_token": form_token(second, f"/admin/approvals/{asked(app)}")})
    assert 'name="confirmation"' in asks.text
    with app.app_context():
        db.session.execute(update(OperatorSession).values(confirmed_at=datetime.now(UTC)))
        db.session.commit()
    page = second.get(f"/admin/approvals/{asked(app)}").text
    assert "Bulk refund of 1,800 credits" in page
    assert f"/admin/bulk-refunds/{bulk}" in page
    assert decide(first, asked(app), "approve").status_code == 403
    assert decide(second, asked(app), "approve").status_code == 303
    with app.app_context():
        begun = bulk_refunds.get(db.session(), bulk)
        assert (begun.state, begun.approver) == ("running", "second@example.com")
