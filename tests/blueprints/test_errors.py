from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask, abort
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.test import TestResponse

from app import create_app
from extensions import db
from makegood.errors import InsufficientCredits, Invalid, MakegoodError, Throttled
from tests.conftest import MakeApp, environment
from tests.people import add_key, add_operator, log_in


class ProviderRefused(MakegoodError):
    code = "provider_refused"
    status = 502


View = Callable[[], str]
Ask = Callable[..., TestResponse]


def fail(error: Exception) -> View:
    def view() -> str:
        raise error

    return view


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    """An application of the test's own, to which it can add a view."""
    return make_app()


@pytest.fixture
def ask(app: Flask) -> Ask:
    """Add a route that fails with this error, under the API or the console, and ask it."""
    key = add_key(app, "platform")
    add_operator(app)

    def asking(view: View, *, console: bool = False, **headers: str) -> TestResponse:
        path = "/admin/failing" if console else "/api/v1/failing"
        app.add_url_rule(path, "admin.failing" if console else "api.failing", view)
        client = app.test_client()
        if console:
            log_in(client)
        else:
            headers["Authorization"] = f"Bearer {key}"
        return client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return asking


def test_facts_about_money_stand_beside_the_error(ask: Ask) -> None:
    answer = ask(
        fail(ProviderRefused("The provider refused.", refunded=True, credits_refunded=4, balance=10, cause="x"))
    )
    assert answer.status_code == 502
    body = answer.json
    error = body.pop("error")
    assert body == {"refunded": True, "credits_refunded": 4, "balance": 10}
    assert error == {
        "code": "provider_refused",
        "message": "The provider refused.",
        "request_id": answer.headers["X-Request-Id"],
        "cause": "x",
    }


def test_too_few_credits_say_what_is_needed_and_there(ask: Ask) -> None:
    answer = ask(fail(InsufficientCredits("Too few.", required=5, balance=2)))
    assert answer.status_code == 402
    assert (answer.json["required"], answer.json["balance"]) == (5, 2)


def test_invalid_fields_stand_inside_the_error(ask: Ask) -> None:
    answer = ask(fail(Invalid("Wrong.", fields={"credits": "must be positive"})))
    assert answer.status_code == 422
    assert answer.json["error"]["fields"] == {"credits": "must be positive"}


def test_a_throttle_says_when_to_come_back(ask: Ask) -> None:
    answer = ask(fail(Throttled("Slow down.", retry_after=7)))
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")


def test_a_page_shows_the_sentence_and_the_request_id(ask: Ask) -> None:
    answer = ask(fail(Invalid("That <b>cannot</b> be.")), console=True)
    assert answer.status_code == 422
    assert answer.mimetype == "text/html"
    assert "That &lt;b&gt;cannot&lt;/b&gt; be." in answer.text
    assert answer.headers["X-Request-Id"] in answer.text
    assert "ana@example.com" in answer.text


def test_a_fragment_gets_the_sentence_alone(ask: Ask) -> None:
    answer = ask(fail(Invalid("Wrong.")), console=True, HX_Request="true")
    assert (answer.status_code, answer.mimetype, answer.text) == (422, "text/plain", "Wrong.")


@pytest.mark.parametrize(("console", "kind"), [(False, "application/json"), (True, "text/html")])
def test_an_unexpected_error_tells_only_its_request_id(ask: Ask, console: bool, kind: str) -> None:
    answer = ask(fail(RuntimeError("secret detail")), console=console)
    assert (answer.status_code, answer.mimetype) == (500, kind)
    assert "secret detail" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.headers["X-Request-Id"] in answer.text


def test_what_was_written_before_an_error_is_rolled_back(app: Flask, ask: Ask) -> None:
    def view() -> str:
        db.session.execute(
            text("INSERT INTO throttles (scope, subject, window_start, attempts) VALUES ('a', 'b', now(), 1)")
        )
        raise Invalid("No.")

    ask(view)
    with app.app_context():
        assert db.session.scalar(text("SELECT count(*) FROM throttles WHERE scope = 'a'")) == 0


def test_a_value_that_cannot_be_stored_is_the_requests_fault(ask: Ask) -> None:
    def view() -> str:
        db.session.execute(text("SELECT :value"), {"value": "a\x00b"})
        return "stored"

    answer = ask(view)
    assert (answer.status_code, answer.json["error"]["code"]) == (422, "invalid")


def test_what_flask_refuses_has_the_same_shape(client: FlaskClient) -> None:
    for answer, status, code in (
        (client.get("/api/v1/nothing"), 404, "not_found"),
        (client.put("/callbacks/wavespeed/x"), 405, "method_not_allowed"),
        (client.delete("/healthz"), 405, "method_not_allowed"),
    ):
        assert answer.status_code == status
        assert answer.json["error"]["code"] == code
        assert answer.json["error"]["message"].endswith(".")
    assert "POST" in client.put("/callbacks/wavespeed/x").headers["Allow"]


def test_an_abort_with_words_of_its_own_keeps_them(ask: Ask) -> None:
    def view() -> str:
        abort(409, "Not now.")

    assert ask(view).json["error"]["message"] == "Not now."


def test_an_unreachable_database_is_503_with_a_sentence_everywhere() -> None:
    app = create_app(environment("postgresql://nobody@127.0.0.1:1/nothing"))
    client = app.test_client()
    client.set_cookie("makegood_session", "x" * 43)
    bearer = {"Authorization": "Bearer mg_" + "x" * 43}
    for answer in (
        client.get("/healthz"),
        client.get("/api/v1/customers/x", headers=bearer),
        client.get("/api/admin/credit-stats", headers=bearer),
        client.post("/callbacks/wavespeed/token", data=b"{}"),
    ):
        assert answer.status_code == 503
        assert answer.json["error"]["code"] == "database_unavailable"
        assert int(answer.headers["Retry-After"]) > 0
    page = client.get("/admin/")
    assert page.status_code == 503
    assert "The database does not answer. Try again in a few seconds." in page.text
    fragment = client.get("/admin/pulse", headers={"HX-Request": "true"})
    assert (fragment.status_code, fragment.mimetype) == (503, "text/plain")
    assert fragment.text == "The database does not answer. Try again in a few seconds."


def test_a_database_that_leaves_in_the_middle_is_503(app: Flask, ask: Ask) -> None:
    def view() -> str:
        db.session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        return "survived"

    answer = ask(view)
    assert (answer.status_code, answer.json["error"]["code"]) == (503, "database_unavailable")
    assert app.test_client().get("/healthz").status_code == 200
