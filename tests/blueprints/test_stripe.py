"""POST /webhooks/stripe: 200 for what is kept, 400 with a sentence for the rest, never a 500."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from prometheus_client import REGISTRY
from sqlalchemy import text
from werkzeug.test import TestResponse

from extensions import db
from makegood.stripe.events import MAX_BODY
from simulator.stripe import deliveries
from tests.conftest import MakeApp
from tests.stripe import SimulatedStripe, pack

SECRETS = ("whsec_only-for-tests-0123456789", "whsec_the-new-one-0123456789")
EVENT = {
    "id": "evt_1",
    "object": "event",
    "type": "charge.refunded",
    "livemode": False,
    "api_version": "2026-10-28.endive",
    "created": 1795132800,
    "data": {"object": {"id": "ch_1", "object": "charge"}},
}


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app(STRIPE_WEBHOOK_SECRET=SECRETS[0])


@pytest.fixture
def send(app: Flask) -> Callable[..., TestResponse]:
    """Delivers a body, signed unless headers are given."""

    def post(body: bytes | Any, headers: dict[str, str] | None = None) -> TestResponse:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        signed = deliveries.headers(raw, SECRETS[:1]) if headers is None else headers
        return app.test_client().post("/webhooks/stripe", data=raw, headers=signed)

    return post


def kept(app: Flask, what: str = "count(*)") -> Any:
    with app.app_context():
        return db.session.execute(text(f"SELECT {what} FROM stripe_events")).scalar()


def test_a_genuine_event_is_kept_as_it_came_and_waits(app: Flask, send: Callable[..., TestResponse]) -> None:
    raw = json.dumps(EVENT, indent=2).encode()
    answer = send(raw)
    assert (answer.status_code, answer.json) == (200, {"state": "stored"})
    assert kept(app, "raw") == raw
    assert kept(app, "(id, type, object_type, object_id, livemode, source, state, attempts)::text") == (
        "(evt_1,charge.refunded,charge,ch_1,f,webhook,waiting,0)"
    )
    assert kept(app, "(SELECT grants_since IS NOT NULL FROM stripe_account)") is True


def test_one_that_comes_again_is_200_and_kept_once(app: Flask, send: Callable[..., TestResponse]) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: send(EVENT), range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert sorted(answer.json["state"] for answer in answers) == ["known"] * 19 + ["stored"]
    assert kept(app) == 1


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"type": "balance.available", "data": {"object": {"object": "balance"}}}, "Nothing here depends"),
        ({"type": "new.thing", "data": {"object": {"id": "x_1", "object": "thing"}}}, "Nothing here depends"),
        ({"type": "invoice.upcoming", "data": {"object": {"object": "invoice"}}}, "It names no object"),
        ({"account": "acct_1"}, "It is of a connected account"),
    ],
)
def test_what_nothing_follows_from_is_kept_and_ignored(
    app: Flask, send: Callable[..., TestResponse], change: dict[str, Any], problem: str
) -> None:
    assert send(EVENT | change).status_code == 200
    assert kept(app, "state") == "ignored"
    assert kept(app, "problem").startswith(problem)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe{}",
        b"no JSON",
        b"[]",
        b"{}",
        b"[" * 200_000,
        b"9" * 5000,
        {**EVENT, "object": "v2.core.event"},
        {**EVENT, "object": "charge"},
        {**EVENT, "id": "evt_1\0"},
        {**EVENT, "id": "evt_" + "1" * 200},
        {**EVENT, "id": 1},
        {**EVENT, "type": None},
        {**EVENT, "livemode": "yes"},
        {**EVENT, "created": 10**30},
        {**EVENT, "created": "today"},
        {**EVENT, "created": -1},
        {**EVENT, "data": None},
        {**EVENT, "data": {"object": "ch_1"}},
    ],
)
def test_what_is_no_event_is_400_with_a_sentence_and_nothing_is_kept(
    app: Flask, send: Callable[..., TestResponse], body: Any
) -> None:
    answer = send(body)
    assert (answer.status_code, answer.json["error"]["code"]) == (400, "not_an_event")
    assert answer.json["error"]["message"].endswith(".")
    assert kept(app) == 0


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Stripe-Signature": "t=1,v1=\xe9"},
        deliveries.headers(json.dumps(EVENT).encode(), ["whsec_another-0123456789abcdef"]),
        deliveries.headers(json.dumps(EVENT).encode(), SECRETS[:1], at=int(time.time()) - 3600),
        deliveries.headers(json.dumps(EVENT).encode(), SECRETS[:1], at=int(time.time()) + 3600),
    ],
)
def test_what_is_not_genuine_is_400_and_nothing_is_kept(
    app: Flask, send: Callable[..., TestResponse], headers: dict[str, str]
) -> None:
    answer = send(EVENT, headers)
    assert (answer.status_code, answer.json["error"]["code"]) == (400, "not_genuine")
    assert kept(app) == 0


def test_without_a_secret_every_delivery_is_refused(make_app: MakeApp) -> None:
    raw = json.dumps(EVENT).encode()
    answer = make_app().test_client().post("/webhooks/stripe", data=raw, headers=deliveries.headers(raw, [""]))
    assert answer.status_code == 400
    assert "STRIPE_WEBHOOK_SECRET" in answer.json["error"]["message"]


def test_a_body_has_a_limit_chunked_too(app: Flask, send: Callable[..., TestResponse]) -> None:
    raw = json.dumps(EVENT).encode()
    fits = raw[:-1] + b" " * (MAX_BODY - len(raw)) + b"}"
    assert send(fits + b" ").status_code == 413
    chunked = app.test_client().post(
        "/webhooks/stripe",
        input_stream=BytesIO(fits + b" "),
        environ_overrides={"wsgi.input_terminated": True},
        headers=deliveries.headers(fits + b" ", SECRETS[:1]) | {"Transfer-Encoding": "chunked"},
    )
    assert chunked.status_code == 413
    assert kept(app) == 0
    assert send(fits).status_code == 200


def test_while_a_secret_is_replaced_both_count(make_app: MakeApp) -> None:
    app = make_app(STRIPE_WEBHOOK_SECRET=", ".join(SECRETS))
    for number, secret in enumerate(SECRETS):
        raw = json.dumps(EVENT | {"id": f"evt_{number}"}).encode()
        headers = deliveries.headers(raw, [secret])
        assert app.test_client().post("/webhooks/stripe", data=raw, headers=headers).status_code == 200
    assert kept(app) == 2


def test_deliveries_are_counted_by_what_became_of_them(send: Callable[..., TestResponse]) -> None:
    def counts() -> list[float]:
        name, results = "makegood_stripe_deliveries_total", ("new", "repeated", "refused")
        return [REGISTRY.get_sample_value(name, {"result": result}) or 0 for result in results]

    before = counts()
    for body, headers in ((EVENT, None), (EVENT, None), (EVENT, {}), ({}, None), (EVENT, None)):
        send(body, headers)
    assert [after - was for after, was in zip(counts(), before, strict=True)] == [1, 2, 2]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_other_methods_are_405(app: Flask, method: str) -> None:
    assert app.test_client().open("/webhooks/stripe", method=method).status_code == 405


def test_all_that_a_simulated_account_tells_is_taken(
    app: Flask, send: Callable[..., TestResponse], stripe: SimulatedStripe
) -> None:
    stripe.account.buy(pack(stripe.account), 2, email="a@example.com")
    sent = stripe.deliver(lambda raw, headers: send(raw, headers).status_code, secrets=SECRETS[:1], copies=2)
    assert {delivery.status for delivery in sent} == {200}
    assert kept(app) == len(sent) / 2
