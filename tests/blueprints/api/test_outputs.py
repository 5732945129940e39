"""Outputs through the API: a speech that was answered at once, links that die, and files behind links."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from makegood.ids import uuid7
from makegood.providers.protocol import Accepted, ErrorClass, File, Outcome, Report
from tests.backend import Platform
from tests.loopback import Loopback
from tests.making import FakeProvider
from tests.people import add_key

SPOKEN = Report(Outcome.SUCCEEDED, files=(File("audio/mpeg", b"ID3 hello"), File("application/json", b"{}")))
PICTURE = b"\x89PNG\r\n"


@pytest.fixture
def origin() -> Iterator[Loopback]:
    """A loopback server that stands for the provider's own address."""
    with Loopback((200, PICTURE)) as there:
        yield there


def finish(platform: Platform, *links: str) -> str:
    """A generation of the platform's own that ended with these links."""
    customer_id = platform.make_customer(10)
    made = platform.start(customer_id, provider="external", model="own/model", credits=1).json["id"]
    answer = platform.send("POST", f"/generations/{made}/outcome", {"status": "succeeded", "outputs": [*links]})
    assert answer.status_code == 200
    return str(made)


def test_a_result_in_the_providers_answer_is_answered_at_once_and_the_same_again(platform: Platform) -> None:
    customer_id = platform.make_customer(10)
    platform.provider.answer = Accepted("req-1", report=SPOKEN)
    first = platform.start(customer_id, idempotency="speech-1")
    assert (first.status_code, first.json["status"]) == (202, "succeeded")
    base = f"http://localhost/api/v1/generations/{first.json['id']}/outputs"
    assert first.json["outputs"] == [f"{base}/1", f"{base}/2"]
    assert datetime.fromisoformat(first.json["outputs_expire_at"]).tzinfo is not None
    assert first.json["outputs_gone"] is False
    assert platform.start(customer_id, idempotency="speech-1").json == first.json
    assert len(platform.provider.submitted) == 1
    assert platform.send("GET", f"/generations/{first.json['id']}").json["outputs"] == first.json["outputs"]

    heard = platform.send("GET", f"/generations/{first.json['id']}/outputs/1")
    assert (heard.status_code, heard.mimetype, heard.data) == (200, "audio/mpeg", b"ID3 hello")
    assert heard.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in heard.headers["Content-Security-Policy"]
    assert heard.headers["Content-Disposition"].startswith("attachment; filename=")
    assert platform.send("GET", f"/generations/{first.json['id']}/outputs/2").data == b"{}"


def test_a_failure_in_the_providers_answer_is_refunded_in_the_same_answer(platform: Platform) -> None:
    customer_id = platform.make_customer(10)
    report = Report(Outcome.FAILED, error_class=ErrorClass.CONTENT_POLICY_VIOLATION, message="No.")
    platform.provider.answer = Accepted("req-1", report=report)
    answer = platform.start(customer_id)
    assert (answer.status_code, answer.json["refunded"]) == (400, True)
    assert platform.balance(customer_id) == 15


def test_what_is_over_is_gone_and_says_so(platform: Platform) -> None:
    customer_id = platform.make_customer(10)
    platform.provider.answer = Accepted("req-1", report=SPOKEN)
    made = platform.start(customer_id).json["id"]
    platform.sql("UPDATE generations SET outputs_expire_at = now() - interval '1 second' WHERE id = :id", id=made)
    assert platform.send("GET", f"/generations/{made}").json["outputs_gone"] is True
    answer = platform.send("GET", f"/generations/{made}/outputs/1")
    assert (answer.status_code, answer.json["error"]["code"]) == (410, "output_gone")
    assert "No credits moved." in answer.json["error"]["message"]
    assert platform.balance(customer_id) == 13


def test_an_output_that_never_was_is_not_found(platform: Platform) -> None:
    made = finish(platform)
    for path in (f"{made}/outputs/1", f"{made}/outputs/0", f"{uuid7()}/outputs/1"):
        assert platform.send("GET", f"/generations/{path}").status_code == 404


@pytest.mark.parametrize("link", ["http://127.0.0.1:1/1.png", "https://127.0.0.1/1.png", "https://[::1]/1.png"])
def test_a_link_that_leads_inside_is_refused(platform: Platform, link: str) -> None:
    answer = platform.send("GET", f"/generations/{finish(platform, link)}/outputs/1")
    assert (answer.status_code, answer.json["error"]["code"]) == (502, "output_refused")


def test_a_link_to_the_providers_configured_address_comes_through(make_app: Any, origin: Loopback) -> None:
    app = make_app(WAVESPEED_BASE_URL=origin.url)
    provider = FakeProvider(
        answer=Accepted("job-1", report=Report(Outcome.SUCCEEDED, outputs=(f"{origin.url}/1",)))
    )
    app.extensions["providers"] |= {provider.name: provider}
    platform = Platform(app, app.test_client(), add_key(app, "platform"), provider)
    made = platform.start(platform.make_customer(10)).json["id"]

    def picture(connection: Any) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: {len(PICTURE)}\r\n\r\n"
        connection.sendall(head.encode() + PICTURE)

    origin.answer = picture
    answer = platform.send("GET", f"/generations/{made}/outputs/1")
    assert (answer.status_code, answer.mimetype, answer.data) == (200, "image/png", PICTURE)
    assert answer.content_length == len(PICTURE)
    assert "authorization" not in origin.requests[0].headers
    assert platform.send("HEAD", f"/generations/{made}/outputs/1").data == b""
