"""Customers and their credits: create or change, look up, ledger pages, grants."""

from __future__ import annotations

from http import HTTPStatus

from flask import current_app

from blueprints import access
from blueprints.api import answers, blueprint, bodies
from blueprints.api.answers import Answer
from blueprints.api.contract import documented, spec
from blueprints.api.requests import CustomerBody, GrantBody, IdempotencyHeader, PageQuery
from extensions import db
from makegood import customers, grants, idempotency, ledger
from makegood.errors import Invalid
from makegood.models import CreditTransaction, Movement
from makegood.stats import begin_snapshot

ROUTES_BELOW = ("/transactions", "/grants")


@blueprint.put("/customers/<identifier:customer_id>", merge_slashes=False)
@spec.validate(resp=documented(200, bodies.Customer, 409), tags=["customers"])
def put_customer(customer_id: str, json: CustomerBody) -> Answer:
    """Create a customer, or change e-mail address and tier.

    A new customer gets this month's allowance of the tier; a changed tier counts from the next month on.
    """
    if customer_id.endswith(ROUTES_BELOW):
        raise Invalid("The request is not valid.", fields={"id": f"must not end in {' or '.join(ROUTES_BELOW)}"})
    timezone = current_app.config["SETTINGS"].terms.timezone
    customers.upsert(db.session, customer_id, email=json.email, tier=json.tier, timezone=timezone)
    db.session.commit()
    return answers.ok(_customer(customer_id))


@blueprint.get("/customers/<identifier:customer_id>", merge_slashes=False)
@spec.validate(resp=documented(200, bodies.Customer, 404), tags=["customers"])
def get_customer(customer_id: str) -> Answer:
    """A customer: balance, grants with credits left, and what was consumed this month."""
    return answers.ok(_customer(customer_id))


@blueprint.get("/customers/<identifier:customer_id>/transactions", merge_slashes=False)
@spec.validate(resp=documented(200, bodies.Transactions, 404), tags=["customers"])
def list_transactions(customer_id: str, query: PageQuery) -> Answer:
    """A page of the ledger, newest first. Give `next` as `before` to get the page after it."""
    begin_snapshot(db.session)
    customers.get(db.session, customer_id)
    rows = ledger.transactions(db.session, customer_id, before=query.before, limit=query.limit + 1)
    page = rows[: query.limit]
    movements = ledger.movements(db.session, [row.id for row in page])
    body = bodies.Transactions(
        transactions=[_transaction(row, movements[row.id]) for row in page],
        next=page[-1].entry if len(rows) > len(page) else None,
    )
    return answers.ok(body)


@blueprint.post("/customers/<identifier:customer_id>/grants", merge_slashes=False)
@spec.validate(resp=documented(201, bodies.NewGrant, 404, 409), tags=["customers"])
def add_grant(customer_id: str, json: GrantBody, headers: IdempotencyHeader) -> Answer:
    """Give credits to a customer, once for each Idempotency-Key."""
    grant = grants.add(
        db.session,
        customer_id,
        json.credits,
        source=json.source,
        reason=json.reason,
        actor=access.actor(),
        expires_at=json.expires_at,
        idempotency_key=headers.key,
    )
    made = bodies.Grant.model_validate(grant)
    balance = ledger.balance(db.session, customer_id)
    body, status = answers.ok(
        bodies.NewGrant(**made.model_dump(), customer_id=customer_id, balance=balance), HTTPStatus.CREATED
    )
    first = idempotency.remember(db.session, headers.key, status, body)
    db.session.commit()
    return first


def _customer(customer_id: str) -> bodies.Customer:
    begin_snapshot(db.session)
    customer = customers.get(db.session, customer_id)
    timezone = current_app.config["SETTINGS"].terms.timezone
    consumed = ledger.consumed_this_month(db.session, customer_id, timezone)
    return bodies.Customer(
        id=customer.id,
        email=customer.email,
        tier=customer.tier,
        balance=ledger.balance(db.session, customer_id),
        grants=[bodies.Grant.model_validate(grant) for grant in grants.open_grants(db.session, customer_id)],
        consumed_this_month=bodies.Consumed(
            charged=consumed.charged, refunded=consumed.refunded, net=consumed.net
        ),
        created_at=customer.created_at,
        updated_at=customer.updated_at,
    )


def _transaction(row: CreditTransaction, movements: list[tuple[Movement, str]]) -> bodies.Transaction:
    return bodies.Transaction(
        id=row.id,
        entry=row.entry,
        kind=row.kind,
        amount=row.amount,
        balance_after=row.balance_after,
        generation_id=row.generation_id,
        actor=row.actor,
        reason=row.reason,
        occurred_at=row.occurred_at,
        movements=[
            bodies.Movement(
                grant_id=moved.grant_id,
                source=source,
                credits=moved.credits,
                origin_grant_id=moved.origin_grant_id,
            )
            for moved, source in movements
        ],
    )
