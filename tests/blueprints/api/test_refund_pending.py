"""When the database fails between charge and refund, the answer claims no refund, and the refund still comes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from blueprints.api import start, unrecorded
from makegood.ids import uuid7
from makegood.providers.protocol import Accepted, ErrorClass, File, Job, Outcome, Report, SubmitRefused
from tests.backend import Platform, plugged_in_again, unplug
from tests.making import FakeProvider

FAIL = """
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no refunds today'; END $$
"""


def break_refunds(platform: Platform) -> None:
    """Let every refund fail in the database."""
    platform.sql(FAIL)
    platform.sql("CREATE TRIGGER fail BEFORE INSERT ON refunds FOR EACH ROW EXECUTE FUNCTION fail()")


def mend_refunds(platform: Platform) -> None:
    """Let refunds be written again."""
    platform.sql("DROP TRIGGER fail ON refunds")


def alerts(platform: Platform) -> Any:
    """Open alerts: how many, of which kind, about what."""
    return platform.sql(
        "SELECT jsonb_agg(jsonb_build_array(kind, subject, generation_id)) FROM alerts WHERE resolved_at IS NULL"
    )


def wait_until(true: Callable[[], bool]) -> None:
    """Wait for something that happens by itself within seconds."""
    give_up = time.monotonic() + 30
    while not true():
        assert time.monotonic() < give_up, "it did not happen within 30 seconds"
        time.sleep(0.05)


def test_a_refund_that_cannot_be_written_is_not_claimed(platform: Platform) -> None:
    customer = platform.make_customer()
    platform.provider.answer = SubmitRefused(ErrorClass.INVALID_INPUT, "no")
    break_refunds(platform)
    answer = platform.start(customer, idempotency="g1")
    body = answer.json
    assert (answer.status_code, body["error"]["code"]) == (500, "refund_pending")
    assert (body["refunded"], body["credits_refunded"], body["credits_charged"]) == (False, 0, 2)
    assert body["error"]["request_id"] == answer.headers["X-Request-Id"]
    generation_id = body["generation_id"]
    assert alerts(platform) == [["refund_failed", generation_id, generation_id]]
    assert platform.balance(customer) == 3
    assert platform.send("GET", f"/generations/{generation_id}").json["status"] == "charged"

    repeat = platform.start(customer, idempotency="g1")
    assert (repeat.status_code, repeat.json["status"], repeat.json["credits_refunded"]) == (202, "charged", 0)
    mend_refunds(platform)
    wait_until(lambda: platform.balance(customer) == 5)
    assert alerts(platform) is None
    repeat = platform.start(customer, idempotency="g1")
    assert (repeat.json["refunded"], repeat.json["credits_refunded"], repeat.json["balance"]) == (True, 2, 5)
    assert len(platform.provider.submitted) == 1


def test_an_alert_about_a_refund_that_was_written_after_all_is_resolved(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember = start._remember

    def lose_the_commits_answer(*arguments: Any) -> None:
        remember(*arguments)
        raise ConnectionError

    customer = platform.make_customer()
    platform.provider.answer = SubmitRefused(ErrorClass.INVALID_INPUT, "no")
    monkeypatch.setattr(start, "_remember", lose_the_commits_answer)
    assert platform.start(customer).json["refunded"] is False
    assert (platform.balance(customer), len(alerts(platform))) == (5, 1)
    wait_until(lambda: alerts(platform) is None)
    assert platform.balance(customer) == 5


class Unplugging(FakeProvider):
    """The database goes away while the provider is asked."""

    def __init__(self, platform: Platform, answer: Accepted | Exception) -> None:
        super().__init__(answer=answer)
        self.platform = platform

    def submit(self, job: Job) -> Accepted:
        unplug(self.platform, connect=False)
        return super().submit(job)


def test_while_the_database_is_away_a_refusal_is_503_without_a_refund(platform: Platform) -> None:
    customer = platform.make_customer()
    refusal = SubmitRefused(ErrorClass.PROVIDER_UNAVAILABLE, "no")
    platform.app.extensions["providers"]["wavespeed"] = provider = Unplugging(platform, refusal)
    with plugged_in_again(platform):
        answer = platform.start(customer, idempotency="g1")
        assert (answer.status_code, answer.json["error"]["code"]) == (503, "refund_pending")
        assert (answer.json["refunded"], answer.json["credits_refunded"]) == (False, 0)
        away = platform.start(customer, idempotency="g1")
        assert (away.status_code, away.json["error"]["code"]) == (503, "database_unavailable")
        assert "refunded" not in away.json
    wait_until(lambda: platform.balance(customer) == 5)
    assert platform.sql("SELECT jsonb_agg(kind) FROM alerts WHERE acknowledged_at IS NULL") == ["refund_failed"]
    repeat = platform.start(customer, idempotency="g1")
    assert (repeat.json["refunded"], repeat.json["credits_refunded"], repeat.json["balance"]) == (True, 2, 5)
    assert repeat.json["error"]["code"] == "provider_unavailable"
    assert len(provider.submitted) == 1


def test_while_the_database_is_away_an_accepted_job_is_unknown_and_stays_charged(platform: Platform) -> None:
    customer = platform.make_customer()
    platform.app.extensions["providers"]["wavespeed"] = provider = Unplugging(platform, Accepted("job-1"))
    with plugged_in_again(platform):
        answer = platform.start(customer, idempotency="g1")
        assert (answer.status_code, answer.json["status"], answer.json["balance"]) == (202, "unknown", 3)
    [job] = provider.submitted
    path = job.callback_url.removeprefix("http://localhost")
    body = b'{"outcome": "succeeded", "job": "job-1", "outputs": ["https://results.example/1.png"]}'
    assert platform.client.post(path, data=body, headers={"x-genuine": "yes"}).status_code == 200
    shown = platform.send("GET", f"/generations/{answer.json['id']}").json
    assert (shown["status"], shown["provider_job_id"], shown["balance"]) == ("succeeded", "job-1", 3)
    assert platform.balance(customer) == 3


def test_a_database_that_is_away_from_the_start_costs_nothing(platform: Platform) -> None:
    customer = platform.make_customer()
    with plugged_in_again(platform):
        unplug(platform, connect=False)
        answer = platform.start(customer, idempotency="g1")
    assert (answer.status_code, answer.json["error"]["code"]) == (503, "database_unavailable")
    assert answer.headers["Retry-After"]
    assert (platform.balance(customer), platform.provider.submitted) == (5, [])


def test_a_mistake_of_ours_after_the_refusal_claims_nothing(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    customer = platform.make_customer()
    platform.provider.answer = SubmitRefused(ErrorClass.INVALID_INPUT, "no")
    monkeypatch.setattr(start.idempotency, "remember", broken)
    answer = platform.start(customer)
    assert (answer.status_code, answer.json["error"]["code"]) == (500, "refund_pending")
    assert platform.balance(customer) == 3
    assert len(alerts(platform)) == 1


def test_a_result_in_the_answer_is_written_as_soon_as_the_database_is_back(platform: Platform) -> None:
    customer = platform.make_customer()
    files = (File("audio/mpeg", b"ID3 hello"),)
    accepted = Accepted("req-1", report=Report(Outcome.SUCCEEDED, files=files))
    platform.sql(FAIL)
    platform.sql("CREATE TRIGGER fail BEFORE INSERT ON output_files FOR EACH ROW EXECUTE FUNCTION fail()")
    platform.provider.answer = accepted
    answer = platform.start(customer)
    assert (answer.status_code, answer.json["status"]) == (202, "unknown")
    platform.sql("DROP TRIGGER fail ON output_files")
    path = f"/generations/{answer.json['id']}"
    wait_until(lambda: platform.send("GET", path).json["status"] == "succeeded")
    assert platform.send("GET", f"{path}/outputs/1").data == b"ID3 hello"
    assert platform.balance(customer) == 3
    assert len(platform.provider.submitted) == 1


def test_files_that_wait_for_the_database_are_bounded(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unrecorded, "MOST_BYTES", 25)
    monkeypatch.setattr(unrecorded, "FIRST_WAIT", 60.0)
    waiting = unrecorded.Unrecorded(app)
    report = Report(Outcome.SUCCEEDED, files=(File("audio/mpeg", b"x" * 10),))
    for number in range(4):
        waiting.keep(uuid7(), Accepted(f"job-{number}", report=report))
    kept = [result for _, result in waiting._waiting if isinstance(result, Accepted)]
    assert [result.report is not None for result in kept] == [True, True, False, False]
    assert [result.provider_job_id for result in kept] == ["job-0", "job-1", "job-2", "job-3"]
    waiting.stop()
