"""The refund policy by version: published by an author with a reason, for later failures only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from makegood import generations, ledger, policies
from makegood.errors import Conflict, Invalid
from makegood.models import AuditEntry, Refund
from makegood.providers.protocol import ErrorClass, Outcome, Report
from tests.making import TERMS, make_customer, make_generation

AT = datetime(2026, 11, 15, 12, tzinfo=UTC)
Shares = dict[str, int | None]
SHARES: Shares = dict.fromkeys(policies.CLASSES, 100) | {"cancelled": 0}
HALF = SHARES | {"invalid_input": 50}


def publish(
    session: Session, shares: dict[str, int | None] = HALF, based_on: int = 1, note: str = "Abuse."
) -> int:
    return policies.publish(session, shares, based_on=based_on, note=note, actor="ana@example.com", address="::1")


def fail(session: Session, customer: str, credits: int, error: str, at: datetime = AT) -> None:
    made = make_generation(session, customer, credits=credits, at=at)
    report = Report(Outcome.FAILED, error_class=ErrorClass(error), message="no")
    generations.settle(session, made, report, TERMS, at=at)


def test_a_version_has_an_author_a_reason_and_what_changed(session: Session) -> None:
    assert publish(session) == 2
    newest, shipped = policies.versions(session)
    assert (newest.number, newest.actor, newest.note) == (2, "ana@example.com", "Abuse.")
    assert (newest.shares["invalid_input"], shipped.shares["invalid_input"], shipped.actor) == (50, 100, "system")
    [entry] = session.scalars(select(AuditEntry).where(AuditEntry.action == "policy.published"))
    assert entry.details == {"before": {"invalid_input": 100}, "after": {"invalid_input": 50}, "note": "Abuse."}


def test_a_new_policy_holds_for_later_failures_only(session: Session) -> None:
    customer = make_customer(session, 95, at=AT)
    fail(session, customer, 10, "invalid_input")
    publish(session)
    fail(session, customer, 10, "invalid_input")
    assert ledger.balance(session, customer) == 95
    refunds = session.execute(select(Refund.credits, Refund.policy_version).order_by(Refund.id)).all()
    assert [tuple(row) for row in refunds] == [(10, 1), (5, 2)]


def test_a_policy_is_published_on_top_of_the_one_that_was_looked_at(session: Session) -> None:
    publish(session)
    with pytest.raises(Conflict, match="published version 2 meanwhile"):
        publish(session, SHARES)
    with pytest.raises(Invalid, match="Nothing is different"):
        publish(session, HALF, based_on=2)


def test_every_share_is_a_percentage_and_the_reason_is_given(session: Session) -> None:
    with pytest.raises(Invalid) as error:
        publish(session, HALF | {"timeout": 101, "cancelled": None}, note=" ")
    assert set(error.value.details["fields"]) == {"timeout", "cancelled", "note"}


def test_the_effect_counts_what_ended_lately_as_it_would_be_refunded(session: Session) -> None:
    customer = make_customer(session, 995, at=AT - timedelta(days=40))
    fail(session, customer, 5, "invalid_input")
    fail(session, customer, 10, "invalid_input")
    fail(session, customer, 100, "invalid_input", AT - timedelta(days=31))
    given_up, never_begun = (
        make_generation(session, customer, credits=20, status=status, at=AT) for status in ("submitted", "charged")
    )
    generations.cancel(session, given_up, TERMS, actor="t", at=AT)
    ended = policies.ended(session, since=AT - policies.LOOK_BACK)
    effects = policies.effects(ended, HALF)  # type: ignore[arg-type]
    found = effects["invalid_input"]
    assert (found.generations, found.charged, found.returned) == (2, 15, 8)
    assert (effects["cancelled"].generations, effects["cancelled"].returned) == (1, 0)
    assert effects["timeout"].generations == 0
    assert generations.get(session, never_begun).status == "charged"
