"""The figures of `/api/admin/credit-stats`: today, this month, 7 and 30 days, as they were at one instant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from makegood import alerts
from makegood.calendars import days_until, local_day, month_of, start_of
from makegood.models import Alert
from makegood.rollups import State
from makegood.stats import facts, health, recent, snapshot
from makegood.stats.facts import DayFact
from makegood.stats.figures import DayUsage, Health, ProviderUsage, TierCredits, Usage
from makegood.stats.recent import Failure, RecentRefund
from makegood.terms import Terms


@dataclass(frozen=True)
class Overview:
    """Everything that it answers with. 7 and 30 days end with today, in the reporting time zone."""

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


def overview(session: Session, terms: Terms, *, at: datetime | None = None) -> Overview:
    """All of it. The caller has begun a snapshot, so that all figures agree."""
    at = at or datetime.now(UTC)
    today = local_day(at, terms.timezone)
    month = month_of(today)
    days = days_until(today, 30)
    state = snapshot.state(session, terms.timezone)
    rows = facts.by_day(session, state, min(month, days[0]), today, terms.timezone)
    thirty = [fact for fact in rows if fact.day >= days[0]]
    this_month = [fact for fact in rows if fact.day >= month]
    return Overview(
        as_of=at,
        timezone=terms.timezone,
        health=health.health(session, state, terms, at),
        today=_total(fact for fact in rows if fact.day == today),
        week=_total(fact for fact in rows if fact.day > today - timedelta(days=7)),
        month=_total(this_month),
        last30=_total(thirty),
        providers=_providers(thirty),
        tiers=_tiers(session, state, this_month),
        failures=recent.failures(session, start_of(today - timedelta(days=6), terms.timezone)),
        refunds=recent.refunds(session),
        days=_days(thirty, days),
        alerts=alerts.open_alerts(session),
        alerts_open=alerts.count_open(session),
    )


def _total(rows: Iterable[DayFact]) -> Usage:
    return Usage.total(fact.usage for fact in rows)


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
