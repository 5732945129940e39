"""Luma's adapter against its simulated provider, over HTTP."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from makegood.providers.protocol import ErrorClass, FetchFailed, Outcome, SubmitRefused, SubmitUnknown
from simulator.dialects.luma import FAILURES
from simulator.jobs import State
from tests.simulator.bench import Bench

BENCH = Callable[..., Bench]


def test_a_job_dreams_then_ends_and_is_fetched(bench: BENCH) -> None:
    at = bench("luma")
    job_id = at.submit("succeed")
    dreaming, completed = sorted(at.read(2), key=lambda report: report.status, reverse=True)
    assert (dreaming.status, dreaming.outcome) == ("dreaming", Outcome.PENDING)
    assert (completed.status, completed.provider_job_id) == ("completed", job_id)
    fetched = at.provider.fetch(job_id, at.model)
    assert fetched == completed
    assert fetched.outputs == (f"{at.simulator.base_url}/outputs/{job_id}/1.svg",)


@pytest.mark.parametrize("model", ["ray-flash-2/modify", "ray-2/reframe", "photon-1", "photon-flash-1/reframe"])
def test_every_kind_of_job_is_taken(model: str, bench: BENCH) -> None:
    at = bench("luma")
    job_id = at.submit("succeed", model=model)
    at.ended()
    assert at.provider.fetch(job_id, model).outcome == Outcome.SUCCEEDED
    assert at.simulator.accepted[0].asked.model == model.partition("/")[0]


@pytest.mark.parametrize("error_class", FAILURES)
def test_every_failure_is_read_as_what_it_is(error_class: str, bench: BENCH) -> None:
    at = bench("luma")
    job_id = at.submit(f"fail:{error_class}")
    at.ended()
    failed = at.provider.fetch(job_id, at.model)
    assert failed in at.read(2)
    assert (failed.outcome, failed.error_class) == (Outcome.FAILED, ErrorClass(error_class))


@pytest.mark.parametrize("wish", ["cut", "hang", "error", "half"])
def test_a_job_whose_submit_was_never_answered_is_found_by_its_address(wish: str, bench: BENCH) -> None:
    at = bench("luma")
    lost, other = at.job(wish, token="lost"), at.job("succeed", token="other")
    with pytest.raises(SubmitUnknown):
        at.provider.submit(lost)
    at.provider.submit(other)
    found = at.provider.find(at.lost(lost))
    assert found is not None
    assert found.certain
    assert found.report.provider_job_id == at.simulator.accepted[0].id
    assert at.provider.find(at.lost(at.job("cut", token="never-submitted"))) is None
    at.ended()
    again = at.provider.find(at.lost(lost))
    assert again is not None
    assert again.report.outcome == Outcome.SUCCEEDED


def test_a_job_behind_a_hundred_others_is_found(bench: BENCH) -> None:
    at = bench("luma")
    lost = at.job("cut", token="lost")
    with pytest.raises(SubmitUnknown):
        at.provider.submit(lost)
    for _ in range(120):
        at.submit("lose_callback")
    found = at.provider.find(at.lost(lost))
    assert found is not None
    assert found.report.provider_job_id == at.simulator.accepted[0].id


def test_nothing_but_200_is_an_answer_to_a_callback(bench: BENCH) -> None:
    at = bench("luma")
    at.inbox.answer = (204, b"")
    job_id = at.submit("succeed")
    reports = at.read(8)
    assert {report.provider_job_id for report in reports} == {job_id}
    assert sorted(report.status for report in reports) == ["completed"] * 4 + ["dreaming"] * 4


def test_copies_of_a_callback_say_the_same(bench: BENCH) -> None:
    at = bench("luma")
    at.submit("duplicate")
    reports = at.read(4)
    assert len([report for report in reports if report.outcome == Outcome.SUCCEEDED]) == 3
    assert len({one.body for one in at.inbox.requests}) == 2
    assert (at.simulator.accepted[0].id, State.SUCCEEDED, 200) in at.simulator.delivered


@pytest.mark.parametrize(
    ("wish", "error_class"),
    [
        ("refuse", ErrorClass.INVALID_INPUT),
        ("refuse_account", ErrorClass.PROVIDER_ACCOUNT),
        ("forbidden", ErrorClass.PROVIDER_ACCOUNT),
        ("busy", ErrorClass.PROVIDER_UNAVAILABLE),
    ],
)
def test_every_refusal_is_read_as_what_it_is(wish: str, error_class: ErrorClass, bench: BENCH) -> None:
    at = bench("luma")
    with pytest.raises(SubmitRefused) as raised:
        at.submit(wish)
    assert raised.value.error_class == error_class
    assert at.simulator.accepted == []


def test_the_balance_is_what_is_left_in_dollars(bench: BENCH) -> None:
    at = bench("luma")
    account = at.provider.account()
    assert account is not None
    assert (str(account.remaining), account.unit, account.usd_micros) == ("712.34", "USD", 712_340_000)


def test_a_wrong_key_is_our_fault_and_takes_no_job(bench: BENCH) -> None:
    at = bench("luma")
    stranger = at.reached(api_key="another-key")
    with pytest.raises(SubmitRefused) as raised:
        stranger.submit(at.job("succeed"))
    assert raised.value.error_class == ErrorClass.PROVIDER_ACCOUNT
    for ask in (stranger.account, lambda: stranger.find(at.lost(at.job("cut")))):
        with pytest.raises(FetchFailed):
            ask()
    assert at.simulator.accepted == []
