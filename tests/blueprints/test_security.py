from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from uuid import UUID

import pytest
import structlog
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule

import logs
from blueprints import access, entrance
from extensions import csrf
from makegood import permissions
from tests.conftest import MakeApp
from tests.people import add_key, add_operator, form_token, log_in

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
EXAMPLES = {"uuid": "01890a5d-ac96-774b-bcce-b302099a8057", "int": "1", "float": "1.5", "path": "a/b"}


def address(app: Flask, rule: Rule) -> str:
    """A path that this rule matches."""
    values = {}
    for name in rule.arguments:
        converter = rule._converters[name]
        kind = next((k for k, c in app.url_map.converters.items() if c is type(converter)), "default")
        values[name] = UUID(EXAMPLES["uuid"]) if kind == "uuid" else EXAMPLES.get(kind, "x1")
    with app.test_request_context():
        return app.url_map.bind("localhost").build(rule.endpoint, values)


def rules(app: Flask) -> Iterator[tuple[Rule, str, str]]:
    """Every rule with every method."""
    for rule in app.url_map.iter_rules():
        for method in METHODS:
            yield rule, method, address(app, rule) if rule.endpoint != "static" else "/static/app.css"


def changing(app: Flask, blueprint: str) -> list[tuple[Rule, str, str]]:
    """The rules of a blueprint with the methods of theirs that change things."""
    return [
        (rule, method, path)
        for rule, method, path in rules(app)
        if rule.endpoint.startswith(f"{blueprint}.")
        and method in (rule.methods or ())
        and method not in access.SAFE_METHODS
    ]


def test_every_route_outside_the_public_list_refuses_a_stranger_with_every_method(app: Flask) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    client = app.test_client()
    asked = 0
    for rule, method, path in rules(app):
        if rule.endpoint in entrance.PUBLIC:
            continue
        for headers in ({}, {"HX-Request": "true"}, {"Authorization": "Bearer mg_" + "x" * 43}):
            answer = client.open(path, method=method, headers=headers)
            refused = (
                answer.status_code in (401, 429)
                or (answer.status_code == 303 and answer.location.startswith("/login"))
                or (answer.status_code == 405 and method not in (rule.methods or ()))
            )
            assert refused, f"{method} {path} ({rule.endpoint}) answers {answer.status_code} to a stranger"
            asked += 1
    assert asked > 200


def test_the_public_list_is_short_and_names_only_what_exists(app: Flask) -> None:
    endpoints = {rule.endpoint for rule in app.url_map.iter_rules()}
    assert endpoints >= entrance.PUBLIC
    assert len(entrance.PUBLIC) <= 13
    assert {name for endpoint in endpoints for name in [endpoint.rpartition(".")[0]] if name} == (
        entrance.GUARDED | {"auth", "callbacks", "stripe"}
    )


def test_a_route_that_nobody_decided_on_does_not_exist(make_app: MakeApp) -> None:
    app = make_app()
    app.add_url_rule("/forgotten", "forgotten", lambda: "secret")
    answer = app.test_client().get("/forgotten")
    assert answer.status_code == 404
    assert "secret" not in answer.text


def test_paths_that_do_not_exist_tell_a_stranger_nothing_about_the_console(client: FlaskClient) -> None:
    for path in ("/admin/no-such-page", "/admin/refunds/", "/admin/static/app.css", "/admin/%2e%2e/x"):
        assert client.get(path).status_code == 303


@pytest.mark.parametrize("role", ["viewer", "support", "admin"])
def test_each_role_may_do_with_each_route_what_the_table_says(app: Flask, role: str) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    add_operator(app, role=role)
    client = app.test_client()
    log_in_without_token(client)
    for rule, method, path in changing(app, "admin"):
        needed = getattr(app.view_functions[rule.endpoint], "required_action", None)
        assert needed, f"{rule.endpoint} does not say who may {method} it: add @requires(...)"
        allowed = needed in permissions.PERMISSIONS[role]
        answer = client.open(path, method=method)
        assert (answer.status_code != 403) == allowed, f"{role}: {method} {path} -> {answer.status_code}"


def log_in_without_token(client: FlaskClient) -> None:
    fields = {"email": "ana@example.com", "password": "correct horse battery staple"}
    assert client.post("/login", data=fields).status_code == 303


def test_a_route_that_changes_things_and_names_no_permission_is_refused_to_everybody(make_app: MakeApp) -> None:
    app = make_app()
    app.config["WTF_CSRF_ENABLED"] = False
    app.add_url_rule("/admin/forgotten", "admin.forgotten", lambda: "secret", methods=["GET", "POST"])
    add_operator(app)
    client = app.test_client()
    log_in_without_token(client)
    assert client.get("/admin/forgotten").text == "secret"
    assert client.post("/admin/forgotten").status_code == 403


def test_an_operator_without_the_permission_is_told_so(app: Flask) -> None:
    add_operator(app, role="viewer")
    client = app.test_client()
    log_in(client)
    token = form_token(client, "/admin/refunds")
    answer = client.post(f"/admin/alerts/{EXAMPLES['uuid']}/acknowledge", data={"csrf_token": token})
    assert answer.status_code == 403
    assert "Your role does not allow this." in answer.text


def test_a_permission_that_does_not_exist_stops_the_start() -> None:
    with pytest.raises(ValueError, match="refnud"):
        access.requires("refnud")


def test_every_form_needs_its_token(operator: FlaskClient) -> None:
    app = operator.application
    forms = [*changing(app, "admin"), *changing(app, "auth")]
    assert len(forms) >= 4
    for _, method, path in forms:
        for fields in ({}, {"csrf_token": ""}, {"csrf_token": "x.y.z"}):
            answer = operator.open(path, method=method, data=fields)
            assert answer.status_code == 400, f"{method} {path} -> {answer.status_code}"
            assert "form" in answer.text


def test_only_what_no_cookie_opens_goes_without_a_token(app: Flask) -> None:
    assert {blueprint.name for blueprint in csrf._exempt_blueprints} == {"api", "callbacks", "stripe"}
    assert csrf._exempt_views == set()
    assert changing(app, "api_admin") == []


def test_a_session_does_not_open_the_platforms_api(operator: FlaskClient) -> None:
    assert operator.get("/api/v1/customers/x1").status_code == 401


def test_the_figures_open_for_an_operator_or_a_key_with_the_scope(operator: FlaskClient) -> None:
    app = operator.application
    path = "/api/admin/credit-stats"
    assert operator.get(path).status_code == 200
    for scopes, status in ((["stats"], 200), (["platform"], 403), (["platform", "stats"], 200)):
        bearer = {"Authorization": f"Bearer {add_key(app, *scopes)}"}
        assert app.test_client().get(path, headers=bearer).status_code == status
    # A key that is sent decides, whatever the cookie.
    assert operator.get(path, headers={"Authorization": "Bearer mg_" + "x" * 43}).status_code == 401


def test_every_page_and_every_refusal_carries_the_headers(operator: FlaskClient) -> None:
    stranger = operator.application.test_client()
    answers = [
        operator.get("/admin/refunds"),
        operator.get("/admin/pulse", headers={"HX-Request": "true"}),
        operator.get("/admin/nothing"),
        operator.post("/admin/refunds"),
        stranger.get("/admin/"),
        stranger.get("/admin/pulse", headers={"HX-Request": "true"}),
        stranger.get("/login"),
        stranger.post("/login"),
        stranger.get("/api/v1/customers/x1"),
        stranger.post("/callbacks/wavespeed/unknown"),
        stranger.get("/healthz"),
        stranger.get("/nothing"),
        stranger.get("/static/app.css", buffered=True),
    ]
    for answer in answers:
        headers = answer.headers
        assert headers["Content-Security-Policy"] == (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
            "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "camera=()" in headers["Permissions-Policy"]
        assert UUID(headers["X-Request-Id"])
        assert "Access-Control-Allow-Origin" not in headers
        assert "Strict-Transport-Security" not in headers
        if answer.request.path != "/static/app.css":
            assert headers["Cache-Control"] == "no-store"
            assert {"HX-Request", "Cookie"} <= set(answer.vary)


def test_https_is_remembered_for_two_years(make_app: MakeApp) -> None:
    client = make_app(PUBLIC_URL="https://makegood.example.com").test_client()
    assert client.get("/login").headers["Strict-Transport-Security"].startswith("max-age=63072000")


def test_request_ids_are_ours_and_never_repeat(client: FlaskClient) -> None:
    ids = {client.get("/nothing", headers={"X-Request-Id": "x"}).headers["X-Request-Id"] for _ in range(5)}
    assert len(ids) == 5
    assert "x" not in ids


def test_the_request_id_stands_in_the_error_too(client: FlaskClient) -> None:
    answer = client.get("/api/v1/customers/x1")
    assert answer.json["error"]["request_id"] == answer.headers["X-Request-Id"]


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer  ",
        "bearer mg_",
        "Basic bWc6eA==",
        "Basic \x80",
        "Token mg_x",
        "Bearer mg_" + "x" * 42,
        "Bearer mg_" + "x" * 44,
        "Bearer mg_" + "x" * 100_000,
        "Bearer mg_" + "é" * 43,
        "Bearer \x00",
        'Bearer realm="x", token=mg_x',
        'Digest username="x", qop=auth, nonce="", =',
        "Bearer {key} {key}",
        "Bearer {key},Bearer {key}",
        "Bearer {key}\t",
        "Bearer\u00a0{key}",
        "{key}",
    ],
)
def test_a_hostile_authorization_is_a_plain_401(app: Flask, header: str) -> None:
    sent = header.replace("{key}", add_key(app, "platform"))
    answer = app.test_client().get("/api/v1/customers/x1", environ_base={"HTTP_AUTHORIZATION": sent})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert set(answer.json["error"]) == {"code", "message", "request_id"}
    assert answer.json["error"]["code"] == "unauthenticated"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
def test_a_good_key_opens_the_api(app: Flask, scheme: str) -> None:
    key = add_key(app, "platform")
    answer = app.test_client().get("/api/v1/customers/nobody", headers={"Authorization": f"{scheme} {key}"})
    assert (answer.status_code, answer.json["error"]["code"]) == (404, "not_found")


def test_a_key_without_the_scope_is_told_which(app: Flask) -> None:
    bearer = {"Authorization": f"Bearer {add_key(app, 'stats')}"}
    answer = app.test_client().get("/api/v1/customers/x1", headers=bearer)
    assert answer.status_code == 403
    assert answer.json["error"]["code"] == "forbidden"
    assert answer.json["error"]["required_scope"] == "platform"


def test_guessing_keys_is_throttled_per_address_while_good_keys_go_on(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = access.throttles.Limit("api_key_address", 3, access.throttles.LOGINS.window)
    monkeypatch.setattr(access.throttles, "FAILED_KEYS_PER_ADDRESS", limit)
    client, good = app.test_client(), {"Authorization": f"Bearer {add_key(app, 'platform')}"}
    guess = {"Authorization": "Bearer mg_" + "x" * 43}
    path = "/api/v1/customers/x1"
    assert [client.get(path, headers=guess).status_code for _ in range(5)] == [401, 401, 401, 429, 429]
    refused = client.get(path, headers=guess)
    assert int(refused.headers["Retry-After"]) == refused.json["error"]["retry_after"] > 0
    assert client.get(path, headers=good).status_code == 404


@pytest.fixture
def written(app: Flask) -> Iterator[io.StringIO]:
    """What would stand on standard error."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.formatter())
    root = logging.getLogger()
    root.addHandler(handler)
    yield stream
    root.removeHandler(handler)


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_each_request_is_one_line_of_json(client: FlaskClient, written: io.StringIO) -> None:
    answer = client.get("/admin/refunds?customer=someone", headers={"Cookie": "makegood_session=abc"})
    (line,) = lines(written)
    assert (line["event"], line["method"], line["path"], line["status"]) == (
        "request",
        "GET",
        "/admin/refunds",
        303,
    )
    assert line["request_id"] == answer.headers["X-Request-Id"]
    assert "someone" not in written.getvalue()


def test_polls_and_checks_are_not_logged(operator: FlaskClient, written: io.StringIO) -> None:
    operator.get("/admin/pulse")
    operator.get("/healthz")
    operator.get("/static/app.css", buffered=True)
    assert written.getvalue() == ""


def test_no_secret_of_a_request_is_logged(app: Flask, written: io.StringIO) -> None:
    key = add_key(app, "platform")
    add_operator(app)
    client = app.test_client()
    token = "T0k3n-" + "x" * 40
    for path in (
        f"/callbacks/wavespeed/{token}",
        f"/callbacks/wavespeed/{token}/more",
        f"//callbacks//wavespeed//{token}",
        f"/Callbacks/wavespeed/{token}",
        f"/prefix/callbacks/nobody/{token}",
    ):
        client.post(path, data=b"{}")
    client.get(f"/nothing/{key}", headers={"Authorization": f"Bearer {key}"})
    client.get("/api/v1/customers/x1", headers={"Authorization": f"Bearer {key}"})
    log_in(client)
    log_in(client, password="wrong but secret")
    session_cookie = client.get_cookie("makegood_session")
    assert session_cookie
    text = written.getvalue()
    assert len(lines(written)) >= 9
    for secret in (token, key, "correct horse", "wrong but secret", session_cookie.value):
        assert secret not in text
    assert f"/callbacks/wavespeed/{logs.HIDDEN}" in text
    assert key[:11] in text


def test_a_traceback_is_logged_without_secrets_and_not_answered(make_app: MakeApp, written: io.StringIO) -> None:
    app = make_app()
    key = "mg_" + "k" * 43

    def broken() -> None:
        password = "local variable"  # noqa: F841 (must not be logged)
        raise RuntimeError(f"cannot use {key} at postgresql://me:hunter2@db/x")

    app.add_url_rule("/healthz/broken", "health.broken", broken)
    app.config["WTF_CSRF_ENABLED"] = False
    bearer = {"Authorization": f"Bearer {add_key(app, 'stats')}"}
    answer = app.test_client().get("/healthz/broken", headers=bearer)
    assert answer.status_code == 500
    assert set(answer.json["error"]) == {"code", "message", "request_id"}
    assert "RuntimeError" not in answer.text
    text = written.getvalue()
    assert "RuntimeError" in text
    for secret in (key, "hunter2"):
        assert secret not in text
    assert answer.json["error"]["request_id"] in text
    assert [line["level"] for line in lines(written) if line["event"] == "unexpected error"] == ["error"]


def test_every_log_record_of_a_request_carries_its_id(make_app: MakeApp, written: io.StringIO) -> None:
    app = make_app()

    def chatty() -> str:
        structlog.get_logger("somebody").info("hello", callback_token="hunter2", nested={"x": "Bearer hunter2"})
        logging.getLogger("library").warning("at %s", "/callbacks/wavespeed/hunter2")
        return "ok"

    app.add_url_rule("/healthz/chatty", "health.chatty", chatty)
    bearer = {"Authorization": f"Bearer {add_key(app, 'stats')}"}
    answer = app.test_client().get("/healthz/chatty", headers=bearer)
    ids = [line["request_id"] for line in lines(written)]
    assert ids == [answer.headers["X-Request-Id"]] * 3
    assert "hunter2" not in written.getvalue()
