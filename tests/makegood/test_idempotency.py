"""Idempotency keys: a request that is sent again takes effect once and gets the first answer."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from makegood import idempotency
from makegood.errors import IdempotencyConflict
from makegood.ids import uuid7

ONE, OTHER = b"one request", b"another request"


def test_a_new_key_is_taken_and_a_used_one_is_found(session: Session) -> None:
    first = idempotency.claim(session, "k", ONE)
    again = idempotency.claim(session, "k", ONE)
    assert (first.repeated, again.repeated) == (False, True)
    assert again.resource_id == first.resource_id
    assert again.response is None
    assert not idempotency.claim(session, "K", ONE).repeated


def test_a_key_of_another_request_is_refused(session: Session) -> None:
    idempotency.claim(session, "k", ONE)
    for use in (idempotency.claim, idempotency.find):
        with pytest.raises(IdempotencyConflict, match="No credits moved"):
            use(session, "k", OTHER)


def test_a_key_leads_to_what_the_request_made(session: Session) -> None:
    idempotency.claim(session, "k", ONE)
    made = uuid7()
    idempotency.point_to(session, "k", made)
    assert idempotency.find(session, "k", ONE).resource_id == made


def test_the_first_answer_is_kept_and_given_again(session: Session) -> None:
    idempotency.claim(session, "k", ONE)
    assert idempotency.remember(session, "k", 202, {"status": "submitted"}) == ({"status": "submitted"}, 202)
    assert idempotency.remember(session, "k", 500, {"status": "lost"}) == ({"status": "submitted"}, 202)
    assert idempotency.find(session, "k", ONE).response == (202, {"status": "submitted"})
    assert idempotency.claim(session, "k", ONE).response == (202, {"status": "submitted"})


def test_a_key_of_a_request_that_was_undone_is_free_again(session: Session) -> None:
    undone = session.begin_nested()
    idempotency.claim(session, "k", ONE)
    undone.rollback()
    assert not idempotency.claim(session, "k", OTHER).repeated
