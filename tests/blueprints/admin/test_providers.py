"""The provider pages in the console, and switching off and on."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, select
from werkzeug.test import TestResponse

from extensions import db
from makegood import switches
from makegood.models import AuditEntry, Callback
from makegood.provider_health import balances
from makegood.provider_health.balances import Asked
from makegood.providers.protocol import Account
from tests.conftest import MakeApp
from tests.makegood.test_inbox import deliver
from tests.making import MODEL, FakeProvider, make_customer, make_generation
from tests.people import add_operator, form_token, log_in

PAGES = ("/admin/providers", "/admin/providers/wavespeed")
PULSES = ("/admin/pulse/providers", "/admin/pulse/providers/wavespeed")


@pytest.fixture
def used(app: Flask) -> dict[str, UUID]:
    """Three successes, a failure and an unknown submit at WaveSpeed."""
    now = datetime.now(UTC)
    with app.app_context():
        customer = make_customer(db.session(), 100, at=now - timedelta(days=20))
        for _ in range(3):
            success = make_generation(db.session(), customer, status="succeeded", at=now)
        failure = make_generation(db.session(), customer, status="failed", at=now)
        unknown = make_generation(db.session(), customer, status="unknown", at=now - timedelta(minutes=4))
        db.session.commit()
    return {"success": success, "failure": failure, "unknown": unknown}


def switch_off(
    browser: FlaskClient, model: str = "*", reason: str = "It answers with 500.", **headers: str
) -> TestResponse:
    path = "/admin/providers/wavespeed/switch-off"
    form = {"csrf_token": form_token(browser, path), "model": model, "reason": reason}
    return browser.post(path, data=form, headers=headers)


def switch_on(browser: FlaskClient, model: str = "*") -> TestResponse:
    form = {"csrf_token": form_token(browser, "/admin/providers/wavespeed"), "model": model}
    return browser.post("/admin/providers/wavespeed/switch-on", data=form)


def listed(app: Flask) -> list[tuple[str, str, str]]:
    with app.app_context():
        return [(one.provider, one.model, one.reason) for one in switches.listed(db.session())]


def row(page: str, name: str) -> str:
    found = re.search(rf'<tr id="provider-{name}">.*?</tr>', page, re.DOTALL)
    assert found, name
    return " ".join(re.sub(r"<[^>]+>", " ", found[0]).split())


def test_the_list_shows_how_each_provider_does(operator: FlaskClient, used: dict[str, UUID]) -> None:
    page = operator.get("/admin/providers").text
    shown = row(page, "wavespeed")
    assert "Callbacks signed" in shown
    assert "n/a , of fewer than 20 3 of 4" in shown
    assert "Generation failed" in shown
    assert "1 oldest 4 minutes ago 1 of unknown outcome" in shown
    for generation in (used["success"], used["failure"]):
        assert f"/admin/generations/{generation}" in page


def test_what_is_missing_is_named_and_no_secret_is_shown(make_app: MakeApp) -> None:
    app = make_app(NANOBANANA_API_KEY="hush-nanobanana", SIMULATED_API_KEY="hush-simulated")
    add_operator(app)
    browser = app.test_client()
    log_in(browser)
    page = browser.get("/admin/providers").text
    assert "NANOBANANA_API_KEY" not in page
    assert "Callbacks unsigned, jobs are fetched" in row(page, "nanobanana")
    for name in (
        "SIMULATED_BASE_URL",
        "SIMULATED_WEBHOOK_SECRET",
        "LUMA_API_KEY",
        "KLING_API_KEY",
        "KLING_API_SECRET",
    ):
        assert name in page
    assert "SIMULATED_API_KEY" not in page
    for path in ("/admin/providers", "/admin/providers/wavespeed", "/admin/providers/simulated"):
        shown = browser.get(path).text
        assert "hush" not in shown
        assert "whsec_" not in shown
        assert "test-wavespeed-key" not in shown
    assert "No callback of it counts as genuine" not in browser.get("/admin/providers/wavespeed").text


def test_a_signed_provider_without_its_secret_says_that_no_callback_counts(make_app: MakeApp) -> None:
    app = make_app(WAVESPEED_WEBHOOK_SECRET="")
    add_operator(app)
    browser = app.test_client()
    log_in(browser)
    page = browser.get("/admin/providers/wavespeed").text
    assert "No callback of it counts as genuine." in page
    assert "WAVESPEED_WEBHOOK_SECRET" in page


def test_a_provider_in_use_without_its_key_is_said_to_take_no_new_jobs_beside_its_figures(
    make_app: MakeApp, used: dict[str, UUID]
) -> None:
    app = make_app(WAVESPEED_API_KEY="")
    add_operator(app)
    browser = app.test_client()
    log_in(browser)
    shown = row(browser.get("/admin/providers").text, "wavespeed")
    assert "No key set: takes no new jobs" in shown
    assert "n/a , of fewer than 20 3 of 4" in shown


def test_unused_providers_stand_at_the_end(operator: FlaskClient, used: dict[str, UUID]) -> None:
    page = operator.get("/admin/providers").text
    assert (
        page.index('id="provider-wavespeed"') < page.index("Not configured and never used") < page.index(">luma<")
    )
    assert 'id="provider-luma"' not in page


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("span", ["", "today", "30d", "24h", "<b>", "%00"])
def test_the_range_stands_in_the_url(operator: FlaskClient, used: dict[str, UUID], path: str, span: str) -> None:
    response = operator.get(f"{path}?range={span}")
    assert response.status_code == 200
    assert "<b>" not in response.text
    label = {"today": "Today", "30d": "30 days"}.get(span, "7 days")
    assert f'aria-current="true">{label}</a>' in response.text
    assert ">3 of 4<" in response.text


@pytest.mark.parametrize("path", PAGES)
def test_figures_are_compared_with_the_same_part_of_the_period_before(
    app: Flask, operator: FlaskClient, used: dict[str, UUID], path: str
) -> None:
    with app.app_context():
        customer = make_customer(db.session(), 100, at=datetime.now(UTC) - timedelta(days=20))
        # In the seven days before these seven, but neither today nor yesterday.
        for _ in range(2):
            make_generation(db.session(), customer, status="succeeded", at=datetime.now(UTC) - timedelta(days=9))
        db.session.commit()
    page = operator.get(f"{path}?range=7d").text
    assert ", so far" in page
    assert "compared with" in page
    if path == PAGES[1]:
        assert "2 before" in page
        assert "2 before" not in operator.get(f"{path}?range=today").text


@pytest.mark.parametrize("path", PAGES)
def test_a_range_that_is_over_in_ones_own_zone_is_carried_on(
    operator: FlaskClient, used: dict[str, UUID], path: str
) -> None:
    query = "from=2026-01-01&amp;to=2026-01-31&amp;zone=Asia/Kathmandu"
    page = operator.get(f"{path}?from=2026-01-01&to=2026-01-31&zone=Asia/Kathmandu").text
    assert ", so far" not in page
    assert "Days in Asia/Kathmandu" in page
    pulse = re.search(r'id="pulse" hidden hx-get="([^"]+)"', page)
    assert pulse
    assert pulse[1].endswith(query)
    # What a poll brings leads back to the page, not to its fragments.
    answer = operator.get(pulse[1].replace("&amp;", "&")).text
    assert f'href="{path}?from=2026-01-01&amp;to=2026-01-31">Show in' in answer
    assert f"{query}" in re.findall(r'href="(/admin/exports/provider[^"]+)"', page)[0]


def test_the_files_have_the_figures_of_the_pages(app: Flask, operator: FlaskClient, used: dict[str, UUID]) -> None:
    with app.app_context():
        make_generation(db.session(), make_customer(db.session(), 9), provider=FakeProvider("luma"), credits=1)
        db.session.commit()

    def rows(name: str) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(operator.get(f"/admin/exports/{name}").text)))

    first, second = rows("providers.csv?range=today")
    assert (first["provider"], first["generations"], first["succeeded"], first["failed"]) == (
        "wavespeed",
        "5",
        "3",
        "1",
    )
    assert first["p50_ms"] != "" == second["p50_ms"]
    assert [row["model"] for row in rows("provider-models.csv?range=today&provider=wavespeed")] == [MODEL]
    days = rows("provider-steps.csv?range=7d&provider=wavespeed")
    assert len(days) == 7
    assert sum(int(row["succeeded"]) for row in days) == 3
    assert rows("providers.csv?range=last-month") == []


def test_a_file_of_one_provider_leads_back_to_its_page(operator: FlaskClient) -> None:
    answer = operator.get("/admin/providers?provider=wavespeed&range=30d")
    assert (answer.status_code, answer.location) == (303, "/admin/providers/wavespeed?range=30d")


def test_a_providers_page_shows_its_models_failures_and_rejections(
    app: Flask, operator: FlaskClient, used: dict[str, UUID]
) -> None:
    with app.app_context():
        for _ in range(2):
            deliver(db.session(), used["success"], None, state="rejected", detail="the signature does not match")
        deliver(db.session(), used["unknown"])
        db.session.commit()
    page = operator.get("/admin/providers/wavespeed").text
    assert 'href="/admin/bulk-refunds/new?provider=wavespeed"' in page
    assert MODEL in page
    assert "The signature does not match.</dt><dd>2" in page
    assert "Generation failed</a></dt><dd>1" in page
    assert "/admin/callbacks?provider=wavespeed&amp;state=waiting" in page
    assert "/admin/callbacks?provider=wavespeed&amp;state=rejected&amp;range=7d" in page
    assert "0.5 s" not in page
    assert 'id="chart-provider_ended" data-chart="{&#34;labels&#34;' in page


def test_a_balance_is_shown_with_what_it_is_worth_and_how_long_it_lasts(
    app: Flask, operator: FlaskClient, used: dict[str, UUID]
) -> None:
    now = datetime.now(UTC)
    with app.app_context():
        left = Account(Decimal("1.35"), "USD", usd_micros=1_350_000)
        balances.keep(db.session(), Asked("wavespeed", left, None, now - timedelta(minutes=20)))
        balances.keep(db.session(), Asked("wavespeed", None, "no answer (ReadTimeout)", now))
        db.session.commit()
    page = operator.get("/admin/providers/wavespeed").text
    assert "$1.35" in page
    assert "Could not be asked" in page
    assert "no answer (ReadTimeout)" in page
    assert "$1.35" in row(operator.get("/admin/providers").text, "wavespeed")


def test_a_provider_that_does_not_exist_is_not_found(operator: FlaskClient) -> None:
    for path in ("/admin/providers/nobody", "/admin/pulse/providers/nobody", "/admin/providers/nobody/switch-off"):
        assert operator.get(path).status_code == 404


@pytest.mark.parametrize("path", PULSES)
def test_one_request_brings_all_panels(operator: FlaskClient, used: dict[str, UUID], path: str) -> None:
    answer = operator.get(path, headers={"HX-Request": "true"})
    assert answer.status_code == 200
    assert 'hx-target="#as-of"' in answer.text
    page = operator.get(PAGES[PULSES.index(path)]).text
    for panel in re.findall(r'id="panel-([^"]+)"', page):
        assert f'hx-target="#panel-{panel}"' in answer.text


@pytest.mark.parametrize("path", PULSES)
def test_a_poll_takes_the_same_few_queries_whatever_there_is_to_show(
    app: Flask, operator: FlaskClient, used: dict[str, UUID], path: str
) -> None:
    def count() -> int:
        statements: list[str] = []
        with app.app_context():
            engine = db.engine
        listen = (engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
        event.listen(*listen)
        operator.get(path)
        event.remove(*listen)
        return len(statements)

    before = count()
    with app.app_context():
        customer = make_customer(db.session(), 500)
        for number in range(20):
            make_generation(db.session(), customer, status="succeeded", model=f"acme/{number}", credits=1)
            other = FakeProvider(("nanobanana", "luma", "kling")[number % 3])
            make_generation(db.session(), customer, provider=other, credits=1)
        for name in ("wavespeed", "luma", "kling"):
            switches.switch_off(db.session(), app.extensions["providers"], name, "*", reason="test", actor="ana")
        db.session.commit()
    assert count() == before < 30


def test_switching_off_and_on_is_shown_and_audited(app: Flask, operator: FlaskClient) -> None:
    answer = switch_off(operator, MODEL, "Too slow.")
    assert (answer.status_code, answer.location) == (303, "/admin/providers/wavespeed")
    assert listed(app) == [("wavespeed", MODEL, "Too slow.")]
    page = operator.get("/admin/providers/wavespeed").text
    assert f"{MODEL} takes no new generations.</strong> Too slow. ana@example.com" in page
    assert "Switched off for new generations" in operator.get("/admin/").text
    assert switch_on(operator, MODEL).status_code == 303
    assert listed(app) == []
    assert "Switched off for new generations" not in operator.get("/admin/").text
    with app.app_context():
        actions = db.session.scalars(
            select(AuditEntry.action).where(AuditEntry.subject == "provider:wavespeed").order_by(AuditEntry.id)
        ).all()
    assert actions == ["provider.switched_off", "provider.switched_on"]


def test_a_switched_off_provider_is_marked_everywhere(
    app: Flask, operator: FlaskClient, used: dict[str, UUID]
) -> None:
    switch_off(operator, reason="Outage <b>")
    page = operator.get("/admin/providers").text
    assert "takes no new generations.</strong> Outage &lt;b&gt;." in page
    assert "Switched off" in row(page, "wavespeed")
    assert "Switched off" in row(operator.get("/admin/").text, "wavespeed")


def test_a_form_without_a_reason_comes_back_filled(app: Flask, operator: FlaskClient) -> None:
    answer = switch_off(operator, "acme/painter", " ")
    assert answer.status_code == 422
    assert "Nothing was switched off." in answer.text
    assert '<option value="acme/painter" selected>' in answer.text
    assert listed(app) == []


def test_what_is_off_already_is_said_and_nothing_typed_is_lost(app: Flask, operator: FlaskClient) -> None:
    switch_off(operator, reason="first")
    answer = switch_off(operator, reason="second")
    assert answer.status_code == 409
    assert "wavespeed is switched off already" in answer.text
    assert "second</textarea>" in answer.text
    assert listed(app) == [("wavespeed", "*", "first")]


def test_in_a_dialog_the_form_is_answered_in_place(app: Flask, operator: FlaskClient) -> None:
    htmx = {"HX-Request": "true"}
    shown = operator.get("/admin/providers/wavespeed/switch-off", headers=htmx)
    assert shown.text.startswith("<dialog")
    assert switch_off(operator, reason="", **{"HX-Request": "true"}).text.lstrip().startswith("<form")
    answer = switch_off(operator, **{"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (200, "/admin/providers/wavespeed")


def test_switching_on_what_is_on_says_so(operator: FlaskClient) -> None:
    switch_on(operator)
    assert "was not switched off. Nothing changed." in operator.get("/admin/providers/wavespeed").text


@pytest.mark.parametrize("role", ["viewer", "support"])
def test_only_an_admin_may_switch(app: Flask, role: str) -> None:
    add_operator(app, role=role)
    browser = app.test_client()
    log_in(browser)
    page = browser.get("/admin/providers/wavespeed")
    assert page.status_code == 200
    assert "Switch off…" not in page.text
    assert browser.get("/admin/providers/wavespeed/switch-off").status_code == 403
    form = {"csrf_token": form_token(browser, "/admin/"), "model": "*", "reason": "why"}
    for path in ("switch-off", "switch-on"):
        assert browser.post(f"/admin/providers/wavespeed/{path}", data=form).status_code == 403
    assert listed(app) == []


def test_the_dashboard_points_at_deliveries_that_wait_for_long(
    app: Flask, operator: FlaskClient, used: dict[str, UUID]
) -> None:
    assert "been waiting for more than 10 minutes" not in operator.get("/admin/").text
    with app.app_context():
        deliver(db.session(), used["unknown"], received_at=datetime.now(UTC) - timedelta(minutes=11))
        deliver(db.session(), used["unknown"], received_at=datetime.now(UTC))
        db.session.commit()
        assert db.session.query(Callback).count() == 2
    page = operator.get("/admin/pulse").text
    assert "1 delivery</a> of providers has been waiting for more than 10 minutes." in page
