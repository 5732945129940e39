"""The same request written as the ORM's unit of work, for comparison only: on the same server, with the same
checks of key, body and headers, the same tables (copies in the schema `plain`, without triggers) and answer."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Flask, current_app
from sqlalchemy import select

import app
from blueprints import access
from blueprints.api import answers, blueprint
from blueprints.api.answers import Answer
from blueprints.api.contract import spec
from blueprints.api.requests import GenerationBody, IdempotencyHeader
from extensions import db
from makegood.calendars import local_day
from makegood.errors import InsufficientCredits, NotFound
from makegood.generations import NewGeneration, Reservation
from makegood.ids import hash_token, new_token, uuid7
from makegood.models import (
    Balance,
    CreditPrice,
    CreditTransaction,
    Customer,
    Event,
    Generation,
    Grant,
    IdempotencyKey,
    Movement,
    Price,
)
from makegood.terms import Terms


@blueprint.post("/orm/generations")
@spec.validate(tags=["benchmark"])
def start_with_orm(json: GenerationBody, headers: IdempotencyHeader) -> Answer:
    """Charge a customer for a generation of provider `external`."""
    new = NewGeneration(
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
    generation_id = uuid7()
    key = IdempotencyKey(key=new.idempotency_key, fingerprint=new.fingerprint(), resource_id=generation_id)
    db.session.add(key)
    db.session.flush()
    reserved = _charge(new, generation_id)
    body, status = answers.started(new, reserved, "charged")
    key.response_status, key.response_body = status, body
    db.session.commit()
    return body, status


def _charge(new: NewGeneration, generation_id: object) -> Reservation:
    terms: Terms = current_app.config["SETTINGS"].terms
    balance = db.session.get(Balance, new.customer_id, with_for_update=True)
    if balance is None:
        raise NotFound("There is no such customer.")
    customer = db.session.get_one(Customer, new.customer_id)
    now = datetime.now(UTC)
    credits = new.credits or _credit_price(new, now)
    price = _price(new, now)
    grants = _grants(new.customer_id)
    if balance.balance < credits or any(grant.expires_at and grant.expires_at <= now for grant in grants):
        raise InsufficientCredits("Too few credits.")
    cost = price.unit_price_micros if price else None
    token = new_token()
    generation = Generation(
        id=generation_id,
        customer_id=customer.id,
        tier=customer.tier,
        provider=new.provider,
        model=new.model,
        kind=new.kind,
        input=new.input,
        metadata_=new.metadata,
        status="charged",
        credits_charged=credits,
        callback_token_hash=hash_token(token),
        unit="generation",
        quantity=1,
        price_id=price.id if price else None,
        cost_micros=cost,
        cost_source="price_book" if price else "unknown",
        actor=new.actor,
        charged_at=now,
        check_at=now + terms.check_after,
    )
    balance.balance -= credits
    balance.entries += 1
    balance.updated_at = now
    balance.last_charged_day = local_day(now, terms.timezone)
    entry = CreditTransaction(
        customer_id=customer.id,
        entry=balance.entries,
        kind="charge",
        amount=-credits,
        balance_after=balance.balance,
        generation_id=generation.id,
        actor=new.actor,
        reason=new.model,
        occurred_at=now,
    )
    db.session.add(generation)
    db.session.flush()
    db.session.add(entry)
    db.session.flush()
    due = credits
    for grant in grants:
        taken = min(due, grant.remaining)
        grant.remaining -= taken
        due -= taken
        db.session.add(Movement(transaction_id=entry.id, grant_id=grant.id, credits=-taken))
        if not due:
            break
    db.session.add(
        Event(
            at=now,
            type="charge",
            customer_id=customer.id,
            generation_id=generation.id,
            tier=customer.tier,
            provider=new.provider,
            model=new.model,
            kind=new.kind,
            generations=1,
            credits_charged=credits,
            cost_micros=cost or 0,
            unknown_costs=int(cost is None),
            credits=-credits,
            holders=-int(balance.balance == 0),
        )
    )
    return Reservation(
        generation.id, repeated=False, credits_charged=credits, balance=balance.balance, callback_token=token
    )


def _credit_price(new: NewGeneration, now: datetime) -> int:
    query = select(CreditPrice).where(
        CreditPrice.provider == new.provider, CreditPrice.model == new.model, CreditPrice.effective_from <= now
    )
    return db.session.scalars(query.order_by(CreditPrice.effective_from.desc()).limit(1)).one().credits


def _price(new: NewGeneration, now: datetime) -> Price | None:
    query = select(Price).where(
        Price.provider == new.provider, Price.model == new.model, Price.effective_from <= now
    )
    return db.session.scalars(query.order_by(Price.effective_from.desc()).limit(1)).first()


def _grants(customer_id: str) -> list[Grant]:
    query = select(Grant).where(Grant.customer_id == customer_id, Grant.remaining > 0)
    order = (Grant.source == "purchase", Grant.expires_at.nulls_last(), Grant.id)
    return list(db.session.scalars(query.order_by(*order).with_for_update()))


def create_app() -> Flask:
    """The whole application, with this request beside the real one."""
    return app.create_app()
