"""MRR by day: what a snapshot finds, what it calls a change, and that changes add up to MRR."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from makegood import ranges
from makegood.models import MrrChange, MrrSnapshot
from makegood.revenue import movement_list, movements, snapshots, subscribers
from makegood.revenue.mrr_rules import MrrRules
from makegood.revenue.prices_of_items import ZERO
from tests.subscribing import NOW, all_read, discount, keep, percent, price, subscription

UTC = ZoneInfo("UTC")
RULES = MrrRules()
DAY = timedelta(days=1)
FIRST = NOW.date()


def subscribe(session: Session, name: str, cents: int | None, **more: Any) -> None:
    """One customer's subscription: `cents` a month, or cancelled."""
    body = subscription(price(cents or 100), **{"status": "active" if cents else "canceled", **more})
    keep(session, body | {"id": f"sub_{name}", "customer": f"cus_{name}", **more})


def taken(session: Session, day: int, rules: MrrRules = RULES, hour: int = 0) -> MrrSnapshot:
    snapshot = snapshots.take(session, rules, UTC, at=NOW + day * DAY + timedelta(hours=hour))
    assert snapshot is not None
    return snapshot


def changes(session: Session, day: int) -> dict[str, tuple[str, int]]:
    """Kind and cents by customer."""
    rows = session.scalars(select(MrrChange).where(MrrChange.day == FIRST + day * DAY))
    return {row.stripe_customer_id[4:]: (row.kind, int(row.after - row.before)) for row in rows}


def month_to(at: datetime) -> ranges.Range:
    return ranges.preset("30d", UTC, at)


def test_there_is_no_snapshot_before_all_subscriptions_were_read(session: Session) -> None:
    subscribe(session, "a", 1000)
    assert snapshots.take(session, RULES, UTC, at=NOW) is None
    assert session.scalars(select(MrrSnapshot)).all() == []


def test_each_change_of_a_day_has_its_kind_and_they_add_up(session: Session) -> None:
    all_read(session, "subscriptions")
    for name, cents in (("stays", 500), ("grows", 500), ("shrinks", 500), ("leaves", 500)):
        subscribe(session, name, cents)
    assert taken(session, 0).subscribers == 4
    assert {kind for kind, _ in changes(session, 0).values()} == {"restated"}
    for name, cents in (("grows", 900), ("shrinks", 200), ("leaves", None), ("comes", 700)):
        subscribe(session, name, cents)
    assert taken(session, 1).subscribers == 4
    assert changes(session, 1) == {
        "grows": ("expansion", 400),
        "shrinks": ("contraction", -300),
        "leaves": ("churn", -500),
        "comes": ("new", 700),
    }
    subscribe(session, "leaves", 600)
    taken(session, 2)
    assert changes(session, 2) == {"leaves": ("reactivation", 600)}
    [moved] = movements.between(session, [(FIRST + DAY, FIRST + 2 * DAY)])
    assert moved["usd"].net == 2900 - 2000
    assert moved["usd"].quick_ratio == (700 + 600 + 400) / (300 + 500)


def test_a_day_has_one_snapshot_and_what_was_undone_within_it_is_no_change(session: Session) -> None:
    all_read(session, "subscriptions")
    subscribe(session, "a", 500)
    taken(session, 0)
    subscribe(session, "a", 900)
    subscribe(session, "b", 100)
    first = taken(session, 1)
    found_at = session.scalars(select(MrrChange.at).where(MrrChange.stripe_customer_id == "cus_b")).one()
    subscribe(session, "a", 500)
    second = taken(session, 1, hour=5)
    assert first.day == second.day
    assert changes(session, 1) == {"b": ("new", 100)}
    kept = session.scalars(select(MrrChange.at).where(MrrChange.stripe_customer_id == "cus_b")).one()
    assert kept == found_at
    assert movements.standing(session, second.day)["usd"].mrr == 600


def test_currencies_stay_apart_and_a_customer_of_two_counts_once(session: Session) -> None:
    all_read(session, "subscriptions")
    keep(session, subscription(price(1000)) | {"id": "sub_1"})
    keep(session, subscription(price(300, currency="eur"), currency="eur") | {"id": "sub_2"})
    snapshot = taken(session, 0)
    assert snapshot.subscribers == 1
    found = movements.standing(session, FIRST)
    assert {currency: (one.mrr, one.subscribers) for currency, one in found.items()} == {
        "usd": (1000, 1),
        "eur": (300, 1),
    }


def test_other_rules_restate_and_move_nobody(session: Session) -> None:
    all_read(session, "subscriptions")
    subscribe(session, "a", 1000, discounts=[discount(percent(50))])
    subscribe(session, "b", 800)
    taken(session, 0)
    subscribe(session, "b", 900)
    taken(session, 1, MrrRules(coupons="none"))
    assert changes(session, 1) == {"a": ("restated", 500), "b": ("expansion", 100)}
    assert movements.standing(session, FIRST + DAY)["usd"].mrr == 1900


def test_a_subscription_that_can_no_longer_be_told_is_no_churn(session: Session) -> None:
    all_read(session, "subscriptions")
    subscribe(session, "a", 1000)
    taken(session, 0)
    subscribe(session, "a", 1000, discounts=["di_unread"])
    assert taken(session, 1).unknown == 1
    assert changes(session, 1) == {"a": ("restated", -1000)}
    subscribe(session, "a", 1000)
    assert taken(session, 2).unknown == 0
    assert changes(session, 2) == {"a": ("restated", 1000)}
    assert subscribers.report(session, UTC, month_to(NOW + 2 * DAY)).currencies[0].moved["churn"] == 0


def test_what_is_restated_says_why(session: Session) -> None:
    """Nobody needs to guess: a reading after an estimate, other rules, or something that could not be told."""

    def reasons() -> dict[str, str]:
        """Of the newest change of each customer."""
        rows = movement_list.MOVEMENTS.page(session, movement_list.MovementFilters(kind="restated")).rows
        return {row.stripe_customer_id[4:]: str(row.why) for row in reversed(rows)}

    all_read(session, "subscriptions")
    subscribe(session, "stays", 500)
    subscribe(session, "leaving", 500)
    taken(session, 0).estimated = True
    assert set(reasons().values()) == {movement_list.FIRST}
    subscribe(session, "stays", 700)
    subscribe(session, "leaving", 500, cancel_at_period_end=True)
    subscribe(session, "begins", 500, discounts=[discount(percent(50))])
    taken(session, 1)
    assert reasons() == {
        "stays": movement_list.OTHER_AMOUNT,
        "leaving": movement_list.NOT_COUNTED,
        "begins": movement_list.NOT_IN_THE_ESTIMATE,
    }
    taken(session, 2, MrrRules(coupons="none"))
    assert reasons()["begins"] == movement_list.OTHER_RULES
    subscribe(session, "begins", 500, discounts=["di_unread"])
    taken(session, 3, MrrRules(coupons="none"))
    subscribe(session, "stays", 700, discounts=["di_unread"])
    taken(session, 4)
    assert reasons()["stays"] == movement_list.OTHER_RULES
    subscribe(session, "stays", 700)
    taken(session, 5)
    assert reasons()["stays"] == movement_list.KNOWN_AGAIN


def test_churn_is_who_left_of_those_who_were_there_or_came(session: Session) -> None:
    all_read(session, "subscriptions")
    for name in "abcd":
        subscribe(session, name, 500)
    taken(session, 0)
    subscribe(session, "a", None)
    subscribe(session, "e", 500)
    taken(session, 10)
    subscribe(session, "e", None)
    subscribe(session, "b", None)
    taken(session, 20)
    subscribe(session, "b", 300)
    taken(session, 30)
    report = subscribers.report(session, UTC, month_to(NOW + 30 * DAY))
    assert report.churn is not None
    assert (report.churn.active, report.churn.joined, report.churn.left) == (4, 1, 2)
    assert str(report.churn.rate) == "0.4"
    assert report.currencies[0].arpu == Fraction(500 + 500 + 300, 3)
    before = subscribers.report(session, UTC, month_to(NOW + 5 * DAY))
    assert before.churn is None


AMOUNTS = st.dictionaries(st.sampled_from("abc"), st.sampled_from([0, 100, 250, 999, None]), max_size=3)


@settings(max_examples=25, deadline=None)
@given(st.lists(AMOUNTS, min_size=1, max_size=5), st.booleans())
def test_movements_add_up_to_the_change_of_mrr_for_any_history(
    rules_engine: Engine, days: list[dict[str, int | None]], other_rules: bool
) -> None:
    paid: Counter[str] = Counter()
    with Session(rules_engine) as session:
        all_read(session, "subscriptions")
        for day, step in enumerate(days):
            for name, cents in step.items():
                subscribe(session, name, cents)
                paid[name] = cents or 0
            taken(session, day, MrrRules(coupons="all") if other_rules and day else RULES)
            standing = movements.standing(session, FIRST + day * DAY).get("usd", movements.Standing())
            assert standing == movements.Standing(
                Fraction(paid.total()), sum(cents > 0 for cents in paid.values())
            )
            [moved] = movements.between(session, [(date(2020, 1, 1), FIRST + day * DAY)])
            assert standing.mrr == (moved["usd"].net if moved else ZERO)
        session.rollback()
