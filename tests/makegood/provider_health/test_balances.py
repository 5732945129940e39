"""What is left at providers: asked for, kept, judged."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from makegood import alerts
from makegood.models import Alert, ProviderBalance
from makegood.provider_health import balances
from makegood.provider_health.balances import Asked, Standing
from makegood.providers.protocol import Account, FetchFailed
from tests.making import TERMS, FakeProvider, make_customer, make_generation

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
NAMES = ("wavespeed", "nanobanana")


class Asking(FakeProvider):
    """A provider that answers as told when it is asked for the balance."""

    def __init__(self, answer: Account | Exception | None, *, configured: bool = True) -> None:
        super().__init__()
        self.said, self.has_key = answer, configured

    @property
    def configured(self) -> bool:
        return self.has_key

    def account(self) -> Account | None:
        if isinstance(self.said, Exception):
            raise self.said
        return self.said


def dollars(amount: str) -> Account:
    return Account(Decimal(amount), "USD", usd_micros=int(Decimal(amount) * 1_000_000))


def credits(amount: str) -> Account:
    return Account(Decimal(amount), "credits")


@pytest.fixture
def keep(session: Session) -> Callable[..., None]:
    def keep(account: Account | str, ago: timedelta = timedelta(), provider: str = "wavespeed") -> None:
        failed = isinstance(account, str)
        balances.keep(
            session,
            Asked(provider, None if failed else account, account if failed else None, NOW - ago),  # type: ignore[arg-type]
        )
        session.flush()

    return keep


def standing(session: Session, provider: str = "wavespeed") -> Standing:
    return balances.standings(session, NAMES, TERMS, at=NOW)[provider]


def use(session: Session, count: int, ago: timedelta, **request: Any) -> None:
    """Generations of 27,000 micro-dollars each."""
    customer = make_customer(session, 1000, at=NOW - timedelta(days=20))
    for _ in range(count):
        make_generation(session, customer, at=NOW - ago, **request)


def test_an_answer_is_kept_as_it_was_given(session: Session) -> None:
    asked = balances.ask(Asking(Account(Decimal("12.5"), "characters", limit=Decimal(100))))
    assert asked is not None
    balances.keep(session, asked)
    row = session.scalars(select(ProviderBalance)).one()
    assert (row.provider, row.remaining, row.unit, row.limit, row.usd_micros, row.problem) == (
        "wavespeed",
        Decimal("12.5"),
        "characters",
        Decimal(100),
        None,
        None,
    )


@pytest.mark.parametrize(
    ("error", "problem"),
    [(FetchFailed("no answer (ReadTimeout)"), "no answer (ReadTimeout)"), (KeyError("x"), "unexpected KeyError")],
)
def test_a_provider_that_does_not_answer_is_noted_and_breaks_nothing(error: Exception, problem: str) -> None:
    asked = balances.ask(Asking(error))
    assert asked is not None
    assert (asked.account, asked.problem) == (None, problem)


@pytest.mark.parametrize("provider", [Asking(None), Asking(dollars("1"), configured=False)])
def test_who_has_no_such_api_or_no_key_is_not_kept(provider: Asking) -> None:
    assert balances.ask(provider) is None


@pytest.mark.parametrize("values", [{"remaining": 1}, {"problem": "x", "remaining": 1, "unit": "USD"}, {}])
def test_a_row_is_an_answer_or_a_problem(session: Session, values: dict[str, Any]) -> None:
    session.add(ProviderBalance(provider="p", asked_at=NOW, **values))
    with pytest.raises(IntegrityError, match="answered"):
        session.flush()


def test_dollars_last_by_what_our_books_say_was_spent(session: Session, keep: Callable[..., None]) -> None:
    use(session, 10, timedelta(days=5))
    keep(dollars("0.54"))
    found = standing(session)
    assert (found.remaining, found.basis) == (Decimal("0.54"), balances.COST)
    assert found.per_day is not None
    assert found.days is not None
    assert round(found.per_day) == 54_000
    assert round(found.days, 2) == Decimal(10)


def test_a_new_account_does_not_spend_its_first_minute_all_day(
    session: Session, keep: Callable[..., None]
) -> None:
    use(session, 2, timedelta(hours=2))
    keep(dollars("0.54"))
    assert standing(session).per_day == 54_000


def test_what_was_spent_elsewhere_or_long_ago_does_not_count(session: Session, keep: Callable[..., None]) -> None:
    use(session, 3, timedelta(days=9))
    use(session, 3, timedelta(days=1), provider=FakeProvider("nanobanana"), credits=1)
    keep(dollars("5"))
    found = standing(session)
    assert (found.basis, found.per_day, found.days) == (balances.COST, 0, None)


def test_with_an_unknown_cost_the_fall_of_the_balance_counts(session: Session, keep: Callable[..., None]) -> None:
    use(session, 1, timedelta(days=1), model="acme/unpriced", credits=1)
    keep(dollars("10"), timedelta(days=2))
    keep(dollars("8"), timedelta(days=1))
    keep(dollars("6"))
    found = standing(session)
    assert (found.basis, found.per_day, found.days) == (balances.FALL, 2, 3)


def test_credits_last_by_the_fall_of_the_balance_without_its_top_ups(
    session: Session, keep: Callable[..., None]
) -> None:
    for days, left in ((9, "5000"), (4, "100"), (3, "60"), (2, "1060"), (1, "1000"), (0, "940")):
        keep(credits(left), timedelta(days=days))
    found = standing(session)
    assert (found.basis, found.per_day) == (balances.FALL, 40)
    assert found.days == Decimal("23.5")


def test_a_fall_that_was_hardly_watched_says_nothing(session: Session, keep: Callable[..., None]) -> None:
    keep(credits("100"), timedelta(minutes=15))
    keep(credits("50"))
    found = standing(session)
    assert (found.remaining, found.per_day, found.days) == (50, None, None)


def test_the_last_good_answer_stands_beside_the_problem_that_came_after_it(
    session: Session, keep: Callable[..., None]
) -> None:
    keep(dollars("5"), timedelta(hours=1))
    keep("no answer (ReadTimeout)")
    keep("an answer without a balance", provider="nanobanana")
    found = standing(session)
    assert (found.remaining, found.asked_at) == (5, NOW - timedelta(hours=1))
    assert (found.problem, found.problem_at) == ("no answer (ReadTimeout)", NOW)
    keep(dollars("4"), -timedelta(minutes=15))
    assert standing(session).problem is None
    assert standing(session, "nanobanana").remaining is None
    assert set(balances.standings(session, NAMES, TERMS, at=NOW)) == set(NAMES)


def low_alerts(session: Session) -> list[Alert]:
    return list(session.scalars(select(Alert).where(Alert.kind == balances.LOW).order_by(Alert.id)))


def test_a_balance_that_does_not_last_opens_one_alert_until_it_is_topped_up(
    session: Session, keep: Callable[..., None]
) -> None:
    use(session, 10, timedelta(days=5))
    keep(dollars("0.10"))
    for _ in range(3):
        balances.watch(session, NAMES, TERMS, at=NOW)
    (alert,) = low_alerts(session)
    assert (alert.subject, alert.occurrences, alert.resolved_at) == ("wavespeed", 1, None)
    assert alert.message == (
        "wavespeed has $0.10 left, which lasts about 1.9 days by what was spent there in the last 7 days. "
        "Top it up."
    )
    keep(dollars("50"), -timedelta(minutes=1))
    balances.watch(session, NAMES, TERMS, at=NOW)
    session.expire_all()
    assert low_alerts(session)[0].resolved_at is not None
    keep(dollars("0.05"), -timedelta(minutes=2))
    balances.watch(session, NAMES, TERMS, at=NOW)
    assert [alert.resolved_at is None for alert in low_alerts(session)] == [False, True]


def test_an_empty_balance_is_alerted_though_nothing_was_spent(session: Session, keep: Callable[..., None]) -> None:
    keep(credits("0"))
    balances.watch(session, NAMES, TERMS, at=NOW)
    (alert,) = low_alerts(session)
    assert "0 credits left. Top it up" in alert.message


def test_an_acknowledged_alert_does_not_come_back_while_nothing_changed(
    session: Session, keep: Callable[..., None]
) -> None:
    keep(credits("0"))
    balances.watch(session, NAMES, TERMS, at=NOW)
    alerts.acknowledge(session, low_alerts(session)[0].id, actor="ana")
    balances.watch(session, NAMES, TERMS, at=NOW)
    assert alerts.count_open(session) == 0


def test_one_that_could_not_be_asked_keeps_its_alert(session: Session, keep: Callable[..., None]) -> None:
    keep(credits("0"))
    balances.watch(session, NAMES, TERMS, at=NOW)
    keep("no answer", -timedelta(minutes=15))
    balances.watch(session, NAMES, TERMS, at=NOW)
    assert low_alerts(session)[0].resolved_at is None


def test_old_answers_are_forgotten(session: Session, keep: Callable[..., None]) -> None:
    keep(credits("3"), timedelta(days=91))
    keep(credits("2"), timedelta(days=89))
    balances.forget(session, before=NOW - balances.KEEP)
    assert session.scalar(select(func.count()).select_from(ProviderBalance)) == 1


def test_a_balance_that_is_no_number_is_refused(session: Session) -> None:
    with pytest.raises(IntegrityError, match="remaining"), session.begin_nested():
        session.execute(
            text(
                "INSERT INTO provider_balances (id, provider, remaining, unit, asked_at) "
                "VALUES (make_uuid7(), 'p', 'NaN', 'USD', now())"
            )
        )
