"""What is left at providers: asked for, kept, and how long it lasts.

Where the provider counts in US dollars and every cost of the last 7 days is known, what our own books say was
spent tells how long; else the fall of the balance itself, in the provider's unit, with top-ups left out.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import structlog
from sqlalchemy import ARRAY, DateTime, Row, Text, bindparam, delete, exists, select, text
from sqlalchemy.orm import Session

from makegood import alerts
from makegood.models import Alert, ProviderBalance
from makegood.provider_health import usage
from makegood.providers.protocol import Account, FetchFailed, Provider
from makegood.terms import Terms

LOW = "provider_balance_low"
KEEP = timedelta(days=90)
WINDOW = timedelta(days=7)
SHORTEST = timedelta(hours=1)
"""A fall that was watched for less than this says nothing of a day."""
DAY = Decimal(86_400)
COST, FALL = "cost", "fall"

LATEST = text(
    """
    SELECT wanted.name AS provider, answered.remaining, answered.unit, answered.limit, answered.usd_micros,
           answered.asked_at, last.problem, last.asked_at AS problem_at, coalesce(falling.fell, 0) AS fell,
           falling.since
      FROM unnest(:providers) AS wanted(name)
      JOIN LATERAL (SELECT problem, asked_at FROM provider_balances WHERE provider = wanted.name
                     ORDER BY asked_at DESC LIMIT 1) AS last ON true
      LEFT JOIN LATERAL (SELECT * FROM provider_balances WHERE provider = wanted.name AND problem IS NULL
                          ORDER BY asked_at DESC LIMIT 1) AS answered ON true
      LEFT JOIN LATERAL (
            SELECT sum(greatest(before - remaining, 0)) AS fell, min(asked_at) AS since
              FROM (SELECT remaining, asked_at, lag(remaining) OVER (ORDER BY asked_at) AS before
                      FROM provider_balances
                     WHERE provider = wanted.name AND problem IS NULL AND unit = answered.unit
                       AND asked_at >= :start) AS samples) AS falling ON true
     ORDER BY wanted.name
    """
).bindparams(bindparam("providers", type_=ARRAY(Text)), bindparam("start", type_=DateTime(timezone=True)))


@dataclass(frozen=True)
class Asked:
    """What a provider answered, or the problem why it did not."""

    provider: str
    account: Account | None
    problem: str | None
    at: datetime


@dataclass(frozen=True)
class Standing:
    """What is left at a provider, as last answered (None: it never was), and how long that lasts.

    `per_day` is what goes in a day, in micro-dollars by the recorded cost (`basis` "cost") or in the provider's
    unit by the fall of its balance ("fall"). `days` is None while nothing goes, or too little was watched.
    """

    provider: str
    remaining: Decimal | None
    unit: str | None
    limit: Decimal | None
    usd_micros: int | None
    asked_at: datetime | None
    problem: str | None
    problem_at: datetime | None
    basis: str | None = None
    per_day: Decimal | None = None
    days: Decimal | None = None


log = structlog.get_logger()


def ask(provider: Provider) -> Asked | None:
    """Ask what is left. Open no transaction. None where there is no key, or nothing to ask. Never raises."""
    if not provider.configured:
        return None
    account, problem = None, None
    try:
        account = provider.account()
        if account is None:
            return None
    except FetchFailed as failed:
        problem = str(failed)[:500]
    except Exception as error:
        log.exception("balance_not_read", provider=provider.name)
        problem = f"unexpected {type(error).__name__}"
    return Asked(provider.name, account, problem, datetime.now(UTC))


def keep(session: Session, asked: Asked) -> None:
    """Store an answer."""
    account = asked.account
    session.add(
        ProviderBalance(
            provider=asked.provider,
            remaining=account.remaining if account else None,
            unit=account.unit if account else None,
            limit=account.limit if account else None,
            usd_micros=account.usd_micros if account else None,
            problem=asked.problem,
            asked_at=asked.at,
        )
    )


def standings(
    session: Session, providers: Collection[str], terms: Terms, *, at: datetime | None = None
) -> dict[str, Standing]:
    """What is left at each of these providers that was ever asked, by name."""
    at = at or datetime.now(UTC)
    rows = session.execute(LATEST, {"providers": sorted(providers), "start": at - WINDOW}).all()
    spent = usage.spent(session, terms.timezone, since=at - WINDOW) if rows else {}
    return {row.provider: _standing(row, spent.get(row.provider), at) for row in rows}


def watch(session: Session, providers: Collection[str], terms: Terms, *, at: datetime | None = None) -> None:
    """Open one alert for each provider whose balance lasts less than the terms say; resolve it once it lasts."""
    for standing in standings(session, providers, terms, at=at).values():
        if standing.remaining is None:
            continue
        low = standing.days is not None and standing.days < terms.balance_days
        if not (low or standing.remaining <= 0):
            alerts.resolve(session, LOW, standing.provider)
        elif not _is_open(session, standing.provider):
            alerts.raise_alert(session, LOW, standing.provider, _warning(standing))


def forget(session: Session, *, before: datetime) -> None:
    """Delete what was answered before then."""
    session.execute(delete(ProviderBalance).where(ProviderBalance.asked_at < before))


def written(standing: Standing) -> str:
    """What is left, for people: $12.30, or 1,200 credits."""
    if standing.unit == "USD":
        return f"${standing.remaining:,.2f}"
    return f"{(standing.remaining or Decimal(0)).normalize():,f} {standing.unit}"


def _standing(row: Row[Any], spent: usage.Spent | None, at: datetime) -> Standing:
    answered = Standing(
        row.provider,
        row.remaining,
        row.unit,
        row.limit,
        row.usd_micros,
        row.asked_at,
        row.problem,
        row.problem_at if row.problem else None,
    )
    if row.remaining is None:
        return answered
    if row.usd_micros is None or (spent is not None and spent.unknown_costs):
        per_day, days = _lasting(row.remaining, row.fell, row.since, at, SHORTEST)
        return replace(answered, basis=FALL, per_day=per_day, days=days)
    if spent is None:
        return replace(answered, basis=COST, per_day=Decimal(0))
    left, cost = Decimal(row.usd_micros), Decimal(spent.cost_micros)
    # What was spent in the first hours of a new account is not what goes in a day.
    per_day, days = _lasting(left, cost, spent.since, at, timedelta(days=1))
    return replace(answered, basis=COST, per_day=per_day, days=days)


def _lasting(
    left: Decimal, gone: Decimal, since: datetime | None, at: datetime, shortest: timedelta
) -> tuple[Decimal | None, Decimal | None]:
    """What goes in a day, and how many days the rest lasts; None where it was hardly watched, or nothing goes."""
    watched = at - since if since else timedelta()
    if watched < SHORTEST:
        return None, None
    per_day = gone * DAY / Decimal(max(watched, shortest).total_seconds())
    return per_day, max(left, Decimal(0)) / per_day if per_day > 0 else None


def _is_open(session: Session, provider: str) -> bool:
    fact = exists().where(Alert.kind == LOW, Alert.subject == provider, Alert.resolved_at.is_(None))
    return bool(session.scalar(select(fact)))


def _warning(standing: Standing) -> str:
    left = f"{standing.provider} has {written(standing)} left"
    if standing.days is None:
        return f"{left}. Top it up: without a balance its generations fail and are refunded."
    by = "what was spent there" if standing.basis == COST else "how its balance fell"
    return f"{left}, which lasts about {standing.days:.1f} days by {by} in the last 7 days. Top it up."
