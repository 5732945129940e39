"""The figures of the provider pages, against a plain recount."""

from __future__ import annotations

import math
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from makegood import generations, provider_health, ranges, rollups, switches
from makegood.models import Generation
from makegood.provider_health import ProviderHealth
from makegood.provider_health.figures import Figures
from makegood.provider_health.observations import Deliveries, Rejected
from makegood.ranges import Range
from makegood.stats.failure_lines import ClassLine
from makegood.stats.latency import Latency
from makegood.terms import Terms
from tests.makegood.test_inbox import deliver
from tests.making import FAILURE, SUCCESS, TERMS, FakeProvider, make_customer, make_generation

NOW = datetime(2026, 11, 21, 15, 7, 30, tzinfo=UTC)
WAVESPEED, NANOBANANA = FakeProvider(), FakeProvider("nanobanana")
UTC_ZONE = ZoneInfo("UTC")
HOURS = ranges.within(NOW - timedelta(hours=31), NOW - timedelta(hours=2), UTC_ZONE, NOW)
"""Ends within hours, and is over."""
RANGES = [*(ranges.preset(name, UTC_ZONE, NOW) for name in ("today", "yesterday", "7d", "month", "90d")), HOURS]
MODELS = ("bytedance/seedream-v4", "google/nano-banana/edit", "acme/painter")


def percentile(values: list[int], share: float) -> int | None:
    """The smallest value that at least this share does not exceed."""
    return sorted(values)[math.ceil(share * len(values)) - 1] if values else None


def assert_within_3_percent(found: Latency, rows: list[Generation]) -> None:
    taken = [row.latency_ms for row in rows if row.status == "succeeded" and row.latency_ms is not None]
    for shown, share in ((found.p50_ms, 0.5), (found.p95_ms, 0.95)):
        exact = percentile(taken, share)
        assert (shown is None) == (exact is None)
        assert abs((shown or 0) - (exact or 0)) <= 0.03 * (exact or 0)


@pytest.fixture
def history(session: Session) -> list[Generation]:
    """Forty days of two providers, with generations of every state."""
    chance = random.Random(11)
    customer = make_customer(session, 5000, at=NOW - timedelta(days=60))
    for _ in range(160):
        at = NOW - timedelta(days=40) * chance.random() ** 3
        provider = WAVESPEED if chance.random() < 0.7 else NANOBANANA
        model = chance.choice(MODELS) if provider is WAVESPEED else "nano-banana"
        made = make_generation(
            session,
            customer,
            provider=provider,
            model=model,
            credits=1,
            at=at,
            status=chance.choice(["submitted", "submitted", "submitted", "submitted", "unknown"]),
        )
        fate = chance.random()
        ended_at = at + timedelta(milliseconds=chance.randint(900, 90_000))
        if ended_at < NOW and fate < 0.9:
            generations.settle(session, made, SUCCESS if fate < 0.75 else FAILURE, TERMS, at=ended_at)
    session.flush()
    return list(session.scalars(select(Generation)))


def survey(session: Session, asked: Range, terms: Terms = TERMS) -> dict[str, ProviderHealth]:
    view = provider_health.survey(session, ["wavespeed", "nanobanana", "luma"], terms, asked)
    return {health.name: health for health in view.providers}


def ended_in(rows: list[Generation], start: datetime, end: datetime) -> list[Generation]:
    return [row for row in rows if row.ended_at and start <= row.ended_at < end]


def assert_recounted(found: Figures, rows: list[Generation], start: datetime, end: datetime) -> None:
    ended = ended_in(rows, start, end)
    statuses = Counter(row.status for row in ended)
    assert (found.usage.succeeded, found.usage.failed) == (statuses["succeeded"], statuses["failed"])
    assert found.usage.generations == sum(start <= row.charged_at < end for row in rows)
    assert_within_3_percent(found.latency, ended)


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("asked", RANGES, ids=lambda asked: asked.preset or "hours")
def test_every_figure_of_a_provider_is_what_a_recount_says(
    session: Session, history: list[Generation], asked: Range, folded: bool
) -> None:
    if folded:
        rollups.fold(session, TERMS.timezone)
    found, before = survey(session, asked), asked.previous()
    for name in ("wavespeed", "nanobanana"):
        own = [row for row in history if row.provider == name]
        view = provider_health.examine(session, name, TERMS, asked)
        health = found[name]
        assert health == view.health
        assert_recounted(health.now, own, asked.start, asked.end)
        assert_recounted(health.before, own, before.start, before.end)
        failed, failed_before = health.now.usage.failed, health.before.usage.failed
        lines = [ClassLine("generation_failed", failed, failed_before)] if failed or failed_before else []
        assert view.failures == lines
        flying = [row for row in own if row.status in ("submitted", "unknown")]
        assert health.in_flight.count == len(flying)
        assert health.in_flight.unknown == sum(row.status == "unknown" for row in flying)
        assert health.in_flight.oldest == min(row.charged_at for row in flying)
        for status, ending in (("succeeded", health.success), ("failed", health.failure)):
            last = max((row for row in own if row.status == status), key=lambda row: row.ended_at or NOW)
            assert ending is not None
            assert (ending.generation_id, ending.at) == (last.id, last.ended_at)


@pytest.mark.parametrize("name", ["today", "7d", "last-month"])
@pytest.mark.parametrize(("zone", "own"), [("UTC", "Asia/Kathmandu"), ("Asia/Kathmandu", "America/New_York")])
def test_steps_and_models_add_up_to_the_whole_in_any_zone(
    session: Session, history: list[Generation], name: str, zone: str, own: str
) -> None:
    terms = Terms(timezone=ZoneInfo(zone))
    rollups.fold(session, terms.timezone)
    asked = ranges.preset(name, ZoneInfo(own), NOW)
    view = provider_health.examine(session, "wavespeed", terms, asked)
    rows = [row for row in history if row.provider == "wavespeed"]
    assert [step.step for step in view.steps] == asked.steps()
    for step in view.steps:
        assert_recounted(step.figures, rows, step.step.start, step.step.end)
    for model in view.models:
        assert_recounted(model.now, [row for row in rows if row.model == model.model], asked.start, asked.end)
    for measure in ("generations", "succeeded", "failed", "cost_micros", "unknown_costs"):
        whole = getattr(view.health.now.usage, measure)
        assert sum(getattr(step.figures.usage, measure) for step in view.steps) == whole
        assert sum(getattr(model.now.usage, measure) for model in view.models) == whole


def test_a_provider_that_was_never_used_has_no_data(session: Session) -> None:
    health = survey(session, ranges.preset("today", UTC_ZONE, NOW))["luma"]
    assert not health.used
    assert (health.now, health.before, health.success, health.failure) == (Figures(), Figures(), None, None)
    view = provider_health.examine(session, "luma", TERMS, ranges.preset("yesterday", UTC_ZONE, NOW))
    assert (view.models, view.failures, view.rejections, len(view.steps)) == ([], [], [], 24)


def test_the_most_used_provider_stands_first_and_a_forgotten_one_is_found(
    session: Session, history: list[Generation]
) -> None:
    make_generation(session, make_customer(session), provider=FakeProvider("gone"), model="m", credits=1, at=NOW)
    switches.switch_off(session, ["luma"], "luma", "*", reason="why", actor="ana")
    view = provider_health.survey(session, ["wavespeed"], TERMS, ranges.preset("30d", UTC_ZONE, NOW))
    names = [health.name for health in view.providers]
    assert names == ["wavespeed", "nanobanana", "gone", "luma"]
    assert view.providers[-1].off is not None


def test_deliveries_are_counted_by_what_became_of_them(session: Session, history: list[Generation]) -> None:
    about = next(row.id for row in history if row.provider == "wavespeed")
    today, yesterday, evening = (NOW - timedelta(hours=hours) for hours in (1, 26, 20))
    for received_at in (today, yesterday, evening):
        deliver(session, about, received_at=received_at)
        deliver(session, about, state="applied", late=True, received_at=received_at)
        deliver(session, about, state="applied", received_at=received_at)
        deliver(session, about, state="duplicate", late=True, received_at=received_at)
        deliver(session, about, None, state="rejected", detail="stale", received_at=received_at)
    for detail in ("stale", "no secret"):
        deliver(session, about, None, state="rejected", detail=detail, received_at=today)
    asked = ranges.preset("today", UTC_ZONE, NOW)
    # Yesterday evening is in neither: today is compared with yesterday until this time.
    assert survey(session, asked)["wavespeed"].deliveries == Deliveries(1, 1, 3, 1, waiting=3)
    view = provider_health.examine(session, "wavespeed", TERMS, asked)
    assert view.rejections == [Rejected("stale", 2, 1), Rejected("no secret", 1, 0)]
    assert survey(session, ranges.preset("yesterday", UTC_ZONE, NOW))["wavespeed"].deliveries == Deliveries(
        2, 0, 2, 0, waiting=3
    )
    assert survey(session, asked)["nanobanana"].deliveries == Deliveries()


def test_a_model_that_is_off_is_marked_also_without_use(session: Session, history: list[Generation]) -> None:
    for model in (MODELS[0], "acme/new"):
        switches.switch_off(session, ["wavespeed"], "wavespeed", model, reason="why", actor="ana")
    view = provider_health.examine(session, "wavespeed", TERMS, ranges.preset("30d", UTC_ZONE, NOW))
    assert {row.model for row in view.models if row.switch} == {MODELS[0], "acme/new"}
    assert view.health.off is None
