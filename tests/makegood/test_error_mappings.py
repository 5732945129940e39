"""Error mappings: an operator says what a provider's message means, and later failures take it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from makegood import error_mappings, generations
from makegood.errors import Conflict, Invalid
from makegood.models import Alert, AuditEntry, Event
from makegood.providers.protocol import ErrorClass, Outcome, Report
from tests.making import TERMS, make_customer, make_generation

AT = datetime(2026, 11, 15, 12, tzinfo=UTC)
QUOTA = "Quota of workspace ws_91fa2c exceeded: 1,200 of 1000. See https://docs.example.com/q?id=7"
NORMAL = "quota of workspace (id) exceeded: # of #. see (address)"


@pytest.fixture
def customer(session: Session) -> str:
    return make_customer(session, 995, at=AT)


def fail(session: Session, customer: str, message: str = QUOTA, at: datetime = AT) -> UUID:
    made = make_generation(session, customer, credits=1, at=at)
    report = Report(Outcome.FAILED, error_class=ErrorClass.UNKNOWN_ERROR, message=message)
    generations.settle(session, made, report, TERMS, at=at)
    return made


def map_quota(session: Session, to: str | None = "provider_account", before: str | None = None) -> None:
    error_mappings.change(
        session, "wavespeed", QUOTA, to, before=before, actor="ana@example.com", address="192.0.2.7"
    )


@pytest.mark.parametrize(
    ("message", "normal"),
    [
        (QUOTA, NORMAL),
        ("Task 0f5a9d1e-6c1b-4f9e-9d8a-1b2c3d4e5f60 failed", "task (id) failed"),
        ("  Timed out after 32.5 s\n(try 2) ", "timed out after # s (try #)"),
        ("No such model: seedream-v4", "no such model: seedream-v#"),
        (None, ""),
        ("x" * 300, "x" * 200),
    ],
)
def test_messages_are_compared_without_what_differs_each_time(
    session: Session, message: str | None, normal: str
) -> None:
    assert session.scalar(select(func.normal_error(message))) == normal


def test_a_mapped_message_gives_later_failures_its_class(session: Session, customer: str) -> None:
    earlier = fail(session, customer)
    map_quota(session)
    later = fail(session, customer, QUOTA.replace("91fa2c", "17cc0e"))
    other = fail(session, customer, "Something else.")
    classes = [generations.get(session, one).error_class for one in (earlier, later, other)]
    assert classes == ["unknown_error", "provider_account", "unknown_error"]
    event = select(Event.reason).where(Event.generation_id == later, Event.type == "failed")
    assert session.scalar(event) == "provider_account"
    assert session.scalar(select(Alert.kind)) is not None


def test_a_class_that_the_provider_gave_is_not_touched(session: Session, customer: str) -> None:
    map_quota(session)
    made = make_generation(session, customer, credits=1, at=AT)
    report = Report(Outcome.FAILED, error_class=ErrorClass.TIMEOUT, message=QUOTA)
    generations.settle(session, made, report, TERMS, at=AT)
    assert generations.get(session, made).error_class == "timeout"


def test_unmapped_errors_are_grouped_with_the_last_one_as_example(session: Session, customer: str) -> None:
    fail(session, customer, at=AT - timedelta(days=31))
    fail(session, customer)
    last = fail(session, customer, QUOTA.replace("91fa2c", "17cc0e"), AT + timedelta(hours=1))
    fail(session, customer, "Something else.")
    first, second = error_mappings.seen_lately(session, since=AT - timedelta(days=30))
    assert (first.provider, first.message, first.generations) == ("wavespeed", NORMAL, 2)
    assert (first.last_at, first.example_id) == (AT + timedelta(hours=1), last)
    assert "17cc0e" in first.example
    assert second.generations == 1
    map_quota(session)
    assert [one.message for one in error_mappings.seen_lately(session, since=AT - timedelta(days=30))] == [
        "something else."
    ]
    [rule] = session.scalars(error_mappings.rules())
    assert (rule.message, rule.error_class) == (NORMAL, "provider_account")


def test_some_wait_as_long_as_one_message_of_the_last_days_is_not_mapped(session: Session, customer: str) -> None:
    def some_wait(days: int = 30) -> bool:
        since = AT - timedelta(days=days)
        assert error_mappings.some_wait(session, since=since) == bool(
            error_mappings.seen_lately(session, since=since)
        )
        return error_mappings.some_wait(session, since=since)

    assert not some_wait()
    fail(session, customer, "Something else.", AT - timedelta(days=31))  # the same month as the 30th day before
    fail(session, customer, "About quotas.", AT - timedelta(days=80))
    assert not some_wait()
    assert some_wait(32)
    for _ in range(3):
        fail(session, customer)
    assert some_wait()
    map_quota(session)
    assert not some_wait()
    fail(session, customer, "Worker 7 is gone.", AT - timedelta(days=29))
    assert some_wait()
    map_quota(session, None, before="provider_account")
    error_mappings.change(session, "wavespeed", "Worker 7 is gone.", "timeout", before=None, actor="t")
    assert some_wait()
    map_quota(session)
    assert not some_wait()


def test_a_mapping_is_audited_changed_and_taken_back(session: Session, customer: str) -> None:
    map_quota(session)
    map_quota(session, "invalid_input", before="provider_account")
    map_quota(session, None, before="invalid_input")
    trail = session.scalars(select(AuditEntry).where(AuditEntry.subject == "error-mapping:wavespeed")).all()
    assert [(entry.action, entry.details["before"], entry.details["after"]) for entry in trail] == [
        ("error.mapped", "unknown_error", "provider_account"),
        ("error.mapped", "provider_account", "invalid_input"),
        ("error.unmapped", "invalid_input", "unknown_error"),
    ]
    assert generations.get(session, fail(session, customer)).error_class == "unknown_error"


def test_a_mapping_that_changed_meanwhile_is_looked_at_again(session: Session) -> None:
    map_quota(session)
    with pytest.raises(Conflict, match="Somebody mapped this meanwhile to provider account"):
        map_quota(session, "timeout")
    with pytest.raises(Invalid):
        map_quota(session, "unknown_error", before="provider_account")
