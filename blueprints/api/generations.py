"""Generations: start one (charge, submit, record), look it up, cancel it, report its outcome."""

from __future__ import annotations

from uuid import UUID

from flask import current_app

from blueprints import access
from blueprints.api import answers, blueprint, bodies, start
from blueprints.api.answers import Answer
from blueprints.api.contract import documented, spec
from blueprints.api.requests import GenerationBody, IdempotencyHeader, OutcomeBody
from extensions import db
from makegood import generations
from makegood.errors import Conflict
from makegood.generations import external
from makegood.providers.protocol import ErrorClass, Outcome, Report

SWITCHED_OFF = (
    "Or, with the code `provider_disabled`: an operator has switched the provider or model off; no "
    "credits moved, and the Idempotency-Key stays unused"
)


@blueprint.post("/generations")
@spec.validate(
    resp=documented(202, bodies.Started, 402, 404, 409, 502, also={503: SWITCHED_OFF}), tags=["generations"]
)
def start_generation(json: GenerationBody, headers: IdempotencyHeader) -> Answer:
    """Charge a customer and submit a generation to its provider, once for each Idempotency-Key.

    202 means charged: `submitted`, or `unknown` while nobody knows whether the provider took it. A provider's
    refusal is refunded at once, and the error says so. What an operator has switched off is answered 503
    `provider_disabled` before anything is charged. A repeat of the request gets the first answer again, or the
    current state while that is undecided. Provider `external` is charged only; the platform reports its outcome.
    """
    new = generations.NewGeneration(
        customer_id=json.customer_id,
        provider=json.provider,
        model=json.model,
        kind=json.kind,
        input=json.input,
        credits=json.credits,
        metadata=json.metadata,
        idempotency_key=headers.key,
        actor=access.actor(),
    )
    settings = current_app.config["SETTINGS"]
    return start.run(new, current_app.extensions["providers"][new.provider], settings)


@blueprint.get("/generations/<uuid:generation_id>")
@spec.validate(resp=documented(200, bodies.Generation, 404), tags=["generations"])
def get_generation(generation_id: UUID) -> Answer:
    """A generation as it is now."""
    return answers.ok(answers.generation(db.session, generation_id))


@blueprint.post("/generations/<uuid:generation_id>/cancel")
@spec.validate(resp=documented(200, bodies.Generation, 404, 409), tags=["generations"])
def cancel_generation(generation_id: UUID) -> Answer:
    """Give up on a generation. It is refunded in full while it was provably never submitted, else by policy."""
    terms = current_app.config["SETTINGS"].terms
    generations.cancel(db.session, generation_id, terms, actor=access.actor())
    db.session.commit()
    return answers.ok(answers.generation(db.session, generation_id))


@blueprint.post("/generations/<uuid:generation_id>/outcome")
@spec.validate(resp=documented(200, bodies.Generation, 404, 409), tags=["generations"])
def report_outcome(generation_id: UUID, json: OutcomeBody) -> Answer:
    """Report what became of a generation of provider `external`. The same report again gets the same answer.

    A failure is refunded by policy. A report that contradicts how the generation ended is answered 409 and noted
    as a late outcome; the answer carries what was charged and refunded, and no credits moved.
    """
    terms = current_app.config["SETTINGS"].terms
    agrees = external.report(db.session, generation_id, _report(json), terms)
    db.session.commit()
    body = answers.generation(db.session, generation_id)
    if not agrees:
        raise Conflict(
            f"The generation has already {'been ' * (body.status == 'cancelled')}{body.status}, which stands. "
            "No credits moved.",
            status=body.status,
            credits_charged=body.credits_charged,
            credits_refunded=body.credits_refunded,
            balance=body.balance,
            generation_id=str(body.id),
        )
    return answers.ok(body)


def _report(json: OutcomeBody) -> Report:
    outcome = Outcome(json.status) if json.status != "submitted" else Outcome.PENDING
    error_class = json.error_class
    if outcome is Outcome.FAILED and error_class is None:
        error_class = ErrorClass.UNKNOWN_ERROR
    return Report(
        outcome=outcome,
        provider_job_id=json.provider_job_id,
        outputs=tuple(json.outputs),
        error_class=error_class,
        message=json.error_message,
        cost_micros=json.cost_usd,
        status=json.status,
    )
