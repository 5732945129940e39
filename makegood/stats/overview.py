"""The dashboard's figures and lists, as they were at one instant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from makegood import alerts, rollups
from makegood.calendars import days_until, local_day, month_of, start_of
from makegood.models import Alert, Generation, Refund
from makegood.models.generations import IN_FLIGHT
from makegood.rollups import State
from makegood.stats import facts
from makegood.stats.facts import DayFact
from makegood.stats.figures import DayUsage, Health, ProviderUsage, TierCredits, Usage
from makegood.terms import Terms

RECENT = 10
WORKER_AWAY_AFTER = timedelta(minutes=2)
HEALTHY, HIGH_FAILURE_RATE, STUCK = "healthy", "high_failure_rate", "stuck_generations"
LABELS = {HEALTHY: "Healthy", HIGH_FAILURE_RATE: "High failure rate", STUCK: "Stuck generations"}


@dataclass(frozen=True)
class Failure:
    """A generation that failed."""

    generation_id: UUID
    customer_id: str
    provider: str
    model: str
    ended_at: datetime | None
    error_class: str | None
    message: str | None
    credits_charged: int
    credits_refunded: int


@dataclass(frozen=True)
class RecentRefund:
    """A refund that was issued."""

    refund_id: UUID
    generation_id: UUID
    customer_id: str
    credits: int
    origin: str
    reason: str
    actor: str
    issued_at: datetime


@dataclass(frozen=True)
class Overview:
    """Everything that the dashboard shows. 7 and 30 days end with today, in the reporting time zone."""

    as_of: datetime
    timezone: ZoneInfo
    health: Health
    today: Usage
    week: Usage
    month: Usage
    last30: Usage
    providers: list[ProviderUsage]
    tiers: list[TierCredits]
    failures: list[Failure]
    refunds: list[RecentRefund]
    days: list[DayUsage]
    alerts: list[Alert]
    alerts_open: int

    @property
    def active_today(self) -> int:
        """Customers who had at least one generation charged today."""
        return self.today.active_day

    @property
    def customers_with_credits(self) -> int:
        """Customers whose balance is above zero."""
        return sum(tier.holders for tier in self.tiers)

    @property
    def credits_in_circulation(self) -> int:
        """Credits that customers hold."""
        return sum(tier.credits for tier in self.tiers)


def begin_snapshot(session: Session) -> None:
    """End the session's transaction and begin one in which every query sees the same instant."""
    session.rollback()
    session.connection(execution_options={"isolation_level": "REPEATABLE READ"})


def overview(session: Session, terms: Terms, *, at: datetime | None = None) -> Overview:
    """The dashboard. The caller has begun a snapshot, so that all figures agree."""
    at = at or datetime.now(UTC)
    today = local_day(at, terms.timezone)
    month = month_of(today)
    days = days_until(today, 30)
    state = rollups.state(session, terms.timezone)
    rows = facts.by_day(session, state, min(month, days[0]), today, terms.timezone)
    recent = [fact for fact in rows if fact.day >= days[0]]
    this_month = [fact for fact in rows if fact.day >= month]
    return Overview(
        as_of=at,
        timezone=terms.timezone,
        health=_health(session, state, terms, at),
        today=_total(fact for fact in rows if fact.day == today),
        week=_total(fact for fact in rows if fact.day > today - timedelta(days=7)),
        month=_total(this_month),
        last30=_total(recent),
        providers=_providers(recent),
        tiers=_tiers(session, state, this_month),
        failures=_failures(session, start_of(today - timedelta(days=6), terms.timezone)),
        refunds=_refunds(session),
        days=_days(recent, days),
        alerts=alerts.open_alerts(session),
        alerts_open=alerts.count_open(session),
    )


def _total(rows: Iterable[DayFact]) -> Usage:
    return Usage.total(fact.usage for fact in rows)


def _health(session: Session, state: State, terms: Terms, at: datetime) -> Health:
    recent = facts.recent(session, state, at)
    in_flight, oldest = session.execute(
        select(func.count(), func.min(Generation.charged_at)).where(Generation.status.in_(IN_FLIGHT))
    ).one()
    if recent.failed_in_hour > terms.failures_per_hour:
        status = HIGH_FAILURE_RATE
    elif oldest is not None and oldest < at - terms.stuck_after:
        status = STUCK
    else:
        status = HEALTHY
    return Health(
        status,
        LABELS[status],
        generations_24h=recent.generations,
        failures_24h=recent.failed,
        failures_last_hour=recent.failed_in_hour,
        in_flight=in_flight,
        oldest_in_flight=oldest,
        worker_away_since=state.folded_at if state.folded_at < at - WORKER_AWAY_AFTER else None,
    )


def _providers(rows: list[DayFact]) -> list[ProviderUsage]:
    listed = []
    for provider in {fact.provider for fact in rows}:
        own = [fact for fact in rows if fact.provider == provider]
        charged = [fact.last_charged_at for fact in own if fact.last_charged_at is not None]
        listed.append(ProviderUsage(provider, _total(own), max(charged, default=None)))
    return sorted(listed, key=lambda row: (-row.usage.generations, row.provider))


def _tiers(session: Session, state: State, this_month: list[DayFact]) -> list[TierCredits]:
    return [
        TierCredits(
            row.tier,
            row.customers,
            row.holders,
            row.credits,
            _total(fact for fact in this_month if fact.tier == row.tier),
        )
        for row in facts.tier_totals(session, state)
    ]


def _days(rows: list[DayFact], days: list[date]) -> list[DayUsage]:
    return [DayUsage(day, _total(fact for fact in rows if fact.day == day)) for day in days]


def _failures(session: Session, start: datetime) -> list[Failure]:
    query = (
        select(
            Generation.id,
            Generation.customer_id,
            Generation.provider,
            Generation.model,
            Generation.ended_at,
            Generation.error_class,
            Generation.error_message,
            Generation.credits_charged,
            Generation.credits_refunded,
        )
        .where(Generation.status == "failed", Generation.ended_at >= start)
        .order_by(Generation.ended_at.desc(), Generation.id.desc())
        .limit(RECENT)
    )
    return [Failure(*row) for row in session.execute(query)]


def _refunds(session: Session) -> list[RecentRefund]:
    query = (
        select(
            Refund.id,
            Refund.generation_id,
            Refund.customer_id,
            Refund.credits,
            Refund.origin,
            Refund.reason,
            Refund.actor,
            Refund.issued_at,
        )
        .order_by(Refund.issued_at.desc(), Refund.id.desc())
        .limit(RECENT)
    )
    return [RecentRefund(*row) for row in session.execute(query)]
