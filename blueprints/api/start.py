"""The one request with two commits: charge, submit without a transaction, then record or refund."""

from __future__ import annotations

from uuid import UUID

import structlog
from flask import current_app
from sqlalchemy.exc import SQLAlchemyError

from blueprints.api import answers
from blueprints.api.answers import Answer
from extensions import db
from makegood import alerts, generations, idempotency
from makegood.generations import Lost, NewGeneration, Refusal, Reservation
from makegood.providers.external import EXTERNAL
from makegood.providers.protocol import Accepted, Job, Provider
from makegood.stats import begin_snapshot
from makegood.terms import Terms
from settings import Settings

log = structlog.get_logger("makegood.start")


def run(new: NewGeneration, provider: Provider, settings: Settings) -> Answer:
    """Start a generation. Raises what `generations.reserve` raises: then no credits moved.

    A crash at any point leaves a charged row that reconcile finds.
    """
    reserved = generations.reserve(db.session, new, provider, settings.terms)
    if reserved.repeated:
        return _again(reserved)
    if new.provider == EXTERNAL:
        return _remember(new, answers.started(new, reserved, "charged"))
    db.session.commit()  # and the connection goes back to the pool: the provider may take its time
    result = generations.dispatch(provider, _job(new, reserved, settings.public_url))
    try:
        return _remember(new, _record(new, reserved, result, settings.terms))
    except Exception:
        log.exception("submit not recorded", generation_id=str(reserved.generation_id))
        _roll_back()
        answer = _not_recorded(new, reserved, result)
        current_app.extensions["unrecorded"].keep(reserved.generation_id, result)
        return answer


def _job(new: NewGeneration, reserved: Reservation, public_url: str) -> Job:
    return Job(
        generation_id=reserved.generation_id,
        model=new.model,
        kind=new.kind,
        input=new.input,
        callback_url=f"{public_url}/callbacks/{new.provider}/{reserved.callback_token}",
    )


def _again(reserved: Reservation) -> Answer:
    """The first answer; while there is none, or after a crash, one made from the rows."""
    if reserved.response is not None:
        status, body = reserved.response
        return body, status
    begin_snapshot(db.session)
    return answers.from_rows(db.session, reserved.generation_id)


def _record(new: NewGeneration, reserved: Reservation, result: Accepted | Lost | Refusal, terms: Terms) -> Answer:
    if isinstance(result, Refusal):
        generations.fail(
            db.session, reserved.generation_id, result.error_class, result.message, terms, refused=True
        )
        return answers.from_rows(db.session, reserved.generation_id)
    status = generations.record_submit(db.session, reserved.generation_id, result, terms)
    if status in ("submitted", "unknown"):
        return answers.started(new, reserved, status)
    # A callback was quicker, or the answer was the result already.
    return answers.from_rows(db.session, reserved.generation_id)


def _remember(new: NewGeneration, answer: Answer) -> Answer:
    body, status = answer
    first = idempotency.remember(db.session, new.idempotency_key, status, body)
    db.session.commit()
    return first


def _not_recorded(new: NewGeneration, reserved: Reservation, result: Accepted | Lost | Refusal) -> Answer:
    """The database failed after the submit. What is kept is written later; nothing is claimed before."""
    if not isinstance(result, Refusal):
        return answers.started(new, reserved, "unknown")
    return answers.refund_pending(reserved, alerted=_raise_alert(reserved.generation_id))


def _raise_alert(generation_id: UUID) -> bool:
    try:
        alerts.raise_refund_failed(db.session, generation_id)
        db.session.commit()
    except SQLAlchemyError:
        log.exception("alert not opened", generation_id=str(generation_id))
        _roll_back()
        return False
    return True


def _roll_back() -> None:
    try:
        db.session.rollback()
    except SQLAlchemyError:
        log.warning("rollback failed", exc_info=True)
