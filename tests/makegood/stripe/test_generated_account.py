"""A whole account, read through faults: every figure is that of the plain ledger which was kept beside it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, func, insert, select
from sqlalchemy.orm import Session

from makegood.models import Balance, Customer, Purchase, StripeResource
from makegood.money import rounded
from makegood.revenue import figures, worths
from makegood.revenue.mrr_rules import MrrRules
from makegood.stripe import mirror, sync
from makegood.stripe.client import Client
from simulator.stripe.generated import Generated, generate
from simulator.stripe.plain import COLUMNS
from simulator.stripe.server import start
from tests.conftest import fresh_database

NOW = datetime(2026, 11, 20, 13, tzinfo=UTC)
LONG_AGO = datetime(2025, 1, 1, tzinfo=UTC)
FAULTS = 0.12
RULES = (
    MrrRules(),
    MrrRules(coupons="none", cancellation="end"),
    MrrRules(coupons="recurring", past_due="out"),
    MrrRules(coupons="all", cancellation="end", past_due="out", paused="out"),
)


@pytest.fixture(scope="module")
def made() -> Generated:
    """The account: 2,500 charges and 440 subscriptions."""
    return generate()


@pytest.fixture(scope="module")
def read(server: str, made: Generated) -> Iterator[Engine]:
    """A database into which the account was read, through faults; our customers were there before."""
    with fresh_database(server) as url:
        engine = create_engine(url)
        with Session(engine) as session, session.begin():
            people = [{"id": name, "email": email, "tier": "free"} for name, email in made.users.items()]
            session.execute(insert(Customer), people)
            session.execute(insert(Balance), [{"customer_id": name} for name in made.users])
        with start(made.account) as stripe:
            stripe.faults.by_chance(FAULTS, seed=5)
            read_all(engine, Client(stripe.api_key, stripe.url, sleep=lambda seconds: None))
            assert len(stripe.faults.met) > 10
        yield engine
        engine.dispose()


def read_all(engine: Engine, client: Client) -> None:
    """What workers do until every list is current. Now and then one is killed: the next goes on in its place."""
    at, turns = NOW, 0
    with Session(engine) as session, session.begin():
        sync.prepare(session, client.livemode, LONG_AGO, at=at)
    while True:
        with Session(engine) as session, session.begin():
            claimed = sync.claim(session, at=at)
        if claimed is None:
            with Session(engine) as session:
                waiting = select(func.count()).select_from(StripeResource).where(StripeResource.state != "current")
                if not session.scalar(waiting):
                    return
            at += timedelta(minutes=10)
        while claimed is not None:
            turns += 1
            page = sync.read(client, claimed)
            if turns % 31 == 0:
                at += sync.LEASE + timedelta(seconds=1)
                break
            with Session(engine) as session, session.begin():
                claimed = sync.take(session, claimed, page, at=at)


def test_every_object_is_there_once(read: Engine, made: Generated) -> None:
    with Session(read) as session:
        for resource, table in mirror.MODELS.items():
            kept = set(session.scalars(select(table.id)))
            assert kept == {one["id"] for one in made.account.all(resource)}, resource


@pytest.mark.parametrize("month", [None, 1, 4, 9])
def test_revenue_is_that_of_the_plain_ledger(read: Engine, made: Generated, month: int | None) -> None:
    begins, ends = LONG_AGO, NOW
    if month is not None:
        begins, ends = datetime(2026, month, 1, tzinfo=UTC), datetime(2026, month + 1, 1, tzinfo=UTC)
    with Session(read) as session:
        sums = figures.by_currency(figures.lines(session, [(begins, ends)]))
    found = {currency: {name: getattr(one, name) for name in (*COLUMNS, "net")} for currency, one in sums.items()}
    assert found == made.ledger.figures(int(begins.timestamp()), int(ends.timestamp()))


@pytest.mark.parametrize("rules", RULES)
def test_mrr_is_that_of_the_plain_ledger(read: Engine, made: Generated, rules: MrrRules) -> None:
    sums: defaultdict[str, Fraction] = defaultdict(Fraction)
    with Session(read) as session:
        found: Any = worths.subscriptions(session)
        worth = worths.of_all(found, worths.known(session, found), rules, NOW)
        for row in found:
            amount = worth[row.id].amount
            assert amount is not None, worth[row.id].why
            sums[row.currency] += amount
    expected = made.ledger.mrr(rules.coupons, rules.cancellation, rules.past_due, rules.paused)
    assert {currency: rounded(amount) for currency, amount in sums.items()} == expected


def test_everybody_has_the_credits_that_they_paid_for_and_kept(read: Engine, made: Generated) -> None:
    with Session(read) as session:
        balances = dict(session.execute(select(Balance.customer_id, Balance.balance)).all())
        assert session.scalar(select(func.sum(Purchase.owed))) == 0
    expected = {**dict.fromkeys(made.users, 0), **made.ledger.credits()}
    assert balances == expected
