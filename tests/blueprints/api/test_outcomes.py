"""Outcomes that the platform reports of generations it submits itself."""

from __future__ import annotations

from typing import Any

import pytest

from tests.backend import Platform


def start(platform: Platform, customer: str) -> str:
    """An external generation of 4 credits."""
    answer = platform.start(customer, provider="external", model="own/model", credits=4)
    assert (answer.status_code, answer.json["status"], answer.json["balance"]) == (202, "charged", 1)
    return str(answer.json["id"])


@pytest.fixture
def customer(platform: Platform) -> str:
    """A customer with 5 credits."""
    return platform.make_customer()


def report(platform: Platform, generation_id: str, status: str, **fields: Any) -> Any:
    """Send an outcome."""
    return platform.send("POST", f"/generations/{generation_id}/outcome", {"status": status, **fields})


def test_nothing_is_submitted_for_the_platform(platform: Platform, customer: str) -> None:
    first = platform.start(customer, provider="external", model="own/model", credits=4, idempotency="g1")
    again = platform.start(customer, provider="external", model="own/model", credits=4, idempotency="g1")
    assert (again.status_code, again.json) == (202, first.json)
    assert (platform.provider.submitted, platform.balance(customer)) == ([], 1)


def test_a_success_settles_with_its_cost(platform: Platform, customer: str) -> None:
    generation_id = start(platform, customer)
    assert report(platform, generation_id, "submitted", provider_job_id="own-1").json["status"] == "submitted"
    outcome = {"outputs": ["https://cdn.example/1.png"], "cost_usd": "0.0385"}
    first = report(platform, generation_id, "succeeded", **outcome)
    assert first.status_code == 200
    body = first.json
    assert (body["status"], body["outputs"], body["cost_usd"]) == ("succeeded", outcome["outputs"], "0.0385")
    assert (body["provider_job_id"], body["credits_refunded"], body["balance"]) == ("own-1", 0, 1)
    again = report(platform, generation_id, "succeeded", **outcome)
    assert (again.status_code, again.json) == (200, body)
    assert platform.sql("SELECT cost_micros FROM generations") == 38_500
    assert platform.balance(customer) == 1


def test_a_failure_is_refunded_once(platform: Platform, customer: str) -> None:
    generation_id = start(platform, customer)
    failure = {"error_class": "content_policy_violation", "error_message": "nudity", "cost_usd": "0.01"}
    first = report(platform, generation_id, "failed", **failure)
    assert (first.status_code, first.json["status"]) == (200, "failed")
    assert first.json["error"]["code"] == "content_policy_violation"
    assert (first.json["credits_refunded"], first.json["balance"], first.json["cost_usd"]) == (4, 5, "0.01")
    again = report(platform, generation_id, "failed", **failure)
    assert (again.status_code, again.json) == (200, first.json)
    assert platform.balance(customer) == 5
    assert platform.sql("SELECT count(*) FROM refunds") == 1


def test_a_failure_without_a_class_is_an_unknown_error(platform: Platform, customer: str) -> None:
    generation_id = start(platform, customer)
    assert report(platform, generation_id, "failed").json["error"]["code"] == "unknown_error"
    assert platform.balance(customer) == 5


def test_submitted_after_the_end_changes_nothing(platform: Platform, customer: str) -> None:
    generation_id = start(platform, customer)
    report(platform, generation_id, "submitted")
    ended = report(platform, generation_id, "succeeded")
    again = report(platform, generation_id, "submitted")
    assert (again.status_code, again.json) == (200, ended.json)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"status": "succeeded", "outputs": ["a"]}, {"status": "failed"}),
        ({"status": "succeeded", "outputs": ["a"]}, {"status": "succeeded", "outputs": ["b"]}),
        ({"status": "succeeded", "cost_usd": "1"}, {"status": "succeeded", "cost_usd": "2"}),
        ({"status": "failed"}, {"status": "failed", "error_class": "timeout"}),
        ({"status": "failed"}, {"status": "succeeded"}),
        ({"status": "failed"}, {"status": "submitted"}),
    ],
)
def test_a_contradiction_is_a_conflict_with_the_facts(
    platform: Platform, customer: str, first: dict[str, Any], second: dict[str, Any]
) -> None:
    generation_id = start(platform, customer)
    stands = report(platform, generation_id, **first).json
    for _ in range(2):
        answer = report(platform, generation_id, **second)
        assert (answer.status_code, answer.json["error"]["code"]) == (409, "conflict")
        assert {name: answer.json[name] for name in ("status", "credits_refunded", "balance")} == {
            name: stands[name] for name in ("status", "credits_refunded", "balance")
        }
    assert platform.balance(customer) == stands["balance"]
    now = platform.send("GET", f"/generations/{generation_id}").json
    assert {**now, "late_outcome": None, "outputs": None} == {**stands, "outputs": None}


def test_a_late_success_is_noted_and_never_charged_again(platform: Platform, customer: str) -> None:
    generation_id = start(platform, customer)
    report(platform, generation_id, "failed", error_class="timeout")
    assert report(platform, generation_id, "succeeded", outputs=["https://cdn.example/1.png"]).status_code == 409
    shown = platform.send("GET", f"/generations/{generation_id}").json
    assert (shown["status"], shown["late_outcome"], shown["balance"]) == ("failed", "succeeded", 5)


def test_a_failure_after_cancelling_returns_what_is_due(platform: Platform, customer: str) -> None:
    generation_id = start(platform, customer)
    report(platform, generation_id, "submitted")
    cancelled = platform.send("POST", f"/generations/{generation_id}/cancel").json
    assert (cancelled["credits_refunded"], cancelled["balance"]) == (0, 1)
    for _ in range(2):
        answer = report(platform, generation_id, "failed")
        assert (answer.status_code, answer.json["status"], answer.json["late_outcome"]) == (
            200,
            "cancelled",
            "failed",
        )
        assert (answer.json["credits_refunded"], answer.json["balance"]) == (4, 5)
    assert report(platform, generation_id, "succeeded").status_code == 409
    assert platform.balance(customer) == 5


def test_a_success_after_cancelling_is_noted_and_moves_nothing(platform: Platform, customer: str) -> None:
    generation_id = start(platform, customer)
    platform.send("POST", f"/generations/{generation_id}/cancel")
    for status in ("succeeded", "failed", "submitted"):
        answer = report(platform, generation_id, status)
        assert (answer.status_code, answer.json["status"], answer.json["balance"]) == (409, "cancelled", 5)
        assert answer.json["error"]["message"].endswith("No credits moved.")
    assert platform.send("GET", f"/generations/{generation_id}").json["late_outcome"] == "succeeded"
    assert platform.balance(customer) == 5


def test_only_the_provider_reports_what_we_submitted(platform: Platform, customer: str) -> None:
    generation_id = platform.start(customer).json["id"]
    answer = report(platform, generation_id, "failed")
    assert (answer.status_code, answer.json["error"]["code"]) == (409, "conflict")
    assert platform.balance(customer) == 3


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "status"),
        ({"status": "cancelled"}, "status"),
        ({"status": "succeeded", "error_class": "timeout"}, "body"),
        ({"status": "failed", "outputs": ["a"]}, "body"),
        ({"status": "submitted", "cost_usd": "1"}, "body"),
        ({"status": "failed", "error_class": "bored"}, "error_class"),
        ({"status": "succeeded", "cost_usd": 0.1}, "cost_usd"),
        ({"status": "succeeded", "cost_usd": "-1"}, "cost_usd"),
        ({"status": "succeeded", "cost_usd": "NaN"}, "cost_usd"),
        ({"status": "succeeded", "cost_usd": "0.0000001"}, "cost_usd"),
        ({"status": "succeeded", "cost_usd": "1e9"}, "cost_usd"),
        ({"status": "succeeded", "outputs": [1]}, "outputs.0"),
        ({"status": "succeeded", "outputs": ["a"] * 101}, "outputs"),
        ({"status": "succeeded", "outputs": "a"}, "outputs"),
    ],
)
def test_an_outcome_that_makes_no_sense_changes_nothing(
    platform: Platform, customer: str, body: dict[str, Any], field: str
) -> None:
    generation_id = start(platform, customer)
    answer = platform.send("POST", f"/generations/{generation_id}/outcome", body)
    assert answer.status_code == 422
    assert list(answer.json["error"]["fields"]) == [field]
    assert platform.send("GET", f"/generations/{generation_id}").json["status"] == "charged"
    assert platform.balance(customer) == 1
