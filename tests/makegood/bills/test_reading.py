"""Imports from the billing API: asked for, leased, read page by page, resumed, tried again, failed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from makegood.bills import IMPORTS, imports, reading, start, start_again, start_nightly
from makegood.bills.reading import Claimed, Unread
from makegood.errors import Conflict, Invalid, NotFound
from makegood.ids import uuid7
from makegood.models import AuditEntry, Bill, BillLine
from makegood.providers import wavespeed
from makegood.providers.billing import BillPage
from makegood.providers.http import Limits
from makegood.providers.protocol import Provider
from settings import ProviderSettings
from tests.loopback import Loopback
from tests.makegood.bills.making import COST, DAY, NOON, billed_generation, line
from tests.makegood.test_concurrency import at_once, committed
from tests.making import FakeProvider

UTC_ZONE = ZoneInfo("UTC")
ANA = "ana@example.com"
NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)


@pytest.fixture
def loopback() -> Iterator[Loopback]:
    """The provider."""
    with Loopback() as loopback:
        yield loopback


@pytest.fixture
def provider(loopback: Loopback) -> Provider:
    """Its adapter."""
    return wavespeed.build("wavespeed", ProviderSettings(api_key="key", base_url=loopback.url), Limits())


def begin(session: Session, provider: Provider, first: date = DAY, last: date = DAY) -> Bill:
    return start(session, provider, first, last, UTC_ZONE, actor=ANA)


def claimed(session: Session, at: datetime = NOW) -> Claimed:
    found = reading.claim(session, at=at)
    assert found is not None
    return found


def test_an_import_waits_for_the_worker_and_is_done_after_its_last_page(
    session: Session, provider: Provider
) -> None:
    billed_generation(session, "job-7")
    bill = begin(session, provider)
    assert (bill.state, bill.period_start, bill.period_end) == (
        "waiting",
        NOON - timedelta(hours=12),
        NOON + timedelta(hours=12),
    )
    first = claimed(session)
    assert (first.id, first.provider, first.cursor) == (bill.id, "wavespeed", None)
    second = reading.take(
        session, first, BillPage((line("job-7", COST), line("job-8", 1)), "deduct:2:usd:2", 1), at=NOW
    )
    assert second is not None
    assert (second.cursor, bill.state, bill.lines_added, bill.lines_pending) == ("deduct:2:usd:2", "running", 2, 1)
    assert reading.take(session, second, BillPage((line("job-9", 2),), None), at=NOW) is None
    session.refresh(bill)
    assert (bill.state, bill.lines_added, bill.finished_at, bill.problem) == ("done", 3, NOW, None)
    matched = session.scalars(select(BillLine.provider_job_id).where(BillLine.generation_id.is_not(None))).all()
    assert matched == ["job-7"]
    [entry] = session.scalars(select(AuditEntry).where(AuditEntry.action == "bill.started"))
    assert (entry.actor, entry.subject) == (ANA, f"bill:{bill.id}")


def test_the_same_import_is_not_started_twice_at_once(session: Session, provider: Provider) -> None:
    begin(session, provider)
    with pytest.raises(Conflict, match="already under way"):
        begin(session, provider)
    begin(session, provider, last=DAY + timedelta(days=1))


@pytest.mark.parametrize(("first", "last"), [(2, 1), (-200, 0)])
def test_a_period_that_is_none_or_too_long_is_refused(
    session: Session, provider: Provider, first: int, last: int
) -> None:
    with pytest.raises(Invalid) as refusal:
        begin(session, provider, DAY + timedelta(days=first), DAY + timedelta(days=last))
    assert "to" in refusal.value.details["fields"]


def test_a_provider_without_a_billing_api_is_sent_to_csv(session: Session) -> None:
    for provider in (None, FakeProvider(), wavespeed.build("wavespeed", ProviderSettings(), Limits())):
        with pytest.raises(Invalid, match="as CSV instead"):
            start(session, provider, DAY, DAY, UTC_ZONE, actor=ANA)


def test_a_killed_workers_import_goes_on_at_its_page_when_the_lease_ends(
    session: Session, provider: Provider
) -> None:
    begin(session, provider)
    reading.take(session, claimed(session), BillPage((line("job-7", 1),), "deduct:2:usd:100"), at=NOW)
    assert reading.claim(session, at=NOW + timedelta(seconds=80)) is None
    again = claimed(session, at=NOW + timedelta(seconds=100))
    assert again.cursor == "deduct:2:usd:100"


def test_a_page_that_another_worker_stored_is_left_alone(session: Session, provider: Provider) -> None:
    bill = begin(session, provider)
    slow = claimed(session)
    reading.take(session, slow, BillPage((line("job-7", 1, name="line-1"),), "deduct:2:usd:100"), at=NOW)
    assert reading.take(session, slow, BillPage((line("job-8", 1, name="line-2"),), None), at=NOW) is None
    assert reading.take(session, slow, Unread("gone", final=True), at=NOW) is None
    session.refresh(bill)
    assert (bill.state, bill.lines_added) == ("running", 1)


def test_a_provider_that_does_not_answer_is_asked_again_and_at_last_the_import_fails(
    session: Session, provider: Provider, loopback: Loopback
) -> None:
    loopback.answer = 503, b"{}"
    bill, at = begin(session, provider), NOW
    for attempt in range(1, reading.ATTEMPTS + 1):
        one = claimed(session, at)
        reading.take(session, one, reading.read({"wavespeed": provider}, one), at=at)
        session.refresh(bill)
        assert bill.attempts == attempt
        assert bill.state == ("failed" if attempt == reading.ATTEMPTS else "running")
        at += timedelta(minutes=10)
    assert bill.problem == "The provider could not be asked: an answer without lines, with the code 503."
    assert reading.claim(session, at=at) is None


def test_a_failed_import_is_started_again_from_its_first_page(session: Session, provider: Provider) -> None:
    bill = begin(session, provider)
    one = reading.take(
        session, claimed(session), BillPage((line("j", 1, name="line-1"),), "deduct:2:usd:1"), at=NOW
    )
    assert one is not None
    reading.take(session, one, Unread("Only 1 of 2 lines came.", final=True), at=NOW)
    with pytest.raises(Conflict, match="Only an import that failed"):
        start_again(session, begin(session, provider, last=DAY + timedelta(days=1)).id, actor=ANA)
    assert start_again(session, bill.id, actor=ANA).state == "waiting"
    pages = BillPage((line("j", 1, name="line-1"), line("j", 2, name="line-2")), None)
    reading.take(session, claimed(session), pages, at=NOW)
    session.refresh(bill)
    assert (bill.state, bill.lines_added, bill.lines_known) == ("done", 2, 0)


def test_reading_never_raises(session: Session, provider: Provider, loopback: Loopback) -> None:
    begin(session, provider)
    one = claimed(session)
    assert reading.read({}, one) == Unread(
        "The provider's billing API is not configured any more. Set its API key.", True
    )
    loopback.answer = 403, b'{"message": "no"}'
    answer = reading.read({"wavespeed": provider}, one)
    assert isinstance(answer, Unread)
    assert answer.final
    broken = Claimed(one.id, one.provider, one.start, one.end, "nonsense")
    assert isinstance(reading.read({"wavespeed": provider}, broken), Unread)


def test_yesterday_is_imported_once_and_not_before_its_refunds_are_there(
    session: Session, provider: Provider
) -> None:
    providers = {"wavespeed": provider, "nanobanana": FakeProvider("nanobanana")}
    midnight = datetime(2026, 11, 21, tzinfo=UTC)
    assert start_nightly(session, providers, UTC_ZONE, at=midnight + timedelta(hours=2, minutes=59)) == []
    [bill] = start_nightly(session, providers, UTC_ZONE, at=midnight + timedelta(hours=3))
    assert (bill.provider, bill.period_start, bill.actor) == (
        "wavespeed",
        midnight - timedelta(days=1),
        "makegood",
    )
    assert start_nightly(session, providers, UTC_ZONE, at=midnight + timedelta(hours=9)) == []


@pytest.mark.parametrize(("pending", "problem", "again"), [(0, None, 1), (2, None, 2), (0, "It broke.", 2)])
def test_a_day_with_lines_that_were_not_final_or_that_failed_is_imported_again(
    session: Session, provider: Provider, pending: int, problem: str | None, again: int
) -> None:
    [bill] = start_nightly(session, {"wavespeed": provider}, UTC_ZONE, at=NOW)
    page = Unread(problem, final=True) if problem else BillPage((), None, pending)
    reading.take(session, claimed(session), page, at=NOW)
    session.execute(text("UPDATE bills SET created_at = :at"), {"at": NOW})
    session.expire_all()
    assert start_nightly(session, {"wavespeed": provider}, UTC_ZONE, at=NOW + timedelta(hours=1)) == []
    started = start_nightly(session, {"wavespeed": provider}, UTC_ZONE, at=NOW + timedelta(days=1))
    assert len(started) == again
    assert {one.period_start for one in started} >= ({bill.period_start} if again == 2 else set())


def test_the_history_has_all_imports_newest_first(session: Session, provider: Provider) -> None:
    bills = [begin(session, provider, DAY - timedelta(days=n), DAY) for n in range(3)]
    assert [bill.id for bill in IMPORTS.page(session).rows] == [bill.id for bill in reversed(bills)]
    with pytest.raises(NotFound):
        imports.get(session, uuid7())


def test_a_bill_of_many_pages_comes_over_http_complete(
    session: Session, provider: Provider, loopback: Loopback
) -> None:
    rows = [
        {
            "uuid": f"line-{number}",
            "billing_type": "deduct",
            "price": 0.027,
            "created_at": "2026-11-20T12:00:00Z",
            "order": {"state": "done"},
            "prediction": {"uuid": f"job-{number}"},
        }
        for number in range(250)
    ]

    bill = begin(session, provider)
    one: Claimed | None = claimed(session)
    while one is not None:
        kind, number = (one.cursor or "deduct:1").split(":")[:2]
        some = rows[100 * int(number) - 100 : 100 * int(number)] if kind == "deduct" else []
        total = len(rows) if kind == "deduct" else 0
        data = {"page": int(number), "total": total, "items": some}
        loopback.answer = 200, json.dumps({"code": 200, "data": data}).encode()
        one = reading.take(session, one, reading.read({"wavespeed": provider}, one), at=NOW)
    session.refresh(bill)
    assert (bill.state, bill.lines_added, len(loopback.requests)) == ("done", 250, 4)
    assert session.scalar(text("SELECT sum(amount_micros) FROM bill_lines")) == 250 * 27_000


def test_many_workers_take_one_import_once(engine: Engine, provider: Provider) -> None:
    committed(engine, lambda session: begin(session, provider).id)
    results = at_once(engine, [partial(reading.claim, at=NOW)] * 4)
    assert sum(isinstance(result, Claimed) for result in results) == 1
