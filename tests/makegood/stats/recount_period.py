"""Every figure of the dashboard's range, counted again from the rows themselves."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy.orm import Session

from makegood.ranges import Range
from makegood.stats import begin_snapshot, period
from makegood.stats.period import AVERAGE, MONTH
from makegood.terms import Terms
from tests.makegood.stats.recount_monitoring import Fact, asked_ranges, read_facts, shown, sum_facts


def assert_period_equals_rows(session: Session, terms: Terms, now: datetime, number: int) -> None:
    """One range, another for each number, equals the rows: its steps, their parts, and the period before."""
    asked = asked_ranges(now, terms.timezone)[number % 11]
    begin_snapshot(session)
    facts = read_facts(session)
    view = period(session, terms, asked)
    inside = _within(facts, asked)
    assert shown({(): view.now}) == sum_facts(inside)
    assert shown({(): view.before}) == sum_facts(_within(facts, asked.previous()))
    assert shown({(row.provider,): row.usage for row in view.providers}) == sum_facts(inside, "provider")
    assert shown({(row.tier,): row.consumed for row in view.tiers}) == sum_facts(inside, "tier")
    for step in view.steps:
        rows = [fact for fact in inside if step.step.start <= fact.at < step.step.end]
        assert shown({(): step.usage}) == sum_facts(rows)
        assert shown({(name,): usage for name, usage in step.providers.items()}) == sum_facts(rows, "provider")
        assert shown({(name,): usage for name, usage in step.tiers.items()}) == sum_facts(rows, "tier")
    if view.active.now is None:
        assert asked.zone.key != terms.timezone.key or not asked.whole_days
    else:
        assert (view.active.now, view.active.before) == (
            _active(inside, asked, view.active.per, asked),
            _active(_within(facts, asked.previous()), asked.previous(), view.active.per, asked),
        )
    session.rollback()


def _within(facts: list[Fact], asked: Range) -> list[Fact]:
    return [fact for fact in facts if asked.start <= fact.at < asked.end]


def _active(facts: list[Fact], asked: Range, per: str, whole: Range) -> Decimal:
    """Customers with a charge, for each month or for each day."""
    charges = [
        (fact.row.customer_id, fact.at.astimezone(asked.zone)) for fact in facts if "generations" in fact.adds
    ]
    if per == MONTH:
        return Decimal(len({(customer, at.year, at.month) for customer, at in charges}))
    found = Decimal(len({(customer, at.date()) for customer, at in charges}))
    return found / len(whole.days()) if per == AVERAGE else found
