"""The figures of revenue, by reporting category, from the sums that a trigger keeps."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from makegood.models import BalanceSum, BalanceTransaction
from makegood.revenue import Figures, figures
from tests.money import NOON, moved

DAY = (datetime(2026, 11, 10, tzinfo=UTC), datetime(2026, 11, 11, tzinfo=UTC))


def of_day(session: Session, currency: str = "usd") -> Figures:
    return figures.by_currency(figures.lines(session, [DAY])).get(currency, Figures())


def test_every_category_counts_in_its_own_figure_and_net_is_what_is_left(session: Session) -> None:
    for category, amount, fee in (
        ("charge", 10_000, 320),
        ("charge_failure", -1_000, 0),
        ("refund", -2_000, 0),
        ("refund_failure", 500, 0),
        ("dispute", -3_000, 1_500),
        ("dispute_reversal", 3_000, 0),
        ("fee", -40, 0),
        ("network_cost", -7, 0),
        ("tax", -9, 0),
    ):
        moved(session, category, amount, fee)
    found = of_day(session)
    assert found == Figures(9_000, 1_500, 0, 1_820, 47, 9, 0, 0, 9)
    assert found.net == sum(session.scalars(select(BalanceTransaction.net)))


def test_money_that_changes_its_place_and_categories_nobody_knows_are_in_no_other_figure(session: Session) -> None:
    moved(session, "charge", 1_000, 30)
    moved(session, "payout", -900, 15)
    moved(session, "issuing_transaction", -5)
    moved(session, "newly_invented", -70, 2)
    found = of_day(session)
    assert (found.gross, found.moved, found.other, found.fees) == (1_000, -905, -70, 47)
    assert found.net == 1_000 - 47


def test_currencies_stay_apart(session: Session) -> None:
    moved(session, "charge", 1_000, currency="eur")
    moved(session, "charge", 500, currency="jpy")
    assert (of_day(session, "eur").gross, of_day(session, "jpy").gross) == (1_000, 500)


def test_the_sums_follow_whatever_changes_a_transaction(session: Session) -> None:
    row = moved(session, "charge", 1_000, 30)
    session.execute(
        update(BalanceTransaction)
        .where(BalanceTransaction.id == row.id)
        .values(amount=1_200, net=1_170, reporting_category="refund", created_at=NOON - timedelta(hours=3))
    )
    assert of_day(session) == Figures(refunds=-1_200, fees=30, transactions=1)
    session.delete(row)
    session.flush()
    assert of_day(session) == Figures()


def test_a_transaction_that_is_read_again_unchanged_adds_no_sum(session: Session) -> None:
    row = moved(session)
    before = session.scalar(select(func.count()).select_from(BalanceSum))
    row.status = "pending"
    session.flush()
    assert session.scalar(select(func.count()).select_from(BalanceSum)) == before


@pytest.mark.parametrize("seed", range(3))
def test_any_steps_add_up_to_the_transactions_in_them(session: Session, seed: int) -> None:
    chance = random.Random(seed)
    rows = [
        moved(
            session,
            chance.choice(["charge", "refund", "dispute", "payout", "tax", "strange"]),
            chance.randint(-5_000, 5_000),
            chance.randint(0, 50),
            currency=chance.choice(["usd", "eur"]),
            at=NOON + timedelta(seconds=chance.randint(-90_000, 90_000)),
        )
        for _ in range(120)
    ]
    ends = sorted(NOON + timedelta(seconds=chance.randint(-90_000, 90_000)) for _ in range(6))
    steps = list(pairwise(ends))
    expected: defaultdict[tuple[int, str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for row in rows:
        for n, (start, end) in enumerate(steps):
            if start <= row.created_at < end:
                sums = expected[n, row.currency, row.reporting_category]
                for at, value in enumerate((1, row.amount, row.fee)):
                    sums[at] += value
    found = {
        (line.step, line.currency, line.category): [line.transactions, line.amount, line.fee]
        for line in figures.lines(session, steps)
    }
    assert found == expected
