from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

from makegood import throttles
from makegood.errors import Throttled
from makegood.models import Throttle

NOW = datetime(2026, 5, 4, 12, 1, 0, tzinfo=UTC)
WINDOW = timedelta(minutes=5)


def hit(session: Session, subject: str = "a", now: datetime = NOW, limit: int = 3) -> None:
    throttles.hit(session, "test", subject, limit, WINDOW, now=now)


def test_attempts_over_the_limit_are_refused_with_the_time_to_wait(session: Session) -> None:
    for _ in range(3):
        hit(session)
    with pytest.raises(Throttled, match="Try again in 4 minutes") as refused:
        hit(session)
    assert refused.value.details == {"retry_after": 240}
    assert refused.value.status == 429


def test_the_time_to_wait_is_never_zero_and_rounds_up(session: Session) -> None:
    last = datetime(2026, 5, 4, 12, 4, 59, 999_999, tzinfo=UTC)
    hit(session, now=last, limit=1)
    with pytest.raises(Throttled, match="in 1 second\\.") as refused:
        hit(session, now=last, limit=1)
    assert refused.value.details["retry_after"] == 1


def test_a_refused_attempt_is_not_counted(session: Session) -> None:
    for _ in range(3):
        hit(session)
    for _ in range(5):
        with pytest.raises(Throttled):
            hit(session)
    assert session.scalars(select(Throttle.attempts)).all() == [3]


def test_a_new_window_counts_from_zero(session: Session) -> None:
    for _ in range(3):
        hit(session)
    hit(session, now=NOW + timedelta(minutes=4))


def test_subjects_and_scopes_are_counted_apart(session: Session) -> None:
    hit(session, "a", limit=1)
    hit(session, "b", limit=1)
    throttles.hit(session, "other", "a", 1, WINDOW, now=NOW)
    with pytest.raises(Throttled):
        hit(session, "b", limit=1)


def test_what_is_given_back_may_be_tried_again(session: Session) -> None:
    for _ in range(10):
        hit(session, limit=1)
        throttles.give_back(session, "test", "a", WINDOW, now=NOW)
    throttles.give_back(session, "test", "a", WINDOW, now=NOW)
    assert session.scalars(select(Throttle.attempts)).all() == [0]


def test_attempts_side_by_side_do_not_slip_past(database: str) -> None:
    engine = create_engine(database, pool_size=10)

    def attempt(_: int) -> str:
        try:
            with Session(engine) as session, session.begin():
                hit(session, limit=10)
        except Throttled:
            return "refused"
        return "counted"

    with ThreadPoolExecutor(10) as threads:
        outcomes = Counter(threads.map(attempt, range(60)))
    assert outcomes == {"counted": 10, "refused": 50}
    engine.dispose()


def test_logins_from_many_sides_do_not_deadlock(database: str) -> None:
    engine = create_engine(database, pool_size=10)

    def attempt(number: int) -> None:
        email, address = f"e{number % 3}@example.com", f"192.0.2.{number % 2}"
        with Session(engine) as session, session.begin():
            throttles.count_login(session, email, address, now=NOW)
            throttles.give_back_login(session, email, address, now=NOW)

    with ThreadPoolExecutor(10) as threads:
        list(threads.map(attempt, range(200)))
    with Session(engine) as session:
        assert set(session.scalars(select(Throttle.attempts))) == {0}
    engine.dispose()


def count(session: Session, email: str, address: str) -> None:
    with session.begin_nested():
        throttles.count_login(session, email, address, now=NOW)


def test_logins_are_limited_per_address_whatever_the_email(session: Session) -> None:
    for number in range(throttles.LOGINS_PER_ADDRESS.attempts):
        count(session, f"e{number}@example.com", "192.0.2.1")
    with pytest.raises(Throttled):
        count(session, "new@example.com", "192.0.2.1")
    count(session, "new@example.com", "192.0.2.2")


def test_logins_are_limited_per_email_whatever_the_address(session: Session) -> None:
    for number in range(throttles.LOGINS_PER_EMAIL.attempts):
        count(session, "Ana@example.com ", f"192.0.2.{number}")
    with pytest.raises(Throttled):
        count(session, "ana@example.com", "198.51.100.1")
    count(session, "bea@example.com", "198.51.100.1")


def test_logins_are_limited_in_all_and_one_address_does_not_use_that_up(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttles, "LOGINS", throttles.Limit("login", 25, WINDOW))
    for number in range(40):
        try:
            count(session, f"e{number}@example.com", "192.0.2.1")
        except Throttled:
            continue
    for number in range(5):
        count(session, f"f{number}@example.com", f"198.51.100.{number}")
    with pytest.raises(Throttled):
        count(session, "g@example.com", "198.51.100.99")


def test_what_people_type_as_email_is_not_stored(session: Session) -> None:
    count(session, "my password", "192.0.2.1")
    subjects = session.scalars(select(Throttle.subject)).all()
    assert not any("password" in subject for subject in subjects)


def test_hostile_subjects_are_counted_like_any_other(session: Session) -> None:
    for email in ("\x00", "x" * 100_000, "' OR 1=1", "\ud800"):
        count(session, email, "not an address")


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "unknown"),
        ("x" * 5000, "unknown"),
    ],
)
def test_one_owner_of_addresses_counts_as_one(address: str, network: str) -> None:
    assert throttles.network(address) == network


def test_old_windows_are_cleaned_and_running_ones_kept(session: Session) -> None:
    hit(session)
    hit(session, now=NOW + timedelta(hours=1))
    assert throttles.clean(session, before=NOW + timedelta(minutes=30)) == 1
    assert session.scalars(select(Throttle.window_start)).all() == [datetime(2026, 5, 4, 13, 0, tzinfo=UTC)]
