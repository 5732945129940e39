"""Kling's adapter against its simulated provider, over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from makegood.ids import uuid7
from makegood.providers.protocol import (
    ErrorClass,
    FetchFailed,
    Outcome,
    SubmitRefused,
    SubmitUnknown,
    Units,
)
from simulator.dialects.kling import FAILURES
from tests.simulator.bench import Bench

BENCH = Callable[..., Bench]


def test_every_change_of_status_calls_back_and_only_the_end_counts(bench: BENCH) -> None:
    at = bench("kling")
    job_id = at.submit("succeed")
    told = {report.status: report for report in at.read(3)}
    assert told.keys() == {"submitted", "processing", "succeed"}
    for status in ("submitted", "processing"):
        assert (told[status].outcome, told[status].usage) == (Outcome.PENDING, None)
    fetched = at.provider.fetch(job_id, at.model)
    assert fetched == told["succeed"]
    assert fetched.usage == Units("unit", Decimal("2.5"))
    assert fetched.outputs == (f"{at.simulator.base_url}/outputs/{job_id}/1.svg",)
    assert fetched.outputs_expire_at is not None
    assert abs(fetched.outputs_expire_at - datetime.now(UTC) - timedelta(days=30)) < timedelta(minutes=1)


@pytest.mark.parametrize("model", ["image2video/kling-v3", "lip-sync", "generations/kling-v2-1"])
def test_every_endpoint_answers_for_its_own_tasks_only(model: str, bench: BENCH) -> None:
    at = bench("kling")
    job_id = at.submit("succeed", model=model)
    at.ended()
    report = at.provider.fetch(job_id, model)
    assert report.outcome == Outcome.SUCCEEDED
    assert len(report.outputs) == 1
    with pytest.raises(Exception, match="no such task"):
        at.provider.fetch(job_id, "text2video/kling-v3")


@pytest.mark.parametrize("error_class", FAILURES)
def test_every_failure_is_read_as_what_it_is_and_costs_what_it_says(error_class: str, bench: BENCH) -> None:
    at = bench("kling")
    job_id = at.submit(f"fail:{error_class}")
    at.ended()
    failed = at.provider.fetch(job_id, at.model)
    assert (failed.outcome, failed.error_class) == (Outcome.FAILED, ErrorClass(error_class))
    assert failed.usage == Units("unit", Decimal(0))


@pytest.mark.parametrize("wish", ["cut", "hang", "error", "half"])
def test_a_job_whose_submit_was_never_answered_is_found_by_our_id(wish: str, bench: BENCH) -> None:
    at = bench("kling")
    lost = at.job(wish)
    with pytest.raises(SubmitUnknown):
        at.provider.submit(lost)
    at.submit("succeed")
    found = at.provider.find(at.lost(lost))
    assert found is not None
    assert found.certain
    assert found.report.provider_job_id == at.simulator.accepted[0].id
    assert at.provider.find(at.lost(at.job("cut"))) is None
    at.ended()
    again = at.provider.find(at.lost(lost))
    assert again is not None
    assert again.report.outcome == Outcome.SUCCEEDED


def test_our_id_is_taken_once(bench: BENCH) -> None:
    at = bench("kling")
    generation_id = uuid7()
    at.submit("succeed", generation_id)
    with pytest.raises(SubmitRefused):
        at.submit("succeed", generation_id)
    assert len(at.simulator.accepted) == 1


@pytest.mark.parametrize(
    ("wish", "error_class"),
    [
        ("refuse", ErrorClass.INVALID_INPUT),
        ("refuse_account", ErrorClass.PROVIDER_ACCOUNT),
        ("arrears", ErrorClass.PROVIDER_ACCOUNT),
        ("forbidden", ErrorClass.PROVIDER_ACCOUNT),
        ("moderate", ErrorClass.CONTENT_POLICY_VIOLATION),
        ("busy", ErrorClass.PROVIDER_UNAVAILABLE),
    ],
)
def test_every_refusal_is_read_as_what_it_is_and_sent_once(
    wish: str, error_class: ErrorClass, bench: BENCH
) -> None:
    at = bench("kling")
    with pytest.raises(SubmitRefused) as raised:
        at.submit(wish)
    assert raised.value.error_class == error_class
    assert len(at.simulator.submitted) == 1
    assert at.simulator.accepted == []


def test_copies_of_a_callback_say_the_same(bench: BENCH) -> None:
    at = bench("kling")
    at.submit("duplicate")
    reports = at.read(5)
    assert len([report for report in reports if report.outcome == Outcome.SUCCEEDED]) == 3
    assert len({one.body for one in at.inbox.requests}) == 3


def test_what_is_left_is_counted_in_units(bench: BENCH) -> None:
    account = bench("kling").provider.account()
    assert account is not None
    assert (account.remaining, account.unit, account.limit) == (Decimal("8417.5"), "units", Decimal(10_000))
    assert account.usd_micros is None


@pytest.mark.parametrize(
    "wrong", [{"api_key": "another-key"}, {"api_secret": "another-secret-of-at-least-32-bytes"}]
)
def test_a_wrong_key_is_our_fault_and_takes_no_job(wrong: dict[str, str], bench: BENCH) -> None:
    at = bench("kling")
    stranger = at.reached(**wrong)
    with pytest.raises(SubmitRefused) as raised:
        stranger.submit(at.job("succeed"))
    assert raised.value.error_class == ErrorClass.PROVIDER_ACCOUNT
    for ask in (stranger.account, lambda: stranger.find(at.lost(at.job("cut")))):
        with pytest.raises(FetchFailed):
            ask()
    assert at.simulator.accepted == []
