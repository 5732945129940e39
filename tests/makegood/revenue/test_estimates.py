"""The days before the first snapshot, from paid invoices."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from makegood.models import MrrChange, MrrSnapshot
from makegood.revenue import estimates, movements, mrr_changes, snapshots
from makegood.revenue.mrr_rules import MrrRules
from tests.subscribing import NOW, all_read, keep, line, paid, price, sold, subscription

UTC = ZoneInfo("UTC")
RULES = MrrRules()
DAY = timedelta(days=1)


def mrr_on(session: Session, back: int) -> int:
    found = movements.standing(session, (NOW - back * DAY).date()).get("usd", movements.Standing())
    return int(found.mrr)


def test_the_past_counts_what_was_paid_for_each_day_and_joins_what_was_read(session: Session) -> None:
    sold(session, "price_1", "month")
    sold(session, "price_year", "year")
    all_read(session, "subscriptions")
    keep(session, subscription(price(1000)) | {"id": "sub_1", "customer": "cus_1"})
    snapshots.take(session, RULES, UTC, at=NOW)
    assert not estimates.rebuild(session, RULES, UTC, at=NOW)
    # One renews and gets dearer, one pays by the year, one came and went; prorations and trials say nothing.
    paid(session, "in_1", "cus_1", NOW - 60 * DAY, line(800, NOW - 60 * DAY, 30))
    paid(session, "in_2", "cus_1", NOW - 30 * DAY, line(1000, NOW - 30 * DAY, 30),
         line(77, NOW - 40 * DAY, 10, proration=True))  # fmt: skip
    paid(
        session, "in_3", "cus_2", NOW - 50 * DAY, line(12000, NOW - 50 * DAY, 365, price="price_year", item="si_2")
    )
    paid(session, "in_4", "cus_3", NOW - 50 * DAY, line(500, NOW - 50 * DAY, 30, item="si_3",
         discount_amounts=[{"amount": 100}]))  # fmt: skip
    paid(session, "in_5", "cus_4", NOW - 50 * DAY, line(0, NOW - 50 * DAY, 14, item="si_4"))
    all_read(session, "invoices", NOW + timedelta(minutes=1))
    assert estimates.rebuild(session, RULES, UTC, at=NOW + timedelta(minutes=2))
    assert [mrr_on(session, back) for back in (61, 60, 50, 31, 30, 20, 1, 0)] == [
        0, 800, 2200, 2200, 2400, 2000, 2000, 1000,
    ]  # fmt: skip
    assert session.scalar(select(func.count()).where(MrrSnapshot.estimated)) == 60
    first = session.scalars(select(MrrChange).where(MrrChange.day == NOW.date())).all()
    assert [(row.stripe_customer_id, row.kind, row.before, row.after) for row in first] == [
        ("cus_2", "restated", 1000, 0)
    ]
    [moved] = movements.between(session, [((NOW - 90 * DAY).date(), NOW.date())])
    assert moved["usd"].net == 1000
    assert not estimates.rebuild(session, RULES, UTC, at=NOW + timedelta(minutes=3))


def test_a_day_costs_what_changes_on_it_however_many_pay(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    sold(session, "price_1", "month")
    all_read(session, "subscriptions")
    snapshots.take(session, RULES, UTC, at=NOW)
    for number in range(20):
        begun = NOW - (90 - number) * DAY
        paid(session, f"in_{number}", f"cus_{number}", begun, line(1000, begun, 30, item=f"si_{number}"))
    all_read(session, "invoices")
    looked_at: list[int] = []
    compared = mrr_changes.compared

    def counting(before: mrr_changes.State, after: mrr_changes.State, **more: Any) -> list[mrr_changes.Change]:
        looked_at.append(len(before.keys() | after.keys()))
        return compared(before, after, **more)

    monkeypatch.setattr(mrr_changes, "compared", counting)
    assert estimates.rebuild(session, RULES, UTC, at=NOW)
    of_days = looked_at[:-1]  # the last is the seam, where everybody is compared
    assert (len(of_days), sum(of_days)) == (90, 2 * 20)
    assert [mrr_on(session, back) for back in (91, 90, 80, 71, 60, 41, 40)] == [
        0, 1000, 11000, 20000, 19000, 0, 0,
    ]  # fmt: skip


def test_who_is_found_to_have_paid_before_came_back(session: Session) -> None:
    sold(session, "price_1", "month")
    all_read(session, "subscriptions")
    snapshots.take(session, RULES, UTC, at=NOW)
    keep(session, subscription(price(1000)))
    snapshots.take(session, RULES, UTC, at=NOW + DAY)
    assert session.scalars(select(MrrChange.kind)).all() == ["new"]
    paid(session, "in_1", "cus_1", NOW - 60 * DAY, line(800, NOW - 60 * DAY, 30))
    all_read(session, "invoices", NOW + DAY)
    assert estimates.rebuild(session, RULES, UTC, at=NOW + DAY)
    kinds = session.scalars(select(MrrChange.kind).order_by(MrrChange.day)).all()
    assert kinds == ["new", "churn", "reactivation"]
    snapshots.take(session, RULES, UTC, at=NOW + DAY)
    assert session.scalars(select(MrrChange.kind).order_by(MrrChange.day)).all() == kinds


def test_an_ended_subscription_stops_counting_when_it_ended(session: Session) -> None:
    sold(session, "price_1", "month")
    all_read(session, "subscriptions")
    ended = subscription(price(1000), status="canceled", ended_at=NOW - 50 * DAY)
    ended["items"]["data"][0]["id"] = "si_1"
    keep(session, ended)
    snapshots.take(session, RULES, UTC, at=NOW)
    paid(session, "in_1", "cus_1", NOW - 60 * DAY, line(1000, NOW - 60 * DAY, 30))
    all_read(session, "invoices")
    estimates.rebuild(session, RULES, UTC, at=NOW)
    assert [mrr_on(session, back) for back in (60, 51, 50)] == [1000, 1000, 0]
