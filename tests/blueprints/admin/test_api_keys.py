"""The page of API keys."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from makegood.ids import uuid7
from tests.people import EMAIL, form_token

NEW = "/admin/api-keys/new"


def make(client: FlaskClient, name: str = "backend", scopes: str = "stats", key_id: str = "") -> TestResponse:
    data = {"csrf_token": form_token(client, NEW), "name": name, "key_id": key_id or str(uuid7())}
    return client.post(NEW, data=data | ({"scopes": scopes} if scopes else {}))


def shown(answer: TestResponse) -> str:
    found = re.search(r'value="(mg_[\w-]{43})"', answer.text)
    assert found
    return found[1]


def figures(app: Flask, key: str) -> int:
    headers = {"Authorization": f"Bearer {key}"}
    return app.test_client().get("/api/admin/credit-stats", headers=headers).status_code


def test_a_key_is_shown_once_and_works(app: Flask, operator: FlaskClient) -> None:
    assert "No API key yet" in operator.get("/admin/api-keys").text
    key = shown(make(operator))
    page = operator.get("/admin/api-keys").text
    assert key not in page
    assert key[:11] in page
    assert EMAIL in page
    assert "Never used" in page
    assert figures(app, key) == 200
    assert "Never used" not in operator.get("/admin/api-keys").text


def test_a_revoked_key_is_refused_from_its_next_request(app: Flask, operator: FlaskClient) -> None:
    key = shown(make(operator))
    assert figures(app, key) == 200
    action = re.search(r'action="(/admin/api-keys/[^"]+/revoke)"', operator.get("/admin/api-keys").text)
    assert action
    data = {"csrf_token": form_token(operator, NEW)}
    for _ in range(2):
        answer = operator.post(action[1], data=data, follow_redirects=True)
        assert "backend is revoked" in answer.text
    assert figures(app, key) == 401
    assert ">Revoked<" in operator.get("/admin/api-keys").text


def test_the_same_form_makes_one_key(operator: FlaskClient) -> None:
    key_id = str(uuid7())
    shown(make(operator, key_id=key_id))
    again = make(operator, key_id=key_id)
    assert again.status_code == 409
    assert "made its key already" in again.text
    assert "mg_" not in again.text
    assert operator.get("/admin/exports/api-keys.csv").text.count("mg_") == 1


@pytest.mark.parametrize(
    ("name", "scopes", "error"),
    [("", "stats", "key-name-error"), ("x", "", "key-scopes-error"), ("x", "root", "key-scopes-error")],
)
def test_what_is_wrong_stands_beside_the_field(operator: FlaskClient, name: str, scopes: str, error: str) -> None:
    answer = make(operator, name, scopes)
    assert answer.status_code == 422
    assert f'id="{error}"' in answer.text


def test_in_the_dialog_the_key_takes_the_forms_place(operator: FlaskClient) -> None:
    opened = operator.get(NEW, headers={"HX-Request": "true"}).text
    assert opened.startswith("<dialog")
    data = {"csrf_token": form_token(operator, NEW), "key_id": str(uuid7())}
    answer = operator.post(
        NEW, data=data | {"name": "backend", "scopes": "platform"}, headers={"HX-Request": "true"}
    )
    assert "<html" not in answer.text
    assert shown(answer)
