"""Every figure of the dashboard, counted again from the rows themselves, as plainly as possible."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.orm import Session

from makegood.stats import Overview, Usage, begin_snapshot, overview
from makegood.terms import Terms

GENERATIONS = text(
    """
    SELECT g.*, t.entry FROM generations g
      JOIN credit_transactions t ON t.generation_id = g.id AND t.customer_id = g.customer_id AND t.kind = 'charge'
     ORDER BY g.charged_at, t.entry
    """
)
REFUNDS = text(
    """
    SELECT r.*, t.entry, g.provider, g.tier, g.cost_micros FROM refunds r
      JOIN credit_transactions t ON t.id = r.transaction_id JOIN generations g ON g.id = r.generation_id
     WHERE r.id NOT IN (SELECT refund_id FROM reversals) ORDER BY t.entry
    """
)
CUSTOMERS = text("SELECT c.tier, b.balance FROM customers c JOIN balances b ON b.customer_id = c.id")
TIERS = text("SELECT name FROM tiers ORDER BY position")
COUNTED = Usage._fields
HEALTH = (
    "status",
    "label",
    "generations_24h",
    "failures_24h",
    "failures_last_hour",
    "in_flight",
    "oldest_in_flight",
)


@dataclass
class Fact:
    """What one row adds to the figures of one local day."""

    day: date
    provider: str
    tier: str
    adds: dict[str, int]


def assert_equal_to_rows(session: Session, terms: Terms, at: datetime) -> None:
    """Every figure equals the rows, as both are in one snapshot."""
    begin_snapshot(session)
    shown = figures(overview(session, terms, at=at))
    counted = recount(session, terms, at)
    assert {key: value for key, value in shown.items() if value != counted[key]} == {
        key: value for key, value in counted.items() if value != shown[key]
    }
    session.rollback()


def figures(view: Overview) -> dict[str, Any]:
    """The figures of the dashboard, to compare."""
    shown: dict[str, Any] = {name: getattr(view, name)._asdict() for name in ("today", "week", "month", "last30")}
    shown |= {f"day {row.day}": row.usage._asdict() for row in view.days}
    shown["sum of days"] = Usage.total(row.usage for row in view.days)._asdict()
    shown["providers"] = {row.provider: (row.usage._asdict(), row.last_charged_at) for row in view.providers}
    shown["tiers"] = {row.tier: (row.customers, row.holders, row.credits) for row in view.tiers}
    shown["consumed"] = {row.tier: row.consumed._asdict() for row in view.tiers}
    shown["active"] = (view.active_today, view.month.active_month)
    shown["circulation"] = (view.customers_with_credits, view.credits_in_circulation)
    shown["health"] = tuple(getattr(view.health, name) for name in HEALTH)
    shown["failures"] = [(row.generation_id, row.credits_refunded) for row in view.failures]
    shown["refunds"] = [(row.refund_id, row.credits) for row in view.refunds]
    return shown


def recount(session: Session, terms: Terms, at: datetime) -> dict[str, Any]:
    """The same from generations, refunds, customers and balances."""
    zone = terms.timezone
    generations = [row._mapping for row in session.execute(GENERATIONS)]
    refunds = [row._mapping for row in session.execute(REFUNDS)]
    facts = _facts(generations, refunds, zone)
    today = _day(at, zone)
    month = today.replace(day=1)
    thirty = [today - timedelta(days=back) for back in range(29, -1, -1)]

    def usage(wanted: Callable[[Fact], bool]) -> dict[str, int]:
        rows = [fact.adds for fact in facts if fact.day <= today and wanted(fact)]
        return {name: sum(adds.get(name, 0) for adds in rows) for name in COUNTED}

    last30 = usage(lambda fact: fact.day >= thirty[0])
    counted: dict[str, Any] = {
        "today": usage(lambda fact: fact.day == today),
        "week": usage(lambda fact: fact.day > today - timedelta(days=7)),
        "month": usage(lambda fact: fact.day >= month),
        "last30": last30,
        "sum of days": last30,
    }
    for day in thirty:
        counted[f"day {day}"] = usage(lambda fact, day=day: fact.day == day)
    counted["providers"] = {
        name: (
            usage(lambda fact, name=name: fact.provider == name and fact.day >= thirty[0]),
            max(
                (
                    row["charged_at"]
                    for row in generations
                    if row["provider"] == name and _day(row["charged_at"], zone) >= thirty[0]
                ),
                default=None,
            ),
        )
        for name in {fact.provider for fact in facts if fact.day >= thirty[0]}
    }
    customers = [(row.tier, row.balance) for row in session.execute(CUSTOMERS)]
    tiers = list(session.scalars(TIERS))
    counted["tiers"] = {
        tier: (
            sum(1 for name, _ in customers if name == tier),
            sum(1 for name, balance in customers if name == tier and balance > 0),
            sum(balance for name, balance in customers if name == tier),
        )
        for tier in tiers
    }
    counted["consumed"] = {
        tier: usage(lambda fact, tier=tier: fact.tier == tier and fact.day >= month) for tier in tiers
    }
    counted["active"] = tuple(
        len({row["customer_id"] for row in generations if _day(row["charged_at"], zone) >= first})
        for first in (today, month)
    )
    counted["circulation"] = (
        sum(1 for _, balance in customers if balance > 0),
        sum(balance for _, balance in customers),
    )
    away = session.scalar(text("SELECT folded_at < clock_timestamp() - interval '2 minutes' FROM rollup_state"))
    counted["health"] = _health(generations, terms, at, away=bool(away))
    failed = [
        row
        for row in generations
        if row["status"] == "failed" and _day(row["ended_at"], zone) > today - timedelta(days=7)
    ]
    failed.sort(key=lambda row: (row["ended_at"], row["id"]), reverse=True)
    counted["failures"] = [(row["id"], row["credits_refunded"]) for row in failed[:10]]
    issued = sorted(refunds, key=lambda row: (row["issued_at"], row["id"]), reverse=True)
    counted["refunds"] = [(row["id"], row["credits"]) for row in issued[:10]]
    return counted


def _facts(generations: list[Any], refunds: list[Any], zone: ZoneInfo) -> list[Fact]:
    facts = []
    seen: set[tuple[str, date]] = set()
    for row in generations:
        day = _day(row["charged_at"], zone)
        new_day = (row["customer_id"], day) not in seen
        new_month = all(
            customer != row["customer_id"] or (seen_day.year, seen_day.month) != (day.year, day.month)
            for customer, seen_day in seen
        )
        seen.add((row["customer_id"], day))
        charged = {
            "generations": 1,
            "credits_charged": row["credits_charged"],
            "cost_micros": row["cost_micros"] or 0,
            "unknown_costs": int(row["cost_micros"] is None),
            "active_day": int(new_day),
            "active_month": int(new_month),
        }
        facts.append(Fact(day, row["provider"], row["tier"], charged))
        if row["ended_at"] is not None:
            ended = {row["status"]: 1, "latency_ms": row["latency_ms"] or 0}
            facts.append(Fact(_day(row["ended_at"], zone), row["provider"], row["tier"], ended))
    refunded = set()
    for row in refunds:
        first = row["generation_id"] not in refunded
        refunded.add(row["generation_id"])
        adds = {
            "refunds": 1,
            "credits_refunded": row["credits"],
            "loss_micros": (row["cost_micros"] or 0) if first else 0,
        }
        facts.append(Fact(_day(row["issued_at"], zone), row["provider"], row["tier"], adds))
    return facts


def _health(generations: list[Any], terms: Terms, at: datetime, *, away: bool) -> tuple[Any, ...]:
    flying = [row["charged_at"] for row in generations if row["status"] in ("charged", "submitted", "unknown")]
    failed = [row["ended_at"] for row in generations if row["status"] == "failed"]
    last_hour = sum(1 for ended in failed if ended >= at - timedelta(hours=1))
    if last_hour > terms.failures_per_hour:
        status, label = "high_failure_rate", "High failure rate"
    elif any(charged < at - terms.stuck_after for charged in flying):
        status, label = "stuck_generations", "Stuck generations"
    elif away:
        status, label = "no_worker", "No worker is at work"
    else:
        status, label = "healthy", "Healthy"
    return (
        status,
        label,
        sum(1 for row in generations if row["charged_at"] >= at - timedelta(days=1)),
        sum(1 for ended in failed if ended >= at - timedelta(days=1)),
        last_hour,
        len(flying),
        min(flying, default=None),
    )


def _day(at: datetime, zone: ZoneInfo) -> date:
    return at.astimezone(UTC).astimezone(zone).date()
