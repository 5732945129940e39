"""The dashboard's figures: a range in steps, by provider and by tier, beside the period before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy.orm import Session

from makegood import alerts
from makegood.models import Alert
from makegood.ranges import Range, Step
from makegood.rollups import State
from makegood.stats import facts, health, latency, recent, snapshot
from makegood.stats.facts import Part
from makegood.stats.figures import Health, ProviderUsage, TierCredits, Usage
from makegood.stats.latency import Latency, LatencyFilters
from makegood.stats.recent import Failure, RecentRefund
from makegood.terms import Terms

DAY, MONTH, AVERAGE = "day", "month", "average"


@dataclass(frozen=True)
class StepUsage:
    """One step of the range: all of it, and its parts by provider and by tier."""

    step: Step
    usage: Usage
    providers: dict[str, Usage]
    tiers: dict[str, Usage]
    latency: Latency


@dataclass(frozen=True)
class Active:
    """Customers who had at least one generation charged: in the day or the month that the range is, or on average
    on each of its days (`per`). Another zone's days are not known: then `now` is None."""

    per: str
    now: Decimal | None
    before: Decimal | None


@dataclass(frozen=True)
class Period:
    """Everything that the dashboard shows of a range. `tiers` are the tiers now, with what they used in it."""

    as_of: datetime
    range: Range
    health: Health
    now: Usage
    before: Usage
    active: Active
    latency: Latency
    steps: list[StepUsage]
    providers: list[ProviderUsage]
    tiers: list[TierCredits]
    failures: list[Failure]
    refunds: list[RecentRefund]
    alerts: list[Alert]
    alerts_open: int

    @property
    def customers_with_credits(self) -> int:
        """Customers whose balance is above zero, now."""
        return sum(tier.holders for tier in self.tiers)

    @property
    def credits_in_circulation(self) -> int:
        """Credits that customers hold, now."""
        return sum(tier.credits for tier in self.tiers)


def period(session: Session, terms: Terms, asked: Range) -> Period:
    """The figures of a range. The caller has begun a snapshot, so that all of them agree."""
    state = snapshot.state(session, terms.timezone)
    steps = asked.steps()
    rows = facts.by_parts(session, state, asked, terms.timezone)
    now = next(row.usage for row in rows if (row.step, row.provider, row.tier) == (None, None, None))
    before = _before(session, state, terms, asked.previous())
    return Period(
        as_of=asked.now,
        range=asked,
        health=health.health(session, state, terms, asked.now),
        now=now,
        before=before,
        active=_active(asked, now, before, terms),
        latency=_latency(session, terms, asked),
        steps=_steps(rows, steps, latency.series(session, asked, terms)),
        providers=_providers(rows),
        tiers=_tiers(session, state, rows),
        failures=recent.failures(session, asked.start, asked.end),
        refunds=recent.refunds(session, asked.start, asked.end),
        alerts=alerts.open_alerts(session),
        alerts_open=alerts.count_open(session),
    )


def _before(session: Session, state: State, terms: Terms, earlier: Range) -> Usage:
    rows = facts.by_step(session, state, [(earlier.start, earlier.end)], terms.timezone)
    return Usage.total(row.usage for row in rows)


def _active(asked: Range, now: Usage, before: Usage, terms: Terms) -> Active:
    """Events mark each customer's first charge of a day and of a month of the reporting time zone; counts of other
    ranges would need every customer."""
    days, cut = Decimal(len(asked.days())), asked.since is not None or asked.until is not None
    if asked.first == asked.last and not cut:
        per, counts = DAY, (Decimal(now.active_day), Decimal(before.active_day))
    elif asked.preset in ("month", "last-month"):
        per, counts = MONTH, (Decimal(now.active_month), Decimal(before.active_month))
    else:
        per, counts = AVERAGE, (now.active_day / days, before.active_day / days)
    if cut or asked.zone.key != terms.timezone.key:
        return Active(per, None, None)
    return Active(per, *counts)


def _latency(session: Session, terms: Terms, asked: Range) -> Latency:
    found = latency.of_steps(session, terms, [(asked.start, asked.end)], LatencyFilters(), ())
    return found.get((), Latency())


def _steps(rows: list[Part], steps: list[Step], latencies: list[Latency]) -> list[StepUsage]:
    usages = [Usage() for _ in steps]
    providers: list[dict[str, Usage]] = [{} for _ in steps]
    tiers: list[dict[str, Usage]] = [{} for _ in steps]
    for row in rows:
        if row.step is None:
            continue
        if row.provider is not None:
            providers[row.step][row.provider] = row.usage
        elif row.tier is not None:
            tiers[row.step][row.tier] = row.usage
        else:
            usages[row.step] = row.usage
    return [StepUsage(*parts) for parts in zip(steps, usages, providers, tiers, latencies, strict=True)]


def _providers(rows: list[Part]) -> list[ProviderUsage]:
    listed = [
        ProviderUsage(row.provider, row.usage, row.last_charged_at)
        for row in rows
        if row.step is None and row.provider is not None
    ]
    return sorted(listed, key=lambda row: (-row.usage.generations, row.provider))


def _tiers(session: Session, state: State, rows: list[Part]) -> list[TierCredits]:
    used = {row.tier: row.usage for row in rows if row.step is None and row.tier is not None}
    return [
        TierCredits(row.tier, row.customers, row.holders, row.credits, used.get(row.tier, Usage()))
        for row in facts.tier_totals(session, state)
    ]
