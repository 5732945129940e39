"""Answers made from the rows: a generation's state, and the errors that carry facts of money."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

from flask import current_app, g
from pydantic import BaseModel
from sqlalchemy.orm import Session

from blueprints.api.bodies import Cost, Failure, Generation, Started
from blueprints.api.fields import dollars
from makegood import generations, ledger, models, outputs
from makegood.generations import NewGeneration, Reservation
from makegood.providers.protocol import ErrorClass
from makegood.stats import begin_snapshot

Answer = tuple[dict[str, Any], int]
"""A body and its HTTP status."""

REFUSED_REQUEST = (ErrorClass.CONTENT_POLICY_VIOLATION, ErrorClass.INVALID_INPUT)
SENTENCES = {
    ErrorClass.CONTENT_POLICY_VIOLATION: "The content breaks the provider's rules.",
    ErrorClass.INTERNAL_ERROR: "The provider had an error of its own.",
    ErrorClass.GENERATION_FAILED: "The provider could not make a result of this input.",
    ErrorClass.STORAGE_ERROR: "The provider could not store the result.",
    ErrorClass.TIMEOUT: "No result came in time.",
    ErrorClass.PROVIDER_UNAVAILABLE: "The provider does not answer right now.",
    ErrorClass.PROVIDER_ACCOUNT: "The provider cannot take generations right now.",
    ErrorClass.INVALID_INPUT: "The provider does not accept this input.",
    ErrorClass.UNKNOWN_ERROR: "The provider failed for an unknown reason.",
}
"""What people are told of a failure. The provider's own words are for operators alone."""


def ok(model: BaseModel, status: int = HTTPStatus.OK) -> Answer:
    """A model as an answer."""
    return model.model_dump(mode="json"), int(status)


def started(new: NewGeneration, reserved: Reservation, status: str) -> Answer:
    """A generation that was charged by this request and is under way."""
    body = Started(
        id=reserved.generation_id,
        status=status,
        customer_id=new.customer_id,
        provider=new.provider,
        model=new.model,
        kind=new.kind,
        credits_charged=reserved.credits_charged,
        credits_refunded=0,
        balance=reserved.balance,
    )
    return ok(body, HTTPStatus.ACCEPTED)


def from_rows(session: Session, generation_id: UUID) -> Answer:
    """What the request that started a generation is answered when only the rows know: state or failure."""
    row = generations.get(session, generation_id)
    balance = ledger.balance(session, row.customer_id)
    if row.error_class is not None:
        return failed(row, balance)
    return ok(Started(**_facts(row, balance)), HTTPStatus.ACCEPTED)


def failed(row: models.Generation, balance: int) -> Answer:
    """The answer for a generation that its provider refused: what the customer got back, and why."""
    error_class = ErrorClass(row.error_class)
    if error_class in REFUSED_REQUEST:
        status = HTTPStatus.BAD_REQUEST
    elif error_class is ErrorClass.PROVIDER_UNAVAILABLE:
        status = HTTPStatus.SERVICE_UNAVAILABLE
    else:
        status = HTTPStatus.BAD_GATEWAY
    refunded = row.credits_refunded
    back = (
        f"All {refunded} credits were refunded."
        if refunded == row.credits_charged
        else (f"{refunded} of {row.credits_charged} credits were refunded.")
    )
    body = {
        "error": problem(error_class.value, f"{SENTENCES[error_class]} {back}"),
        "refunded": refunded > 0,
        "credits_refunded": refunded,
        "credits_charged": row.credits_charged,
        "balance": balance,
        "generation_id": str(row.id),
    }
    return body, int(status)


def refund_pending(reserved: Reservation, *, alerted: bool) -> Answer:
    """The answer when the provider refused, and the refund could not be written: it claims none."""
    message = (
        "The provider did not take the generation, and the refund could not be written yet. "
        "It will be made by itself: ask for the generation later, or repeat the request with the same key."
    )
    body = {
        "error": problem("refund_pending", message),
        "refunded": False,
        "credits_refunded": 0,
        "credits_charged": reserved.credits_charged,
        "generation_id": str(reserved.generation_id),
    }
    return body, int(HTTPStatus.INTERNAL_SERVER_ERROR if alerted else HTTPStatus.SERVICE_UNAVAILABLE)


def problem(code: str, message: str) -> dict[str, str]:
    """The part of an error that is the same everywhere."""
    return {"code": code, "message": message, "request_id": g.request_id}


def generation(session: Session, generation_id: UUID) -> Generation:
    """A generation and its customer's balance as they are at one instant. Raises NotFound.

    The caller has committed: this begins a snapshot.
    """
    begin_snapshot(session)
    row = generations.get(session, generation_id)
    failure = None
    if row.error_class is not None:
        failure = Failure(code=row.error_class, message=SENTENCES[ErrorClass(row.error_class)])
    return Generation(
        **_facts(row, ledger.balance(session, row.customer_id)),
        metadata=row.metadata_,
        provider_job_id=row.provider_job_id,
        error=failure,
        late_outcome=row.late_outcome,
        cost_usd=None if row.cost_micros is None else dollars(row.cost_micros),
        cost=_cost(session, row),
        charged_at=row.charged_at,
        submitted_at=row.submitted_at,
        ended_at=row.ended_at,
    )


def _cost(session: Session, row: models.Generation) -> Cost:
    price = session.get(models.Price, row.price_id) if row.price_id else None
    return Cost(
        usd=None if row.cost_micros is None else dollars(row.cost_micros),
        source=row.cost_source,
        unit=row.unit,
        quantity=None if row.quantity is None else f"{row.quantity.normalize():f}",
        qualifier=row.qualifier,
        unit_price_usd=dollars(price.unit_price_micros) if price else None,
        per=price.per if price else None,
        price_version=price.version if price else None,
    )


def _facts(row: models.Generation, balance: int) -> dict[str, Any]:
    names = ("id", "status", "customer_id", "provider", "model", "kind", "credits_charged", "credits_refunded")
    public_url = current_app.config["SETTINGS"].public_url
    ours = [f"{public_url}{link}" if link.startswith("/") else link for link in row.outputs or []]
    return {name: getattr(row, name) for name in names} | {
        "balance": balance,
        "outputs": None if row.outputs is None else ours,
        "outputs_expire_at": row.outputs_expire_at,
        "outputs_gone": outputs.is_over(row, datetime.now(UTC)),
    }
