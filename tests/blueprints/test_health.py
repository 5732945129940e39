from __future__ import annotations

from flask import Flask
from flask.testing import FlaskClient

from tests.people import add_key


def test_we_are_alive_while_the_database_answers(client: FlaskClient) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_metrics_need_a_key_with_the_scope(app: Flask) -> None:
    client = app.test_client()
    assert client.get("/metrics").status_code == 401
    platform = {"Authorization": f"Bearer {add_key(app, 'platform')}"}
    assert client.get("/metrics", headers=platform).status_code == 403
    stats = {"Authorization": f"Bearer {add_key(app, 'stats')}"}
    answer = client.get("/metrics", headers=stats)
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain; version=")


def test_answers_are_counted_by_endpoint_never_by_path(app: Flask) -> None:
    client = app.test_client()
    bearer = {"Authorization": f"Bearer {add_key(app, 'stats')}"}

    def count(line: str) -> float:
        text = client.get("/metrics", headers=bearer).text
        return next((float(row.rpartition(" ")[2]) for row in text.splitlines() if row.startswith(line)), 0)

    health = 'makegood_http_requests_total{endpoint="health.healthz",method="GET",status="200"}'
    lost = 'makegood_http_requests_total{endpoint="none",method="any",status="404"}'
    before, lost_before = count(health), count(lost)
    client.get("/healthz")
    client.get("/some/secret-path")
    client.open("/some/secret-path", method="INVENTED")
    assert (count(health), count(lost)) == (before + 1, lost_before + 2)
    assert "secret-path" not in client.get("/metrics", headers=bearer).text
