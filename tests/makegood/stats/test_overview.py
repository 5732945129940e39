"""The dashboard's figures at the edges of their ranges, its lists and its health."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.orm import Session

from makegood import alerts, generations, rollups, stats
from makegood.providers.protocol import ErrorClass
from makegood.stats import Overview, Usage
from makegood.terms import Terms
from tests.making import TERMS, FakeProvider, make_customer, make_generation

NOW = datetime(2026, 11, 21, 12, 7, 30, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)
STARTS = {"last30": (10, 23), "month": (11, 1), "week": (11, 15), "today": (11, 21)}


@pytest.fixture(params=["tail", "folded"])
def folded(request: pytest.FixtureRequest) -> bool:
    """Whether the figures come from the rollups or from the events themselves."""
    return bool(request.param == "folded")


@pytest.fixture
def customer(session: Session) -> str:
    """Somebody with credits, for long."""
    return make_customer(session, 1000, at=NOW - timedelta(days=60))


def look(session: Session, terms: Terms = TERMS, *, folded: bool = False) -> Overview:
    """The dashboard of this uncommitted session, with all events in the rollups or all in the tail."""
    if folded:
        session.execute(text("UPDATE events SET xid = '3'"))
        rollups.rebuild(session, terms.timezone)
    return stats.overview(session, terms, at=NOW)


def fail(session: Session, customer: str, at: datetime, *, charged: datetime | None = None) -> None:
    """A generation that failed at that instant."""
    generation = make_generation(session, customer, at=charged or at)
    generations.fail(session, generation, ErrorClass.INTERNAL_ERROR, "broken", TERMS, at=at)


def test_an_empty_platform_has_zeros_and_no_rates(session: Session) -> None:
    view = look(session)
    assert view.today == view.week == view.month == view.last30 == Usage()
    assert view.today.success_rate.exact is None
    assert (view.active_today, view.customers_with_credits, view.credits_in_circulation) == (0, 0, 0)
    assert view.providers == view.failures == view.refunds == view.alerts == []
    assert [row.tier for row in view.tiers] == ["free", "plus", "pro"]
    assert [row.day for row in view.days] == [date(2026, 10, 23) + timedelta(days=n) for n in range(30)]
    assert all(row.usage == Usage() for row in view.days)
    assert (view.health.status, view.health.in_flight, view.health.oldest_in_flight) == ("healthy", 0, None)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "America/New_York"])
def test_ranges_end_with_today_and_are_half_open(session: Session, customer: str, zone: str, folded: bool) -> None:
    terms = Terms(timezone=ZoneInfo(zone))
    starts = {name: datetime(2026, *day, tzinfo=terms.timezone) for name, day in STARTS.items()}
    for start in starts.values():
        for at in (start.astimezone(UTC) - MOMENT, start.astimezone(UTC)):
            make_generation(session, customer, at=at)
    view = look(session, terms, folded=folded)
    assert (view.today.generations, view.week.generations) == (1, 3)
    assert (view.month.generations, view.last30.generations) == (5, 7)
    assert [row.usage.generations for row in view.days if row.usage.generations] == [1, 1, 1, 1, 1, 1, 1]
    assert view.days[-1].day == date(2026, 11, 21)


def test_what_a_clock_ahead_of_ours_dates_tomorrow_waits_until_then(
    session: Session, customer: str, folded: bool
) -> None:
    make_generation(session, customer, at=NOW + timedelta(days=1))
    view = look(session, folded=folded)
    assert view.today == view.week == view.month == view.last30 == Usage()
    assert view.providers == []


def test_a_thing_counts_when_it_happened(session: Session, customer: str, folded: bool) -> None:
    """Charged yesterday, failed and refunded today: the cost is yesterday's, failure and refund today's."""
    fail(session, customer, NOW, charged=NOW - timedelta(days=1))
    view = look(session, folded=folded)
    yesterday = view.days[-2].usage
    assert (view.today.generations, view.today.failed, view.today.refunds, view.today.cost_micros) == (0, 1, 1, 0)
    assert (view.today.credits_refunded, view.today.loss_micros, view.today.net_credits) == (2, 27_000, -2)
    assert (yesterday.generations, yesterday.failed, yesterday.credits_charged) == (1, 0, 2)
    assert (yesterday.cost_micros, view.last30.net_credits) == (27_000, 0)


def test_active_customers_are_counted_once_a_day_and_once_a_month(
    session: Session, customer: str, folded: bool
) -> None:
    other = make_customer(session, at=NOW - timedelta(days=60))
    for at in (NOW - timedelta(days=1), NOW - timedelta(hours=1), NOW):
        make_generation(session, customer, at=at)
    make_generation(session, other, at=NOW)
    view = look(session, folded=folded)
    assert (view.active_today, view.days[-2].usage.active_day, view.month.active_month) == (2, 1, 2)


@pytest.mark.parametrize(
    ("age", "day", "hour"),
    [
        (timedelta(0), 1, 1),
        (timedelta(minutes=52, seconds=30), 1, 1),  # a quarter of an hour begins
        (timedelta(hours=1), 1, 1),
        (timedelta(hours=1) + MOMENT, 1, 0),
        (timedelta(hours=1, minutes=20), 1, 0),
        (timedelta(hours=23, minutes=52, seconds=30), 1, 0),  # and another
        (timedelta(hours=24), 1, 0),
        (timedelta(hours=24) + MOMENT, 0, 0),
        (timedelta(hours=24, minutes=14), 0, 0),
    ],
)
def test_the_windows_of_health_are_rolling_and_exact(
    session: Session, customer: str, folded: bool, age: timedelta, day: int, hour: int
) -> None:
    fail(session, customer, NOW - age)
    health = look(session, folded=folded).health
    assert (health.generations_24h, health.failures_24h, health.failures_last_hour) == (day, day, hour)


def test_many_failures_in_the_last_hour_come_before_stuck_generations(
    session: Session, customer: str, folded: bool
) -> None:
    make_generation(session, customer, at=NOW - timedelta(minutes=10))
    assert look(session).health.status == "healthy"
    make_generation(session, customer, at=NOW - timedelta(minutes=10) - MOMENT)
    health = look(session).health
    assert (health.status, health.label, health.in_flight) == ("stuck_generations", "Stuck generations", 2)
    assert health.oldest_in_flight == NOW - timedelta(minutes=10) - MOMENT
    for _ in range(5):
        fail(session, customer, NOW - timedelta(minutes=30))
    assert look(session).health.status == "stuck_generations"
    fail(session, customer, NOW)
    health = look(session, folded=folded).health
    assert (health.status, health.label) == ("high_failure_rate", "High failure rate")


def test_nothing_is_healthy_while_no_worker_is_at_work(session: Session) -> None:
    assert look(session).health.status == "healthy"
    gone = "UPDATE rollup_state SET folded_at = clock_timestamp() - interval '3 minutes' RETURNING folded_at"
    folded_at = session.scalar(text(gone))
    health = look(session).health
    assert (health.worker_away_since, health.status) == (folded_at, "no_worker")
    assert health.label == "No worker is at work"
    rollups.fold(session, TERMS.timezone)
    assert look(session).health.worker_away_since is None


def test_providers_are_listed_by_use_with_their_last_charge(session: Session, customer: str, folded: bool) -> None:
    for provider, count in (("external", 1), ("nanobanana", 2), ("wavespeed", 2)):
        for back in range(count):
            fake = FakeProvider(provider)
            make_generation(
                session, customer, provider=fake, credits=1, at=NOW - timedelta(days=count, hours=back)
            )
    make_generation(session, customer, provider=FakeProvider("external"), credits=1, at=NOW - timedelta(days=31))
    view = look(session, folded=folded)
    assert [(row.provider, row.usage.generations) for row in view.providers] == [
        ("nanobanana", 2),
        ("wavespeed", 2),
        ("external", 1),
    ]
    assert [row.last_charged_at for row in view.providers] == [NOW - timedelta(days=n) for n in (2, 2, 1)]
    assert view.providers[2].usage.unknown_costs == 1
    assert view.providers[2].usage.average_cost_micros is None


def test_tiers_show_who_holds_what_now_and_what_they_used_this_month(
    session: Session, customer: str, folded: bool
) -> None:
    spent = make_customer(session, 0, at=NOW - timedelta(days=60))
    generation = make_generation(session, spent, credits=5, at=NOW - timedelta(days=60))
    make_generation(session, customer, credits=7, at=NOW)
    view = look(session, folded=folded)
    free = view.tiers[0]
    assert (free.customers, free.holders, free.credits) == (2, 1, 993)  # the allowance of 5 has expired
    assert (free.consumed.credits_charged, free.consumed.net_credits) == (7, 7)
    assert (view.customers_with_credits, view.credits_in_circulation) == (1, 993)
    generations.fail(session, generation, ErrorClass.TIMEOUT, "late", TERMS, at=NOW)
    view = look(session, folded=folded)
    assert (view.tiers[0].holders, view.tiers[0].credits) == (2, 998)
    assert view.tiers[0].consumed.net_credits == 2


def test_recent_failures_are_ten_of_the_last_seven_days_newest_first(session: Session, customer: str) -> None:
    week = datetime(2026, 11, 15, tzinfo=UTC)
    fail(session, customer, week - MOMENT)
    fail(session, customer, week)
    assert [row.ended_at for row in look(session).failures] == [week]
    for minutes in range(12):
        fail(session, customer, NOW - timedelta(minutes=minutes))
    failures = look(session).failures
    assert [row.ended_at for row in failures] == [NOW - timedelta(minutes=minutes) for minutes in range(10)]
    assert (failures[0].error_class, failures[0].message) == ("internal_error", "broken")
    assert (failures[0].credits_charged, failures[0].credits_refunded) == (2, 2)


def test_recent_refunds_are_the_newest_ten(session: Session, customer: str) -> None:
    for minutes in range(11, -1, -1):
        fail(session, customer, NOW - timedelta(minutes=minutes))
    refunds = look(session).refunds
    assert [row.issued_at for row in refunds] == [NOW - timedelta(minutes=minutes) for minutes in range(10)]
    assert (refunds[0].credits, refunds[0].origin, refunds[0].reason, refunds[0].actor) == (
        2,
        "automatic",
        "internal_error",
        "system",
    )


def test_open_alerts_are_listed(session: Session) -> None:
    alerts.raise_alert(session, alerts.PROVIDER_ACCOUNT, "wavespeed", "No money left.")
    assert [alert.message for alert in look(session).alerts] == ["No money left."]


@pytest.fixture
def statements(rules_engine: Engine) -> Iterator[list[str]]:
    """What is executed meanwhile."""
    seen: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(rules_engine, "before_cursor_execute", note)
    yield seen
    event.remove(rules_engine, "before_cursor_execute", note)


def test_a_poll_takes_the_same_few_queries_whatever_there_is_to_show(
    session: Session, customer: str, statements: list[str]
) -> None:
    look(session)
    empty = len(statements)
    for provider in ("external", "wavespeed"):
        for _ in range(6):
            at = NOW - timedelta(minutes=len(statements) % 50)
            make_generation(session, customer, provider=FakeProvider(provider), credits=1, at=at)
            fail(session, customer, at)
    statements.clear()
    assert len(look(session).failures) == 10
    assert len(statements) == empty <= 9
