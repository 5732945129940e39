"""What the platform's backend sees while a provider or a model is switched off for new generations."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from extensions import db
from makegood import books, switches
from makegood.ids import uuid7
from tests.backend import Platform
from tests.making import MODEL


def switch_off(platform: Platform, model: str = switches.ALL_MODELS) -> None:
    with platform.app.app_context():
        switches.switch_off(
            db.session(), platform.app.extensions["providers"], "wavespeed", model, reason="outage", actor="ana"
        )
        db.session.commit()


def switch_on(platform: Platform, model: str = switches.ALL_MODELS) -> None:
    with platform.app.app_context():
        assert switches.switch_on(db.session(), "wavespeed", model, actor="ana")
        db.session.commit()


@pytest.mark.parametrize("model", [switches.ALL_MODELS, MODEL])
def test_a_generation_is_refused_and_nothing_is_charged_or_kept(platform: Platform, model: str) -> None:
    customer = platform.make_customer(20)
    switch_off(platform, model)
    answer = platform.start(customer, idempotency="image-1")
    assert (answer.status_code, answer.json["error"]["code"]) == (503, "provider_disabled")  # type: ignore[index]
    assert "No credits moved" in answer.json["error"]["message"]  # type: ignore[index]
    assert platform.balance(customer) == 25
    assert platform.sql("SELECT count(*) FROM generations") == 0
    assert platform.sql("SELECT count(*) FROM idempotency_keys WHERE key = 'image-1'") == 0
    assert platform.provider.submitted == []


def test_the_same_key_works_once_it_is_switched_on_again(platform: Platform) -> None:
    customer = platform.make_customer(20)
    switch_off(platform)
    assert platform.start(customer, idempotency="image-1").status_code == 503
    switch_on(platform)
    answer = platform.start(customer, idempotency="image-1")
    assert (answer.status_code, answer.json["balance"]) == (202, 23)  # type: ignore[index]
    assert len(platform.provider.submitted) == 1


def test_a_repeat_of_an_older_request_gets_its_first_answer_meanwhile(platform: Platform) -> None:
    customer = platform.make_customer(20)
    first = platform.start(customer, idempotency="image-1")
    switch_off(platform)
    again = platform.start(customer, idempotency="image-1")
    assert (again.status_code, again.json) == (202, first.json)
    assert platform.balance(customer) == 23
    assert len(platform.provider.submitted) == 1


def test_other_models_and_providers_go_on(platform: Platform) -> None:
    customer = platform.make_customer(20)
    switch_off(platform, "acme/painter")
    assert platform.start(customer).status_code == 202
    assert platform.start(customer, model="acme/painter", credits=1).status_code == 503
    assert platform.start(customer, provider="external", model="acme/painter", credits=1).status_code == 202


def test_the_answer_is_documented(platform: Platform) -> None:
    document = platform.client.get("/api/v1/openapi.json").json
    assert document is not None
    answers = document["paths"]["/api/v1/generations"]["post"]["responses"]
    assert "provider_disabled" in answers["503"]["description"]
    other = document["paths"]["/api/v1/customers/{customer_id}"]["get"]["responses"]
    assert "provider_disabled" not in other["503"]["description"]


def test_fifty_submits_during_the_switch_are_charged_and_submitted_or_refused(platform: Platform) -> None:
    customer = platform.make_customer(200)
    start = Barrier(6)

    def send(part: int) -> list[int]:
        client = platform.app.test_client()
        own = Platform(platform.app, client, platform.key, platform.provider)
        start.wait()
        return [own.start(customer, idempotency=uuid7().hex).status_code for _ in range(part, 50, 5)]

    with ThreadPoolExecutor(5) as pool:
        parts = [pool.submit(send, part) for part in range(5)]
        start.wait()
        switch_off(platform)
        statuses = [status for part in parts for status in part.result()]
    assert set(statuses) <= {202, 503}
    accepted = statuses.count(202)
    assert len(platform.provider.submitted) == accepted
    assert platform.sql("SELECT count(*) FROM generations") == accepted
    assert platform.balance(customer) == 205 - 2 * accepted
    with platform.app.app_context():
        assert books.violations(db.session()) == []
