"""What became of paid credits, by the rollups: against the grants' own remainders, for any history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from makegood import books, generations, ledger
from makegood.errors import InsufficientCredits
from makegood.revenue import liability, lots, recognised
from makegood.revenue.lots import Value
from tests.making import FAILURE, TERMS, make_customer, make_generation, reserve
from tests.selling import buy, give_back

UTC_ZONE, BERLIN = ZoneInfo("UTC"), ZoneInfo("Europe/Berlin")
START = datetime(2026, 10, 1, 12, tzinfo=UTC)
EVER = (date(2000, 1, 1), date(2100, 1, 1))


def ever(session: Session, zone: ZoneInfo = UTC_ZONE, currency: str = "usd") -> Value:
    """What became of all paid credits so far."""
    return recognised.by_currency(session, zone, *EVER).get(currency, Value())


@pytest.fixture
def ada(session: Session) -> str:
    """A customer whose free credits are spent: what is used from now on was paid for."""
    customer_id = make_customer(session, 0, at=START)
    reserve(session, customer_id, credits=5, at=START)
    return customer_id


@pytest.mark.usefixtures("balanced_books")
def test_a_credit_is_revenue_at_the_price_paid_when_it_is_used_and_owed_until_then(
    session: Session, ada: str
) -> None:
    buy(session, ada, 700, 999, tax=190, at=START)
    make_generation(session, ada, credits=300, at=START + timedelta(hours=1))
    make_generation(session, ada, credits=100, status="failed", at=START + timedelta(hours=2))

    value = ever(session)

    assert value.used == value.recognised == Fraction(999 * 300, 700)
    assert liability.owed(session) == {"usd": Fraction(999 * 400, 700)}


@pytest.mark.usefixtures("balanced_books")
def test_money_that_goes_back_takes_first_what_was_not_recognised_yet(session: Session, ada: str) -> None:
    pack = buy(session, ada, 1000, 1000, at=START)
    make_generation(session, ada, credits=300, at=START)

    give_back(session, pack, 500, at=START + timedelta(days=1))
    assert (ever(session).recognised, liability.owed(session)) == (Fraction(300), {"usd": Fraction(200)})

    give_back(session, pack, 1000, at=START + timedelta(days=2))
    assert ever(session).recognised == 0
    assert liability.owed(session) == {}
    assert ever(session).taken_back == -300

    give_back(session, pack, 500, at=START + timedelta(days=3))  # half of the refund failed
    assert (ever(session).recognised, liability.owed(session)) == (Fraction(300), {"usd": Fraction(200)})


@pytest.mark.usefixtures("balanced_books")
def test_paid_credits_that_expire_are_revenue_at_expiry(session: Session, ada: str) -> None:
    until = START + timedelta(days=30)
    buy(session, ada, 100, 300, at=START, expires_at=until)
    used = make_generation(session, ada, credits=40, at=START)

    ledger.lock(session, ada, until)
    generations.settle(session, used, FAILURE, TERMS, at=until)  # its credits live on in a new grant

    value = ever(session)
    assert (value.expired, value.used, liability.owed(session)) == (
        Fraction(180),
        Fraction(0),
        {"usd": Fraction(120)},
    )


@pytest.mark.usefixtures("balanced_books")
def test_credits_that_nobody_paid_for_earn_nothing(session: Session) -> None:
    bob = make_customer(session, 500, at=START)
    buy(session, bob, 50, 0, at=START)
    reserve(session, bob, credits=555, at=START)

    assert ever(session) == Value()


def test_a_day_is_one_of_the_reporting_zone_also_after_that_has_changed(session: Session, ada: str) -> None:
    late = datetime(2026, 10, 9, 22, 30, tzinfo=UTC)
    buy(session, ada, 10, 100, at=START)
    reserve(session, ada, credits=1, at=late)
    recognised.fold(session, UTC_ZONE)

    def days(zone: ZoneInfo) -> dict[date, Fraction]:
        rows = recognised.read(session, zone, *EVER, ("day",))
        return {day: value.used for (day,), value in lots.values(rows, "day").items() if value.used}

    assert days(UTC_ZONE) == {date(2026, 10, 9): 10}
    assert days(BERLIN) == {date(2026, 10, 10): 10}
    recognised.fold(session, BERLIN)
    assert days(BERLIN) == {date(2026, 10, 10): 10}
    assert days(UTC_ZONE) == {date(2026, 10, 9): 10}


@dataclass
class History:
    """A customer's history, and a plain account of what was paid and what went back."""

    session: Session
    customer_id: str
    at: datetime = START
    sold: dict[str, int] = field(default_factory=dict)
    purchases: list[tuple[UUID, str, int, int]] = field(default_factory=list)
    returned: dict[UUID, Fraction] = field(default_factory=dict)
    open: list[UUID] = field(default_factory=list)

    def buy(self, n: int, m: int) -> None:
        """A pack: of any price, with or without tax, in one of two currencies, some of them expiring."""
        currency = ("usd", "jpy")[n % 2]
        amount, tax = 37 * m % 1000, (0, 19)[m % 2]
        expires_at = self.at + timedelta(days=4) if n % 3 == 0 else None
        purchase_id = buy(
            self.session,
            self.customer_id,
            10 + n,
            amount,
            tax=tax,
            at=self.at,
            currency=currency,
            expires_at=expires_at,
        )
        self.purchases.append((purchase_id, currency, amount, amount + tax))
        self.sold[currency] = self.sold.get(currency, 0) + amount

    def use(self, n: int, _: int) -> None:
        """A generation, if there are credits for it."""
        try:
            with self.session.begin_nested():
                self.open.append(reserve(self.session, self.customer_id, credits=1 + n, at=self.at).generation_id)
        except InsufficientCredits:
            return

    def fail(self, n: int, _: int) -> None:
        """One of the generations fails, and its credits return."""
        if self.open:
            generations.settle(self.session, self.open.pop(n % len(self.open)), FAILURE, TERMS, at=self.at)

    def give_back(self, n: int, m: int) -> None:
        """Money goes back for a purchase, or comes back."""
        if self.purchases:
            purchase_id, _, amount, paid = self.purchases[n % len(self.purchases)]
            refunded = paid * (m % 5) // 4
            give_back(self.session, purchase_id, refunded, at=self.at)
            self.returned[purchase_id] = Fraction(amount * refunded, paid or 1)

    def take(self, n: int, _: int) -> None:
        """An operator takes credits."""
        held = ledger.lock(self.session, self.customer_id, self.at)
        if held:
            ledger.take(self.session, self.customer_id, 1 + n % held, actor="op", reason="error", at=self.at)

    def wait(self, n: int, _: int) -> None:
        """Days pass."""
        self.at += timedelta(days=1 + n % 3)
        ledger.lock(self.session, self.customer_id, self.at)

    def fold(self, *_: int) -> None:
        """The worker comes by."""
        recognised.fold(self.session, UTC_ZONE)


STEPS: tuple[Callable[[History, int, int], None], ...] = (
    History.buy,
    History.use,
    History.use,
    History.fail,
    History.give_back,
    History.take,
    History.wait,
    History.fold,
)
numbers = st.integers(0, 40)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.sampled_from(STEPS), numbers, numbers), min_size=5, max_size=30))
def test_for_any_history_revenue_is_cash_less_what_went_back_less_the_change_of_what_is_owed(
    session: Session, steps: list[tuple[Callable[[History, int, int], None], int, int]]
) -> None:
    with session.begin_nested() as nested:
        history = History(session, make_customer(session, 0, at=START))
        for step, n, m in steps:
            step(history, n, m)
        owed = liability.owed(session)
        for currency in ("usd", "jpy"):
            paid = history.sold.get(currency, 0)
            went_back = sum(history.returned.get(key, 0) for key, of, _, _ in history.purchases if of == currency)
            value = ever(session, currency=currency)
            assert value.recognised == paid - went_back - owed.get(currency, 0)
            assert value.change == owed.get(currency, 0)
        before = recognised.by_currency(session, UTC_ZONE, *EVER)
        recognised.fold(session, UTC_ZONE)
        assert recognised.by_currency(session, UTC_ZONE, *EVER) == before
        by_customer, by_day = (
            lots.values(recognised.read(session, UTC_ZONE, *EVER, (key,)), "currency")
            for key in ("customer_id", "day")
        )
        assert by_customer == by_day
        assert books.violations(session) == []
        nested.rollback()
