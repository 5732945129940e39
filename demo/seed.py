"""The demo's history, written with the ledger's own statements in the caller's transaction: all or nothing."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from sqlalchemy import Engine, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError, ProgrammingError
from sqlalchemy.orm import Session

from demo import billing, mirrored, people, writing
from demo.chance import Chance
from demo.lives import Life, Rules
from demo.people import Person
from demo.rhythm import Rhythm
from demo.shop import PLANS, Shop
from demo.staff import OPERATORS
from makegood import operators, refunds, rollups
from makegood.models import Balance, CreditPrice, Customer, Event, Generation, Tier
from makegood.models.generations import IN_FLIGHT
from makegood.providers.protocol import ErrorClass
from makegood.terms import Terms
from simulator.stripe import billing as stripe

GROUP = 60
TABLES = (
    "customers, balances, grants, credit_transactions, movements, generations, refunds, callbacks, events, "
    "idempotency_keys, purchases, stripe_balance_transactions, stripe_charges, stripe_checkout_sessions, "
    "stripe_invoices, stripe_invoice_payments, stripe_subscriptions"
)
"""What a large transaction leaves in need of a vacuum."""

Progress = Callable[[int, int], None]


class SeedError(Exception):
    """The history does not fit the rules of this database; the caller rolls back."""


@dataclass(frozen=True)
class Account:
    """What was made, and what the simulated Stripe knows of it."""

    customers: int
    generations: int
    stripe: stripe.Account


def seed(
    session: Session,
    terms: Terms,
    progress: Progress = lambda done, total: None,
    *,
    number: int = people.NUMBER,
    count: int = people.CUSTOMERS,
    now: datetime | None = None,
) -> Account:
    """Make the account up to `now`. `progress` hears of the done and the total. The same number and `now` make the
    same account.

    Raises SeedError. The caller commits, or rolls back and nothing has happened; then it calls `tidy`.
    """
    now = now or datetime.now(UTC)
    rules = _rules(session)
    rhythm = Rhythm.until(now, terms, _priced_from(session, now))
    for email in OPERATORS:
        operators.create(session, email, "support", secrets.token_urlsafe(24), actor="demo")
    roster = people.roster(number, count)
    shop = Shop(number, rhythm.start, {name: rules.allowances[name] for name in PLANS})
    # The credits of a plan come with its bills, and not by themselves every month.
    session.execute(update(Tier).where(Tier.name.in_(PLANS)).values(monthly_allowance=0))
    rules.allowances.update(dict.fromkeys(PLANS, 0))
    generations = 0
    with closing(_lives(roster, number, rhythm, rules, shop)) as lives:
        for start in range(0, count, GROUP):
            group = list(islice(lives, GROUP))
            for written in _write(session, group, terms):
                progress(round(1000 * (start + len(group) * written)), 1000 * count)
            generations += sum(life.generations for life in group)
    # Reconcile has long looked at what was cancelled.
    session.execute(update(Generation).where(Generation.status == "cancelled").values(check_at=None))
    _check(session, generations)
    billing.check(session, terms, now, number)
    account = shop.close(now)
    mirrored.write(session, account, rhythm.start, terms.timezone, now)
    return Account(count, generations, account)


def tidy(engine: Engine, terms: Terms, now: datetime | None = None) -> None:
    """After the commit: fold the rollups, snapshot MRR, and let the planner know the tables."""
    with Session(engine) as session, session.begin():
        rollups.fold(session, terms.timezone)
        mirrored.tidy(session, terms.timezone, now or datetime.now(UTC))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"VACUUM (ANALYZE) {TABLES}"))


def _lives(
    roster: list[Person], number: int, rhythm: Rhythm, rules: Rules, shop: Shop
) -> Generator[Life, None, None]:
    """The lives of all customers, imagined in another thread while the database writes those before them."""

    def live(person: Person) -> Life:
        return Life(person, Chance(f"{number} life {person.id}"), rhythm, rules, shop, number).live()

    with ThreadPoolExecutor(1, thread_name_prefix="demo-lives") as pool:
        try:
            yield from pool.map(live, roster)
        finally:
            pool.shutdown(cancel_futures=True)


def _rules(session: Session) -> Rules:
    prices = session.execute(
        select(CreditPrice.provider, CreditPrice.model, CreditPrice.credits).order_by(CreditPrice.effective_from)
    )
    tiers = session.execute(select(Tier.name, Tier.monthly_allowance))
    return Rules(
        credits={(row.provider, row.model): row.credits for row in prices},
        shares={error_class: refunds.share(session, error_class) for error_class in ErrorClass},
        allowances={row.name: row.monthly_allowance for row in tiers},
    )


def _priced_from(session: Session, now: datetime) -> datetime:
    """Before this instant the shipped models had no price."""
    since: datetime | None = session.scalar(select(func.max(CreditPrice.effective_from)))
    if since is None or since >= now:
        raise SeedError("The price book has no prices for today; is this machine's clock right?")
    return since


def _write(session: Session, group: list[Life], terms: Terms) -> Iterator[float]:
    try:
        _join(session, group)
        yield from writing.write(session, group, terms)
    except (IntegrityError, ProgrammingError) as error:
        raise SeedError(f"The demo's history does not fit the rules of this database: {error.orig}") from error


def _join(session: Session, group: list[Life]) -> None:
    """Many times what `makegood.customers.upsert` does for a new customer, but for the allowance."""
    people = [(life.person, life.joined_at) for life in group]
    rows: list[dict[str, Any]] = [
        {"id": person.id, "email": person.email, "tier": person.tier, "created_at": at, "updated_at": at}
        for person, at in people
    ]
    session.execute(insert(Customer), rows)
    session.execute(insert(Balance), [{"customer_id": person.id} for person, _ in people])
    events = [
        {"at": at, "type": "customer", "customer_id": person.id, "tier": person.tier, "customers": 1}
        for person, at in people
    ]
    session.execute(insert(Event), events)


def _check(session: Session, planned: int) -> None:
    charged, in_flight = session.execute(
        select(func.count(), func.count().filter(Generation.status.in_(IN_FLIGHT))).select_from(Generation)
    ).one()
    if (charged, in_flight) != (planned, 0):
        raise SeedError(
            f"The demo's history does not fit the rules: {charged} of {planned} generations were charged, "
            f"and {in_flight} never ended."
        )
