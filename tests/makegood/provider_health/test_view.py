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

from makegood import generations, provider_health, rollups, switches
from makegood.models import Generation
from makegood.provider_health import ProviderHealth
from makegood.provider_health.latencies import Latency
from makegood.terms import Terms
from tests.makegood.test_inbox import deliver
from tests.making import FAILURE, SUCCESS, TERMS, FakeProvider, make_customer, make_generation

NOW = datetime(2026, 11, 21, 15, 7, 30, tzinfo=UTC)
WAVESPEED, NANOBANANA = FakeProvider(), FakeProvider("nanobanana")
MODELS = ("bytedance/seedream-v4", "google/nano-banana/edit", "acme/painter")


def percentile(values: list[int], share: float) -> int | None:
    """The smallest value that at least this share does not exceed."""
    return sorted(values)[math.ceil(share * len(values)) - 1] if values else None


def assert_within_3_percent(found: Latency, rows: list[Generation]) -> None:
    taken = [row.latency_ms for row in rows if row.status == "succeeded" and row.latency_ms is not None]
    for shown, share in ((found.p50, 0.5), (found.p95, 0.95)):
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


def survey(session: Session, span: str, terms: Terms = TERMS) -> dict[str, ProviderHealth]:
    view = provider_health.survey(session, ["wavespeed", "nanobanana", "luma"], terms, span=span, at=NOW)
    return {health.name: health for health in view.providers}


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("span", provider_health.NAMES)
def test_every_figure_of_a_provider_is_what_a_recount_says(
    session: Session, history: list[Generation], span: str, folded: bool
) -> None:
    if folded:
        rollups.fold(session, TERMS.timezone)
    found = survey(session, span)
    for name in ("wavespeed", "nanobanana"):
        own = [row for row in history if row.provider == name]
        view = provider_health.examine(session, name, TERMS, span=span, at=NOW)
        ended = [row for row in own if row.ended_at and row.ended_at >= view.span.start]
        statuses = Counter(row.status for row in ended)
        health = found[name]
        assert health == view.health
        assert (health.usage.succeeded, health.usage.failed) == (statuses["succeeded"], statuses["failed"])
        assert health.usage.generations == sum(row.charged_at >= view.span.start for row in own)
        assert_within_3_percent(health.latency, ended)
        flying = [row for row in own if row.status in ("submitted", "unknown")]
        assert health.in_flight.count == len(flying)
        assert health.in_flight.unknown == sum(row.status == "unknown" for row in flying)
        assert health.in_flight.oldest == min(row.charged_at for row in flying)
        assert view.failures == [("generation_failed", statuses["failed"])] * bool(statuses["failed"])
        for status, ending in (("succeeded", health.success), ("failed", health.failure)):
            last = max((row for row in own if row.status == status), key=lambda row: row.ended_at or NOW)
            assert ending is not None
            assert (ending.generation_id, ending.at) == (last.id, last.ended_at)


@pytest.mark.parametrize("span", provider_health.NAMES)
@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu"])
def test_steps_and_models_add_up_to_the_whole(
    session: Session, history: list[Generation], span: str, zone: str
) -> None:
    terms = Terms(timezone=ZoneInfo(zone))
    view = provider_health.examine(session, "wavespeed", terms, span=span, at=NOW)
    own = [row for row in history if row.provider == "wavespeed" and row.ended_at]
    edges = [step.start for step in view.steps]
    for step, end in zip(view.steps, [*edges[1:], NOW + timedelta(days=1)], strict=True):
        ended = [row for row in own if row.ended_at and step.start <= row.ended_at < end]
        assert_within_3_percent(step.latency, ended)
        assert step.usage.succeeded == sum(row.status == "succeeded" for row in ended)
        assert step.usage.failed == sum(row.status == "failed" for row in ended)
    for row in view.models:
        ended = [one for one in own if one.model == row.model and one.ended_at and one.ended_at >= edges[0]]
        assert_within_3_percent(row.latency, ended)
        assert row.usage.succeeded == sum(one.status == "succeeded" for one in ended)
    for measure in ("generations", "succeeded", "failed", "cost_micros", "unknown_costs"):
        whole = getattr(view.health.usage, measure)
        assert sum(getattr(step.usage, measure) for step in view.steps) == whole
        assert sum(getattr(row.usage, measure) for row in view.models) == whole


def test_a_provider_that_was_never_used_has_no_data(session: Session) -> None:
    health = survey(session, "24h")["luma"]
    assert not health.used
    assert (health.usage.success_rate, health.latency, health.success, health.failure) == (
        None,
        Latency(),
        None,
        None,
    )
    view = provider_health.examine(session, "luma", TERMS, at=NOW)
    assert (view.models, view.failures, view.rejections, len(view.steps)) == ([], [], [], 24)


def test_the_most_used_provider_stands_first_and_a_forgotten_one_is_found(
    session: Session, history: list[Generation]
) -> None:
    make_generation(session, make_customer(session), provider=FakeProvider("gone"), model="m", credits=1, at=NOW)
    switches.switch_off(session, ["luma"], "luma", "*", reason="why", actor="ana")
    view = provider_health.survey(session, ["wavespeed"], TERMS, span="30d", at=NOW)
    names = [health.name for health in view.providers]
    assert names == ["wavespeed", "nanobanana", "gone", "luma"]
    assert view.providers[-1].off is not None


def test_deliveries_are_counted_by_what_became_of_them(session: Session, history: list[Generation]) -> None:
    about = next(row.id for row in history if row.provider == "wavespeed")
    recent, old = NOW - timedelta(hours=1), NOW - timedelta(days=2)
    for received_at in (recent, old):
        deliver(session, about, received_at=received_at)
        deliver(session, about, state="applied", late=True, received_at=received_at)
        deliver(session, about, state="applied", received_at=received_at)
        deliver(session, about, state="duplicate", late=True, received_at=received_at)
        for detail in ("stale", "stale", "no secret"):
            deliver(session, about, None, state="rejected", detail=detail, received_at=received_at)
    delivered = survey(session, "24h")["wavespeed"].deliveries
    assert (delivered.waiting, delivered.late, delivered.rejected) == (2, 1, 3)
    view = provider_health.examine(session, "wavespeed", TERMS, span="7d", at=NOW)
    assert view.rejections == [("stale", 4), ("no secret", 2)]
    assert survey(session, "24h")["nanobanana"].deliveries.waiting == 0


def test_a_model_that_is_off_is_marked_also_without_use(session: Session, history: list[Generation]) -> None:
    for model in (MODELS[0], "acme/new"):
        switches.switch_off(session, ["wavespeed"], "wavespeed", model, reason="why", actor="ana")
    view = provider_health.examine(session, "wavespeed", TERMS, span="30d", at=NOW)
    assert {row.model for row in view.models if row.switch} == {MODELS[0], "acme/new"}
    assert view.health.off is None
