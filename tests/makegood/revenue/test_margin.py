"""Margin: cash and recognised revenue side by side, less what it cost."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.orm import Session

from makegood.models import Charge, ExchangeRate, InvoicePayment, PaymentRefund, StripeAccount
from makegood.ranges import Range
from makegood.revenue import margin, margin_by_customer, payments, recognised
from makegood.revenue.results import micros
from makegood.terms import Terms
from tests.making import make_customer, make_generation, reserve
from tests.money import all_read, moved
from tests.selling import buy, give_back, pay

TERMS = Terms()
NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)
DAY = timedelta(days=1)
NOW = NOON + 5 * DAY
SPAN = Range(date(2026, 11, 8), date(2026, 11, 15), ZoneInfo("UTC"), NOW)
COST = 27_000
"""What one generation costs, in micro-dollars."""


@pytest.fixture
def ada(session: Session) -> str:
    """A customer who pays. Stripe has been read, and credits are sold here since the 8th."""
    session.add(StripeAccount(id=1, livemode=False, grants_since=NOON - 2 * DAY))
    all_read(session, NOW)
    return make_customer(session, 0, customer_id="ada", at=NOON - DAY)


def report(session: Session, span: Range = SPAN) -> margin.Margin:
    """The page's figures."""
    session.flush()
    return margin.report(session, TERMS, span)


def test_cash_counts_when_it_moves_and_recognised_revenue_when_credits_are_used(
    session: Session, ada: str
) -> None:
    pack = buy(session, ada, 1000, 2000, tax=380, at=NOON)
    pay(session, ada, 2380, 99, at=NOON, purchase_id=pack)
    moved(session, "refund", -380, at=NOON + DAY).source = "re_of_something_else"
    moved(session, "fee", -50, at=NOON + DAY)
    reserve(session, ada, credits=5, at=NOON)  # free ones
    make_generation(session, ada, credits=300, at=NOON + DAY)
    make_generation(session, ada, credits=100, status="failed", at=NOON + DAY)

    view = report(session)

    total = view.total
    assert (micros(total.cash), micros(total.recognised)) == (20_000_000, 6_000_000 - 3_800_000)
    assert micros(view.direct) == -3_800_000
    assert (micros(total.fees), micros(total.cost), micros(total.loss)) == (1_490_000, 3 * COST, COST)
    assert micros(total.profit) == 20_000_000 - 1_490_000 - 3 * COST
    assert micros(total.recognised_profit) == 2_200_000 - 1_490_000 - 3 * COST
    assert total.margin == Decimal(20_000_000 - 1_490_000 - 3 * COST) / 20_000_000
    by_day = {one.step.first.day: one.result for one in view.steps}
    assert (micros(by_day[10].cash), micros(by_day[11].cash)) == (23_800_000, -3_800_000)
    assert (micros(by_day[10].recognised), micros(by_day[11].recognised)) == (0, 2_200_000)
    assert micros(by_day[12].recognised_profit) == 0


def test_an_invoice_that_a_charge_without_a_payment_intent_paid_counts_once(session: Session, ada: str) -> None:
    pack = buy(session, ada, 100, 1000, at=NOON, kind="invoice")
    charge = session.get_one(Charge, pay(session, ada, 1000, at=NOON))
    charge.payment_intent = None
    read = {"created_at": NOON, "livemode": False, "body": {}, "read_at": NOON, "currency": "usd"}
    session.add(
        InvoicePayment(**read, id="inpay_1", invoice_id=f"in_{pack.hex}", charge_id=charge.id, status="paid")
    )
    reserve(session, ada, credits=5 + 30, at=NOON)

    view = report(session)

    assert (view.total.cash, view.total.recognised, view.direct) == (10, 3, 0)
    [line] = margin_by_customer.report(session, TERMS, SPAN).rows
    assert line.recognised == 3_000_000


def test_what_providers_models_and_tiers_earn_and_what_nobody_used_make_up_the_whole(
    session: Session, ada: str
) -> None:
    pack = buy(session, ada, 700, 1000, at=NOON)
    make_generation(session, ada, credits=105, at=NOON)
    make_generation(session, ada, credits=200, model="bytedance/seedream-v4.5", at=NOON)
    give_back(session, pack, 900, at=NOON + DAY)

    view = report(session)

    earned = sum((line.result.recognised or Fraction(0) for line in view.providers), Fraction(0))
    assert earned == Fraction(10 * 300, 700)
    assert view.beside is not None
    assert earned + view.beside == view.total.recognised
    assert {line.keys for line in view.models} == {
        ("wavespeed", "bytedance/seedream-v4"),
        ("wavespeed", "bytedance/seedream-v4.5"),
    }
    assert [line.keys for line in view.tiers] == [("free",)]
    assert view.providers[0].result.cash is None


def test_other_currencies_count_at_the_rate_of_each_day_and_without_one_there_is_no_sum(
    session: Session, ada: str
) -> None:
    pack = buy(session, ada, 100, 15000, currency="jpy", at=NOON)
    reserve(session, ada, credits=5 + 10, at=NOON)
    reserve(session, ada, credits=10, at=NOON + DAY)
    pay(session, ada, 15000, currency="jpy", at=NOON, purchase_id=pack)

    give_back(session, buy(session, ada, 20, 400, currency="krw", at=NOON), 400, at=NOON)

    view = report(session)
    assert (view.total.cash, view.total.recognised, view.total.profit) == (None, None, None)
    assert view.missing == ["jpy"]
    assert view.steps[0].result.cash == 0

    for day, rate in ((9, "0.01"), (11, "0.02")):
        values = {"currency": "jpy", "day": date(2026, 11, day), "usd_per_unit": Decimal(rate)}
        session.add(ExchangeRate(**values, source="bank", actor="test"))
    view = report(session)
    assert (view.total.cash, view.total.recognised) == (150, 15 + 30)
    assert [(rate.currency, rate.day.day) for rate in view.used] == [("jpy", 9), ("jpy", 11)]
    assert view.providers[0].result.recognised == 45
    [line] = margin_by_customer.report(session, TERMS, SPAN).rows
    assert line.recognised == 45_000_000


def test_what_is_not_known_is_no_figure(session: Session, ada: str) -> None:
    reserve(session, ada, credits=1, model="somebody/unknown", at=NOON)
    only_unknown = report(session).total
    assert (only_unknown.cost, only_unknown.profit, only_unknown.unknown_costs) == (None, None, 1)

    reserve(session, ada, credits=1, at=NOON)
    assert micros(report(session).total.cost) == COST

    early = Range(date(2026, 11, 1), date(2026, 11, 15), SPAN.zone, NOW)
    assert report(session, early).total.recognised == 0
    bob = make_customer(session, 10, at=NOON - 8 * DAY)
    reserve(session, bob, credits=1, at=NOON - 7 * DAY)
    unsold = report(session, early)
    assert (unsold.total.recognised, unsold.providers[0].result.recognised) == (None, None)
    assert unsold.since == date(2026, 11, 8)


def test_without_stripe_there_is_no_revenue_to_speak_of(session: Session) -> None:
    bob = make_customer(session, 10, at=NOON)
    reserve(session, bob, credits=1, at=NOON)

    view = report(session)

    assert (view.total.cash, view.total.recognised, view.total.fees) == (None, None, None)
    assert micros(view.total.cost) == COST
    assert view.unread == "Stripe's balance transactions have not been read yet."
    [line] = session.execute(margin_by_customer.every(session, TERMS, SPAN, group="free"))
    assert (line.cash, line.recognised, line.profit, line.cost) == (None, None, None, COST)


def test_payers_are_ranked_by_what_they_leave_and_who_never_paid_is_told_apart(session: Session, ada: str) -> None:
    pack = buy(session, ada, 1000, 2000, at=NOON)
    paid = pay(session, ada, 2000, 88, at=NOON, purchase_id=pack)
    row = moved(session, "refund", -500, at=NOON + DAY)
    row.source = "re_1"
    session.add(
        PaymentRefund(
            id="re_1",
            created_at=NOON,
            livemode=False,
            body={},
            read_at=NOON,
            charge_id=paid,
            currency="usd",
            amount=500,
        )
    )
    give_back(session, pack, 500, at=NOON + DAY)
    make_generation(session, ada, credits=505, at=NOON)
    bob = make_customer(session, 50, customer_id="bob", at=NOON)
    make_generation(session, bob, credits=50, at=NOON)
    pay(session, ada, 900, 30, at=NOON)
    pay(session, None, 700, 20, at=NOON)
    session.flush()

    found = margin_by_customer.report(session, TERMS, SPAN)

    [best] = found.rows
    assert (best.customer_id, best.cash, best.fees, best.recognised) == ("ada", 24_000_000, 1_180_000, 19_000_000)
    assert (best.cost, best.profit, best.recognised_profit) == (COST, 22_820_000 - COST, 17_820_000 - COST)
    assert (found.counts.customers, found.counts.profit, found.counts.losing) == (
        1,
        {"recognised": 1, "cash": 1},
        {"recognised": 0, "cash": 0},
    )
    assert found.unlinked.micros == 7_000_000
    total = report(session).total
    assert micros(total.recognised) == 19_000_000 + 7_000_000
    assert micros(total.cash) == 24_000_000 + 7_000_000
    assert not margin_by_customer.report(session, TERMS, SPAN, group="losing").rows
    free = margin_by_customer.report(session, TERMS, SPAN, group="free")
    [bob_] = free.rows
    assert (bob_.customer_id, bob_.cash, bob_.recognised_profit) == ("bob", 0, -COST)
    assert found.free_cost == free.free_cost == COST


def test_a_payer_who_costs_more_than_they_pay_is_no_free_user_and_may_lose_on_one_basis_alone(
    session: Session, ada: str
) -> None:
    buy(session, ada, 1000, 2000, at=NOON)
    pay(session, ada, 2000, 88, at=NOON)
    make_generation(session, ada, credits=5, at=NOON)

    def losing(basis: str, span: Range = SPAN) -> list[str]:
        found = margin_by_customer.report(session, TERMS, span, basis=basis, group="losing")
        assert [row.customer_id for row in found.rows] == [
            row.customer_id
            for row in session.execute(margin_by_customer.every(session, TERMS, span, basis=basis, group="losing"))
        ]
        return [row.customer_id for row in found.rows]

    assert (losing("recognised"), losing("cash")) == ([], [])  # the payment bought nothing here
    later = Range(NOON.date() + DAY, NOON.date() + 2 * DAY, SPAN.zone, NOW)
    make_generation(session, ada, credits=5, at=NOON + DAY)
    assert losing("cash", later) == ["ada"], "who paid before is a payer still"
    assert losing("recognised", later) == []


def test_a_customers_revenue_is_the_same_by_months_and_by_days_folded_or_not(session: Session, ada: str) -> None:
    session.get_one(StripeAccount, 1).grants_since = NOON - 90 * DAY
    rate = {"currency": "eur", "usd_per_unit": Decimal("1.1"), "source": "bank", "actor": "test"}
    session.add(ExchangeRate(**rate, day=date(2026, 8, 1)))
    reserve(session, ada, credits=5, at=NOON - 80 * DAY)
    for back in range(70, -1, -7):
        at = NOON - back * DAY
        pack = buy(session, ada, 70, 999, at=at, currency="eur" if back % 2 else "usd")
        pay(session, ada, 999, at=at, purchase_id=pack)
        reserve(session, ada, credits=40, at=at + DAY)
        reserve(session, ada, credits=9, at=at + 4 * DAY)
    spans = [
        Range(first, last, SPAN.zone, NOW)
        for first, last in (
            (date(2026, 9, 3), date(2026, 11, 15)),
            (date(2026, 9, 20), date(2026, 10, 25)),
            (date(2026, 10, 1), date(2026, 10, 31)),
            (date(2026, 11, 11), date(2026, 11, 11)),
        )
    ]

    def recognised_of_each_span() -> list[int | None]:
        session.flush()
        return [margin_by_customer.report(session, TERMS, span).rows[0].recognised for span in spans]

    before = recognised_of_each_span()
    assert before == [micros(report(session, span).total.recognised) for span in spans]
    recognised.fold(session, TERMS.timezone)
    payments.fold(session)
    assert recognised_of_each_span() == before
    reserve(session, ada, credits=1, at=NOON)
    assert recognised_of_each_span() != before, "what is not folded yet counts"
