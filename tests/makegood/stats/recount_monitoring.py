"""Every figure of the monitoring pages, counted again from the rows themselves, as plainly as possible."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.orm import Session

from makegood import ranges
from makegood.calendars import local_day, month_of
from makegood.ranges import Range
from makegood.stats import (
    begin_snapshot,
    customers,
    failures,
    latency,
    refunds,
    top_customers,
    usage,
)
from makegood.stats.customers import SORTS
from makegood.stats.failure_counts import FailureFilters
from makegood.stats.figures import MEASURE_NAMES, Usage
from makegood.stats.latency import Latency, LatencyFilters
from makegood.stats.refunds import Refunded, RefundFilters
from makegood.stats.usage import UsageFilters
from makegood.terms import Terms

GENERATIONS = text("SELECT * FROM generations")
REFUNDS = text(
    """
    SELECT r.*, t.entry, g.provider, g.model, g.kind, g.tier, g.cost_micros
      FROM refunds r JOIN credit_transactions t ON t.id = r.transaction_id
      JOIN generations g ON g.id = r.generation_id
     WHERE r.id NOT IN (SELECT refund_id FROM reversals) ORDER BY t.entry
    """
)
NOT_KNOWN = ("active_day", "active_month")
"""Who was active is counted by the dashboard alone."""


@dataclass
class Fact:
    """What one row adds to the figures at one instant."""

    at: datetime
    row: Any
    adds: dict[str, int]
    reason: str = ""
    origin: str = ""


def assert_monitoring_equals_rows(session: Session, terms: Terms, now: datetime, number: int = 0) -> None:
    """All reports of one range, another for each number, equal the rows: both are in one snapshot."""
    begin_snapshot(session)
    facts = read_facts(session)
    asked = asked_ranges(now, terms.timezone)[number % 11]
    if number % 3 == 2:
        asked = asked.previous()
    within = [fact for fact in facts if asked.start <= fact.at < asked.end]
    _compare_usage(session, terms, asked, within)
    _compare_failures(session, terms, asked, within)
    _compare_refunds(session, terms, asked, within)
    _compare_latencies(session, terms, asked, within)
    _compare_customers(session, terms, asked, within, SORTS[number % len(SORTS)])
    _compare_one_customer(session, terms, facts, month_of(local_day(now, terms.timezone)))
    session.rollback()


def asked_ranges(now: datetime, zone: ZoneInfo) -> list[Range]:
    """Ranges of every sort."""
    other = ZoneInfo("Asia/Kolkata")
    return [
        ranges.preset("7d", zone, now),
        ranges.preset("month", zone, now),
        ranges.preset("today", zone, now),
        ranges.preset("90d", zone, now),
        ranges.preset("last-month", zone, now + timedelta(days=31)),
        ranges.preset("30d", other, now),
        ranges.preset("yesterday", other, now + timedelta(hours=20)),
        ranges.within(now - timedelta(days=40, minutes=7), now - timedelta(minutes=3), zone, now),
        ranges.within(now - timedelta(days=5, hours=3), now - timedelta(hours=7), ZoneInfo("Asia/Tokyo"), now),
        ranges.preset("90d", ZoneInfo("America/New_York"), now),
        ranges.preset("month", ZoneInfo("Pacific/Kiritimati"), now),
    ]


def read_facts(session: Session) -> list[Fact]:
    """What every generation and every refund adds."""
    facts = []
    for row in session.execute(GENERATIONS):
        charged = {
            "generations": 1,
            "credits_charged": row.credits_charged,
            "cost_micros": row.cost_micros or 0,
            "unknown_costs": int(row.cost_micros is None),
        }
        facts.append(Fact(row.charged_at, row, charged))
        if row.ended_at is not None:
            ended = {row.status: 1, "latency_ms": row.latency_ms or 0}
            facts.append(Fact(row.ended_at, row, ended, row.error_class or ""))
    refunded = set()
    for row in session.execute(REFUNDS):
        loss = 0 if row.generation_id in refunded else row.cost_micros or 0
        refunded.add(row.generation_id)
        adds = {"refunds": 1, "credits_refunded": row.credits, "loss_micros": loss}
        facts.append(Fact(row.issued_at, row, adds, row.reason, row.origin))
    return facts


def sum_facts(facts: list[Fact], *names: str) -> Counter[Any]:
    """Measures by the values of these columns of the rows."""
    sums: Counter[Any] = Counter()
    for fact in facts:
        for measure, value in fact.adds.items():
            sums[(*(getattr(fact.row, name) for name in names), measure)] += value
    return +sums


def shown(lines: dict[Any, Usage]) -> Counter[Any]:
    """What is not zero of the figures shown, like `sum_facts`."""
    return +Counter(
        {
            (*key, name): getattr(found, name)
            for key, found in lines.items()
            for name in MEASURE_NAMES
            if name not in NOT_KNOWN
        }
    )


def _steps(asked: Range, facts: list[Fact]) -> list[list[Fact]]:
    return [[fact for fact in facts if step.start <= fact.at < step.end] for step in asked.steps()]


def _compare_usage(session: Session, terms: Terms, asked: Range, facts: list[Fact]) -> None:
    report = usage.report(session, terms, asked, UsageFilters())
    assert shown({(): report.total}) == sum_facts(facts)
    assert shown({(line.provider,): line.usage for line in report.providers}) == sum_facts(facts, "provider")
    models = {(line.provider, line.model, line.kind): line.usage for line in report.models}
    assert shown(models) == sum_facts(facts, "provider", "model", "kind")
    for step, inside in zip(report.steps, _steps(asked, facts), strict=True):
        assert shown({(): step.usage}) == sum_facts(inside)
    filtered = usage.report(session, terms, asked, UsageFilters(provider="wavespeed", tier="plus"))
    wanted = [fact for fact in facts if (fact.row.provider, fact.row.tier) == ("wavespeed", "plus")]
    assert shown({(): filtered.total}) == sum_facts(wanted)
    exported = usage.by_step(session, terms, asked, UsageFilters())
    assert [row.generations for row in session.execute(exported)] == [
        step.usage.generations for step in report.steps
    ]


def _compare_failures(session: Session, terms: Terms, asked: Range, facts: list[Fact]) -> None:
    report = failures.report(session, terms, asked, FailureFilters())
    failed = [fact for fact in facts if fact.adds.get("failed")]
    assert report.failed == len(failed)
    classes = {line.error_class: line.failed for line in report.classes if line.failed}
    assert classes == Counter(fact.reason for fact in failed)
    ended = Counter(
        (fact.row.provider, fact.row.model) for fact in facts if fact.adds.keys() & {"succeeded", "failed"}
    )
    assert report.ended == ended.total()
    assert {(line.provider, line.model): line.ended for line in report.models if line.ended} == ended
    providers = Counter(fact.row.provider for fact in failed)
    assert {line.provider: line.failed for line in report.providers if line.failed} == providers
    totals = report.failed, report.before, report.ended, report.ended_before
    for lines in (report.providers, report.models):
        sums = [(line.failed, line.before, line.ended, line.ended_before) for line in lines]
        assert tuple(map(sum, zip((0, 0, 0, 0), *sums, strict=True))) == totals
    models = {
        (line.provider, line.model, reason): count for line in report.models for reason, count in line.frequent
    }
    assert models == Counter((fact.row.provider, fact.row.model, fact.reason) for fact in failed)
    for step, inside in zip(report.steps, _steps(asked, failed), strict=True):
        assert step.classes == Counter(fact.reason for fact in inside)


def _compare_refunds(session: Session, terms: Terms, asked: Range, facts: list[Fact]) -> None:
    report = refunds.report(session, terms, asked, RefundFilters())
    issued = [fact for fact in facts if "refunds" in fact.adds]

    def counted(chosen: list[Fact]) -> Refunded:
        sums = sum_facts(chosen)
        return Refunded(sums[("refunds",)], sums[("credits_refunded",)], sums[("loss_micros",)])

    assert report.total == counted(issued)
    grouped = defaultdict(list)
    for fact in issued:
        grouped[fact.origin, fact.reason].append(fact)
    reasons = {line.keys: line.now for line in report.reasons if line.now.refunds}
    assert reasons == {key: counted(chosen) for key, chosen in grouped.items()}
    for step, inside in zip(report.steps, _steps(asked, issued), strict=True):
        assert step.total == counted(inside)
        assert step.automatic == counted([fact for fact in inside if fact.origin == "automatic"])


def _compare_latencies(session: Session, terms: Terms, asked: Range, facts: list[Fact]) -> None:
    report = latency.report(session, terms, asked, LatencyFilters())
    ended = [fact for fact in facts if fact.adds.get("succeeded")]
    _compare_percentiles(report.total, ended)
    lines = {(line.provider, line.model, line.kind): line.now for line in report.models}
    for key, found in lines.items():
        own = [fact for fact in ended if (fact.row.provider, fact.row.model, fact.row.kind) == key]
        _compare_percentiles(found, own)
    assert sum(found.count for found in lines.values()) == len(ended)
    for step, inside in zip(report.steps, _steps(asked, ended), strict=True):
        _compare_percentiles(step.latency, inside)


def _compare_percentiles(found: Latency, facts: list[Fact]) -> None:
    assert found.count == len(facts)
    durations = sorted(fact.adds["latency_ms"] for fact in facts)
    for share, shown in ((0.5, found.p50_ms), (0.95, found.p95_ms), (0.99, found.p99_ms)):
        if not durations:
            assert shown is None
            continue
        exact = durations[max(0, math.ceil(share * len(durations) - 1e-9) - 1)]
        assert shown is not None
        assert abs(shown - exact) <= 0.03 * exact + 1


def _compare_customers(session: Session, terms: Terms, asked: Range, facts: list[Fact], sort: str) -> None:
    report = top_customers.top(session, terms, asked, sort=sort)
    counted = sum_facts(facts, "customer_id")
    without_latency = Counter({key: value for key, value in counted.items() if key[-1] != "latency_ms"})
    listed = {(row.customer_id,): row.usage for row in report.rows}
    assert +shown(listed) == Counter({key: value for key, value in without_latency.items() if key[:1] in listed})
    every = {row.customer_id for row in session.execute(customers.every(session, terms, asked))}
    assert every == {key[0] for key in without_latency}
    assert {key[0] for key in listed} == {name for name in every if _amount_of(without_latency, name, sort)}
    assert report.active == sum(1 for key in without_latency if key[-1] == "generations")
    assert shown({(): report.total}) == sum_facts(facts)
    amounts = [_amount(row.usage, sort) for row in report.rows]
    assert amounts == sorted(amounts, reverse=True)
    earlier = top_customers.top(session, terms, asked.previous(), sort=sort)
    assert shown({(): report.before}) == shown({(): earlier.total})
    was = {row.customer_id: row.usage for row in earlier.rows}
    assert all(row.before == was.get(row.customer_id, row.before) for row in report.rows)
    # Two tiers at most have customers here: what each lists, and all of it, is what all list.
    tiers = {row.tier for row in report.rows}
    of_tiers = [top_customers.top(session, terms, asked, sort=sort, tier=tier) for tier in ("free", "plus", "pro")]
    assert {row.tier for one in of_tiers for row in one.rows} == tiers
    assert sorted(row.customer_id for one in of_tiers for row in one.rows) == sorted(name for (name,) in listed)
    assert sum(one.active for one in of_tiers) == report.active
    assert sum(one.total.net_credits for one in of_tiers) == report.total.net_credits


def _compare_one_customer(session: Session, terms: Terms, facts: list[Fact], month: date) -> None:
    """One who was charged: ever, and in a month and later."""
    if facts:
        customer_id = facts[0].row.customer_id
        own = [fact for fact in facts if fact.row.customer_id == customer_id]
        late = [fact for fact in own if local_day(fact.at, terms.timezone) >= month]
        for chosen, first in ((own, date.min), (late, month)):
            counted = {key: value for key, value in sum_facts(chosen).items() if key != ("latency_ms",)}
            assert shown({(): customers.since(session, terms, customer_id, first)}) == counted


def _amount(used: Usage, sort: str) -> int:
    names = {"credits": "net_credits", "cost": "cost_micros", "loss": "loss_micros"}
    amount: int = getattr(used, names.get(sort, sort))
    return amount


def _amount_of(counted: Counter[Any], name: str, sort: str) -> int:
    if sort == "credits":
        return counted[name, "credits_charged"] - counted[name, "credits_refunded"]
    return counted[name, {"cost": "cost_micros", "loss": "loss_micros"}.get(sort, sort)]
